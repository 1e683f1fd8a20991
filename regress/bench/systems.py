"""The systems compared: hagw, and keepalived with conntrackd in two ways."""
import contextlib
import pathlib
import re
import signal
import time

from ..lab.core import TOOLS, LabError, call, kill, wait_for
from ..lab.gateway import Gateway
from ..lab.nat_pair import NatPair
from ..lab.rival import RivalGateway

VIP = "172.24.0.100"
ROOM = 2500000

# As its manual advises for real use: real-time priority, no swap; what is
# not named is at its default.
KEEPALIVED = """\
global_defs {{
    router_id {name}
    script_user root
    enable_script_security
    vrrp_version 3
    vrrp_rt_priority 50
    vrrp_rlimit_rttime 1000000
    vrrp_no_swap
}}
vrrp_sync_group G1 {{
    group {{
        {names}
    }}
    notify_master "{dir}/notify-{name} primary"
    notify_backup "{dir}/notify-{name} backup"
    notify_fault "{dir}/notify-{name} fault"
}}
"""

CONNTRACKD = """\
Sync {{
    Mode FTFW {{
        DisableExternalCache {disable}
        ResendQueueSize 1048576
        ACKWindowSize 300
{commit}        PurgeTimeout 1
    }}
    UDP {{
        IPv4_address {own}
        IPv4_Destination_Address {peer}
        Port 3780
        Interface {ifname}
        SndSocketBuffer 67108864
        RcvSocketBuffer 67108864
        Checksum on
    }}
}}
General {{
    HashSize 524288
    HashLimit 4194304
    LogFile {dir}/conntrackd-{name}.log
    Syslog off
    NetlinkBufferSize 67108864
    NetlinkBufferSizeMaxGrowth 268435456
    NetlinkEventsReliable On
    NetlinkOverrunResync Off
    Scheduler {{
        Type FIFO
        Priority 50
    }}
    LockFile {dir}/conntrackd-{name}.lock
    UNIX {{
        Path {dir}/conntrackd-{name}.ctl
        Backlog 20
    }}
    Filter From Kernelspace {{
        Protocol Accept {{
            TCP
            UDP
            ICMP
        }}
        Address Ignore {{
            IPv4_address 127.0.0.1
            {ignore}
        }}
    }}
}}
"""


class BenchRival(RivalGateway):
    """keepalived and conntrackd as well set up as we know how to."""

    keepalived = KEEPALIVED
    conntrackd = CONNTRACKD.replace(
        "{commit}", "        CommitTimeout 86400\n")
    hagwd = None

    def pids_of(self, what):
        order = {"sync": 0, "vrrp": 1}
        if what == "all":
            return [pid for d in self.daemons for pid in d.tree()]
        return self.daemons[order[what]].tree()

    def ctl(self, *words, timeout=120):
        return self.run(["conntrackd", "-C",
                         self.lab.dir / f"conntrackd-{self.name}.conf",
                         *words], timeout=timeout, check=False).stdout

    def cached(self):
        """Flows in the external cache."""
        found = re.search(r"cache external:.*?current active connections:"
                          r"\s*(\d+)", self.ctl("-s"), re.S)
        return int(found.group(1)) if found else 0


class InjectRival(BenchRival):
    conntrackd = CONNTRACKD.replace("{commit}", "")
    disable_external_cache = True


class BenchGateway(Gateway):
    def pids_of(self, what):
        if what == "all":
            return self.hagw_pids()
        if what == "vrrp":
            return [self.child("vrrpd")]
        return [self.hagwd.pid, self.child("syncd")]


