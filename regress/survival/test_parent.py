"""The parent is killed: init starts it again, or nobody does."""
import os
import signal
import time

import pytest

import figures
import lab
from world import STALL_MS, World

# The kernel looks at lifetimes at moments of its own, up to a second late.
LATE_MS = 1000

STIR_ADDRESSES = ("ip addr add 192.0.2.99/32 dev lo && "
                  "ip addr del 192.0.2.99/32 dev lo")


@pytest.fixture(scope="module")
def world():
    with World() as world:
        yield world


class Monitor:
    """What a monitor prints, from now on. stimulus: a change that it tells
    of and that is undone."""

    def __init__(self, gw, name, argv, stimulus):
        self.proc = gw.start(argv, f"monitor-{name}")
        self.skip = 0
        lab.wait_for(f"{name} listens", lambda: gw.run(stimulus) and
                     self.proc.log(), 5, 0.05)
        lab.wait_for(f"{name} has said all", self.quiet, 5, 0)
        self.mark()

    def quiet(self):
        said = self.proc.log()
        time.sleep(0.2)
        return self.proc.log() == said

    def mark(self):
        self.skip = len(self.proc.log())

    def lines(self):
        return self.proc.log()[self.skip:].splitlines()

    def stop(self):
        self.proc.stop()


def kill_parent(gw):
    """SIGKILL to hagwd alone; the pids of its children."""
    pids = gw.hagw_pids()
    os.kill(pids[0], signal.SIGKILL)
    gw.hagwd.popen.wait(5)
    gw.procs.remove(gw.hagwd)
    gw.hagwd = None
    return pids[1:]


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def rewritten(lines):
    """Lines about virtual addresses other than their refreshing."""
    return [line for line in lines if "Deleted" in line]


def takeover_is_over(gw):
    """The grace has been given its end, which is the last it writes."""
    text = gw.run(["nft", "list", "set", "inet", "hagw", "grace"]).stdout
    return "elements" not in text or "expires" in text


def restart(world, gw, active):
    """Kill, start again at once; what was seen. None: mastership moved while
    this was being prepared, which is not to be judged here."""
    if active:
        lab.wait_for(f"{gw.name}: the takeover is over",
                     lambda: takeover_is_over(gw), 5, 0.1)
    peer = world.other(gw)
    addr = Monitor(gw, "ip", ["ip", "-4", "monitor", "address", "route",
                              "rule"], ["sh", "-c", STIR_ADDRESSES])
    nft = Monitor(gw, "nft", ["stdbuf", "-oL", "nft", "monitor", "ruleset"],
                  ["nft", "add table ip seen; delete table ip seen"])
    world.mark()
    try:
        before = world.transitions(peer)
        if gw.is_master() != active:
            return None
        old = kill_parent(gw)
        began = time.monotonic()
        gw.start_hagwd(wait=False)
        lab.wait_for("hagwd answers", gw.answers, 10, 0.01)
        took = time.monotonic() - began
        world.wait_running(gw)
        lab.wait_for("the old children end",
                     lambda: all(gone(pid) for pid in old), 2)
        time.sleep(0.5)
        seen = world.measure()
        seen["took_ms"] = took * 1000
        seen["wrong"] = [what for what, bad in (
            ("flows lost", seen["lost"]),
            ("probes lost", seen["probes_lost"]),
            ("addresses moved", seen["changes"]),
            ("a role at the peer", world.transitions(peer) != before),
            ("the role", gw.is_master() != active),
            ("addresses rewritten", rewritten(addr.lines())),
            ("rules rewritten", nft.lines())) if bad]
        return seen
    finally:
        addr.stop()
        nft.stop()


