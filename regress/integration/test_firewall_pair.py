"""The firewall pair, from its shipped site file, as it is."""
import pytest

import lab

DETECT_S = 3 + 1  # advertise: 1s
LIMIT_S = DETECT_S + 2


class Site:
    """The pair, an ssh session and a long download through it."""

    def __init__(self, pair):
        self.pair = pair
        self.sshd = lab.Sshd(pair.world, pair.outside)
        self.ssh = lab.SshSession(pair.lan, self.sshd)
        self.download = lab.download(pair.lan, pair.world, pair.outside)

    def check(self, outage_ms):
        flows = self.download.settle(15)
        before = flows["bytes"]
        lab.wait_for("ssh session: counts on",
                     lambda count=self.ssh.count: self.ssh.count > count, 15)
        alive, gap = self.ssh.mark()
        assert alive, self.ssh.error
        assert flows["alive"] == 1, flows
        lab.wait_for("download: goes on",
                     lambda: self.download.report()["bytes"] > before, 5)
        assert gap <= 2 * outage_ms + 1000
        self.download.mark()


@pytest.fixture(scope="module")
def site():
    with lab.FirewallPair() as pair:
        pair.start()
        yield Site(pair)


@pytest.fixture
def pair(site):
    """fw-1 is master, fw-2 ready."""
    site.pair.make_master(site.pair.gateways[0])
    site.check(LIMIT_S * 1000)
    return site.pair


def test_source_nat_to_the_outside_vip(site, pair):
    """The outside host sees the virtual address, and so does the standby."""
    assert "from 192.168.255.250 port" in site.sshd.proc.log()
    for flows in pair.dumps():
        ssh = [line for line in flows if ":22 " in line]
        assert len(ssh) == 1
        assert "10.0.0.10:" in ssh[0] and ">192.168.255.250:" in ssh[0]
        assert "nat=s" in ssh[0]


SERVE = """\
import socket, sys
addr, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
s = socket.socket(type=getattr(socket, kind))
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((addr, port))
if kind == "SOCK_STREAM":
    s.listen()
    while True:
        c, peer = s.accept()
        c.sendall(peer[0].encode())
        c.close()
while True:
    data, peer = s.recvfrom(100)
    s.sendto(peer[0].encode(), peer)
"""

ASK = """\
import socket, sys
addr, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
s = socket.socket(type=getattr(socket, kind))
s.settimeout(3)
s.connect((addr, port))
if kind == "SOCK_DGRAM":
    s.send(b"?")
print(s.recv(100).decode())
"""


@pytest.fixture
def services(site):
    """What the forwards lead to; each answers with whom it saw."""
    import sys
    procs = []
    for addr, port, kind in (("10.0.0.20", 443, "SOCK_STREAM"),
                             ("10.0.0.20", 22, "SOCK_STREAM"),
                             ("10.0.0.30", 12345, "SOCK_DGRAM")):
        procs.append(site.pair.inner.start(
            [sys.executable, "-c", SERVE, addr, port, kind],
            f"serve-{port}"))
    lab.wait_for("services: listen", lambda: all(
        port in site.pair.inner.run(["ss", "-lntu"]).stdout
        for port in (":443", ":22", ":12345")), 5)
    yield
    for proc in procs:
        proc.stop()


@pytest.mark.parametrize("port, kind", [
    ("443", "SOCK_STREAM"), ("2222", "SOCK_STREAM"),
    ("12345", "SOCK_DGRAM")], ids=["https", "ssh-jump", "rtp"])
def test_forward_from_outside(pair, services, port, kind):
    seen = pair.world.python(ASK, "192.168.255.250", port, kind)
    assert seen.strip() == "192.168.255.33"


def test_hairpin_from_inside(pair, services):
    """The LAN reaches the forward by the outside address; the server sees
    the inside virtual address, which outlives a failover."""
    seen = pair.lan.python(ASK, "192.168.255.250", "443", "SOCK_STREAM")
    assert seen.strip() == "10.0.0.3"


