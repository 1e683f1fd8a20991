"""Processes die or hang; the data plane does not notice, and an address
whose owner is gone goes too.
"""
import os
import signal
import time

import pytest

import lab

FLOWS = 100
CHILDREN = ("vrrpd", "syncd", "natd", "ctld")


@pytest.fixture(scope="module")
def pair():
    with lab.NatPair(advertise="100ms", preempt="never") as pair:
        pair.start()
        pair.talkers = lab.Talkers(pair.client1, pair.client2, pair.outside,
                                   FLOWS)
        yield pair


@pytest.fixture
def nat1(pair):
    pair.make_master(pair.gateways[0])
    pair.talkers.mark()
    return pair.gateways[0]


def no_flow_lost(pair):
    flows = pair.talkers.settle()
    assert flows["lost"] == 0, flows


@pytest.mark.parametrize("name", CHILDREN)
@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGSEGV])
def test_a_dead_child_is_replaced(pair, nat1, name, sig):
    """Roles stay, addresses stay, no flow notices."""
    nat2 = pair.gateways[1]
    before = nat2.show("vrrp")["vrrp"]["transitions"]
    old = nat1.child(name)
    assert old is not None
    os.kill(old, sig)
    lab.wait_for(f"a new {name}", lambda: nat1.child(name) not in
                 (None, old), 5)
    lab.wait_for("hactl answers", nat1.answers, 5)
    lab.wait_for(f"{name} runs", lambda: [
        p["state"] for p in nat1.show("process")["processes"]
        if p["name"] == name] == ["running"], 5)
    assert nat1.is_master() and not nat2.holds()
    assert nat2.show("vrrp")["vrrp"]["transitions"] == before
    no_flow_lost(pair)
    pair.wait_ready(nat2)
    nat1.ctload("-s", "172.23.8.1", "-d", "172.24.8.1", "-t", "172.24.0.100",
                "-n", "20")
    pair.wait_equal()
    nat1.ctload("-s", "172.23.8.1", "-d", "172.24.8.1", "-n", "20", "-o",
                "delete")


def test_a_hung_vrrpd_loses_its_lease(pair, nat1):
    """The parent withdraws the addresses; two masters never show."""
    nat2 = pair.gateways[1]
    child = nat1.child("vrrpd")
    os.kill(child, signal.SIGSTOP)
    try:
        lab.wait_for("nat2: master", nat2.is_master, 5)
        lab.wait_for("nat1: no address", lambda: not nat1.holds(), 2)
    finally:
        if nat1.child("vrrpd") == child:
            os.kill(child, signal.SIGCONT)
    no_flow_lost(pair)
    pair.wait_ready(nat1, 30)
    assert nat2.is_master() and not nat1.holds()


def test_a_silent_child_is_named_where_one_looks(pair, nat1):
    """hactl does not get its rows; the hint leads to the reason."""
    child = nat1.child("natd")
    os.kill(child, signal.SIGSTOP)
    try:
        lab.wait_for("it is shown", lambda: "silent" in
                     nat1.hactl("show", "process", check=False).stdout, 6)
        row = [line for line in nat1.hactl("show", "process").stdout
               .splitlines() if line.startswith("natd")][0]
        assert "no answer for" in row
        summary = nat1.hactl("show", "summary", check=False).stdout
        named = [line for line in summary.splitlines()
                 if line.startswith("  natd")]
        assert len(named) == 1 and "no answer for" in named[0], summary
    finally:
        os.kill(child, signal.SIGCONT)
    lab.wait_for("it runs again", lambda: "silent" not in
                 nat1.hactl("show", "process").stdout, 5)
    assert nat1.child("natd") == child


def test_a_dead_hagwd_leaves_no_address_behind(pair, nat1):
    """Cables stay plugged, so only the kernel can take the addresses."""
    nat2 = pair.gateways[1]
    nat1.kill9()
    lab.wait_for("nat2: master", nat2.is_master, 5)
    lab.wait_for("nat1: no address", lambda: not nat1.holds(), 4)
    assert pair.talkers.settle(15)["lost"] == 0
    nat1.start_hagwd()
    pair.wait_ready(nat1)
    assert nat2.is_master() and not nat1.holds()
    pair.wait_equal()


