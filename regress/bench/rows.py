"""The rows of the table: what is measured, and how."""
import array
import contextlib
import dataclasses
import json
import pathlib
import re
import threading
import time

from ..lab.core import TOOLS, Lab, LabError, wait_for
from ..lab.traffic import Probe, Talkers
from .measure import Busy, Cpu, cpu_us, percentile, rss_mb, tx_bytes
from .systems import VIP, Cache, Hagw, Inject

ROWS = {}
INTERVAL_US = {"1s": 1000000, "100ms": 100000, "10ms": 10000}
SKEW = (256 - 100) / 256  # of an interval: the backup's priority is 100


@dataclasses.dataclass
class Goal:
    """At most (or least) so much: absolutely, or times another system."""
    limit: float
    of: str = ""      # "": the value itself; else this system's median
    least: bool = False
    worst: bool = False  # of all repetitions, not the median


@dataclasses.dataclass
class Metric:
    key: str
    title: str
    unit: str = ""
    goals: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Row:
    name: str
    title: str
    metrics: list
    systems: list
    function: object
    repeat: int = 5
    note: str = ""
    together: bool = False


def row(name, title, metrics, systems=(Hagw, Inject), repeat=5,
        together=False):
    """together: the function measures all systems itself, in short pieces
    in turn, each on a lab of its own that is there all the while; the
    others give one repetition of one system."""
    def register(function):
        ROWS[name] = Row(name, title, metrics, list(systems), function,
                         repeat, (function.__doc__ or "").strip(), together)
        return function
    return register


class Context:
    """Sizes of this run: all of them shrink with the scale."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def n(self, count, least=200):
        return max(int(count * self.scale), min(count, least))

    def s(self, seconds, least=1.0):
        return max(seconds * self.scale, least)


def attempt(name, function, *args):
    """A sample, shown; of what fails the cause, and it is tried again."""
    sample = {}
    for _ in range(2):
        start = time.monotonic()
        before = {"failed": sample["error"]} if "error" in sample else {}
        try:
            sample = {**function(*args), **before}
        except LabError as e:
            sample = {"error": str(e)[:300], **before}
        sample["took_s"] = round(time.monotonic() - start, 1)
        shown = {k: round(v, 3) if isinstance(v, float) else v
                 for k, v in sample.items()}
        print(f"  {name:8} {json.dumps(shown)}", flush=True)
        if "error" not in sample:
            break
    return sample


def checked(system, sample, wait=5, only=""):
    """Every measurement ends with the comparison of both tables."""
    difference = system.tables(wait, only)
    sample["tables"] = difference or "equal"
    for key, value in system.losses().items():
        if value:
            sample.setdefault("losses", {})[key] = value
    return sample


# A crash

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


# Replication

def flow_cost(system, count, rate, op, batch):
    cpu = Cpu(system.active, tx=system.active.pids_of("sync"),
              rx=system.standby.pids_of("sync"))
    busy = Busy()
    out = tx_bytes(system.active, "eth2")
    back = tx_bytes(system.standby, "eth2")
    report = system.load(count, rate=rate, op=op, batch=batch)
    if op != "update":
        system.settle(0 if op == "delete" else count)
    time.sleep(0.5)
    used = cpu.us()
    return {"tx": used["tx"] / count, "rx": used["rx"] / count,
            "maker": cpu_us(report) / count, "busy": busy.percent(),
            "wire": (tx_bytes(system.active, "eth2") - out) / count,
            "back": (tx_bytes(system.standby, "eth2") - back) / count}


def floor_cost(system, count, rate, batch, ops=("create", "update",
                                                "delete")):
    """CPU in us of one program that writes as much, and nothing else, to
    the standby's kernel; other flows than those that were replicated."""
    return {op: cpu_us(system.load(count, rate=rate, op=op, batch=batch,
                                   first=2000000, host=system.standby)) /
            count for op in ops}


SENDER_WAIT_US = 750  # the longest hagw waits for a burst
BRIEF_WAIT_US = 3000  # and for flows that end about as soon as they begin


