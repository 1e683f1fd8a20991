"""Hosts, networks and cables made of network namespaces.

Every run has names of its own (hw<hex>-<host>), so any number of labs can
be up at once. Bridges and the switch ends of the cables live in a namespace
too; the machine's root namespace sees nothing of a lab. What a lab started
is killed by pid when the lab closes: at the end of the with block, at exit,
on SIGINT, SIGTERM and SIGHUP. What a lab left behind because its owner was
killed is swept away by the next one.
"""
import atexit
import json
import os
import pathlib
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("HAGW_BUILD", TOP / "build"))
TOOLS = TOP / "build" / "lab"
REGISTRY = pathlib.Path("/run/hagw-lab")
ETC_NETNS = pathlib.Path("/etc/netns")

_open_labs = []


class LabError(Exception):
    """The lab itself failed; not the thing under test."""


def call(argv, timeout=20, check=True, **kwargs):
    """Run a command to its end; output as text."""
    argv = [str(a) for a in argv]
    proc = subprocess.run(argv, timeout=timeout, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, **kwargs)
    if check and proc.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit {proc.returncode}\n"
                       f"{proc.stdout}{proc.stderr}")
    return proc


def wait_for(what, cond, timeout=10.0, interval=0.02):
    """Wait until cond() is true; its value. LabError when it never is."""
    end = time.monotonic() + timeout
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"{what}: not within {timeout:g} s")
        time.sleep(interval)


def start_time(pid):
    """Start time of a process in clock ticks: tells a reused pid apart."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def children(pid):
    """All descendants of a process, parents first."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found.append(int(child))
                found.extend(children(int(child)))
        except OSError:
            pass
    return found


def kill(pid, sig=signal.SIGKILL):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


class Proc:
    """A process in a host, its output in a log file of the lab."""

    def __init__(self, host, argv, name, **kwargs):
        self.host = host
        self.name = name
        self.log_path = host.lab.dir / f"{host.name}-{name}.log"
        argv = [str(a) for a in argv]
        with open(self.log_path, "ab") as log:
            kwargs.setdefault("stdin", subprocess.DEVNULL)
            kwargs.setdefault("stdout", log)
            kwargs.setdefault("stderr", log)
            self.popen = subprocess.Popen(
                ["ip", "netns", "exec", host.ns] + argv,
                start_new_session=True, **kwargs)
        self.pid = self.popen.pid
        host.procs.append(self)

    def alive(self):
        return self.popen.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def tree(self):
        """Pids of this process and all below it."""
        return [self.pid] + children(self.pid) if self.alive() else []

    def signal(self, sig):
        if self.alive():
            kill(self.pid, sig)

    def wait(self, timeout=10):
        return self.popen.wait(timeout)

    def stop(self, timeout=5):
        """SIGTERM, then SIGKILL for the whole tree. Returns the exit code."""
        pids = self.tree()
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            for pid in pids:
                kill(pid)
            self.popen.wait(timeout)
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None:
                stream.close()
        if self in self.host.procs:
            self.host.procs.remove(self)
        return self.popen.returncode


