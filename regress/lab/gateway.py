"""A gateway: a host that runs hagwd."""
import json
import re
import secrets
import signal
import subprocess

from .core import BUILD, Host, LabError, call, kill, wait_for

HAGWD = BUILD / "sbin" / "hagwd"
HACTL = BUILD / "bin" / "hactl"


def new_key(path):
    """A sync key as hagwd wants it: 32 bytes, root's, 0600."""
    path.touch(mode=0o600)
    path.write_bytes(secrets.token_bytes(32))
    return path


def edit_site(text, **keys):
    """A site file with the value of some scalar keys replaced.

    A key of the ha or sync block that is not there yet is added to it; a
    value of None takes the key out.
    """
    blocks = {"advertise": "ha", "preempt": "ha", "key_file": "sync",
              "port": "sync"}
    for key, value in keys.items():
        line = re.compile(rf"^(\s+){key}:.*\n", re.M)
        if value is None:
            text = line.sub("", text)
        elif line.search(text):
            text = line.sub(rf"\g<1>{key}: {value}\n", text, count=1)
        else:
            text, n = re.subn(rf"^{blocks[key]}:\s*(#.*)?\n",
                              rf"\g<0>  {key}: {value}\n", text, flags=re.M)
            if n != 1:
                raise LabError(f"no block {blocks[key]} in the site file")
    return text


class Gateway(Host):
    """hagwd in a namespace, with a run directory of its own."""

    def __init__(self, lab, name):
        super().__init__(lab, name)
        self.rundir = lab.dir / f"run-{name}"
        self.rundir.mkdir(mode=0o755)
        self.site = None
        self.hagwd = None
        self.vips = {}  # interface: virtual address

    @property
    def sock(self):
        return self.rundir / "hagw.sock"

    def argv(self, *extra):
        return [HAGWD, "-d", "-f", self.site, "-N", self.name, "-r",
                self.rundir, *extra]

    def start_hagwd(self, *extra, wait=True):
        self.hagwd = self.start(self.argv(*extra), "hagwd")
        if wait:
            wait_for(f"{self.name}: hagwd answers", self.answers, 10, 0.05)

    def answers(self):
        if self.hagwd is None or not self.hagwd.alive():
            raise LabError(f"{self.name}: hagwd is gone\n"
                           f"{self.hagwd.log()[-2000:] if self.hagwd else ''}")
        return self.hactl("show", "process", check=False).returncode == 0

    def stop_hagwd(self, timeout=10):
        """An orderly stop. The exit code."""
        code = self.hagwd.stop(timeout)
        self.hagwd = None
        return code

    def reload(self):
        self.hagwd.signal(signal.SIGHUP)

    def hactl(self, *words, check=True, timeout=20):
        return call(["ip", "netns", "exec", self.ns, HACTL, "-s", self.sock,
                     *words], check=check, timeout=timeout)

    def show(self, *words):
        """hactl -j show ..., as a dictionary."""
        out = self.hactl("-j", "show", *words).stdout
        answer = json.loads(out)
        if answer.get("schema") != 1:
            raise LabError(f"{self.name}: schema of {words}: {out}")
        return answer

    def hagw_pids(self):
        """hagwd and its children, by the kernel's own account."""
        return self.hagwd.tree() if self.hagwd is not None else []

    def child(self, name):
        """The pid of one of hagwd's children, such as "vrrpd"."""
        for pid in self.hagw_pids()[1:]:
            try:
                with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                    if comm.read().strip() == name:
                        return pid
            except OSError:
                pass
        return None

    def kill9(self):
        """SIGKILL to hagwd and every child of it, all at one moment."""
        pids = self.hagw_pids()
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                kill(pid, sig)
        if self.hagwd is not None:
            self.hagwd.stop()
        self.hagwd = None

    def crash(self):
        """The power cord: no process and no cable any more.

        In this order: a process that sees one cable go could still tell the
        other gateway so by the next one.
        """
        self.kill9()
        for cable in self.cables.values():
            cable.pull()

    def come_back(self, rebooted=False, wait=True):
        """Plug the cables, start hagwd. A rebooted host has lost its flows."""
        if rebooted:
            self.run(["conntrack", "-F"], check=False)
            self.run(["nft", "flush ruleset"], check=False)
        for cable in self.cables.values():
            cable.plug()
        self.start_hagwd(wait=wait)

    def holds(self):
        """The virtual addresses that are on their interfaces now."""
        links = json.loads(self.ip("-j", "-4", "addr", "show").stdout)
        have = {(link["ifname"], a["local"]) for link in links
                for a in link.get("addr_info", [])}
        return {vip for ifname, vip in self.vips.items()
                if (ifname, vip) in have}

    def is_master(self):
        """All virtual addresses are here."""
        return len(self.holds()) == len(self.vips)

    def is_ready(self):
        """Holds every flow: may be failed over to, by its own account."""
        try:
            sync = self.show("sync")
        except (LabError, json.JSONDecodeError, subprocess.TimeoutExpired):
            return False
        return sync["sync"]["ready"] and any(
            peer["up"] for peer in sync["sync_peers"])