class SenderFloor:
    """One program at the active that reads a burst of events when it is
    over and sends as many bytes to one on the standby that takes them, and
    nothing else. size: bytes per event."""

    def __init__(self, system, size, wait_us):
        peer = f"172.25.0.{1 + system.pair.gateways.index(system.standby)}"
        self.size = int(size) - 1  # less the headers' share
        self.sink = system.standby.tool("sink", peer)
        self.sink.read()
        self.watch = system.active.tool("ctwatch", "-w", str(wait_us), "-s",
                                        peer, "-b", str(self.size))
        self.watch.read()
        self.first = self.watch.ask("report")

    def measure(self):
        """Of now and of when what is returned is called."""
        before = self.watch.ask("report")

        def done():
            after = self.watch.ask("report")
            return {"us": cpu_us(after) - cpu_us(before),
                    "events": after["events"] - before["events"]}
        return done

    def check(self):
        after = self.watch.ask("report")
        taken = self.sink.ask("report")["taken"]
        events = after["events"] - self.first["events"]
        if after["overruns"] or taken < events * self.size / 1500 * 0.9:
            raise LabError(f"sender's floor: {after}, {taken} datagrams came")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.watch.stop()
        self.sink.stop()


def sender_floor(system, count, rate, batch, wire):
    """CPU in us per event; nothing of hagw runs. wire: bytes per event, by
    op."""
    cost = {}
    for op, size in wire.items():
        with SenderFloor(system, size, SENDER_WAIT_US) as floor:
            done = floor.measure()
            system.load(count, rate=rate, op=op, batch=batch, first=4000000)
            time.sleep(0.5)
            used = done()
            floor.check()
        if used["events"] != count:
            raise LabError(f"sender's floor, {op}: {used} of {count}")
        cost[op] = used["us"] / count
    return cost


def in_turn(systems, turn):
    """Each one comes first as often as the others."""
    at = turn % len(systems)
    return systems[at:] + systems[:at]


OPS = {"create": "new", "update": "upd", "delete": "del"}


def cpu_piece(system, bare, count, batch):
    """One system, a second of each, and beside hagw the floors."""
    costs, sample = {}, {}
    for op in OPS:
        costs[op] = flow_cost(system, count, 20000, op, batch)
        if op == "update" and not isinstance(system, Cache):
            checked(system, sample)
    new = costs["create"]
    sample.update(wire=new["wire"], back=new["back"], maker=new["maker"],
                  **{f"{key}_{side}": costs[op][side]
                     for op, key in OPS.items() for side in ("tx", "rx")})
    if isinstance(system, Hagw):
        sample.update(cpu_floors(bare, count, batch, {
            op: cost["wire"] for op, cost in costs.items()}))
    return sample


def cpu_floors(system, count, batch, wire):
    """The same of programs that do what cannot be left out."""
    rx = floor_cost(system, count, 20000, 16)
    tx = sender_floor(system, count, 20000, batch, wire)
    return {name: value for op, key in OPS.items()
            for name, value in ((f"{key}_floor", rx[op]),
                                (f"{key}_tx_floor", tx[op]))}


def cpu_row(classes, repeat, ctx, batch):
    """ctload makes flows in the active's kernel at 20,000/s, as many at a
    time as the row says: one by one is how packets make them; in bursts of
    64 a system that reads each event when it comes wakes up least often. CPU
    is that of all of hagw's processes on a node, or of conntrackd alone.
    conntrackd's cache does not put them into the kernel. Each system has a
    lab that is there all the while, and gets a second of new flows, one of
    updates and one of ends in turn with the others; the first round is not
    counted. The floors are taken in the same turns, on a fourth lab where no
    such system runs: of the receiver ctload's CPU when it writes as many to
    the standby's kernel, 16 at a time; of the sender that of a program that
    reads a burst of events 750 us after its first and sends as many bytes to
    a program there. The tables are compared while they hold the flows, in
    each turn; a cache, which has to be committed for that, once at the
    end."""
    count = ctx.n(20000, 2000)
    samples = {c.name: [] for c in classes}
    with contextlib.ExitStack() as labs:
        systems = [labs.enter_context(c()) for c in classes]
        bare = labs.enter_context(Hagw())
        for gw in reversed(bare.pair.gateways):
            gw.stop_hagwd()
        for system in systems:
            system.quiet()
        for turn in range(repeat + 1):
            for system in in_turn(systems, turn):
                sample = attempt(system.name, cpu_piece, system, bare, count,
                                 batch)
                if turn > 0:
                    samples[system.name].append(sample)
        for system in systems:
            if isinstance(system, Cache):
                said = attempt(system.name, committed, system, count)
                samples[system.name][-1]["tables"] = (
                    said.get("tables") or said["error"])
    return samples


