"""Rows of a node by itself: start, memory, idle time, forwards; and what
this machine's kernel takes for a flow at least."""
import pathlib
import re
import time

from ..lab.core import Lab, wait_for
from .measure import Cpu, cpu_us, rss_mb
from .systems import VIP, Hagw, Inject
from .table import Goal, Metric, checked, row


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


@row("floor", "the kernel's own floors on this machine",
     [Metric("create", "creates per second, nobody listening", "/s"),
      Metric("create_us", "CPU per created flow (maker)", "µs"),
      Metric("listened_us", "the same with a listener", "µs"),
      *(Metric(f"{op}_{key}", f"CPU per flow {done} at 20,000/s, {who}", "µs")
        for key, who in (("alone", "nobody listening"),
                         ("us", "a listener on another host"),
                         ("off", "the same, no events by sysctl"))
        for op, done in (("new", "created"), ("upd", "updated"),
                         ("del", "deleted"))),
      Metric("event_us", "CPU per event received, recvmmsg after 1 ms",
             "µs"),
      Metric("single_us", "CPU per event received, woken for each burst",
             "µs")], [Hagw])
def floor(_system_class, ctx):
    """An empty host, ctload alone; then with ctwatch as only listener; then
    with a listener on another host: the kernel builds events when anybody
    on the machine listens, so both gateways of this lab pay for them. With
    nf_conntrack_events 0 it does not, as where nobody listens."""
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
        for key in ("alone", "us", "off"):
            if key == "us":
                lab.host("elsewhere").tool("ctwatch", "-p", "1000").read()
            if key == "off":
                host.sysctl("net.netfilter.nf_conntrack_events", 0)
            for op, name in (("create", "new"), ("update", "upd"),
                             ("delete", "del")):
                sample[f"{name}_{key}"] = cpu_us(load(20000, op)) / count
        return sample
