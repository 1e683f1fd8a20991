"""Faults that are nobody's death: a split, a spare that is not fit, a pause."""
import json
import os
import signal
import time

import pytest

import lab

FLOWS = 300


@pytest.fixture(scope="module")
def pair():
    with lab.NatPair(advertise="100ms", preempt="never") as pair:
        pair.start()
        pair.talkers = lab.Talkers(pair.client1, pair.client2, pair.outside,
                                   FLOWS, interval_us=5000)
        yield pair


@pytest.fixture
def nat1(pair):
    pair.make_master(pair.gateways[0])
    pair.lost_before = pair.talkers.mark()["lost"]
    return pair.gateways[0]


def no_flow_lost(pair):
    flows = pair.talkers.settle()
    assert flows["lost"] == pair.lost_before, flows


def part(pair):
    """The gateways do not hear each other; the clients hear both."""
    nat1, nat2 = pair.gateways
    for name, ifname in (("net1", "eth0"), ("net2", "eth1")):
        pair.lab.networks[name].part(nat1.cables[ifname],
                                     nat2.cables[ifname])


def heal(pair):
    for name in ("net1", "net2"):
        pair.lab.networks[name].heal()


def test_a_split_is_told_and_healed(pair, nat1):
    """Both are masters; the sync link tells; the better one keeps it."""
    nat2 = pair.gateways[1]
    part(pair)
    lab.wait_for("two masters", lambda: len(pair.masters()) == 2, 5)
    for gw in pair.gateways:
        lab.wait_for(f"{gw.name}: a warning", lambda gw=gw: any(
            "split" in w["text"] for w in gw.show("summary")["warnings"]), 5)
        assert gw.show("vrrp")["vrrp"]["split"]
    heal(pair)
    pair.wait_master(nat1, 3)
    pair.wait_ready(nat2)
    lab.wait_for("no warning", lambda: not
                 nat1.show("summary")["warnings"], 5)
    pair.wait_equal()


def test_a_crash_is_not_told_as_a_split():
    """The dead one's last word by sync was that it is MASTER."""
    with lab.NatPair(advertise="10ms", preempt="never") as pair:
        pair.start()
        nat1, nat2 = pair.gateways
        server = pair.client2.tool("shortconn", "server", pair.outside,
                                   "8000", "1")
        server.read()
        pair.client1.tool("shortconn", "client", pair.outside, "8000", "1",
                          "500", "1500", pair.inside, "1")
        time.sleep(1.5)  # something was said right before
        assert nat2.show("sync")["sync"]["injected"] > 100
        nat1.crash()
        pair.wait_master(nat2, 5)
        time.sleep(2.5)
        assert nat2.show("vrrp")["vrrp"]["splits"] == 0


def test_short_splits_lose_no_flow(pair, nat1):
    """Where packets go by whichever gateway announced itself last."""
    for _ in range(5):
        part(pair)
        time.sleep(1.2)
        heal(pair)
        pair.wait_master(nat1, 3)
        time.sleep(0.5)
        no_flow_lost(pair)
        pair.wait_ready(pair.gateways[1])
    pair.wait_equal()


def test_a_switch_that_passes_nothing_on_yet(pair, nat1):
    """Who comes back hears nothing, but sync tells it of the master."""
    nat2 = pair.gateways[1]
    pair.make_master(nat2)
    nat1.crash()
    part(pair)
    nat1.come_back(rebooted=True)
    pair.wait_ready(nat1)
    for _ in range(30):  # 3 s are nine down intervals
        assert pair.masters() == [nat2]
        time.sleep(0.1)
    heal(pair)
    time.sleep(1)
    assert pair.masters() == [nat2]
    no_flow_lost(pair)
    pair.wait_equal()


def test_a_spare_with_a_cable_pulled(pair, nat1):
    """The master warns, and refuses a failover to it."""
    nat2 = pair.gateways[1]
    nat2.cables["eth0"].pull()
    lab.wait_for("a warning", lambda: nat1.show("summary")["warnings"], 5)
    refused = nat1.hactl("failover", check=False)
    assert refused.returncode == 4 and "FAULT" in refused.stderr, refused
    assert "takeover  not ready: nat2 is FAULT" in nat1.hactl(
        "show", "sync").stdout
    assert "nat2 is not ready: it is not BACKUP" in nat1.hactl(
        "show", "events").stdout
    forced = nat1.hactl("failover", "force", check=False, timeout=30)
    assert "nat2 is FAULT" in forced.stdout, forced
    assert forced.returncode == 1 and "still MASTER" in forced.stderr, forced
    assert nat1.is_master() and not nat2.holds()
    nat2.cables["eth0"].plug()
    lab.wait_for("nat2: BACKUP", lambda: nat2.show("vrrp")["vrrp"]["role"]
                 == "BACKUP", 5)
    lab.wait_for("no warning", lambda: not
                 nat1.show("summary")["warnings"], 5)
    no_flow_lost(pair)


def test_a_paused_machine_does_not_come_back_as_master(pair, nat1):
    """As a virtual machine stopped for three seconds and more."""
    nat2 = pair.gateways[1]
    pids = nat1.hagw_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        lab.wait_for("nat2: master", nat2.is_master, 5)
        lab.wait_for("nat1: no address", lambda: not nat1.holds(), 5)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    pair.wait_ready(nat1)
    assert nat2.is_master() and not nat1.holds()
    no_flow_lost(pair)
    pair.wait_equal()