for batch, text in ((1, "one by one"), (4, "4 at a time"),
                    (20, "20 at a time"), (64, "64 at a time")):
    def cpu_row_of(classes, repeat, ctx, size=batch):
        return cpu_row(classes, repeat, ctx, size)

    cpu_row_of.__doc__ = cpu_row.__doc__
    row(f"cpu-{batch}", f"replicated flows at 20,000/s, {text}",
        [Metric("new_tx", "CPU per new flow, sender", "µs",
                [Goal(0.5, "inject")]),
         Metric("new_tx_floor", "floor: one program reads the events and "
                "sends as much", "µs"),
         Metric("new_rx", "CPU per new flow, receiver with parent", "µs",
                [Goal(0.6, "inject")]),
         Metric("new_floor", "floor: one program creates them there", "µs"),
         Metric("upd_tx", "CPU per update, sender", "µs",
                [Goal(0.5, "inject")]),
         Metric("upd_tx_floor", "floor: one program reads the events and "
                "sends as much", "µs"),
         Metric("upd_rx", "CPU per update, receiver", "µs",
                [Goal(0.5, "inject")]),
         Metric("upd_floor", "floor: one program updates them there", "µs"),
         Metric("del_tx", "CPU per destroy, sender", "µs",
                [Goal(0.5, "inject")]),
         Metric("del_tx_floor", "floor: one program reads the events and "
                "sends as much", "µs"),
         Metric("del_rx", "CPU per destroy, receiver", "µs",
                [Goal(0.5, "inject")]),
         Metric("del_floor", "floor: one program deletes them there", "µs"),
         Metric("wire", "wire bytes per new flow", "B",
                [Goal(0.6, "inject")]),
         Metric("back", "bytes back per new flow", "B"),
         Metric("maker", "CPU per new flow of the program that makes them "
                "(kernel's event delivery in it)", "µs")],
        [Hagw, Inject, Cache], repeat=9, together=True)(cpu_row_of)


def committed(system, count):
    """A cache compared by its commit, which nothing may follow."""
    system.load(count, rate=20000)
    system.settle(count)
    return checked(system, {})


SOURCES = 8
SHORT_RATE = 4000  # connections per second
SHORT_WARM_S = 3  # until as many are forgotten as made
SHORT_EVENTS = 3  # of each: assured, closing, gone


def forget(system, start, end):
    """What expired is collected up to a minute later: a dump has the kernel
    do it at once, each half second between two times."""
    while start < end:
        time.sleep(max(start - time.monotonic(), 0))
        system.active.run(["sh", "-c", "conntrack -L >/dev/null 2>&1; :"])
        start += 0.5
    time.sleep(max(end - time.monotonic(), 0))


def connect(system, seconds, measure):
    """Short connections, and a time of them in which as many are forgotten
    as made: how many those were and how many a second, what measure says of
    them, and the client's report."""
    total = int(SHORT_RATE * (SHORT_WARM_S + seconds + 1))
    client = system.pair.client1.tool(
        "shortconn", "client", system.pair.outside, "8000", "4",
        str(SHORT_RATE), str(total), "172.23.1.1", str(SOURCES))
    start = time.monotonic() + SHORT_WARM_S
    forget(system, start - SHORT_WARM_S, start)
    done, before, began = measure(), client.ask("report"), time.monotonic()
    forget(system, start, start + seconds)
    after, ended, used = client.ask("report"), time.monotonic(), done()
    made = after["opened"] - before["opened"]
    report = client.read(30)
    for _ in range(20):
        now = time.monotonic()
        forget(system, now, now + 0.5)
        if system.active.flows() < 50:
            break
    time.sleep(1)
    return made, made / (ended - began), used, report


@row("short", "whole short TCP connections through the gateway, 4,000/s",
     [Metric("tx", "CPU per connection, sender", "µs",
             [Goal(0.1, "inject")]),
      Metric("tx_floor", "floor: one program reads the events and sends as "
             "much", "µs"),
      Metric("rx", "CPU per connection, receiver with parent", "µs",
             [Goal(0.2, "inject")]),
      Metric("floor", "floor: one program creates and deletes as many there",
             "µs"),
      Metric("wire", "wire bytes per connection", "B"),
      Metric("bad", "connections that failed", "", [Goal(0, worst=True)]),
      Metric("made", "connections per second", ""),
      Metric("busy", "both cores busy", "%")],
     [Hagw, Inject, Cache], repeat=9, together=True)
