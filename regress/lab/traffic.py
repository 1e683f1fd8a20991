"""What goes through the gateways while something happens to them."""
import subprocess
import threading
import time

from .core import LabError, call, wait_for

TALK_PORT = 7000
ECHO_PORT = 7001
DATA_PORT = 7002


class Talkers:
    """TCP flows on which the server talks, each byte of it verified."""

    def __init__(self, client, server, address, flows=300,
                 interval_us=20000, chunk=8, port=TALK_PORT, to=None):
        """to: where the client connects to, when not to address and port."""
        self.server = server.tool("talkers", "server", address, port,
                                  interval_us, chunk,
                                  name=f"talkers-server-{port}")
        self.server.read()
        self.client = client.tool("talkers", "client", *(to or (address,
                                  port)), flows,
                                  name=f"talkers-client-{client.name}-{port}")
        self.flows = flows
        try:
            connected = self.client.read(15)["connected"]
            if connected != flows:
                raise LabError(f"{connected} of {flows} flows connected")
        except LabError:
            self.stop()
            raise

    def report(self):
        return self.client.ask("report")

    def mark(self):
        """Report, and start a new window for the longest gap."""
        return self.client.ask("mark")

    def settle(self, timeout=10):
        """Until every flow that still lives has spoken again; the report.

        Retransmission after an outage takes TCP up to the length of the
        outage once more.
        """
        end = time.monotonic() + timeout
        while True:
            report = self.report()
            if report["silent_now_ms"] < 200 or time.monotonic() > end:
                return report
            time.sleep(0.05)

    def stop(self):
        self.client.stop()
        self.server.stop()


def download(client, server, address):
    """One fat flow, about 6 MB/s, each byte of it verified."""
    return Talkers(client, server, address, flows=1, interval_us=10000,
                   chunk=65536, port=DATA_PORT)


class Probe:
    """A small packet each interval, and its echo: "udp" or "icmp"."""

    def __init__(self, client, server, address, kind="udp",
                 interval_us=1000):
        self.server = None
        if kind == "udp":
            self.server = server.tool("probe", "echo", address, ECHO_PORT,
                                      name="probe-echo")
            self.server.read()
        self.client = client.tool("probe", kind, address, ECHO_PORT,
                                  interval_us, name=f"probe-{kind}")
        wait_for(f"{kind} probe: an answer",
                 lambda: self.report()["received"] > 0, 5, 0.05)

    def report(self):
        return self.client.ask("report")

    def mark(self):
        return self.client.ask("mark")

    def stop(self):
        self.client.stop()
        if self.server is not None:
            self.server.stop()


SSHD_CONFIG = """\
Port 22
ListenAddress {address}
HostKey {dir}/ssh-host-key
AuthorizedKeysFile {dir}/ssh-user-key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
PrintMotd no
UseDNS no
"""

# Root as every system has it, but with no password that could be locked.
PASSWD = """\
root:x:0:0:root:/root:/bin/sh
sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
SHADOW = "root:*:19000:0:99999:7:::\n"


class Sshd:
    """The real sshd on a host, with keys and configuration of its own."""

    def __init__(self, host, address):
        self.host = host
        self.address = address
        self.dir = host.lab.dir
        for key in ("ssh-host-key", "ssh-user-key"):
            if not (self.dir / key).exists():
                call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                      self.dir / key])
        config = self.dir / f"sshd_config-{host.name}"
        config.write_text(SSHD_CONFIG.format(address=address, dir=self.dir))
        host.etc("passwd", PASSWD)
        host.etc("shadow", SHADOW, 0o600)
        # sshd insists on /run/sshd: give it a /run of its own.
        script = ("mount -t tmpfs -o mode=755 tmpfs /run && "
                  "mkdir -m 755 /run/sshd && "
                  "exec /usr/sbin/sshd -D -e -f \"$1\"")
        self.proc = host.start(["sh", "-c", script, "sh", config], "sshd")
        wait_for("sshd: listens", self._listens, 5)

    def _listens(self):
        if not self.proc.alive():
            raise LabError(f"sshd: {self.proc.log()}")
        return ":22 " in self.host.run(["ss", "-ltn"]).stdout

    def argv(self, command):
        """The ssh command line of a client."""
        return ["ssh", "-F", "none", "-n", "-i", self.dir / "ssh-user-key",
                "-o", "StrictHostKeyChecking=no", "-o",
                "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o",
                "LogLevel=ERROR", "-o", "ConnectTimeout=5",
                "-o", "IdentitiesOnly=yes",
                f"root@{self.address}", command]

    def stop(self):
        self.proc.stop()


class SshSession:
    """An ssh session in which the far end counts, ten times a second."""

    def __init__(self, client, sshd):
        self.proc = client.start(
            sshd.argv("i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; "
                      "done"), "ssh", stdout=subprocess.PIPE)
        self.count = 0
        self.error = ""
        self._gap = 0.0
        self._last = None
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()
        wait_for("ssh session: counts", lambda: self.count > 0 or self.error,
                 10)
        if self.error:
            raise LabError(f"ssh session: {self.error}\n{self.proc.log()}")

    def _read(self):
        for line in self.proc.popen.stdout:
            now = time.monotonic()
            with self._lock:
                if line.strip() != str(self.count).encode():
                    self.error = f"read {line!r} instead of {self.count}"
                    return
                self.count += 1
                if self._last is not None:
                    self._gap = max(self._gap, now - self._last)
                self._last = now
        self.error = "ended"

    def mark(self):
        """(alive, longest gap in ms) since the last mark."""
        with self._lock:
            silent = time.monotonic() - self._last
            gap = max(self._gap, silent)
            self._gap = 0.0
        alive = self.proc.alive() and not self.error and silent < 5
        return alive, gap * 1000

    def stop(self):
        self.proc.stop()