def test_one_that_returns_within_the_lifetime_stays_backup(pair, nat1):
    """Its addresses are still there, but another is master by now."""
    nat2 = pair.gateways[1]
    nat1.kill9()
    lab.wait_for("nat2: master", nat2.is_master, 5)
    nat1.start_hagwd()
    pair.wait_ready(nat1)
    assert nat2.is_master() and not nat1.holds()
    assert nat2.show("vrrp")["vrrp"]["role"] == "MASTER"
    assert pair.talkers.settle(15)["lost"] == 0
    pair.wait_equal()


def test_a_quick_restart_adopts_what_is_there(pair, nat1):
    """As under an init that restarts at once. Flows go on meanwhile."""
    nat1.kill9()
    nat1.start_hagwd()
    lab.wait_for("one master", lambda: len(pair.masters()) == 1, 10)
    pair.wait_ready(pair.other(pair.master()))
    assert pair.talkers.settle(15)["lost"] == 0


def test_an_adopted_master_announces():
    """Neighbours may believe another meanwhile; and each minute is due."""
    with lab.NatPair(advertise="1s", preempt="never") as pair:
        pair.start()
        nat1 = pair.gateways[0]
        lab.wait_for("nat1: master", nat1.is_master, 10)
        time.sleep(6.5)  # its first rounds, and those 5 s later
        arp = pair.lab.switch.start(["tcpdump", "-i", "nat1.eth0", "-n",
                                     "-l", "arp"], "tcpdump")
        lab.wait_for("tcpdump", lambda: "listening" in arp.log(), 5)
        nat1.kill9()
        nat1.start_hagwd()
        lab.wait_for("an announcement", lambda: "who-has 172.23.0.100 " in
                     arp.log(), 5)
        vrrp = nat1.show("vrrp")["vrrp"]
        assert (vrrp["role"], vrrp["transitions"]) == ("MASTER", 0)


def test_log_verbose_is_for_new_children_too(pair, nat1):
    nat1.hactl("log", "verbose")
    try:
        before = len(nat1.hagwd.log())
        os.kill(nat1.child("syncd"), signal.SIGKILL)
        lab.wait_for("a line of detail", lambda: "bulk, generation" in
                     nat1.hagwd.log()[before:], 10)
    finally:
        nat1.hactl("log", "brief")
    no_flow_lost(pair)


def test_a_site_file_that_is_a_link(pair, nat1):
    """A reload reads where it leads now."""
    nat2 = pair.gateways[1]
    plain, link = nat2.site, nat2.site.with_name("link.yaml")
    other = nat2.site.with_name("other.yaml")
    link.symlink_to(plain)
    nat2.stop_hagwd()
    nat2.site = link
    try:
        nat2.start_hagwd()
        pair.wait_ready(nat2)
        other.write_text(plain.read_text() + "  forward: [{ name: web, "
                         "on: net2, port: tcp/8080, to: 172.23.0.20 }]\n")
        link.unlink()
        link.symlink_to(other)
        nat2.hactl("reload")
        rules = nat2.show("nat")["rules"]
        assert {rule["name"] for rule in rules} == {"out", "web"}
    finally:
        nat2.stop_hagwd()
        nat2.site = plain
        nat2.start_hagwd()
        link.unlink()
    pair.wait_ready(nat2)


def test_a_hagwd_that_paused_blames_nobody(pair, nat1):
    """It was not there to hear its children's answers."""
    nat2 = pair.gateways[1]
    pair.wait_ready(nat2)
    hagwd, *children = nat2.hagw_pids()
    os.kill(hagwd, signal.SIGSTOP)
    try:
        time.sleep(12)
    finally:
        os.kill(hagwd, signal.SIGCONT)
    time.sleep(1.5)  # its next round of pings
    assert sorted(nat2.hagw_pids()[1:]) == sorted(children)
    pair.wait_ready(nat2)
    no_flow_lost(pair)


def grace(gw):
    """The set's elements as nft prints them, "" for none."""
    text = gw.run(["nft", "list", "set", "inet", "hagw", "grace"]).stdout
    return text.partition("elements")[2]