def short(classes, repeat, ctx):
    """Connect, 64 bytes, 512 bytes back, close; each system in turn for 7 s,
    on a lab that is there all the while, and measured for 3 of them, in
    which as many connections are forgotten as made; the first round is not
    counted. The time a closed connection is kept (tcp_timeout_time_wait) is
    2 s on every gateway; a dump twice a second has the kernel collect what
    expired. The receiver's floor is ctload's CPU when it makes and deletes
    as many flows in the standby's kernel at that rate, 8 at a time, right
    after; the sender's that of a program that reads events 3 ms after the
    first and sends as many bytes to a program there, of as many such
    connections more (beside hagw, which has the addresses)."""
    seconds = round(ctx.s(3) * 2) / 2  # whole dumps
    samples = {c.name: [] for c in classes}
    with contextlib.ExitStack() as labs:
        systems = [labs.enter_context(c()) for c in classes]
        for system in systems:
            short_ready(system)
        for turn in range(repeat + 1):
            for system in in_turn(systems, turn):
                sample = attempt(system.name, short_piece, system, seconds)
                if turn > 0:
                    samples[system.name].append(sample)
    return samples


def short_ready(system):
    system.quiet()
    for gw in system.pair.gateways:
        gw.sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", 2)
    for i in range(SOURCES):
        system.pair.client1.ip("addr", "add", f"172.23.1.{i + 1}/16", "dev",
                               "eth0")
    server = system.pair.client2.tool("shortconn", "server",
                                      system.pair.outside, "8000", "4")
    server.read()


def short_piece(system, seconds):
    def measure():
        cpu = Cpu(system.active, tx=system.active.pids_of("sync"),
                  rx=system.standby.pids_of("sync"))
        busy, out = Busy(), tx_bytes(system.active, "eth2")
        return lambda: {"wire": tx_bytes(system.active, "eth2") - out,
                        "busy": busy.percent(), **cpu.us()}

    made, rate, used, report = connect(system, seconds, measure)
    sample = {key: used[key] / made for key in ("tx", "rx", "wire")}
    sample.update(busy=used["busy"], bad=report["bad"] + report["silent"],
                  made=rate)
    checked(system, sample)
    if isinstance(system, Hagw):
        sample["floor"] = sum(floor_cost(
            system, int(SHORT_RATE * seconds), SHORT_RATE, 8,
            ("create", "delete")).values())
        with SenderFloor(system, sample["wire"] / SHORT_EVENTS,
                         BRIEF_WAIT_US) as floor:
            made, _, used, _ = connect(system, seconds, floor.measure)
            floor.check()
        sample["tx_floor"] = used["us"] / made
        sample["events"] = used["events"] / made
    return sample


LADDER = (20000, 40000, 60000, 80000, 100000, 120000, 150000, 180000, 220000)


@row("rate", "sustained new flows per second, nothing lost, equal tables",
     [Metric("rate", "highest rate held", "/s",
             [Goal(120000, least=True), Goal(1.5, "inject", least=True)]),
      Metric("busy", "both cores busy at it", "%"),
      Metric("flat_out", "made and replicated per second, flat out", "/s",
             [Goal(1.5, "inject", least=True)])],
     [Hagw, Inject])
def rate_row(system_class, ctx):
    """Rates of a ladder for 2 s each, a new lab for each: a step is held
    when the maker kept its rate (95 %), the standby had everything 0.5 s
    after the last flow, nothing was counted as lost, and the tables are
    equal. Then 300,000 flows as fast as they can be made: until the
    standby has all."""
    best, busy_at, steps = 0, 0.0, {}
    for rate in LADDER:
        count = ctx.n(rate * 2, 5000)
        with system_class() as system:
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
    with system_class() as system:
        count = ctx.n(300000, 5000)
        start = time.monotonic()
        system.load(count)
        try:
            system.settle(count, 60)
            flat = count / (time.monotonic() - start)
        except LabError:
            flat = 0
        return checked(system, {"rate": best, "busy": busy_at,
                                "flat_out": flat, "steps": steps}, 10)


# Latency

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


# Bulk, start, memory, idle

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


@row("bulk", "bulk of 1,000,000 flows into an empty standby",
     [Metric("seconds", "from the start of its daemon to all flows there",
             "s", [Goal(10)]),
      Metric("floor", "floor: one program makes as many there", "s"),
      Metric("first", "of it until the first thousand", "s"),
      Metric("p50", "live lag meanwhile, p50", "ms"),
      Metric("p99", "live lag meanwhile, p99", "ms", [Goal(20)]),
      Metric("missed", "of 3,000 live flows not seen coming within 10 s",
             "")],
     [Hagw, Inject])
