"""Children are killed or stopped, one and two at a time, on either node.

A kill costs nothing at all: no flow, no probe, no role. A stop costs
nothing unless it is vrrpd's on the master, which then loses its lease.
"""
import itertools
import os
import signal
import time

import pytest

import figures
import lab
from world import CHILDREN, STALL_MS, World

PAUSE_S = 1.0      # between two faults: no crash loop
SHORT_PAUSE_S = 0.4
STOPPED_S = 0.25   # many intervals, fewer than make a child look hung
SETS = [(n,) for n in CHILDREN] + list(itertools.combinations(CHILDREN, 2))


@pytest.fixture(scope="module")
def world():
    with World() as world:
        yield world


def kill(world, gw, names):
    """SIGKILL at one moment; wait until others are in their place."""
    old = {name: gw.child(name) for name in names}
    assert None not in old.values(), old
    for pid in old.values():
        os.kill(pid, signal.SIGKILL)
    lab.wait_for(f"{gw.name}: new {names}", lambda: all(
        gw.child(name) not in (None, pid) for name, pid in old.items()), 5)


def stop(world, gw, names):
    """SIGSTOP, a while, SIGCONT."""
    pids = [gw.child(name) for name in names]
    assert None not in pids
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(STOPPED_S)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


class Sum:
    """One row of the report: the same fault, many times."""

    def __init__(self, fault, names, where):
        self.row = {"fault": fault, "of": " + ".join(names), "on": where,
                    "times": 0, "flows lost": 0, "probes lost": 0,
                    "longest probe gap ms": 0.0, "roles changed": 0,
                    "both held ms": 0.0}

    def add(self, seen):
        row = self.row
        row["times"] += 1
        row["flows lost"] += seen["lost"]
        row["probes lost"] += seen["probes_lost"]
        row["longest probe gap ms"] = max(row["longest probe gap ms"],
                                          seen["probe_gap_ms"])
        row["roles changed"] += seen["moved"]
        row["both held ms"] = max(row["both held ms"], seen["both_ms"])


def one_fault(world, fault, names, where, pause):
    """Do it once; what was seen, and whether mastership moved."""
    master = world.master()
    gw = master if where == "active" else world.other(master)
    before = {each.name: world.transitions(each) for each in world.gateways}
    world.mark()
    began = time.monotonic()
    fault(world, gw, names)
    takes_it = fault is stop and "vrrpd" in names and where == "active"
    if takes_it:
        lab.wait_for("the other is master", world.other(gw).is_master, 5)
    world.wait_running(gw)
    time.sleep(max(0.0, began + pause - time.monotonic()))
    seen = world.measure()
    seen["moved"] = world.master() is not master
    wrong = seen["lost"] or seen["both_ms"] or seen["moved"] != takes_it
    if not takes_it:
        peer = world.other(gw)
        wrong = (wrong or seen["probes_lost"] or seen["changes"] or
                 world.transitions(peer) != before[peer.name])
    seen["wrong"] = bool(wrong)
    return seen


class Witness:
    """Repeats what happened while the machine itself stood still.

    Virtual machines do, and neighbours on them make kernels without
    preemption stall: with 30 ms to react in, such a moment looks like the
    fault's doing. It is counted, and must stay rare.
    """

    def __init__(self, pause, share=0.1, least=3):
        self.done = self.void = 0
        self.pause, self.share, self.least = pause, share, least

    def see(self, world, fault, names, where):
        while True:
            world.settled()
            try:
                seen = one_fault(world, fault, names, where, self.pause)
            except lab.LabError as e:
                seen = {**world.measure(), "wrong": str(e)}
            if not seen["wrong"]:
                self.done += 1
                return seen
            assert seen["stall_ms"] > STALL_MS, (fault, names, where, seen)
            self.void += 1
            world.new_talkers()
            assert self.void <= max(self.least, self.done * self.share), (
                f"{self.void} of {self.done} while the machine stood still")


def test_children_killed_and_stopped(world, full):
    """Each child and each two of them, on both nodes, by both signals."""
    times = 20 if full else 2
    sets = SETS if full else SETS[:4] + [("vrrpd", "syncd")]
    rows = []
    witness = Witness(PAUSE_S if full else SHORT_PAUSE_S)
    began = time.monotonic()
    for fault, names, where in itertools.product(
            (kill, stop), sets, ("active", "standby")):
        if not full and fault is stop and len(names) > 1:
            continue
        total = Sum(fault.__name__, names, where)
        for _ in range(times):
            total.add(witness.see(world, fault, names, where))
        rows.append(total.row)
    body = (f"{sum(r['times'] for r in rows)} faults at an interval of 10 ms "
            f"with 300 talking flows and {world.churn.per_second():.0f} "
            "other flows made and ended each second. "
            f"{witness.void} more were repeated because the machine itself "
            f"stood still for over {STALL_MS} ms meanwhile. A stop lasts 250 ms; of vrrpd on the active node it "
            "moves mastership, for its lease runs out after 30 ms.\n\n"
            + figures.table(rows))
    figures.record("Children killed and stopped", body,
                   time.monotonic() - began, full)
    world.stop_churn()
    world.settled()
    world.pair.wait_equal(20)
