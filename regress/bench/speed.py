"""Rows of speed: how many flows a second, how late, how long a bulk takes."""
import array
import contextlib
import json
import pathlib
import threading
import time

from ..lab.core import TOOLS, LabError, wait_for
from .measure import Busy, percentile
from .systems import Hagw, Inject
from .table import Goal, Metric, checked, row

LADDER = (20000, 40000, 60000, 80000, 100000, 120000, 150000, 180000, 220000)


def alone_if(system, alone):
    return system.alone() if alone else contextlib.nullcontext()


def ladder(system_class, ctx, alone):
    """The highest rate held, how busy the machine was, and each step."""
    best, busy_at, steps = 0, 0.0, {}
    for rate in LADDER:
        count = ctx.n(rate * 2, 5000)
        with system_class() as system, alone_if(system, alone):
            busy = Busy()
            report = system.load(count, rate=rate, batch=64)
            share = busy.percent()
            try:
                took = system.settle(count, 20)
            except LabError:
                took = 99.0
            held = (report["per_second"] > rate * 0.95 and took < 0.5 and
                    not any(system.losses().values()))
            equal = system.tables() if held else "not looked at"
            steps[rate] = [report["per_second"], took, equal or "equal"]
            if not held or equal:
                break
            best, busy_at = rate, share
    return best, busy_at, steps


def flat_out(system_class, ctx, alone):
    """Flows per second until the standby has them, and the comparison."""
    with system_class() as system, alone_if(system, alone):
        count = ctx.n(300000, 5000)
        start = time.monotonic()
        system.load(count)
        try:
            system.settle(count, 60)
            flat = count / (time.monotonic() - start)
        except LabError:
            flat = 0
        return checked(system, {"flat_out": flat}, 10)


RATES = [("rate", "highest rate held", "/s",
          [Goal(120000, least=True), Goal(1.5, "inject", least=True)]),
         ("busy", "both cores busy at it", "%", []),
         ("flat_out", "made and replicated per second, flat out", "/s",
          [Goal(1.5, "inject", least=True)])]


@row("rate", "sustained new flows per second, nothing lost, equal tables",
     [Metric(*spec) for spec in RATES] +
     [Metric(f"{key}_alone", f"{title}, the standby alone on its machine",
             unit, goals) for key, title, unit, goals in RATES],
     [Hagw, Inject])
def rate_row(system_class, ctx):
    """Rates of a ladder for 2 s each, a new lab for each: a step is held
    when the maker kept its rate (95 %), the standby had everything 0.5 s
    after the last flow, nothing was counted as lost, and the tables are
    equal. Then 300,000 flows as fast as they can be made: until the
    standby has all. Alone: the same with the standby's nf_conntrack_events
    0, so that its kernel builds no events for the active's listener, as on a
    machine of its own; conntrackd's standby listens itself."""
    sample = {}
    for alone in (False, True):
        if system_class is Hagw or not alone:
            best, busy, steps = ladder(system_class, ctx, alone)
            flat = flat_out(system_class, ctx, alone)
        end = "_alone" if alone else ""
        sample |= {f"rate{end}": best, f"busy{end}": busy,
                   f"steps{end}": steps, f"flat_out{end}": flat["flat_out"]}
        merge_checks(sample, flat)
    return sample


def merge_checks(sample, other):
    """What two comparisons said: the first that is not equal."""
    if sample.get("tables", "equal") == "equal":
        sample["tables"] = other["tables"]
    if "losses" in other:
        sample.setdefault("losses", other["losses"])


def times_of(path):
    values = array.array("Q")
    values.frombytes(pathlib.Path(path).read_bytes())
    return values


def latency(system, count, rate, batch, first):
    """(p50, p99, greatest) in ms from made to there, and how many were not
    there 10 s later; None: none was."""
    made, there = system.lab.dir / "made", system.lab.dir / "there"
    watch = system.standby.tool("ctwatch", "-d", "20.0.0.0", "-f",
                                str(first), "-n", str(first + count))
    watch.read()
    system.load(count, rate=rate, first=first, times=made, batch=batch)
    end = time.monotonic() + 10
    while watch.ask("report")["seen"] < count and time.monotonic() < end:
        time.sleep(0.1)
    watch.ask(f"save {there}", 30)
    watch.stop()
    seen = times_of(there)[first:]
    waits = [(b - a) / 1000 for a, b in zip(times_of(made), seen) if b]
    if not waits:
        return None, None, None, count
    return (percentile(waits, 50), percentile(waits, 99), max(waits),
            count - len(waits))


@row("latency", "made at the active → usable in the standby's kernel",
     [Metric(f"{p}_{key}", f"{p} at {text}", "ms",
             [Goal(most), Goal(1, "inject")])
      for key, text in (("1k", "1,000/s"), ("20k", "20,000/s, 20 at a time"),
                        ("one", "20,000/s, one by one"))
      for p, most in (("p50", 2), ("p99", 10))] +
     [Metric("max_20k", "longest at 20,000/s", "ms"),
      Metric("wake_p50", "of the difference, floor: one process wakes "
             "another, p50", "ms"),
      Metric("wake_p99", "the same, p99", "ms"),
      Metric("missed", "never seen", "", [Goal(0, worst=True)])],
     [Hagw, Inject], repeat=8)
