"""The show: two gateways, traffic through them, and what may happen to them.

Exits 0 only if the ssh session and every TCP flow lived through all of it.
"""
import sys
import time

from .core import LabError, handle_signals, wait_for
from .gateway import HACTL, HAGWD
from .nat_pair import NatPair
from .traffic import Probe, SshSession, Sshd, Talkers

FLOWS = 300
ADVERTISE = "100ms"
LOOK_S = 1.5  # between two steps, for the eye and for the traffic

PICTURE = """\
                        .10 nat1 .10
  client1 --- net1 ----<   | sync   >---- net2 --- client2
  172.23.0.20           .11 nat2 .11               172.24.0.20
              172.23.0.100      172.24.0.100 (virtual; source NAT)
"""

ROW = "{:>7} {:<31}{:<7}{:>5}{:>5}{:>9}{:>8}{:>8}"
COLUMNS = (f"{'TCP FLOWS':>56}{'LONGEST GAP IN MS':>24}\n" + ROW.format("TIME", "WHAT HAPPENED", "MASTER", "ALIVE",
                               "LOST", "FLOWS", "SSH", "PING"))


class Show:
    """The pair, its traffic, and the table of what became of it."""

    def __init__(self, pair):
        self.pair = pair
        self.begin = time.monotonic()
        self.failures = []
        self.talkers = self.ping = self.ssh = None

    def now(self):
        return time.monotonic() - self.begin

    def note(self, text):
        """A line about what is being done, under the clock."""
        print(f"{self.now():6.1f}s   . {text}", flush=True)

    def traffic(self):
        pair = self.pair
        sshd = Sshd(pair.client2, pair.outside)
        self.ssh = SshSession(pair.client1, sshd)
        self.ping = Probe(pair.client1, pair.client2, pair.outside, "icmp",
                          10000)
        self.talkers = Talkers(pair.client1, pair.client2, pair.outside,
                               FLOWS)

    def row(self, what):
        flows = self.talkers.settle()
        self.talkers.mark()
        alive, ssh_gap = self.ssh.mark()
        ping = self.ping.mark()
        masters = "+".join(gw.name for gw in self.pair.masters()) or "none"
        print(ROW.format(f"{self.now():.1f}s", what, masters, flows["alive"],
                         flows["lost"], f"{flows['longest_gap_ms']:.0f}",
                         f"{ssh_gap:.0f}" if alive else "DEAD",
                         f"{ping['longest_gap_ms']:.0f}"), flush=True)
        if flows["lost"] > 0:
            self.failures.append(f"{what}: {flows['lost']} flows lost")
        if not alive:
            self.failures.append(f"{what}: the ssh session died")

    def step(self, what, action, master):
        """Do something; wait until master is the sole one; report."""
        time.sleep(LOOK_S)
        before = time.monotonic()
        action()
        try:
            if master is not None:
                wait_for(f"{master.name} is master", master.is_master, 15,
                         0.005)
                self.note(f"{master.name} holds both virtual addresses "
                          f"{(time.monotonic() - before) * 1000:.0f} ms "
                          "later")
        except LabError as e:
            self.failures.append(f"{what}: {e}")
        time.sleep(LOOK_S)
        self.row(what)

    def hactl(self, gw, word):
        self.note(f"{gw.name}$ hactl {word}")
        answer = gw.hactl(word, check=False, timeout=30)
        for line in (answer.stdout + answer.stderr).splitlines():
            print(f"            {line}", flush=True)
        if answer.returncode != 0:
            self.failures.append(f"hactl {word} on {gw.name}: exit "
                                 f"{answer.returncode}")

    def crash(self, gw):
        self.note(f"{gw.name}: every process killed with -9, every cable "
                  "pulled")
        gw.crash()

    def come_back(self, gw):
        self.note(f"{gw.name}: cables plugged, hagwd started")
        start = time.monotonic()
        gw.come_back()
        try:
            self.pair.wait_ready(gw, 20)
            self.note(f"{gw.name} holds every flow again "
                      f"{time.monotonic() - start:.1f} s later")
        except LabError as e:
            self.failures.append(str(e))

    def run(self):
        nat1, nat2 = self.pair.gateways
        self.pair.start()
        self.note("hagwd runs on both; an ssh session, a ping and "
                  f"{FLOWS} TCP flows begin")
        self.traffic()
        print(f"\n{COLUMNS}")
        time.sleep(LOOK_S)
        self.row("everything is well")
        self.step("planned failover", lambda: self.hactl(nat1, "failover"),
                  nat2)
        self.step("failback", lambda: self.hactl(nat1, "failback"), nat1)
        self.step("crash of nat1, the active one", lambda: self.crash(nat1),
                  nat2)
        self.step("nat1 returns", lambda: self.come_back(nat1), None)
        self.step("crash of nat2, the active one", lambda: self.crash(nat2),
                  nat1)
        self.step("nat2 returns", lambda: self.come_back(nat2), None)


def verdict(show):
    if show.failures:
        print("\nFAILED:")
        for failure in show.failures:
            print(f"  {failure}")
        print(show.pair.lab.logs(15))
        return 1
    print(f"\nAll {FLOWS} flows and the ssh session lived.")
    return 0


def main():
    for program in (HAGWD, HACTL):
        if not program.exists():
            print(f"{program} is missing: make", file=sys.stderr)
            return 1
    handle_signals()
    print(f"Two gateways, a client on each side, one site file.\n\n{PICTURE}")
    with NatPair(advertise=ADVERTISE, preempt="never") as pair:
        show = Show(pair)
        try:
            show.run()
        except LabError as e:
            show.failures.append(str(e))
        return verdict(show)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nstopped; everything is removed")
        sys.exit(130)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(1)
