"""A child that cannot be kept running: the delay grows, it is shown, and it
ends in a defined state.
"""
import contextlib
import os
import signal
import time

import pytest

import figures
import lab
from tree import TreeGateway
from world import World

FAULTS = ("before", "after 40")


@pytest.fixture(scope="module")
def world():
    pair = lab.NatPair(gateway=TreeGateway, advertise="10ms",
                       preempt="never")
    with World(pair=pair) as world:
        yield world


@pytest.fixture(scope="module")
def rows(full):
    """The rows of the report; written when the last test is done."""
    rows, began = [], time.monotonic()
    yield rows
    if rows:
        figures.record(
            "Crash loops",
            "A child of the active node aborts at each start, before its "
            "first word or 40 ms after, at an interval of 10 ms.\n\n"
            + figures.table(rows), time.monotonic() - began, full)


@contextlib.contextmanager
def loop(world, gw, child, how):
    """It cannot be kept running; and at the end it can again."""
    gw.mode(child, how)
    pid = gw.child(child)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    try:
        yield
    finally:
        gw.mode(child, "run")
        for each in world.gateways:
            if each.hagwd is None:
                each.start_hagwd()
        heal(world, gw)


def process(gw, name):
    return [p for p in gw.show("process")["processes"]
            if p["name"] == name][0]


def warnings(gw):
    return gw.hactl("show", "summary").stdout


def heal(world, gw):
    world.wait_running(gw, 15)
    lab.wait_for(f"{gw.name}: no warning of health", lambda:
                 "not fit to be MASTER:" not in warnings(gw), 15, 0.1)
    world.settled()


def pytest_generate_tests(metafunc):
    if "how" not in metafunc.fixturenames:
        return
    cases = [(c, h) for c in ("vrrpd", "syncd", "natd") for h in FAULTS]
    if not metafunc.config.getoption("--full"):
        cases = [("vrrpd", "before"), ("syncd", "after 40")]
    metafunc.parametrize("child, how", cases)


def test_the_master_gives_up(world, rows, child, how):
    """The peer can do the work: it gets it, and no flow is lost."""
    world.settled()
    gw = world.master()
    peer = world.other(gw)
    world.mark()
    began = time.monotonic()
    with loop(world, gw, child, how):
        lab.wait_for(f"{peer.name}: sole master", lambda:
                     peer.is_master() and not gw.holds(), 15, 0.01)
        took = time.monotonic() - began
        time.sleep(1)
        seen = world.measure()
        assert seen["lost"] == 0, seen
        assert seen["both_ms"] < (2 if child == "vrrpd" else 1000), seen
        lab.wait_for("it is shown", lambda:
                     "not fit to be MASTER:" in warnings(gw), 10, 0.1)
        first = process(gw, child)["restarts"]
        time.sleep(3)
        row = process(gw, child)
        assert row["restarts"] - first <= 6, "no back-off"
        assert row["restarts"] >= 5
        assert "ended by signal" in row["note"], row
        assert child in warnings(gw)
        assert "not fit to be MASTER:" in warnings(gw)
        assert not gw.holds() and peer.is_master()
    rows.append({"child": child, "dies": how, "peer MASTER after s": took,
                 "flows lost": seen["lost"],
                 "probes lost": seen["probes_lost"],
                 "longest probe gap ms": seen["probe_gap_ms"],
                 "starts in 3 s of the loop": row["restarts"] - first})
    assert world.master() is peer


def test_ctld_is_missed_by_nobody(world):
    """hactl is without an answer; nothing else happens."""
    world.settled()
    gw = world.master()
    world.mark()
    with loop(world, gw, "ctld", "before"):
        time.sleep(2)
        answer = gw.hactl("show", "summary", check=False)
        assert answer.returncode in (3, 5)
    lab.wait_for("hactl answers", gw.answers, 15)
    seen = world.measure()
    assert seen["lost"] == 0 and seen["changes"] == [], seen
    assert gw.is_master()


def test_alone_it_goes_on(world):
    """No other node can take over: the kernel forwards, this one stays."""
    world.settled()
    gw = world.master()
    peer = world.other(gw)
    peer.stop_hagwd()
    world.mark()
    with loop(world, gw, "natd", "before"):
        lab.wait_for("it is shown", lambda:
                     "not fit to be MASTER:" in warnings(gw), 10, 0.1)
        time.sleep(2)
        seen = world.measure()
        assert seen["lost"] == 0 and seen["changes"] == [], seen
        assert gw.is_master()
        peer.start_hagwd()
        lab.wait_for(f"{peer.name}: gets it when it is ready", lambda:
                     peer.is_master() and not gw.holds(), 25)
    assert world.measure()["lost"] == 0


def test_a_spare_without_a_ruleset_is_not_ready(world):
    """It could not translate: a failover to it is refused."""
    world.settled()
    gw = world.master()
    peer = world.other(gw)
    peer.stop_hagwd()
    peer.run(["nft", "delete table inet hagw"], check=False)
    with loop(world, peer, "natd", "before"):
        peer.start_hagwd()
        time.sleep(2)
        # it does not take part yet, and when it does it is not ready
        assert gw.hactl("failover", check=False).returncode == 4
        lab.wait_for("it takes part", lambda: "BACKUP" in
                     peer.hactl("show", "vrrp").stdout, 15, 0.1)
        answer = gw.hactl("failover", check=False)
        assert answer.returncode == 4, answer
        assert "not ready" in answer.stderr, answer
        # and nobody says of it what is not so
        assert f"{peer.name} BACKUP, not ready" in warnings(peer)
        assert "or is not fit to be MASTER (hactl show summary there)" \
            in warnings(gw)
    lab.wait_for("the failover is not refused any more", lambda:
                 gw.hactl("failover", check=False).returncode == 0, 5, 0.2)
    world.pair.wait_master(peer)


def test_tables_are_equal_at_the_end(world):
    world.stop_churn()
    world.settled()
    world.pair.wait_equal(20)