def bulk(system_class, ctx):
    """The standby's daemons are stopped and its table is flushed; then they
    are started (conntrackd: and conntrackd -n, which asks for the table).
    1,000 new flows a second from the first thousand on; their lag. The floor
    is taken between the two, in the flushed table, by ctload."""
    count = ctx.n(1000000, 5000)
    with system_class() as system:
        system.fill(count)
        standby = system.standby
        if system_class is Hagw:
            standby.stop_hagwd()
        else:
            for daemon in standby.daemons:
                daemon.stop()
        standby.run(["conntrack", "-F"], check=False)
        made = system.load(count, batch=128, host=standby)
        standby.run(["conntrack", "-F"], check=False)
        arrival = Arrival(system, count)
        standby.start_hagwd(wait=True)
        if system_class is not Hagw:
            time.sleep(2)  # past its own purge
            standby.ctl("-n")
        wait_for("the first flows", lambda: arrival.first, 120, 0.02)
        lag = latency(system, ctx.n(3000, 500), 1000, 1, count)
        wait_for("all flows", lambda: arrival.all, 300)
        return checked(system, {"seconds": arrival.all,
                                "floor": count / made["per_second"],
                                "first": arrival.first, "p50": lag[0],
                                "p99": lag[1], "missed": lag[3]}, 20)


@row("start", "start of hagwd",
     [Metric("ready", "to hactl's answer, all children up", "s",
             [Goal(0.3)]),
      Metric("bulk", "to READY with a bulk of 200,000 flows", "s",
             [Goal(3)])], [Hagw])
def start_row(_system_class, ctx):
    """The standby is stopped, its table flushed, and started again."""
    with Hagw() as system:
        count = ctx.n(200000, 2000)
        system.load(count, rate=50000)
        system.settle(count)
        standby = system.standby
        standby.stop_hagwd()
        standby.run(["conntrack", "-F"], check=False)
        start = time.monotonic()
        standby.start_hagwd(wait=False)
        wait_for("answers", standby.answers, 10, 0.002)
        ready = time.monotonic() - start
        wait_for("ready", standby.is_ready, 60, 0.005)
        return checked(system, {"ready": ready,
                                "bulk": time.monotonic() - start})


def resident(title, unit, key, limit):
    """Both sides, empty and full."""
    return [Metric(f"{key}_{side}_{n}", f"{title}, {side}, {flows}", unit,
                   [Goal(limit)])
            for n, flows in (("0", "no flows"), ("1m", "1,000,000 flows"))
            for side in ("active", "standby")]


@row("idle", "memory and idle CPU of all processes, interval 100 ms",
     resident("resident memory", "MB", "rss", 40)
     + resident("idle CPU", "% of a core", "cpu", 0.3)
     + [Metric("vrrp_0", "of it VRRP (vrrpd, keepalived), active, no flows",
               "% of a core")],
     [Hagw, Inject])
def idle(system_class, ctx):
    """The sum of VmRSS, shared pages counted in each process; percent of
    one core over 20 s, 12 s after the last change. Sending an
    advertisement carries it through the lab's bridges into the peer's
    stack, on the sender's account: both systems' VRRP pays for that."""
    with system_class("100ms") as system:
        sides = {"active": system.active, "standby": system.standby}
        sample = {}
        for count, key in ((0, "0"), (ctx.n(1000000, 5000), "1m")):
            if count:
                system.fill(count)
            time.sleep(ctx.s(12))
            window = ctx.s(20)
            cpu = Cpu(system.active, vrrp=system.active.pids_of("vrrp"),
                      **{side: gw.pids_of("all")
                         for side, gw in sides.items()})
            time.sleep(window)
            used = cpu.us()
            sample[f"vrrp_{key}"] = used["vrrp"] / window / 10000
            for side in sides:
                sample[f"cpu_{side}_{key}"] = used[side] / window / 10000
                sample[f"rss_{side}_{key}"] = rss_mb(
                    sides[side].pids_of("all"))
        return checked(system, sample)


# Forwards

