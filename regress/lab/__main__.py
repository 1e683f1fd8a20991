"""python3 -m lab up | down: a lab to play in, that stays."""
import sys

from .core import LabError, entries, namespaces, remove, sweep
from .gateway import HACTL
from .nat_pair import NatPair
from .traffic import Sshd

HELP = """\
The lab is up: client1 - (nat1 | nat2) - client2.

enter a host    {enter}
look            {hactl}
let nat2 take over    ... failover    and back, on nat1:    ... failback
pull a cable    ip -n {sw} link set nat1.eth0 down    (plug it: up)
kill a gateway  ip netns pids {nat1} | xargs kill -9
through it      {ssh}
logs, site file {dir}
remove it all   make lab-down
"""


def up():
    pair = NatPair(keep=True)
    try:
        pair.start()
        sshd = Sshd(pair.client2, pair.outside)
    except BaseException:
        print(pair.lab.logs(), file=sys.stderr)
        pair.lab.close()
        raise
    def enter(gw):
        return f"ip netns exec {gw.ns}"
    ssh = " ".join(str(a) for a in sshd.argv("sh -i") if a != "-n")
    print(HELP.format(
        enter="\n                ".join(
            f"{enter(host)} bash" for name, host in pair.lab.hosts.items()
            if name != "sw"),
        hactl="\n                ".join(
            f"{enter(gw)} {HACTL} -s {gw.sock} show summary"
            for gw in pair.gateways),
        sw=pair.lab.switch.ns, nat1=pair.gateways[0].ns,
        ssh=f"{enter(pair.client1)} {ssh}", dir=pair.lab.dir))


def down():
    sweep()
    kept = [entry for _, entry in entries() if entry["pid"] == 0]
    for entry in kept:
        print(f"removing {', '.join(sorted(namespaces(entry['run'])))}")
        remove(entry["run"], entry["dir"])
    if not kept:
        print("no lab is up")


def main():
    words = {"up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in words:
        print("usage: python3 -m lab up | down", file=sys.stderr)
        return 2
    try:
        words[sys.argv[1]]()
    except LabError as e:
        print(f"lab: {e}", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
