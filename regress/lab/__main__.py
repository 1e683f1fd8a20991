"""python3 -m regress.lab up | down: a lab to play in, that stays."""
import sys

from .core import (LabError, entries, handle_signals, namespaces, remove,
                   sweep)
from .gateway import HACTL, HAGWD
from .nat_pair import NatPair
from .traffic import Sshd

HELP = """\
The lab is up: client1 - (nat1 | nat2) - client2.

  {dir}/in HOST [command]          nat1 nat2 client1 client2
  {dir}/hactl HOST show summary    nat1 nat2; or any other words
  {dir}/pull HOST INTERFACE        a cable: eth0 net1, eth1 net2, eth2 sync
  {dir}/plug HOST INTERFACE
  {dir}/crash HOST                 kill -9 of all that runs on it
  {dir}/start HOST                 hagwd again
  {dir}/ssh                        from client1 to client2, through them

Logs and the site file are in {dir}.
"make lab-down" removes it all.
"""

# Each is a shell script; $h is the namespace of the host named first.
HEAD = """\
#!/bin/sh
host=${{1:?host}}; shift
h=hw{run}-$host
[ -e "/run/netns/$h" ] || {{ echo "no host $host" >&2; exit 1; }}
"""
SCRIPTS = {
    "in": '[ $# -gt 0 ] || set -- "${{SHELL:-/bin/sh}}"\n'
          'exec ip netns exec "$h" "$@"\n',
    "hactl": 'exec ip netns exec "$h" {hactl} -s {dir}/run-$host/hagw.sock '
             '"$@"\n',
    "pull": "ip -n hw{run}-sw link set $host.${{1:?interface}} down\n",
    "plug": "ip -n hw{run}-sw link set $host.${{1:?interface}} up\n",
    "crash": 'ip netns pids "$h" | xargs -r kill -9\n',
    "start": 'setsid ip netns exec "$h" {hagwd} -d -f {dir}/site.yaml -N '
             "$host -r {dir}/run-$host </dev/null >>{dir}/$host-hagwd.log "
             "2>&1 &\n",
}


def write_script(pair, name, text):
    path = pair.lab.dir / name
    path.write_text(text.format(run=pair.lab.run, dir=pair.lab.dir,
                                hactl=HACTL, hagwd=HAGWD))
    path.chmod(0o755)


def up():
    with NatPair() as pair:
        try:
            pair.start()
            sshd = Sshd(pair.client2, pair.outside)
        except LabError:
            print(pair.lab.logs(), file=sys.stderr)
            raise
        for name, text in SCRIPTS.items():
            write_script(pair, name, HEAD + text)
        ssh = " ".join(str(a) for a in sshd.argv("sh -i") if a != "-n")
        ssh = ssh.replace(" root@", " -tt root@")
        write_script(pair, "ssh", "#!/bin/sh\nexec ip netns exec "
                     f"{pair.client1.ns} {ssh}\n")
        pair.lab.keep()
    print(HELP.format(dir=pair.lab.dir))


def down(run=None):
    """Remove the lab with this name, or every lab that was left up."""
    sweep()
    kept = [entry for _, entry in entries() if entry["pid"] == 0
            and run in (None, entry["run"])]
    for entry in kept:
        print(f"removing {', '.join(sorted(namespaces(entry['run'])))}")
        remove(entry["run"], entry["dir"])
    if not kept:
        print("no lab is up")


def main():
    handle_signals()
    try:
        match sys.argv[1:]:
            case ["up"]:
                up()
            case ["down", *run] if len(run) <= 1:
                down(*run)
            case _:
                print("usage: python3 -m regress.lab up | down [RUN]",
                      file=sys.stderr)
                return 2
    except LabError as e:
        print(f"lab: {e}", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