def test_forwarded_and_hairpin_flows_outlive_a_failover(pair):
    """There and back again, with no word lost on either."""
    from_world = lab.Talkers(pair.world, pair.inner, "10.0.0.20", flows=30,
                             port=22, to=("192.168.255.250", 2222))
    hairpin = lab.Talkers(pair.lan, pair.inner, "10.0.0.20", flows=30,
                          port=443, to=("192.168.255.250", 443))
    for master in reversed(pair.gateways):
        pair.wait_equal()
        pair.make_master(master)
        for talkers in (from_world, hairpin):
            flows = talkers.settle()
            assert flows["alive"] == 30, flows
    from_world.stop()
    hairpin.stop()


def test_failover_by_stopping(site, pair):
    fw1, fw2 = pair.gateways
    assert fw1.stop_hagwd() == 0
    pair.wait_master(fw2, 3)
    site.check(1000)
    fw1.start_hagwd()
    pair.wait_ready(fw1)
    assert fw2.is_master() and not fw1.holds()  # preempt: never
    site.check(1000)


def test_failover_by_crash(site, pair):
    fw1, fw2 = pair.gateways
    fw1.crash()
    lab.wait_for("fw-2: master", fw2.is_master, LIMIT_S)
    site.check(LIMIT_S * 1000)
    fw1.come_back()
    pair.wait_ready(fw1)
    assert fw2.is_master() and not fw1.holds()
    site.check(1000)


@pytest.mark.parametrize("ifname", ["ens4", "ens2"],
                         ids=["inside", "outside"])
def test_pulling_one_cable_moves_both_addresses(site, pair, ifname):
    fw1, fw2 = pair.gateways
    fw1.cables[ifname].pull()
    pair.wait_master(fw2, LIMIT_S)
    site.check(LIMIT_S * 1000)
    assert fw1.show("vrrp")["vrrp"]["role"] == "FAULT"
    fw1.cables[ifname].plug()
    lab.wait_for("fw-1: BACKUP", lambda: fw1.show("vrrp")["vrrp"]["role"]
                 == "BACKUP", 5)
    assert fw2.is_master() and not fw1.holds()


def warnings(gw):
    return gw.show("summary")["warnings"]


def test_pulling_the_sync_cable_moves_nothing_and_warns(site, pair):
    fw1, fw2 = pair.gateways
    before = [gw.show("vrrp")["vrrp"]["transitions"] for gw in (fw1, fw2)]
    assert warnings(fw1) == []
    fw1.cables["ens3"].pull()
    lab.wait_for("a warning", lambda: warnings(fw1) and warnings(fw2), 10,
                 0.2)
    # until it knows, it may hand over: all it has was confirmed
    lab.wait_for("a warning about sync", lambda: any(
        w["object"] == "sync" and "silent" in w["text"]
        for w in warnings(fw1)), 10, 0.2)
    assert fw1.is_master() and not fw2.holds()
    refused = fw1.hactl("failover", check=False)
    assert refused.returncode == 4, refused
    assert "force" in refused.stdout + refused.stderr
    fw1.cables["ens3"].plug()
    pair.wait_ready(fw2)
    lab.wait_for("no warning", lambda: not warnings(fw1), 10, 0.2)
    after = [gw.show("vrrp")["vrrp"]["transitions"] for gw in (fw1, fw2)]
    assert before == after
    site.check(1000)


def test_what_conntrackd_statistics_tell(site, pair):
    """Both tables' sizes, what was created, changed and removed, traffic
    of the sync link, what was lost or malformed."""
    fw1, fw2 = pair.gateways
    pair.lan.run(site.sshd.argv("true"))  # a flow that comes and goes
    pair.wait_equal()
    shown = [gw.show("sync") for gw in (fw1, fw2)]
    here, peer = shown[0]["sync"], shown[0]["sync_peers"][0]
    assert here["role"] == "MASTER"
    assert here["flows"] >= 2 and peer["flows"] >= 2
    assert here["kernel_events"] > 0 and here["records_sent"] > 0
    assert shown[1]["sync"]["injected"] > 0
    for key in ("messages_sent", "messages_received"):
        assert peer[key] > 0, key
    assert peer["messages_lost"] == 0
    assert here["dropped_malformed"] == here["dropped_key"] == 0
    assert shown[1]["sync_peers"][0]["records_received"] > 0
    text = fw1.hactl("show", "sync").stdout
    for word in ("fw-2", "UP", "sync", "172.30.16.2", "sent", "lost"):
        assert word in text, text