def test_the_sync_interface_made_anew(pair, nat1):
    """Its name is the same, and the sockets were of the one before."""
    nat2 = pair.gateways[1]
    nat2.cables["eth2"].anew("172.25.0.2/30")
    flows = ("-s", "172.23.8.1", "-d", "172.24.8.1", "-n", "20")
    nat1.ctload(*flows, "-t", "172.24.0.100")
    pair.wait_equal()
    nat1.ctload(*flows, "-o", "delete")
    time.sleep(3.5)  # a peer that was not heard would be silent by now
    assert nat1.show("summary")["warnings"] == []
    pair.wait_equal()
    no_flow_lost(pair)


def hardware_address(host, ifname):
    return json.loads(host.ip("-j", "link", "show", ifname).stdout)[0][
        "address"]


def test_another_hardware_address(pair, nat1):
    """Of the master's interface; its neighbours are told, all at once."""
    old = hardware_address(nat1, "eth0")
    for mac in ("02:00:5e:00:53:01", old):
        nat1.ip("link", "set", "eth0", "address", mac)
        lab.wait_for("client1 knows", lambda m=mac: m in pair.client1.ip(
            "neigh", "show", "172.23.0.100").stdout, 4)
    assert nat1.is_master()
    no_flow_lost(pair)


def test_one_deaf_network_moves_nothing(pair, nat1):
    """Advertisements on the other one are enough."""
    nat2 = pair.gateways[1]
    before = nat2.show("vrrp")["vrrp"]["transitions"]
    pair.lab.networks["net1"].part(nat1.cables["eth0"], nat2.cables["eth0"])
    time.sleep(1.5)
    assert nat1.is_master() and not nat2.holds()
    assert nat2.show("vrrp")["vrrp"]["transitions"] == before
    heal(pair)
    no_flow_lost(pair)


def test_both_start_at_once_and_agree(pair, nat1):
    """On whichever was first (preempt: never), soon, and for good."""
    for gw in pair.gateways:
        gw.stop_hagwd()
    for gw in pair.gateways:
        gw.start_hagwd(wait=False)
    lab.wait_for("a master", pair.masters, 10)
    time.sleep(1)
    master = pair.master()
    spare = pair.other(master)
    pair.wait_ready(spare)
    assert master.is_master() and not spare.holds()
    assert spare.show("vrrp")["vrrp"]["role"] == "BACKUP"


def longest_timeouts(gw):
    """By protocol, of the forwarded flows, in seconds."""
    found = {}
    for line in gw.run(["conntrack", "-L"]).stdout.splitlines():
        proto, _, left = line.split()[:3]
        if "src=172.23." in line:
            found[proto] = max(found.get(proto, 0), int(left))
    return found


@pytest.mark.parametrize("how", ["failover", "crash"])
def test_idle_flows_get_their_protocols_timeouts_back(pair, nat1, how):
    """Those that a standby holds outlast everything; a master's do not."""
    nat2 = pair.gateways[1]
    nat1.ctload("-s", "172.23.7.1", "-d", "172.24.7.1", "-t", "172.24.0.100",
                "-n", "1000")
    pair.wait_equal()
    if how == "failover":
        nat1.hactl("failover")
    else:
        nat1.crash()
    lab.wait_for("nat2: master", nat2.is_master, 5)
    limits = {name: int(nat2.sysctl(f"net.netfilter.nf_conntrack_{key}"))
              for name, key in (("tcp", "tcp_timeout_established"),
                                ("udp", "udp_timeout_stream"))}
    lab.wait_for("timeouts as the protocols have them", lambda: all(
        longest_timeouts(nat2)[name] <= limits[name] for name in limits),
        15, 0.5)
    no_flow_lost(pair)
    nat2.ctload("-s", "172.23.7.1", "-d", "172.24.7.1", "-n", "1000", "-o",
                "delete")


# From a source with a vrid, a priority and a virtual address, for a second.
ADVERTISE = """
import socket, struct, sys, time
source, vrid, priority, vip = sys.argv[1:]
body = struct.pack("!BBBBHH4s", 0x31, int(vrid), int(priority), 1, 10, 0,
                   socket.inet_aton(vip))
total = sum(struct.unpack("!6H", body))
while total >> 16:
    total = (total & 0xffff) + (total >> 16)
body = body[:6] + struct.pack("!H", ~total & 0xffff) + body[8:]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
             socket.inet_aton(source))
for _ in range(10):
    s.sendto(body, ("224.0.0.18", 0))
    time.sleep(0.1)
"""


def test_somebody_else_has_our_vrid(pair, nat1):
    """A group that is not ours is told of, and not followed."""
    before = nat1.show("vrrp")["vrrp"]["transitions"]
    pair.client1.python(ADVERTISE, pair.inside, "10", "250", "172.23.0.77")
    assert nat1.show("vrrp")["vrrp"]["transitions"] == before
    assert pair.masters() == [nat1]
    for gw in pair.gateways:
        assert any(w["text"] == f"{pair.inside} advertises other addresses "
                   "with vrid 10: one of the two needs another vrid"
                   for w in gw.show("summary")["warnings"])
    # with our virtual address it is a better master, whoever that is
    pair.client1.python(ADVERTISE, pair.inside, "10", "250", "172.23.0.100")
    assert nat1.show("vrrp")["vrrp"]["transitions"] > before
    lab.wait_for("a master", lambda: len(pair.masters()) == 1, 15)