class Tool(Proc):
    """One of the lab's C programs: commands in, one JSON object a line out."""

    def __init__(self, host, argv, name):
        path = TOOLS / argv[0]
        if not path.exists():
            raise LabError(f"{path}: missing; run \"make lab-tools\"")
        super().__init__(host, [path] + list(argv[1:]), name,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._buf = b""

    def read(self, timeout=10):
        end = time.monotonic() + timeout
        fd = self.popen.stdout.fileno()
        while b"\n" not in self._buf:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise LabError(f"{self.name} on {self.host.name}: no answer "
                               f"in {timeout} s\n{self.log()}")
            data = os.read(fd, 65536)
            if not data:
                raise LabError(f"{self.name} on {self.host.name}: ended\n"
                               f"{self.log()}")
            self._buf += data
        line, _, self._buf = self._buf.partition(b"\n")
        return json.loads(line)

    def tell(self, line):
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def ask(self, line, timeout=10):
        self.tell(line)
        return self.read(timeout)


class Cable:
    """A host's interface, and the switch port at the other end."""

    def __init__(self, host, net, ifname):
        self.host = host
        self.net = net
        self.ifname = ifname
        self.port = f"{host.name}.{ifname}"
        self.plugged = True
        if len(self.port) > 15:
            raise LabError(f"{self.port}: name too long for an interface")
        self._lay()
        net.cables.append(self)

    def _lay(self):
        switch_ip = self.net.lab.switch_ip
        switch_ip("link", "add", self.port, "type", "veth",
                  "peer", "name", self.ifname, "netns", self.host.ns)
        switch_ip("link", "set", self.port, "master", self.net.bridge, "up")

    def anew(self, *addresses):
        """Another interface of the same name, as of a driver loaded again."""
        self.net.lab.switch_ip("link", "del", self.port)
        self._lay()
        for address in addresses:
            self.host.ip("addr", "add", address, "dev", self.ifname)
        self.host.ip("link", "set", self.ifname, "up")

    def pull(self):
        """The host sees its carrier go."""
        self.net.lab.switch_ip("link", "set", self.port, "down")
        self.plugged = False

    def plug(self):
        self.net.lab.switch_ip("link", "set", self.port, "up")
        self.plugged = True


class Network:
    """A switch: a bridge, with cables, and faults between its ports."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.bridge = f"br-{name}"
        self.cables = []
        self._relay = None
        lab.switch_ip("link", "add", self.bridge, "type", "bridge",
                      "stp_state", "0", "forward_delay", "0",
                      "mcast_snooping", "0")
        lab.switch_ip("link", "set", self.bridge, "up")
        lab.switch_nft(f"add chain bridge lab {name} "
                       "{ type filter hook forward priority 0; }")

    def lose(self, percent, cable=None):
        """Lose a share of all frames, or of those of one cable."""
        dice = f"numgen random mod 100 < {int(percent)} counter drop"
        chain = f"add rule bridge lab {self.name} "
        if cable is None:
            for each in self.cables:
                self.lab.switch_nft(f"{chain} iifname {each.port} {dice}")
            return
        self.lab.switch_nft(f"{chain} iifname {cable.port} {dice}")
        self.lab.switch_nft(f"{chain} oifname {cable.port} {dice}")

    def part(self, one, other, both_ways=True):
        """No frame from one to the other: links stay up, nobody is told."""
        chain = f"add rule bridge lab {self.name} "
        self.lab.switch_nft(f"{chain} iifname {one.port} "
                            f"oifname {other.port} drop")
        if both_ways:
            self.lab.switch_nft(f"{chain} iifname {other.port} "
                                f"oifname {one.port} drop")

    def rule(self, text):
        """Any rule of the nftables bridge family, in this network's chain."""
        self.lab.switch_nft(f"add rule bridge lab {self.name} {text}")

    def heal(self):
        """Undo lose, part, rule and disturb."""
        self.lab.switch_nft(f"flush chain bridge lab {self.name}")
        if self._relay is not None:
            self._relay.stop()
            self._relay = None
            for cable in self.cables:
                self.lab.switch_ip("link", "set", cable.port, "master",
                                   self.bridge)

    def disturb(self, **how):
        """Put a relay in the middle of a network of two cables.

        loss, dup, reorder in percent; hold: the longest delay of a
        reordered frame in ms.
        """
        words = [f"{k}={v}" for k, v in how.items()]
        if self._relay is not None:
            for word in words:
                self._relay.tell(word)
            return self._relay
        if len(self.cables) != 2:
            raise LabError(f"{self.name}: a relay takes exactly two cables")
        for cable in self.cables:
            self.lab.switch_ip("link", "set", cable.port, "nomaster")
        self._relay = Tool(self.lab.switch,
                           ["relay"] + [c.port for c in self.cables] + words,
                           f"relay-{self.name}")
        self._relay.read()
        return self._relay


class Host:
    """A network namespace."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.ns = f"hw{lab.run}-{name}"
        self.cables = {}
        self.procs = []
        call(["ip", "netns", "add", self.ns])
        self.ip("link", "set", "lo", "up")

    def ip(self, *args, **kwargs):
        return call(["ip", "-n", self.ns, *args], **kwargs)

    def run(self, argv, timeout=20, check=True, **kwargs):
        """Run a command in this host to its end."""
        return call(["ip", "netns", "exec", self.ns, *argv],
                    timeout=timeout, check=check, **kwargs)

    def start(self, argv, name, **kwargs):
        return Proc(self, argv, name, **kwargs)

    def tool(self, *argv, name=None):
        return Tool(self, argv, name or argv[0])

    def etc(self, name, text, mode=0o644):
        """A file of this host's own in /etc; seen by what runs in it."""
        path = ETC_NETNS / self.ns / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def connect(self, net, ifname, *addresses):
        """A cable from an interface of this host to a network."""
        self.cables[ifname] = Cable(self, net, ifname)
        for address in addresses:
            self.ip("addr", "add", address, "dev", ifname)
        self.ip("link", "set", ifname, "up")
        return self.cables[ifname]

    def route(self, dest, via):
        self.ip("route", "add", dest, "via", via)

    def addresses(self):
        """Every IPv4 address of this host, without prefix length."""
        links = json.loads(self.ip("-j", "-4", "addr", "show").stdout)
        return [a["local"] for link in links
                for a in link.get("addr_info", [])]

    def sysctl(self, name, value=None):
        if value is not None:
            self.run(["sysctl", "-qw", f"{name}={value}"])
        return self.run(["sysctl", "-n", name]).stdout.strip()

    def flows(self):
        """Entries in this host's conntrack table."""
        return int(self.sysctl("net.netfilter.nf_conntrack_count"))

    def python(self, code, *args, timeout=20, check=True):
        """Run Python code in this host; its output."""
        return self.run([sys.executable, "-c", code, *args],
                        timeout=timeout, check=check).stdout

    def ctload(self, *args, timeout=120):
        """Run ctload; its report."""
        proc = self.run([TOOLS / "ctload", *args], timeout=timeout,
                        check=False)
        if not proc.stdout:
            raise LabError(f"ctload on {self.name}: {proc.stderr}")
        return json.loads(proc.stdout)

    def ctdump(self, *local, state=False):
        """The table as sorted lines, without flows of local addresses."""
        argv = [TOOLS / "ctdump"] + (["-s"] if state else [])
        for address in local:
            argv += ["-x", address]
        return self.run(argv, timeout=60).stdout.splitlines()

    def pids(self):
        """Whatever runs in this namespace, started here or below."""
        text = call(["ip", "netns", "pids", self.ns], check=False).stdout
        return [int(pid) for pid in text.split()]


def memory_directory():
    """A tmpfs, as /run is where hagw is used; None: the default."""
    with open("/proc/mounts", encoding="utf-8") as f:
        mounts = {where: (kind, options.split(",")) for
                  _, where, kind, options, *_ in map(str.split, f)}
    for each in ("/run", "/dev/shm"):
        kind, options = mounts.get(each, ("", []))
        if kind == "tmpfs" and "noexec" not in options:
            return each
    return None


class Lab:
    """A set of hosts and networks, and all that was started in them."""

    def __init__(self):
        if os.geteuid() != 0:
            raise LabError("a lab needs root: network namespaces")
        self.run = secrets.token_hex(3)
        self.kept = False
        self.hosts = {}
        self.networks = {}
        self.closed = False
        sweep()
        self.dir = pathlib.Path(tempfile.mkdtemp(
            prefix=f"hagw-{self.run}-", dir=memory_directory()))
        self.dir.chmod(0o755)
        self._register()
        _open_labs.append(self)
        try:
            self.switch = self.host("sw")
            self.switch_nft("add table bridge lab")
        except BaseException:
            self.close()
            raise

    def _register(self):
        REGISTRY.mkdir(exist_ok=True)
        pid = 0 if self.kept else os.getpid()
        entry = {"run": self.run, "pid": pid, "start": start_time(pid),
                 "dir": str(self.dir)}
        path = REGISTRY / f"{self.run}.json"
        part = REGISTRY / f".{self.run}.part"
        part.write_text(json.dumps(entry))
        part.rename(path)

    def keep(self):
        """It stays when this program ends; "down" removes it."""
        self.kept = True
        self._register()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def host(self, name, cls=Host, **kwargs):
        self.hosts[name] = cls(self, name, **kwargs)
        return self.hosts[name]

    def network(self, name):
        self.networks[name] = Network(self, name)
        return self.networks[name]

    def switch_ip(self, *args):
        return self.switch.ip(*args)

    def switch_nft(self, text):
        return self.switch.run(["nft", text])

    def logs(self, lines=25):
        """The tails of all logs, to explain a failure."""
        parts = []
        for path in sorted(self.dir.glob("*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            if tail:
                parts.append(f"--- {path.name}\n" + "\n".join(tail))
        return "\n".join(parts)

    def close(self):
        """End everything. Signals wait until that is done."""
        if self.closed or self.kept:
            return
        self.closed = True
        if self in _open_labs:
            _open_labs.remove(self)
        signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        old = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            for host in self.hosts.values():
                for proc in list(host.procs):
                    for pid in proc.tree():
                        kill(pid)
                    proc.stop()
            remove(self.run, self.dir)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)


def namespaces(run):
    return [p.name for p in pathlib.Path("/run/netns").glob(f"hw{run}-*")]


def mounts_below(directory):
    """Where something is mounted below a directory, the deepest first."""
    with open("/proc/mounts", encoding="utf-8") as f:
        points = [line.split()[1] for line in f]
    return sorted((p for p in points if p.startswith(f"{directory}/")),
                  reverse=True)


def remove(run, directory):
    """Remove all traces of a run: its processes, namespaces, files."""
    for ns in namespaces(run):
        for _ in range(50):
            pids = call(["ip", "netns", "pids", ns],
                        check=False).stdout.split()
            for pid in pids:
                kill(int(pid))
            if not pids:
                break
            time.sleep(0.02)
        call(["ip", "netns", "del", ns], check=False)
        shutil.rmtree(ETC_NETNS / ns, ignore_errors=True)
    try:
        ETC_NETNS.rmdir()
    except OSError:
        pass
    for mounted in mounts_below(directory):
        call(["umount", "-l", mounted], check=False)
    shutil.rmtree(directory, ignore_errors=True)
    (REGISTRY / f"{run}.json").unlink(missing_ok=True)


def entries():
    """What the registry knows: (path, entry) of each run."""
    found = []
    for path in REGISTRY.glob("*.json"):
        try:
            found.append((path, json.loads(path.read_text())))
        except (OSError, ValueError):
            pass
    return found


def sweep():
    """Remove runs whose owner is gone. Labs meant to stay (pid 0) do."""
    for _, entry in entries():
        pid = entry["pid"]
        if pid != 0 and start_time(pid) != entry["start"]:
            remove(entry["run"], entry["dir"])


def raise_limits(flows=1000000):
    """Room in the conntrack table, which is the machine's and shared."""
    path = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
    if path.exists() and int(path.read_text()) < flows:
        path.write_text(f"{flows}\n")
    hashsize = pathlib.Path("/sys/module/nf_conntrack/parameters/hashsize")
    if hashsize.exists() and int(hashsize.read_text()) < flows // 4:
        hashsize.write_text(f"{flows // 4}\n")


def _on_signal(signum, _frame):
    sys.exit(128 + signum)


def handle_signals():
    """Turn the signals that end a program into an orderly exit."""
    for sig in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sig) == signal.SIG_DFL:
            signal.signal(sig, _on_signal)


def take_signals():
    """In a child, before exec: a shell's background job ignores these."""
    for sig in (signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, signal.SIG_DFL)


@atexit.register
def _close_all():
    for lab in list(_open_labs):
        lab.close()


def open_labs():
    return list(_open_labs)
