"""keepalived and conntrackd, as they are usually put together.

Speaks the part of Gateway's language that the traffic tests need, so that a
test can be run against what hagw replaces: a test that cannot lose a flow
proves nothing.
"""
import os
import signal

from .core import Host, kill, wait_for

KEEPALIVED = """\
global_defs {{
    router_id {name}
    script_user root
    enable_script_security
    vrrp_version 3
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

INSTANCE = """\
vrrp_instance {ifname} {{
    state BACKUP
    interface {ifname}
    virtual_router_id {vrid}
    priority {priority}
    advert_int {advert}
    nopreempt
    virtual_ipaddress {{
        {vip}/32 dev {ifname}
    }}
}}
"""

CONNTRACKD = """\
Sync {{
    Mode FTFW {{
        DisableExternalCache {disable}
        CommitTimeout 180
        PurgeTimeout 5
    }}
    UDP {{
        IPv4_address {own}
        IPv4_Destination_Address {peer}
        Port 3780
        Interface {ifname}
        SndSocketBuffer 1249280
        RcvSocketBuffer 1249280
        Checksum on
    }}
}}
General {{
    HashSize 65536
    HashLimit 1048576
    LogFile {dir}/conntrackd-{name}.log
    Syslog off
    NetlinkBufferSize 2097152
    NetlinkBufferSizeMaxGrowth 67108864
    LockFile {dir}/conntrackd-{name}.lock
    UNIX {{
        Path {dir}/conntrackd-{name}.ctl
        Backlog 20
    }}
    Filter From Userspace {{
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

# The recipe that ships with conntrackd: commit, flush, resync, bulk.
NOTIFY = """\
#!/bin/sh
c="conntrackd -C {dir}/conntrackd-{name}.conf"
case "$1" in
primary) $c -c; $c -f; $c -R; $c -B ;;
backup) $c -t; $c -n ;;
fault) $c -t ;;
esac
"""


class RivalGateway(Host):
    """keepalived and conntrackd in a namespace."""

    keepalived = KEEPALIVED
    instance = INSTANCE
    conntrackd = CONNTRACKD
    advert = 0.1
    disable_external_cache = False

    def __init__(self, lab, name):
        super().__init__(lab, name)
        self.vips = {}
        self.site = None
        self.daemons = []

    def _write(self, name, text):
        path = self.lab.dir / name
        path.write_text(text)
        return path

    def start_hagwd(self, wait=True):
        """Start what stands in for hagwd."""
        self.sysctl("net.ipv4.ip_forward", 1)
        first = self.name.endswith("1")
        values = {"name": self.name, "dir": self.lab.dir,
                  "names": " ".join(self.vips)}
        text = self.keepalived.format(**values)
        for vrid, (ifname, vip) in enumerate(self.vips.items(), 10):
            text += self.instance.format(
                ifname=ifname, vip=vip, vrid=vrid,
                priority=200 if first else 100, advert=self.advert)
        keepalived = self._write(f"keepalived-{self.name}.conf", text)
        notify = self._write(f"notify-{self.name}", NOTIFY.format(**values))
        os.chmod(notify, 0o755)
        local = sorted(set(self.addresses()) | set(self.vips.values()))
        text = self.conntrackd.format(
            own=f"172.25.0.{1 if first else 2}",
            peer=f"172.25.0.{2 if first else 1}", ifname="eth2",
            disable="On" if self.disable_external_cache else "Off",
            ignore="\n            ".join(f"IPv4_address {a}" for a in local
                                         if not a.startswith("127.")),
            **values)
        conf = self._write(f"conntrackd-{self.name}.conf", text)
        self.run(["nft", "flush ruleset"])
        inside, outside = self.vips
        self.run(["nft", "table ip nat { chain post { "
                  "type nat hook postrouting priority 100; "
                  f"iifname {inside} oifname {outside} "
                  f"snat to {self.vips[outside]}\n }}\n }}"])
        for kind in ("lock", "ctl"):
            (self.lab.dir / f"conntrackd-{self.name}.{kind}").unlink(
                missing_ok=True)
        pidfile = self.lab.dir / f"keepalived-{self.name}"
        self.daemons = [
            self.start(["conntrackd", "-C", conf], "conntrackd"),
            self.start(["keepalived", "-n", "-l", "-P", "-f", keepalived,
                        "-p", f"{pidfile}.pid", "-r", f"{pidfile}-vrrp.pid"],
                       "keepalived"),
        ]
        if wait:
            wait_for(f"{self.name}: runs", self.answers)

    def answers(self):
        return all(daemon.alive() for daemon in self.daemons)

    def hactl(self, word, **_kwargs):
        """failover: what an administrator of the pair does."""
        if word == "failover":
            self.daemons[1].signal(signal.SIGTERM)
            self.daemons[1].stop()

    def crash(self):
        for cable in self.cables.values():
            cable.pull()
        for daemon in self.daemons:
            for pid in daemon.tree():
                kill(pid)
            daemon.stop()

    def come_back(self, rebooted=True, wait=True):
        """kill -9 leaves the addresses behind: a reboot is assumed."""
        if rebooted:
            self.run(["conntrack", "-F"])
        for ifname, vip in self.vips.items():
            if vip in self.holds():
                self.ip("addr", "del", f"{vip}/32", "dev", ifname)
        for cable in self.cables.values():
            cable.plug()
        self.start_hagwd(wait)

    def holds(self):
        have = set(self.addresses())
        return {vip for vip in self.vips.values() if vip in have}

    def is_master(self):
        return len(self.holds()) == len(self.vips)

    def is_ready(self):
        return self.answers()
