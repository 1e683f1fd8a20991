"""The wall clock steps, the disk is full, the run directory read-only."""
import os
import pathlib
import signal
import tempfile
import time

import pytest

import figures
import lab
from shim import ShimGateway
from world import CHILDREN, STALL_MS, World


@pytest.fixture(scope="module")
def world():
    """nat2's run directory is a file system of its own, of 64 KiB."""
    pair = lab.NatPair(gateway=ShimGateway, advertise="10ms",
                       preempt="never")
    mounted = pair.gateways[1].rundir
    lab.call(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs",
              mounted])
    try:
        for gw in pair.gateways:
            for child in CHILDREN:
                gw.preload_child(child)
        with World(pair=pair) as world:
            yield world
    finally:
        pair.lab.close()
    assert not pair.lab.dir.exists(), "what is mounted in it goes with a lab"


def kill_children(gw):
    pids = lab.wait_for("children", lambda: all(
        found := [gw.child(name) for name in CHILDREN]) and found)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def lines_with(gw, text):
    return [line for line in gw.hagwd.log().splitlines() if text in line]


def log_is_ahead(gw):
    """Of the clock here, in seconds, by the last line's time of day."""
    said = gw.hagwd.log().splitlines()[-1].split(".")[0]
    here = time.localtime()
    at = time.strptime(said, "%H:%M:%S")
    ahead = ((at.tm_hour - here.tm_hour) * 60 + at.tm_min - here.tm_min) * 60
    return (ahead + 43200) % 86400 - 43200


def undisturbed(world, do, tries=3):
    """Do it; nobody notices. Again when the machine itself stood still."""
    for _ in range(tries):
        world.settled()
        before = [world.transitions(gw) for gw in world.gateways]
        world.mark()
        do()
        time.sleep(0.5)
        seen = world.measure()
        seen["roles"] = before != [world.transitions(gw)
                                   for gw in world.gateways]
        if not (seen["lost"] or seen["probes_lost"] or seen["changes"] or
                seen["roles"]):
            return
        assert seen["stall_ms"] > STALL_MS, seen
        world.new_talkers()
    raise AssertionError("the machine stood still each time")


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_clock_steps(world, full, seconds):
    """By an hour, in every process of both nodes; and back."""
    began = time.monotonic()
    for shift in (seconds, 0):
        def step(shift=shift):
            for gw in world.gateways:
                for shim in gw.shims():
                    shim.shift(shift)
                time.sleep(0.3)
        undisturbed(world, step)
        # children that are started at the other time, too
        undisturbed(world, lambda: [kill_children(gw)
                                    for gw in world.gateways])
        for gw in world.gateways:
            assert abs(log_is_ahead(gw) - shift) < 600
    figures.record(
        f"The wall clock steps by {seconds} s",
        "In every process of both nodes, and back, at an interval of 10 ms; "
        "children are killed in between: 0 flows, 0 probes lost, no role "
        "changed.", time.monotonic() - began, full)


def fill(directory):
    with open(directory / "filler", "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass


def test_full_disk(world):
    """It runs on; so do its children, a reload, and one started there."""
    gw = world.gateways[1]
    fill(gw.rundir)
    try:
        undisturbed(world, lambda: (kill_children(gw), gw.reload()))
        assert gw.answers()
        os.kill(gw.hagw_pids()[0], signal.SIGKILL)
        gw.hagwd.popen.wait(5)
        gw.start_hagwd()
        world.settled()
        assert len(lines_with(gw, "No space left")) <= 2
        gw.stop_hagwd()
        for path in gw.rundir.iterdir():
            if path.is_file() and path.name != "filler":
                path.unlink()
        fill(gw.rundir)
        gw.start_hagwd()
        world.settled()
        told = lines_with(gw, "No space left")
        assert len(told) == len(set(line.split(" ", 1)[1]
                                    for line in told)) >= 1
    finally:
        (gw.rundir / "filler").unlink()


def test_read_only_run_directory(world):
    """It was writable when hagwd started: nothing is missed."""
    world.settled()
    gw = world.gateways[1]
    enter = ["nsenter", "-m", "-t", str(gw.hagwd.pid)]
    lab.call([*enter, "mount", "--bind", gw.rundir, gw.rundir])
    lab.call([*enter, "mount", "-o", "remount,bind,ro", gw.rundir])
    try:
        undisturbed(world, lambda: (kill_children(gw), gw.reload()))
        assert len(lines_with(gw, "Read-only")) <= 1
    finally:
        lab.call([*enter, "umount", "-l", gw.rundir])


def test_it_does_not_start_on_a_read_only_run_directory(world):
    """Nothing to lock, no place for the control socket: it says so."""
    gw = world.gateways[1]
    script = ("mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" "
              "&& shift && exec \"$@\"")
    proc = gw.run(["unshare", "-m", "sh", "-c", script, "sh", gw.rundir,
                   lab.HAGWD, "-d", "-f", gw.site, "-N", gw.name, "-r",
                   gw.rundir], check=False)
    assert proc.returncode == 1
    assert "Read-only file system" in proc.stderr
    assert str(gw.rundir) in proc.stderr


def file_system(path):
    return lab.call(["stat", "-f", "-c", "%T", path]).stdout.strip()


def test_a_run_directory_on_a_disk(world):
    """It could make vrrpd wait for it: done without, and said so."""
    gw = world.gateways[1]
    usual = gw.rundir
    if file_system(lab.BUILD) in ("tmpfs", "ramfs"):
        pytest.skip("no disk here")
    gw.stop_hagwd()
    with tempfile.TemporaryDirectory(dir=lab.BUILD) as on_disk:
        gw.rundir = pathlib.Path(on_disk)
        gw.rundir.chmod(0o755)
        try:
            gw.start_hagwd()
            world.settled()
            told = lines_with(gw, "not on a tmpfs")
            assert len(told) == 1 and f"{on_disk}/lease" in told[0]
            undisturbed(world, lambda: kill_children(gw))
            gw.stop_hagwd()
        finally:
            gw.rundir = usual
            gw.start_hagwd()
    world.settled()


def test_tables_are_equal_at_the_end(world):
    world.stop_churn()
    world.settled()
    world.pair.wait_equal(20)
