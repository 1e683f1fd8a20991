"""Rows of processor time: per replicated flow, per short connection."""
import contextlib
import time

from ..lab.core import LabError
from .measure import Busy, Cpu, cpu_us, tx_bytes
from .systems import Cache, Hagw, Inject
from .table import Goal, Metric, attempt, checked, in_turn, row


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
                                                "delete"), two=False):
    """CPU in us of one program (or two) that writes as much, and nothing
    else, to the standby's kernel; other flows than those that were
    replicated."""
    return {op: cpu_us(system.load(count, rate=rate, op=op, batch=batch,
                                   first=2000000, host=system.standby,
                                   two=two)) / count for op in ops}


GATHERED = 16  # flows in a datagram where they come one by one
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


OPS = {"create": "new", "update": "upd", "delete": "del"}


def cpu_piece(system, bare, count, batch):
    """One system, a second of each, and beside hagw the floors."""
    costs, sample = {}, {}
    for op in OPS:
        costs[op] = flow_cost(system, count, 20000, op, batch)
        if op == "update" and not isinstance(system, Cache):
            checked(system, sample)
    alone = costs
    if isinstance(system, Hagw):
        with system.alone():
            alone = {op: flow_cost(system, count, 20000, op, batch)
                     for op in OPS}
    new = costs["create"]
    sample.update({f"{key}_alone": alone[op]["rx"]
                   for op, key in OPS.items()})
    sample.update(wire=new["wire"], back=new["back"], maker=new["maker"],
                  **{f"{key}_{side}": costs[op][side]
                     for op, key in OPS.items() for side in ("tx", "rx")})
    if isinstance(system, Hagw):
        sample.update(cpu_floors(bare, count, batch, {
            op: cost["wire"] for op, cost in costs.items()}))
    return sample


def cpu_floors(system, count, batch, wire):
    """The same of programs that do what cannot be left out."""
    for gw in system.pair.gateways:
        gw.run(["conntrack", "-F"])  # what a piece that failed has left
    at_once = max(batch, GATHERED)
    rx = floor_cost(system, count, 20000, at_once)
    two = floor_cost(system, count, 20000, at_once, two=True)
    tx = sender_floor(system, count, 20000, batch, wire)
    return {name: value for op, key in OPS.items()
            for name, value in ((f"{key}_floor", rx[op]),
                                (f"{key}_two_floor", two[op]),
                                (f"{key}_tx_floor", tx[op]))}


def cpu_row(classes, repeat, ctx, batch):
    """ctload makes flows in the active's kernel at 20,000/s, as many at a time
    as the row says: one by one is how packets make them; in bursts of 64 a
    system that reads each event when it comes wakes up least often. CPU is
    that of hagwd and syncd on a node, or of conntrackd, without the
    neighbours: vrrpd, keepalived. conntrackd's cache does not put them into
    the kernel. Each system has a lab that is there all the while, and gets a
    second of new flows, one of updates and one of ends in turn with the
    others; the first round is not counted. The floors are taken in the same
    turns, on a fourth lab where no such system runs: of the receiver ctload's
    CPU when it writes as many to the standby's kernel, as many at a time but
    16 at least, once by itself, once as two programs, of which one wakes up
    for each batch and tells the other, as where only one is privileged; of the
    sender that of a program that reads a burst of events 750 us after its
    first and sends as many bytes to a program there; that is no floor for 1
    and 4 at a time, where hagw does not wake up for the first event. Alone:
    another second of each with the standby's nf_conntrack_events 0, so that
    its kernel builds no events for the active's listener, as on a machine of
    its own; conntrackd's standby listens itself. The tables are compared while
    they hold the flows, in each turn; a cache, which has to be committed for
    that, once at the end."""
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


def flow_metrics(key, what, makes, most):
    return [
        Metric(f"{key}_tx", f"CPU per {what}, sender", "µs",
               [Goal(0.5, "inject")]),
        Metric(f"{key}_tx_floor", "floor: one program reads the events and "
               "sends as much", "µs"),
        Metric(f"{key}_rx", f"CPU per {what}, receiver with parent", "µs",
               [Goal(most, "inject")]),
        Metric(f"{key}_alone", "the same, the standby alone on its machine",
               "µs", [Goal(most, "inject")]),
        Metric(f"{key}_floor", f"floor: one program {makes} them there",
               "µs"),
        Metric(f"{key}_two_floor", f"floor: one program wakes another, who "
               f"{makes} them there", "µs")]


for batch, text in ((1, "one by one"), (4, "4 at a time"),
                    (20, "20 at a time"), (64, "64 at a time")):
    def cpu_row_of(classes, repeat, ctx, size=batch):
        return cpu_row(classes, repeat, ctx, size)

    cpu_row_of.__doc__ = cpu_row.__doc__
    row(f"cpu-{batch}", f"replicated flows at 20,000/s, {text}",
        flow_metrics("new", "new flow", "creates", 0.6) +
        flow_metrics("upd", "update", "updates", 0.5) +
        flow_metrics("del", "destroy", "deletes", 0.5) +
        [Metric("wire", "wire bytes per new flow", "B",
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
SHORT_EVENTS = 2  # of each: assured, over


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
      Metric("alone", "the same, the standby alone on its machine", "µs",
             [Goal(0.2, "inject")]),
      Metric("floor", "floor: one program creates as many there", "µs"),
      Metric("wire", "wire bytes per connection", "B"),
      Metric("bad", "connections that failed", "", [Goal(0, worst=True)]),
      Metric("made", "connections per second", ""),
      Metric("busy", "both cores busy", "%")],
     [Hagw, Inject, Cache], repeat=9, together=True)
def short(classes, repeat, ctx):
    """Connect, 64 bytes, 512 bytes back, close; each system in turn for 7 s,
    on a lab that is there all the while, and measured for 3 of them, in
    which as many connections are forgotten as made; the first round is not
    counted. The time a closed connection is kept (tcp_timeout_time_wait and
    _last_ack) is 2 s on every gateway; a dump twice a second has the kernel
    collect what expired. The receiver's floor is ctload's CPU when it makes
    as many flows in the standby's kernel at that rate, 8 at a time, right
    after; the sender's that of a program that reads events 3 ms after the
    first and sends as many bytes to a program there, of as many such
    connections more (beside hagw, which has the addresses). Alone: 3 s more
    with the standby's nf_conntrack_events 0, so that its kernel builds no
    events for the active's listener, as on a machine of its own;
    conntrackd's standby listens itself."""
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
        for state in ("time_wait", "last_ack"):
            gw.sysctl(f"net.netfilter.nf_conntrack_tcp_timeout_{state}", 2)
    if isinstance(system, Hagw):
        time.sleep(11)  # hagwd looks each 10 s
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
    sample.update(alone=sample["rx"], busy=used["busy"],
                  bad=report["bad"] + report["silent"], made=rate)
    checked(system, sample)
    if isinstance(system, Hagw):
        with system.alone():
            made, _, used, _ = connect(system, seconds, measure)
        sample["alone"] = used["rx"] / made
        sample["floor"] = floor_cost(
            system, int(SHORT_RATE * seconds), SHORT_RATE, 8,
            ("create", "delete"))["create"]
        with SenderFloor(system, sample["wire"] / SHORT_EVENTS,
                         BRIEF_WAIT_US) as floor:
            made, _, used, _ = connect(system, seconds, floor.measure)
            floor.check()
        sample["tx_floor"] = used["us"] / made
        sample["events"] = used["events"] / made
    return sample