def has_end(gw):
    return "expires" in grace(gw)


def is_open(gw):
    return "ipv4" in grace(gw) and not has_end(gw)


def test_the_grace_is_open_before_a_takeover(pair, nat1):
    """As MASTER it gets its end, also when natd dies; as BACKUP none."""
    nat2 = pair.gateways[1]
    lab.wait_for("nat2: open", lambda: is_open(nat2), 5)
    nat1.hactl("failover", timeout=30)
    pair.wait_master(nat2, 5)
    assert "ipv4" in grace(nat2)
    old = nat2.child("natd")
    os.kill(old, signal.SIGKILL)
    lab.wait_for("nat2: an end", lambda: has_end(nat2), 5)
    lab.wait_for("nat1: open", lambda: is_open(nat1), 5)
    pair.wait_ready(nat1)
    assert not nat1.show("nat")["nat"]["takeover_grace"]


SERVER = """
import socket, time
s = socket.create_server(("172.24.0.20", 7801))
for _ in range(2):
    c, _ = s.accept()
    c.sendall(c.recv(1))
    c.recv(1)
    c.close()
print("served", flush=True)
time.sleep(60)
"""
CLIENT = """
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("172.23.0.20", 7802))
s.settimeout(5)
s.connect(("172.24.0.20", 7801))
s.sendall(b"x")
s.recv(1)
s.close()
"""


def closing_time(gw):
    """Seconds left of the flow to port 7801, None: there is none."""
    for line in gw.run(["conntrack", "-L", "-p", "tcp", "--dport",
                        "7801"]).stdout.splitlines():
        return int(line.split()[2])
    return None


def closing_sysctls(gateways, time_wait, last_ack):
    name = "net.netfilter.nf_conntrack_tcp_timeout_"
    for gw in gateways:
        gw.sysctl(name + "time_wait", time_wait)
        gw.sysctl(name + "last_ack", last_ack)


def test_a_flow_that_is_over_ends_by_itself_at_the_standby(pair, nat1):
    """As soon as at its owner, who does not tell; and gives way to the next
    flow with its addresses and ports."""
    nat2 = pair.gateways[1]
    pair.wait_ready(nat2)
    server = pair.client2.start(["/usr/bin/python3", "-c", SERVER], "closing")
    try:
        lab.wait_for("a server", lambda: "7801" in pair.client2.run(
            ["ss", "-ltn"]).stdout, 5)
        pair.client1.python(CLIENT)
        lab.wait_for("nat2: it is over", lambda: "LAST_ACK" in nat2.run(
            ["conntrack", "-L", "-p", "tcp", "--dport", "7801"]).stdout, 5)
        ours, theirs = closing_time(nat1), closing_time(nat2)
        assert 100 < theirs <= 120 and abs(ours - theirs) <= 3
        closing_sysctls((nat1, nat2), 3, 3)
        time.sleep(11)  # hagwd looks each 10 s
        pair.client1.python(CLIENT)  # the kernel knows it in TIME_WAIT
        lab.wait_for("nat2: the next", lambda: (closing_time(nat2) or 99) <= 3,
                     3)
        lab.wait_for("nat2: none", lambda: closing_time(nat2) is None, 6)
        assert closing_time(nat1) is None
    finally:
        server.stop()
        closing_sysctls((nat1, nat2), 120, 30)


def test_no_mastership_before_the_ruleset_is_in():
    """A flow forwarded without it would stay untranslated for life."""
    with lab.NatPair(advertise="10ms", preempt="never") as pair:
        gw = pair.gateways[0]
        forwards = "".join(
            f"    - {{ name: f{port}, on: net2, port: tcp/{port}, "
            'to: "172.23.0.20:80" }\n' for port in range(10000, 40000))
        gw.site.write_text(gw.site.read_text() + "\n  forward:\n" + forwards)
        gw.start_hagwd()
        lab.wait_for("master", gw.is_master, 15)
        log = gw.hagwd.log()
        assert log.index("table hagw: loaded") < log.index("MASTER net1")