def latency_row(system_class, ctx):
    """From just before the system call that makes a flow to its event on the
    standby, seen by a listener of real-time priority. On that way hagw's
    syncd wakes the parent, who alone may change the kernel; conntrackd
    changes it itself. What such a step takes is measured right after: two
    processes, a socket pair, a message each ms."""
    with system_class() as system:
        few, many = ctx.n(5000, 500), ctx.n(100000, 2000)
        slow = latency(system, few, 1000, 1, 0)
        fast = latency(system, many, 20000, 20, few)
        single = latency(system, many, 20000, 1, few + many)
        step = {}
        if system_class is Hagw:
            report = json.loads(system.standby.run(
                [TOOLS / "wakeup", str(ctx.n(3000, 500))]).stdout)
            step = {f"wake_{p}": report[f"{p}_us"] / 1000
                    for p in ("p50", "p99")}
        return checked(system, {
            **step,
            "p50_1k": slow[0], "p99_1k": slow[1],
            "p50_20k": fast[0], "p99_20k": fast[1],
            "p50_one": single[0], "p99_one": single[1],
            "max_20k": max((w[2] or 0) for w in (fast, single)),
            "missed": slow[3] + fast[3] + single[3]})


class Arrival(threading.Thread):
    """When did the standby have that many flows?"""

    def __init__(self, system, count):
        super().__init__(daemon=True)
        self.system, self.count = system, count
        self.begin = time.monotonic()
        self.first = self.all = None
        self.start()

    def run(self):
        while self.all is None and time.monotonic() < self.begin + 300:
            held = self.system.standby.flows()
            now = time.monotonic() - self.begin
            if held > 1000 and self.first is None:
                self.first = now
            if held >= self.count:
                self.all = now
            time.sleep(0.1)


def empty(system):
    """The standby's daemons stopped, its table flushed."""
    standby = system.standby
    if isinstance(system, Hagw):
        standby.stop_hagwd()
    else:
        for daemon in standby.daemons:
            daemon.stop()
    standby.run(["conntrack", "-F"], check=False)


def filled(system, count):
    """Seconds one program takes to make as many there, and none left."""
    made = system.load(count, batch=128, host=system.standby)
    system.standby.run(["conntrack", "-F"], check=False)
    return count / made["per_second"]


def bulk_alone(system, count):
    """The same again without live flows, which would need a listener."""
    empty(system)
    with system.alone():
        floor = filled(system, count)
    arrival = Arrival(system, count)
    system.standby.start_hagwd(wait=True)
    with system.alone():  # hagwd sets it
        wait_for("all flows", lambda: arrival.all, 300)
    return checked(system, {"alone": arrival.all, "alone_floor": floor}, 20)


@row("bulk", "bulk of 1,000,000 flows into an empty standby",
     [Metric("seconds", "from the start of its daemon to all flows there",
             "s", [Goal(10)]),
      Metric("floor", "floor: one program makes as many there", "s"),
      Metric("first", "of it until the first thousand", "s"),
      Metric("p50", "live lag meanwhile, p50", "ms"),
      Metric("p99", "live lag meanwhile, p99", "ms", [Goal(20)]),
      Metric("missed", "of 3,000 live flows not seen coming within 10 s",
             ""),
      Metric("alone", "from the start to all flows there, the standby alone "
             "on its machine, no live flows", "s", [Goal(10)]),
      Metric("alone_floor", "floor: one program makes as many there", "s")],
     [Hagw, Inject])
def bulk(system_class, ctx):
    """The standby's daemons are stopped and its table is flushed; then they
    are started (conntrackd: and conntrackd -n, which asks for the table).
    1,000 new flows a second from the first thousand on; their lag. The floor
    is taken between the two, in the flushed table, by ctload. Alone: once
    more with the standby's nf_conntrack_events 0, so that its kernel builds
    no events for the active's listener, as on a machine of its own."""
    count = ctx.n(1000000, 5000)
    with system_class() as system:
        system.fill(count)
        empty(system)
        floor = filled(system, count)
        arrival = Arrival(system, count)
        system.standby.start_hagwd(wait=True)
        if system_class is not Hagw:
            time.sleep(2)  # past its own purge
            system.standby.ctl("-n")
        wait_for("the first flows", lambda: arrival.first, 120, 0.02)
        few = ctx.n(3000, 500)
        lag = latency(system, few, 1000, 1, count)
        wait_for("all flows", lambda: arrival.all, 300)
        sample = checked(system, {
            "seconds": arrival.all, "floor": floor, "first": arrival.first,
            "p50": lag[0], "p99": lag[1], "missed": lag[3]}, 20)
        if system_class is Hagw:
            more = bulk_alone(system, count + few)
            merge_checks(sample, more)
            sample = {**more, **sample}
        return sample