class System:
    """One of the systems on a lab of its own, from start to close."""

    name = ""
    gateway = None
    fill_rate = 25000  # flows per second it can follow with ease

    def __init__(self, interval="1s", start=True):
        self.interval = interval
        self.pair = NatPair(gateway=self.make, advertise=interval,
                            preempt="never")
        self.lab = self.pair.lab
        self.active, self.standby = self.pair.gateways
        if start:
            self.start()

    def make(self, lab, name):
        return self.gateway(lab, name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.pair.lab.close()

    def start(self):
        self.pair.start()
        wait_for("an active gateway", self.active.is_master, 20)

    def configuration(self):
        raise NotImplementedError

    def crash(self):
        """The active one's power cord."""
        pids = self.active.pids_of("all")
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                kill(pid, sig)
        path = self.lab.dir / "pull"
        path.write_text("".join(f"link set {c.port} down\n"
                                for c in self.active.cables.values()))
        call(["ip", "-n", self.lab.switch.ns, "-batch", path])

    def load(self, count, rate=0, first=0, op="create", batch=64, times=None,
             timeout=300, host=None, two=False):
        """ctload in the active's kernel."""
        args = ["-n", str(count), "-f", str(first), "-r", str(rate), "-b",
                str(batch), "-o", op, "-s", "10.0.0.0", "-d", "20.0.0.0"]
        if two:
            args.append("-2")
        if op == "create":
            args += ["-t", VIP]
        if op == "update":
            args += ["-m", "7"]
        if times is not None:
            args += ["-l", times]
        report = (host or self.active).ctload(*args, timeout=timeout)
        if report["failed"]:
            raise LabError(f"ctload: {report}")
        return report

    def held(self):
        """Flows the standby could be asked to take over."""
        return self.standby.flows()

    def settle(self, count, timeout=60):
        """Until the standby has that many flows; seconds it took."""
        start = time.monotonic()
        wait_for(f"{self.name}: {count} flows at the standby",
                 lambda: self.close_to(count), timeout, 0.05)
        return time.monotonic() - start

    def close_to(self, count):
        return self.held() >= count if count else self.held() < 50

    def fill(self, count):
        """Other flows, at a rate it can follow."""
        if count:
            self.load(count, rate=self.fill_rate,
                      timeout=count / self.fill_rate * 3 + 60)
            self.settle(count, timeout=120)

    def quiet(self):
        """Until what a takeover leaves to be done is done."""

    def tables(self, wait=5, only=""):
        """Compare both kernels; None: equal, else what differs.

        With only: of the lines of ctdump that match.
        """
        local = " ".join(f"-x {a}" for a in self.pair.local_addresses())
        command = (f"{TOOLS}/ctdump {local} | grep -e '{only}' | "
                   "sha256sum")
        end = time.monotonic() + wait
        while True:
            sums = {gw.run(["sh", "-c", command], timeout=120).stdout
                    for gw in self.pair.gateways}
            if len(sums) == 1:
                return None
            if time.monotonic() > end:
                return self.difference(only)
            time.sleep(0.3)

    def difference(self, only):
        one, two = ({line for line in lines if re.search(only, line)}
                    for lines in self.pair.dumps())
        example = sorted(one ^ two)[:2]
        return (f"{len(one - two)} only at the active, {len(two - one)} only "
                f"at the standby, such as {'; '.join(example)}")

    def losses(self):
        """Counters that grow when the system had to give something up."""
        return {}


class Hagw(System):
    name = "hagw"
    gateway = BenchGateway
    fill_rate = 50000

    def configuration(self):
        return {"site.yaml": pathlib.Path(self.pair.gateways[0].site)
                .read_text()}

    def settle(self, count, timeout=60):
        start = time.monotonic()
        super().settle(count, timeout)
        self.pair.wait_ready(self.standby, timeout)
        return time.monotonic() - start

    @contextlib.contextmanager
    def alone(self):
        """The standby as on a machine of its own, where nobody listens to
        flows and its kernel builds no events. Here it asks whether anybody
        listens in any namespace, and the active does. conntrackd's standby
        listens itself and has no such way."""
        name = "net.netfilter.nf_conntrack_events"
        before = self.standby.sysctl(name)
        self.standby.sysctl(name, 0)
        try:
            yield
        finally:
            self.standby.sysctl(name, before)

    def quiet(self):
        wait_for("idle flows settled",
                 lambda: not self.active.show("sync")["sync"]["settling"],
                 30, 0.2)

    def losses(self):
        out = {}
        for gw in self.pair.gateways:
            if not gw.hagw_pids():
                continue
            show = gw.show("sync")["sync"]
            for key, value in show.items():
                if key in ("kernel_overruns", "inject_failed", "conflicts"):
                    out[f"{gw.name}.{key}"] = value
        return out


class Rival(System):
    interval_s = {"1s": 1, "100ms": 0.1, "10ms": 0.01}

    def make(self, lab, name):
        gw = self.gateway(lab, name)
        gw.advert = self.interval_s[self.interval]
        return gw

    def start(self):
        super().start()
        # hello, first resynchronisation, and the purge of conntrackd -t
        time.sleep(2.5)

    def configuration(self):
        name = self.pair.gateways[0].name
        return {f"{kind}.conf": (self.lab.dir / f"{kind}-{name}.conf")
                .read_text() for kind in ("keepalived", "conntrackd")}

    def losses(self):
        out = {}
        for gw in self.pair.gateways:
            if not gw.answers():
                continue
            text = gw.ctl("-s", "network")
            found = re.findall(r"(?:Packets lost|Error send):?\s*(\d+)|"
                               r"(\d+)\s+Error send", text)
            out[f"{gw.name}.lost"] = sum(int(n or m) for n, m in found)
        return out


class Inject(Rival):
    name = "inject"
    gateway = InjectRival


class Cache(Rival):
    name = "cache"
    gateway = BenchRival

    def held(self):
        return self.standby.cached()

    def tables(self, wait=5, only=""):
        """By commit of the cache, which is what a takeover would do."""
        self.standby.ctl("-c")
        return super().tables(wait, only)


TITLES = {"hagw": "hagw", "inject": "conntrackd, injecting",
          "cache": "conntrackd, cache", "keepalived": "keepalived",
          "floor": "floor"}