def test_killed_and_started_again(world, full):
    """Adopted: nothing rewritten, nothing lost, nobody notices."""
    rows = []
    began = time.monotonic()
    void = 0
    for where in ("active", "standby"):
        row = {"on": where, "times": 0, "flows lost": 0, "probes lost": 0,
               "longest probe gap ms": 0.0, "objects rewritten": 0,
               "hagwd answers again after ms": 0.0}
        while row["times"] < (20 if full else 2):
            world.settled()
            active = where == "active"
            master = world.master()
            seen = restart(world, master if active else world.other(master),
                           active)
            if seen is None:
                continue
            if seen["wrong"]:
                assert seen["stall_ms"] > STALL_MS and void < 2, (
                    seen["wrong"], seen)
                void += 1
                world.new_talkers()
                continue
            row["times"] += 1
            row["longest probe gap ms"] = max(row["longest probe gap ms"],
                                              seen["probe_gap_ms"])
            row["hagwd answers again after ms"] = max(
                row["hagwd answers again after ms"], seen["took_ms"])
        rows.append(row)
    figures.record(
        "hagwd killed and started again",
        "kill -9 of the parent alone, and a new one at once, at an interval "
        f"of 10 ms; {void} repeated because the machine stood still.\n\n"
        + figures.table(rows), time.monotonic() - began, full)


def test_killed_for_good(world, full):
    """The addresses leave by themselves and the peer takes over."""
    rows = []
    began = time.monotonic()
    for _ in range(10 if full else 1):
        world.settled()
        gw = world.master()
        peer = world.other(gw)
        index = world.gateways.index(gw)
        world.mark()
        old = kill_parent(gw)
        at = time.monotonic()
        lab.wait_for("the peer is master", peer.is_master, 6, 0.01)
        lab.wait_for("no address left", lambda: not gw.holds(), 6, 0.01)
        lab.wait_for("no process left", lambda: all(map(gone, old)), 4)
        seen = world.measure()
        left = min(c[0] for c in seen["changes"] if c[1 + index] == 0)
        taken = min(c[0] for c in seen["changes"]
                    if c[2 - index] == world.holders.all)
        rows.append({"addresses gone after ms": left / 1000 - at * 1000,
                     "peer MASTER after ms": taken / 1000 - at * 1000,
                     "both held ms": seen["both_ms"],
                     "nobody held ms": seen["none_ms"],
                     "probes lost": seen["probes_lost"],
                     "flows lost": seen["lost"]})
        gw.start_hagwd()
        world.settled()
        assert world.master() is peer
        assert seen["lost"] == 0, rows[-1]
        assert rows[-1]["both held ms"] <= LATE_MS, rows[-1]
        assert rows[-1]["nobody held ms"] < 400, rows[-1]
    figures.record(
        "hagwd killed for good",
        "kill -9 of the parent alone on the active node, at an interval of "
        "10 ms, and no init. Its vrrpd goes on advertising until the "
        "addresses' lifetime is over, then it is silent.\n\n"
        + figures.table(rows), time.monotonic() - began, full)


def test_stopped_for_a_while(world):
    """hagwd hangs for a second: the children go on, nobody notices."""
    world.settled()
    gw = world.master()
    before = world.transitions(world.other(gw))
    world.mark()
    os.kill(gw.hagwd.pid, signal.SIGSTOP)
    try:
        time.sleep(1)
    finally:
        os.kill(gw.hagwd.pid, signal.SIGCONT)
    world.wait_running(gw)
    seen = world.measure()
    assert seen["lost"] == 0 and seen["changes"] == [], seen
    assert world.transitions(world.other(gw)) == before


def test_stopped_for_longer_than_addresses_live(world):
    """The peer takes over when they are gone; no second master after it."""
    world.settled()
    gw = world.master()
    peer = world.other(gw)
    world.mark()
    os.kill(gw.hagwd.pid, signal.SIGSTOP)
    try:
        lab.wait_for("the peer is master", peer.is_master, 6, 0.01)
        time.sleep(0.5)
    finally:
        os.kill(gw.hagwd.pid, signal.SIGCONT)
    world.settled()
    seen = world.measure()
    assert world.master() is peer, seen
    assert seen["lost"] == 0 and seen["both_ms"] <= LATE_MS, seen


def test_tables_are_equal_at_the_end(world):
    world.stop_churn()
    world.settled()
    world.pair.wait_equal(20)