def forward_site(text, count, shift=0):
    lines = ["  forward:"]
    for i in range(count):
        port = 10000 + i
        to = 10000 + (i + shift if i == count // 2 else i)
        lines.append(f"    - {{ name: f{i}, on: net2, port: tcp/{port}, "
                     f"to: \"172.23.0.20:{to}\" }}")
    return text + "\n".join(lines) + "\n"


@row("forwards", "10,000 port forwards",
     [Metric("load", "reload from none to 10,000, hactl to done", "s",
             [Goal(0.15)]),
      Metric("one", "reload with one of them changed, hactl to done", "s"),
      Metric("nat_load", "of it natd's batch in the kernel: from none",
             "s"),
      Metric("nat_one", "of it natd's batch in the kernel: one changed",
             "s", [Goal(0.01)]),
      Metric("nft", "nft -f of the same table as a map", "s")],
     [Hagw])
def forwards(_system_class, ctx):
    """hactl reload from the command to its answer. nft loads all of it for
    one change, too."""
    count = ctx.n(10000)
    with Hagw() as system:
        gw, site = system.active, pathlib.Path(system.active.site)
        plain = site.read_text()
        sample = {}
        for key, text in (("load", forward_site(plain, count)),
                          ("one", forward_site(plain, count, 1))):
            site.write_text(text)
            start = time.monotonic()
            gw.hactl("reload", timeout=30)
            sample[key] = time.monotonic() - start
            time.sleep(2)
            took = re.findall(r"table hagw: \w+ in (\d+) us",
                              gw.hagwd.log())
            sample[f"nat_{key}"] = int(took[-1]) / 1e6 if took else None
        sample.update(tables_load(system, count))
        return sample


def tables_load(system, count):
    """What nft takes for the same."""
    host, path = system.pair.client1, system.lab.dir / "load"
    elements = ", ".join(f"{10000 + i} : 172.23.0.20 . {10000 + i}"
                         for i in range(count))
    path.write_text("table ip bench {\n map m { type inet_service : "
                    "ipv4_addr . inet_service; elements = { " + elements +
                    " }\n }\n chain c { type nat hook prerouting priority "
                    "-100; dnat to tcp dport map @m\n }\n}\n")
    out = {}
    start = time.monotonic()
    host.run(["nft", "-f", path], timeout=60)
    out["nft"] = time.monotonic() - start
    return out


# Floors

@row("floor", "the kernel's own floors on this machine",
     [Metric("create", "creates per second, nobody listening", "/s"),
      Metric("create_us", "CPU per created flow (maker)", "µs"),
      Metric("listened_us", "the same with a listener", "µs"),
      *(Metric(f"{op}_{key}", f"CPU per flow {done} at 20,000/s, {who}", "µs")
        for key, who in (("alone", "nobody listening"),
                         ("us", "a listener on another host"))
        for op, done in (("new", "created"), ("upd", "updated"),
                         ("del", "deleted"))),
      Metric("event_us", "CPU per event received, recvmmsg after 1 ms",
             "µs"),
      Metric("single_us", "CPU per event received, woken for each burst",
             "µs")], [Hagw])
def floor(_system_class, ctx):
    """An empty host, ctload alone; then with ctwatch as only listener; then
    with a listener on another host: the kernel builds events when anybody
    on the machine listens, so both gateways of this lab pay for them."""
    with Lab() as lab:
        host, count = lab.host("floor"), ctx.n(200000, 5000)

        def load(rate=0, op="create"):
            args = {"create": ["-t", VIP], "update": ["-m", "7"]}
            return host.ctload("-n", str(count), "-r", str(rate), "-s",
                               "10.0.0.0", "-d", "20.0.0.0", "-o", op,
                               *args.get(op, []))

        alone = load()
        sample = {"create": alone["per_second"],
                  "create_us": cpu_us(alone) / count}
        for pause, key in ((1000, "event_us"), (0, "single_us")):
            host.run(["conntrack", "-F"], check=False)
            watch = host.tool("ctwatch", "-p", str(pause))
            watch.read()
            before = watch.ask("report")
            made = load(20000)
            time.sleep(0.5)
            after = watch.ask("report")
            watch.stop()
            sample[key] = ((cpu_us(after) - cpu_us(before)) /
                           max(after["events"] - before["events"], 1))
            sample["listened_us"] = cpu_us(made) / count
        host.run(["conntrack", "-F"], check=False)
        for key in ("alone", "us"):
            if key == "us":
                lab.host("elsewhere").tool("ctwatch", "-p", "1000").read()
            for op, name in (("create", "new"), ("update", "upd"),
                             ("delete", "del")):
                sample[f"{name}_{key}"] = cpu_us(load(20000, op)) / count
        return sample

