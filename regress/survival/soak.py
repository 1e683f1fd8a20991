"""Random faults, one after another, and after each: is all well again?

    soak.py --minutes 60 [--seed N]

Exactly one node holds the addresses, the tables are the same, no flow was
lost, memory and descriptors are flat. Ends at the first that is not so; the
seed brings the same faults again.
"""
import argparse
import itertools
import os
import pathlib
import random
import signal
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]),
                str(pathlib.Path(__file__).resolve().parent)]

import figures  # noqa: E402
import lab  # noqa: E402
from shim import FAULTS, ShimGateway, descriptors  # noqa: E402
from world import CHILDREN, World  # noqa: E402

SETTLE_S = 45
RSS_SLACK_KB = 8192  # and half as much again as at first
FDS_SLACK = 4        # a dump or a client under way


def rss_kb(pid):
    pages = pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE") // 1024


class Failure(Exception):
    """Something was not as it should be."""


class Soak:
    """The faults: methods named fault_*, each drawn as often."""

    def __init__(self, world, seed):
        self.world = world
        self.rng = random.Random(seed)
        self.faults = sorted(name[6:] for name in dir(self)
                             if name.startswith("fault_"))
        self.rows = {name: {"fault": name.replace("_", " "), "times": 0,
                            "longest recovery s": 0.0,
                            "longest flow gap ms": 0.0}
                     for name in self.faults}
        self.first = {}
        self.most = {}
        self.count = 0

    # what is drawn

    def node(self):
        return self.rng.choice(self.world.gateways)

    def children(self):
        return self.rng.sample(CHILDREN, self.rng.choice((1, 1, 2, 4)))

    def pids(self, gw):
        return [pid for pid in map(gw.child, self.children())
                if pid is not None]

    def pause(self, least, most):
        time.sleep(self.rng.uniform(least, most))

    @staticmethod
    def signal(pids, sig):
        for pid in pids:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def kill_parent(self, gw):
        self.signal([gw.hagwd.pid], signal.SIGKILL)
        gw.hagwd.popen.wait(5)
        gw.procs.remove(gw.hagwd)
        gw.hagwd = None

    # the faults; each returns what it did

    def fault_kill_children(self):
        gw = self.node()
        self.signal(self.pids(gw), signal.SIGKILL)
        return gw.name

    def fault_stop_children(self):
        gw = self.node()
        pids = self.pids(gw)
        self.signal(pids, signal.SIGSTOP)
        try:
            self.pause(0.02, 0.8)
        finally:
            self.signal(pids, signal.SIGCONT)
        return gw.name

    def fault_kill_hagwd(self):
        gw = self.node()
        self.kill_parent(gw)
        gw.start_hagwd()
        return gw.name

    def fault_kill_hagwd_for_a_while(self):
        gw = self.node()
        self.kill_parent(gw)
        self.pause(0.5, 5)
        gw.start_hagwd()
        return gw.name

    def fault_stop_hagwd(self):
        gw = self.node()
        pid = gw.hagwd.pid
        self.signal([pid], signal.SIGSTOP)
        try:
            self.pause(0.05, 5)
        finally:
            self.signal([pid], signal.SIGCONT)
        return gw.name

    def fault_crash(self):
        gw = self.node()
        gw.crash()
        self.pause(0.5, 3)
        gw.come_back()
        return gw.name

    def fault_pull_a_cable(self):
        gw = self.node()
        cable = gw.cables[self.rng.choice(sorted(gw.cables))]
        cable.pull()
        self.pause(0.3, 2)
        cable.plug()
        return f"{gw.name} {cable.ifname}"

    def fault_lose_sync_datagrams(self):
        percent = self.rng.randint(5, 60)
        self.world.pair.sync.lose(percent)
        self.pause(0.5, 3)
        self.world.pair.sync.heal()
        return f"{percent}%"

    def fault_part_the_sync_link(self):
        sync = self.world.pair.sync
        sync.part(*sync.cables)
        self.pause(1, 5)
        sync.heal()
        return ""

    def fault_calls_fail(self):
        gw = self.node()
        shims = [self.rng.choice(gw.shims())
                 for _ in range(self.rng.randint(1, 3))]
        for shim, fault in itertools.product(
                shims, self.rng.sample(FAULTS, 3)):
            shim.set(fault, self.rng.randint(1, 60))
        gw.reload()
        self.pause(0.5, 3)
        for shim in shims:
            shim.clear()
        return gw.name

    def fault_step_the_clock(self):
        gw = self.node()
        seconds = self.rng.choice((-3600, 3600))
        for shim in gw.shims():
            shim.shift(seconds)
        self.pause(0.2, 1)
        for shim in gw.shims():
            shim.shift(0)
        return f"{gw.name} {seconds:+}"

    def fault_hactl_failover(self):
        gw = self.world.master()
        answer = gw.hactl("failover", check=False, timeout=30)
        return f"{gw.name} exit {answer.returncode}"

    def fault_reload(self):
        gw = self.node()
        gw.reload()
        return gw.name

    def fault_crash_loop(self):
        gw = self.node()
        child = self.rng.choice(CHILDREN)
        pid = gw.child(child)
        mode = (gw.children_dir / f"{child}.mode").read_text()
        gw.mode(child, self.rng.choice(("before", "after 30")))
        if pid is not None:
            self.signal([pid], signal.SIGKILL)
        self.pause(0.5, 4)
        gw.mode(child, mode.strip())
        return f"{gw.name} {child}"

    def fault_take_an_address_away(self):
        gw = self.world.master()
        ifname = self.rng.choice(sorted(gw.vips))
        gw.ip("addr", "del", f"{gw.vips[ifname]}/32", "dev", ifname,
              check=False)
        return f"{gw.name} {ifname}"

    # the checks

    def check_processes(self):
        for gw in self.world.gateways:
            for name in ("hagwd", *CHILDREN):
                pid = gw.hagwd.pid if name == "hagwd" else gw.child(name)
                if pid is None:
                    raise Failure(f"{gw.name}: no {name}")
                now = (rss_kb(pid), descriptors(pid))
                first = self.first.setdefault(name, now)
                most = self.most.get(name, now)
                self.most[name] = tuple(map(max, most, now))
                if now[0] > first[0] * 1.5 + RSS_SLACK_KB:
                    raise Failure(f"{gw.name}: {name} has grown from "
                                  f"{first[0]} to {now[0]} KiB")
                if now[1] > first[1] + FDS_SLACK:
                    raise Failure(f"{gw.name}: {name} has {now[1]} "
                                  f"descriptors, {first[1]} at first")

    def check(self):
        world = self.world
        world.settled(SETTLE_S)
        master = world.master()
        if world.other(master).holds():
            raise Failure("both hold addresses")
        if not all(gw.hagwd.alive() for gw in world.gateways):
            raise Failure("a hagwd ended")
        world.churn.pause()
        world.settled(SETTLE_S)
        world.pair.wait_equal(20)
        self.check_processes()
        seen = world.measure()
        if seen["lost"]:
            raise Failure(f"{seen['lost']} flows lost: {seen}")
        world.churn.resume()
        return seen

    def one(self):
        self.count += 1
        name = self.rng.choice(self.faults)
        self.world.mark()
        began = time.monotonic()
        what = getattr(self, f"fault_{name}")()
        done = time.monotonic()
        try:
            seen = self.check()
        except (lab.LabError, Failure) as e:
            raise Failure(f"fault {self.count}, {name} {what}: {e}") from e
        row = self.rows[name]
        row["times"] += 1
        row["longest recovery s"] = max(row["longest recovery s"],
                                        time.monotonic() - done)
        row["longest flow gap ms"] = max(row["longest flow gap ms"],
                                         seen["flow_gap_ms"])
        print(f"{self.count:5} {name.replace('_', ' ')} {what}: "
              f"{done - began:.1f} s, well {time.monotonic() - done:.1f} s "
              f"later, longest gap {seen['flow_gap_ms']:.0f} ms", flush=True)

    def report(self, seed, seconds):
        processes = [{"process": name, "RSS at first KiB": self.first[name][0],
                      "most": self.most[name][0],
                      "descriptors at first": self.first[name][1],
                      "most ": self.most[name][1]} for name in self.first]
        return (f"Seed {seed}: {self.count} faults in {seconds / 60:.0f} "
                "minutes at an interval of 100 ms, with 300 talking flows "
                f"and {self.world.churn.per_second():.0f} other flows made "
                "each second between the checks. After each: one node held "
                "the addresses, the tables were equal, 0 flows lost.\n\n"
                + figures.table([r for r in self.rows.values()
                                 if r["times"] > 0])
                + "\n\n" + figures.table(processes))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.randrange(1 << 31)
    print(f"seed {seed}", flush=True)
    lab.handle_signals()
    pair = lab.NatPair(gateway=ShimGateway, advertise="100ms",
                       preempt="never")
    for gw in pair.gateways:
        for child in CHILDREN:
            gw.preload_child(child)
    with World(pair=pair) as world:
        soak = Soak(world, seed)
        began = time.monotonic()
        try:
            soak.check()
            while time.monotonic() - began < args.minutes * 60:
                soak.one()
        except (lab.LabError, Failure) as e:
            print(f"\nFAILED with seed {seed}: {e}\n{pair.lab.logs(60)}")
            for gw in pair.gateways:
                print(gw.name, gw.hactl("show", "sync", check=False).stdout)
            return 1
        seconds = time.monotonic() - began
        figures.record("Soak", soak.report(seed, seconds), seconds,
                       args.minutes >= 10)
    print(f"seed {seed}: {soak.count} faults, all well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
