"""Rows of failovers: a crash, with and without other flows, and a planned
one."""
import time

from ..lab.core import LabError, wait_for
from ..lab.traffic import Probe, Talkers
from .systems import Cache, Hagw, Inject
from .table import Goal, Metric, checked, row

INTERVAL_US = {"1s": 1000000, "100ms": 100000, "10ms": 10000}
SKEW = (256 - 100) / 256  # of an interval: the backup's priority is 100


def midway(watch, interval):
    """Wait until the next but one advertisement is half an interval old:
    the gap depends on when in an interval a crash falls."""
    now = time.monotonic() * 1e6
    heard = watch.ask("report")["last_us"]
    rounds = (now - heard) // interval + 2
    time.sleep(max(heard + (rounds + 0.5) * interval - now, 0) / 1e6)


def one_crash(system, probe_us=1000, flows=0, others=0):
    system.fill(others)
    watch = system.standby.tool("advwatch", "eth0")
    watch.read()
    probe = Probe(system.pair.client1, system.pair.client2,
                  system.pair.outside, "udp", probe_us)
    talkers = None
    if flows:
        talkers = Talkers(system.pair.client1, system.pair.client2,
                          system.pair.outside, flows)
    time.sleep(2.2 if system.interval == "1s" else 1)
    if system.standby.holds():
        raise LabError("mastership moved before the crash")
    probe.mark()
    if talkers:
        talkers.mark()
    interval = INTERVAL_US[system.interval]
    midway(watch, interval)
    system.crash()
    heard = watch.ask("report")["last_us"]
    time.sleep(interval * 4 / 1e6 + 0.5)
    wait_for("the other gateway's service",
             lambda: probe.report()["silent_now_ms"] < 100, 60, 0.05)
    report = probe.report()
    gap = report["longest_gap_ms"]
    floor = (heard + interval * (3 + SKEW) - report["gap_end_us"]) / 1000
    floor += gap
    if floor < interval * 2 / 1000:
        raise LabError("the standby did not hear the active before the crash")
    sample = {"gap": gap, "floor": floor, "over": gap / floor,
              "late": gap - floor}
    if talkers:
        report = talkers.settle(15)
        time.sleep(6)  # what is silent for 5 s is lost
        report = talkers.report()
        sample.update(lost=report["lost"], stall=report["median_gap_ms"],
                      stall_max=report["longest_gap_ms"])
    # the flows that never spoke: in the dead one's kernel they still are
    return checked(system, sample, only=">20\\.")


GAP_NOTE = """UDP probe each millisecond; every process stopped and killed,
all cables down in one command. The floor is of this very crash: the last
advertisement heard + 3 intervals + skew (0.61 interval) from the probe's
last answer (a gap alone says most about when in an interval the crash fell).
"""

for text in ("1s", "100ms", "10ms"):
    def gap_row(system_class, ctx, interval=text):
        with system_class(interval) as system:
            return one_crash(system)

    gap_row.__doc__ = GAP_NOTE
    row(f"gap-{text}", f"service gap at a crash, interval {text}",
        [Metric("gap", "gap", "ms", [Goal(1.0, "inject")]),
         Metric("floor", "floor of these crashes", "ms"),
         Metric("over", "gap ÷ floor", "",
                [Goal(1.15), Goal(1.0, "inject")]),
         Metric("late", "gap − floor", "ms", [Goal(1.0, "inject")])],
        [Hagw, Inject])(gap_row)

for count, text in ((0, "0"), (200000, "200k"), (1000000, "1m")):
    def lost_row(system_class, ctx, others=count):
        """300 TCP flows on which the server talks every 20 ms, the active
        gateway crashes at an interval of 100 ms; lost: no byte for 5 s, or
        reset, or wrong."""
        with system_class("100ms") as system:
            return one_crash(system, flows=300, others=ctx.n(others, 0))

    row(f"lost-{text}", f"crash with {count:,} other flows",
        [Metric("lost", "of 300 talking flows lost", "",
                [Goal(0, worst=True)]),
         Metric("stall", "TCP stall, median flow", "ms"),
         Metric("stall_max", "TCP stall, longest", "ms"),
         Metric("gap", "service gap", "ms")],
        [Hagw, Inject, Cache])(lost_row)


@row("planned", "planned failover, 10,000 probes/s, 1,000,000 other flows",
     [Metric("lost", "probes lost in 20 failovers", "",
             [Goal(0, worst=True)]),
      Metric("gap", "longest gap", "ms")], [Hagw, Inject], repeat=1)
def planned(system_class, ctx):
    """hagw: hactl failover, 20 times to and fro in one repetition;
    keepalived: SIGTERM to it, as an administrator would, once."""
    times = 20 if system_class is Hagw else 1
    lost, gaps = 0, []
    with system_class("100ms") as system:
        system.fill(ctx.n(1000000))
        pair = system.pair
        probe = Probe(pair.client1, pair.client2, pair.outside, "udp", 100)
        master = system.active
        for _ in range(times):
            pair.wait_ready(pair.other(master), 60)
            time.sleep(0.5)
            probe.mark()
            master.hactl("failover", timeout=30)
            master = pair.other(master)
            wait_for("the other is master", master.is_master, 20)
            time.sleep(1.5)
            report = probe.mark()
            lost += report["lost"]
            gaps.append(report["longest_gap_ms"])
        return checked(system, {"lost": lost, "gap": max(gaps),
                                "times": times}, only=">20\\.")
