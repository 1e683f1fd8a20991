"""The pair under traffic, and what a fault must not have changed."""
import json
import subprocess
import threading
import time

import lab
from lab.core import TOOLS

FLOWS = 300
STALL_MS = 8         # a machine that stood still for longer is no witness
CHURN_BLOCK = 10000  # flows, each half a second
CHURN_BLOCKS = 3     # in the table at a time
# Of a flow of the churn; not what a packet would make of it: a standby takes
# a flow with that much left for one that still speaks.
LIFE_S = "97"
CHILDREN = ("vrrpd", "syncd", "natd", "ctld")


class Churn:
    """20,000 flows made and as many ended each second, on the master."""

    def __init__(self, pair, rate=30000):
        self.pair = pair
        self.rate = rate
        self.made = 0
        self._error = None
        self._began = time.monotonic()
        self._end = threading.Event()
        self._go = threading.Event()
        self._idle = threading.Event()
        self._go.set()
        self._thread = threading.Thread(target=self._thread_main, daemon=True)
        self._thread.start()

    def _ctload(self, gw, what, block):
        return subprocess.Popen(
            ["ip", "netns", "exec", gw.ns, TOOLS / "ctload", "-s",
             "172.23.8.1", "-d", "172.24.8.1", "-t", "172.24.0.100", "-u",
             "50", "-T", LIFE_S, "-g", "172.24.0.100", "-o", what, "-n", str(CHURN_BLOCK), "-f",
             str(block * CHURN_BLOCK), "-r", str(self.rate)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def _master(self):
        masters = self.pair.masters()
        return masters[0] if len(masters) == 1 else None

    def _follow(self, gw, procs):
        """Until they have ended. What a gateway's packets would not do once
        it is master no more, they do not either: its syncd does not look."""
        while any(p.poll() is None for p in procs):
            if not gw.is_master():
                for p in procs:
                    p.kill()
            time.sleep(0.1)

    def _thread_main(self):
        try:
            self._run()
        except Exception as error:  # told by who waits for it
            self._error = error
        finally:
            self._idle.set()

    def _check(self):
        if self._error is not None:
            raise lab.LabError("the churn died") from self._error

    def _run(self):
        block = 0
        while not self._end.is_set():
            if not self._go.is_set():
                self._idle.set()
                self._go.wait()
                continue
            gw = self._master()
            if gw is None:
                time.sleep(0.05)
                continue
            old = (block + 1) % CHURN_BLOCKS
            procs = [self._ctload(gw, "delete", old),
                     self._ctload(gw, "create", block)]
            self._follow(gw, procs)
            out = procs[1].communicate()[0]
            procs[0].communicate()
            try:
                self.made += json.loads(out)["done"]
            except ValueError:
                pass
            block = old
        for i in range(CHURN_BLOCKS):
            gw = self._master()
            if gw is not None:
                self._ctload(gw, "delete", i).communicate()

    def pause(self):
        """No changes but those under way; they are waited for."""
        self._idle.clear()
        self._go.clear()
        if not self._idle.wait(30):
            raise lab.LabError("the churn does not pause")
        self._check()

    def resume(self):
        self._go.set()

    def per_second(self):
        return self.made / (time.monotonic() - self._began)

    def stop(self):
        self._end.set()
        self._go.set()
        self._thread.join()
        self._check()
        if not self.made:
            raise lab.LabError("the churn made no flow")


class Holders:
    """Who holds the virtual addresses, each millisecond."""

    def __init__(self, pair):
        one, two = pair.gateways
        self.all = (1 << len(pair.vips)) - 1
        self.tool = pair.lab.switch.tool("holders", one.ns, two.ns,
                                         *pair.vips.values())
        self.tool.read()

    def mark(self):
        return self.tool.ask("mark")

    def report(self):
        return self.tool.ask("report")


class World:
    """Two gateways, flows that talk, a probe, churn, and who holds what."""

    def __init__(self, churn=True, probe=True, pair=None, **keys):
        keys.setdefault("advertise", "10ms")
        keys.setdefault("preempt", "never")
        self.pair = pair or lab.NatPair(**keys)
        try:
            self.pair.start()
            self.gateways = self.pair.gateways
            self.talkers = lab.Talkers(self.pair.client1, self.pair.client2,
                                       self.pair.outside, FLOWS)
            self.probe = lab.Probe(self.pair.client1, self.pair.client2,
                                   self.pair.outside) if probe else None
            self.holders = Holders(self.pair)
            self.stalls = self.pair.lab.switch.tool("stalls")
            self.stalls.read()
            self.churn = Churn(self.pair) if churn else None
        except BaseException:
            self.pair.lab.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            self.stop_churn()
        finally:
            self.pair.lab.close()

    def stop_churn(self):
        churn, self.churn = self.churn, None
        if churn is not None:
            churn.stop()

    def master(self):
        return self.pair.master()

    def other(self, gw):
        return self.pair.other(gw)

    def transitions(self, gw):
        return gw.show("vrrp")["vrrp"]["transitions"]

    def running(self, gw, names=CHILDREN):
        """Do all these children run, by the parent's account?"""
        try:
            state = {p["name"]: p["state"]
                     for p in gw.show("process")["processes"]}
        except (lab.LabError, ValueError):
            return False
        return all(state.get(name) == "running" for name in names)

    def wait_running(self, gw, timeout=10):
        lab.wait_for(f"{gw.name}: all children run",
                     lambda: self.running(gw), timeout, 0.02)

    def new_talkers(self, tries=3):
        """Others in place of those that were lost, and no master yet that
        would not stay it: the machine may go on standing still."""
        self.talkers.stop()
        for left in reversed(range(tries)):
            self.settled()
            try:
                self.talkers = lab.Talkers(
                    self.pair.client1, self.pair.client2, self.pair.outside,
                    FLOWS)
                return
            except lab.LabError:
                if not left:
                    raise

    def mark(self):
        """A new window for everything that is measured."""
        self.talkers.mark()
        if self.probe is not None:
            self.probe.mark()
        self.holders.mark()
        self.stalls.ask("mark")

    def measure(self):
        """What became of the traffic since the mark."""
        flows = self.talkers.settle()
        probe = self.probe.report() if self.probe is not None else {}
        held = self.holders.report()
        return {"lost": flows["lost"],
                "flow_gap_ms": flows["longest_gap_ms"],
                "probes": probe.get("sent", 0),
                "probes_lost": probe.get("lost", 0),
                "probe_gap_ms": probe.get("longest_gap_ms", 0),
                "both_ms": held["both_ms"], "none_ms": held["none_ms"],
                "stall_ms": self.stalls.ask("report")["stall_ms"],
                "changes": held["changes"],
                "now_us": held["now_us"]}

    def settled(self, timeout=30):
        """One master, all children on both, the other ready."""
        lab.wait_for("one master", lambda: len(self.pair.masters()) == 1,
                     timeout)
        for gw in self.gateways:
            self.wait_running(gw, timeout)
        self.pair.wait_ready(self.other(self.master()), timeout)
