"""The NAT ruleset, judged by packets: a gateway, a host outside, two inside.

natload (natload.c) plans a site, encodes it, has it checked as hagwd would
and sends it; everything else here is plain sockets in network namespaces.
"""

import contextlib
import ctypes
import os
import pathlib
import shlex
import socket
import struct
import subprocess
import time

import pytest

from lab import Lab as Hosts

TOP = pathlib.Path(__file__).resolve().parents[2]
LIBS = "libmnl libnftnl libbsd yaml-0.1 libseccomp libsodium libevent"
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)

OUT_VIP, OUT_HOST = "192.168.255.250", "192.168.255.99"
IN_VIP, SERVER, CLIENT = "10.0.0.3", "10.0.0.20", "10.0.0.50"

SITE = """\
site: ruleset
nodes:
  fw-1: { priority: 200 }
  fw-2: { priority: 100 }
networks:
  outside:
    interface: ens2
    address: { fw-1: 192.168.255.11/24, fw-2: 192.168.255.22/24 }
    vip: 192.168.255.250
    vrid: 22
  inside:
    interface: ens4
    address: { fw-1: 10.0.0.1/24, fw-2: 10.0.0.2/24 }
    vip: 10.0.0.3
    vrid: 11
  sync:
    interface: ens3
    address: { fw-1: 172.30.16.1/30, fw-2: 172.30.16.2/30 }
ha:
  networks: [outside, inside]
  preempt: never
sync:
  over: [sync]
nat:
  source:
    - { name: lan, from: inside, to: outside, address: vip }
  forward:
    - { name: https, on: outside, port: tcp/443, to: 10.0.0.20, hairpin: true }
    - { name: alt, on: outside, port: tcp/2222, to: 10.0.0.20:22 }
    - { name: rtp, on: outside, port: udp/10000-10100, to: 10.0.0.20 }
    - { name: moved, on: outside, port: tcp/7000-7009, to: 10.0.0.20:8000 }
"""
MORE = SITE + "    - { name: smtp, on: outside, port: tcp/25, to: 10.0.0.20 }\n"


def sh(cmd, check=True):
    r = subprocess.run(shlex.split(cmd), capture_output=True, text=True)
    if check and r.returncode != 0:
        raise AssertionError(f"{cmd}: {r.stderr.strip()}")
    return r


@contextlib.contextmanager
def inside_ns(ns):
    """This thread in another namespace; sockets made there stay there."""
    with open("/proc/thread-self/ns/net") as home, \
            open(f"/run/netns/{ns}") as there:
        assert libc.setns(there.fileno(), CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), CLONE_NEWNET) == 0


class Lab:
    def __init__(self, tmp):
        self.tmp = tmp
        self.hosts = Hosts()
        self.sw = self.hosts.switch.ns
        self.gw, self.out, self.srv, self.cli, self.peer = [
            self.hosts.host(n).ns for n in ("gw", "out", "srv", "cli", "peer")]

    def cable(self, a, aname, b, bname):
        sh(f"ip -n {a} link add {aname} type veth peer name {bname} "
           f"netns {b}")
        sh(f"ip -n {a} link set {aname} up")
        sh(f"ip -n {b} link set {bname} up")

    def build(self):
        self.cable(self.gw, "ens2", self.out, "eth0")
        self.cable(self.gw, "ens3", self.peer, "eth0")
        sh(f"ip -n {self.sw} link add br0 type bridge")
        sh(f"ip -n {self.sw} link set br0 up")
        for ns, name, port in ((self.gw, "ens4", "p0"),
                               (self.srv, "eth0", "p1"),
                               (self.cli, "eth0", "p2")):
            self.cable(ns, name, self.sw, port)
            sh(f"ip -n {self.sw} link set {port} master br0")
        for ns, dev, addr in (
                (self.gw, "ens2", "192.168.255.11/24"),
                (self.gw, "ens2", f"{OUT_VIP}/32"),
                (self.gw, "ens4", "10.0.0.1/24"),
                (self.gw, "ens4", f"{IN_VIP}/32"),
                (self.gw, "ens3", "172.30.16.1/30"),
                (self.peer, "eth0", "172.30.16.2/30"),
                (self.out, "eth0", f"{OUT_HOST}/24"),
                (self.srv, "eth0", f"{SERVER}/24"),
                (self.cli, "eth0", f"{CLIENT}/24")):
            sh(f"ip -n {ns} addr add {addr} dev {dev}")
        for ns in (self.srv, self.cli):
            sh(f"ip -n {ns} route add default via {IN_VIP}")
        self.sysctl("net.ipv4.ip_forward=1")
        self.sysctl("net.netfilter.nf_conntrack_events=1")

    def sysctl(self, setting):
        sh(f"ip netns exec {self.gw} sysctl -qw {setting}")

    def natload(self, *args, check=True):
        return sh(f"ip netns exec {self.gw} {self.tmp}/natload "
                  + " ".join(map(str, args)), check)

    def load(self):
        (self.tmp / "site.yaml").write_text(SITE)
        self.natload("full", self.tmp / "site.yaml", "fw-1")

    def grace(self, ms):
        self.natload("grace", self.tmp / "site.yaml", "fw-1", ms)

    def flush_flows(self):
        sh(f"ip netns exec {self.gw} conntrack -F", check=False)

    def flows(self, *args):
        return sh(f"ip netns exec {self.gw} conntrack -L {' '.join(args)}",
                  check=False).stdout

    def nft(self, cmd):
        return sh(f"ip netns exec {self.gw} nft {cmd}").stdout

    def close(self):
        self.hosts.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root for network namespaces")
    tmp = tmp_path_factory.mktemp("natrs")
    sh(f"make -s -C {TOP} build/libnatd.a build/libhagwd.a "
       "build/libcommon.a")
    libs = sh(f"pkg-config --cflags --libs {LIBS}").stdout
    sh(f"cc -std=gnu17 -D_GNU_SOURCE -I{TOP} -I{TOP}/common "
       f"-o {tmp}/natload {TOP}/regress/integration/natload.c "
       f"{TOP}/build/libnatd.a {TOP}/build/libhagwd.a "
       f"{TOP}/build/libcommon.a {libs}")
    lab = Lab(tmp)
    try:
        lab.build()
        yield lab
    finally:
        lab.close()


@pytest.fixture(autouse=True)
def fresh(lab):
    """Each test starts with the whole table anew and no flow."""
    lab.load()
    lab.flush_flows()


def listen(ns, addr, port):
    with inside_ns(ns):
        s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((addr, port))
    s.listen()
    s.settimeout(3)
    return s


def connect(ns, addr, port, source=None):
    with inside_ns(ns):
        s = socket.socket()
    s.settimeout(3)
    if source:
        s.bind(source)
    s.connect((addr, port))
    return s


def udp(ns, addr=None):
    with inside_ns(ns):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    if addr:
        s.bind(addr)
    return s


def talk(server, client):
    """Both directions; returns who the server thinks the client is."""
    conn, who = server.accept()
    conn.settimeout(3)
    client.sendall(b"ping")
    assert conn.recv(10) == b"ping"
    conn.sendall(b"pong")
    assert client.recv(10) == b"pong"
    conn.close()
    client.close()
    return who


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


FIN, SYN, RST, ACK = 1, 2, 4, 16


def segment(src, dst, flags, seq=1000, ack=2000):
    """A TCP segment out of nowhere; src and dst are (address, port)."""
    tcp = struct.pack("!HHIIBBHHH", src[1], dst[1], seq, ack, 5 << 4, flags,
                      4096, 0, 0)
    pseudo = socket.inet_aton(src[0]) + socket.inet_aton(dst[0]) \
        + struct.pack("!BBH", 0, 6, len(tcp))
    return tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]


class Sniffer:
    """TCP segments a host receives, also those for no socket."""

    def __init__(self, ns):
        with inside_ns(ns):
            self.s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 6)
        self.s.settimeout(0.05)

    def send(self, src, dst, flags):
        self.s.sendto(segment(src, dst, flags), (dst[0], 0))

    def seen(self, sport=None, dport=None, wait=0.4):
        """The first match: (source, sport, dport, flags), or None."""
        end = time.monotonic() + wait
        while time.monotonic() < end:
            try:
                p = self.s.recv(2048)
            except TimeoutError:
                continue
            tcp = p[(p[0] & 15) * 4:]
            sp, dp = struct.unpack("!HH", tcp[:4])
            if sport in (None, sp) and dport in (None, dp):
                return socket.inet_ntoa(p[12:16]), sp, dp, tcp[13]
        return None

    def close(self):
        self.s.close()


class Events:
    """Conntrack events of the gateway, counted."""

    def __init__(self, lab):
        with inside_ns(lab.gw):
            self.s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        self.s.bind((0, 0b111))  # new, update, destroy
        self.s.settimeout(0.3)

    def messages(self):
        found = []
        while True:
            try:
                data = self.s.recv(65536)
            except TimeoutError:
                return found
            while len(data) >= 16:
                size = struct.unpack_from("=I", data)[0]
                found.append(data[:size])
                data = data[(size + 3) & ~3:]

    def count(self):
        return len(self.messages())

    def close(self):
        self.s.close()


def hits(lab, kind, word):
    """The packet counter of the map element that has this word in it."""
    out = lab.nft(f"list map inet hagw {kind}").replace("\n", " ")
    out = out[out.index("elements"):]
    for elem in out.split(","):
        if word in elem:
            return int(elem.split("packets")[1].split()[0])
    raise AssertionError(f"{word} not in {kind}")


def test_source_goes_out_with_the_vip(lab):
    server = listen(lab.out, OUT_HOST, 80)
    who = talk(server, connect(lab.cli, OUT_HOST, 80))
    assert who[0] == OUT_VIP
    assert hits(lab, "src4", "10.0.0.0/24") == 1


def test_exact_forward(lab):
    server = listen(lab.srv, SERVER, 22)
    who = talk(server, connect(lab.out, OUT_VIP, 2222))
    assert who[0] == OUT_HOST, "a forward does not hide its client"
    assert hits(lab, "fwd4", "2222") == 1
    assert hits(lab, "fwd4", ". 443 counter") == 0


def test_range_keeps_the_port(lab):
    server = udp(lab.srv, (SERVER, 10077))
    client = udp(lab.out)
    client.sendto(b"a", (OUT_VIP, 10077))
    data, who = server.recvfrom(10)
    server.sendto(b"b", who)
    assert client.recvfrom(10) == (b"b", (OUT_VIP, 10077))
    assert hits(lab, "fwd4r", "10000-10100") == 1


def test_shifted_range(lab):
    server = listen(lab.srv, SERVER, 8004)
    assert talk(server, connect(lab.out, OUT_VIP, 7004))[0] == OUT_HOST
    with pytest.raises(ConnectionRefusedError):
        connect(lab.out, OUT_VIP, 7010)


def test_hairpin_comes_from_the_inside_vip(lab):
    server = listen(lab.srv, SERVER, 443)
    assert talk(server, connect(lab.cli, OUT_VIP, 443))[0] == IN_VIP
    # and who comes from outside keeps its address
    assert talk(server, connect(lab.out, OUT_VIP, 443))[0] == OUT_HOST


def test_the_gateway_itself_is_not_translated(lab):
    sh(f"ip -n {lab.out} route replace 10.0.0.1 via 192.168.255.11")
    server = listen(lab.out, OUT_HOST, 81)
    client = connect(lab.gw, OUT_HOST, 81, ("10.0.0.1", 0))
    assert talk(server, client)[0] == "10.0.0.1"


def test_unknown_segment_at_a_vip_draws_no_reset(lab):
    s = Sniffer(lab.out)
    for flags in (ACK, FIN | ACK, SYN | ACK):
        s.send((OUT_HOST, 5001), (OUT_VIP, 9999), flags)
        assert s.seen(9999, 5001) is None
    # the node's own address is not guarded: there it is the usual RST
    s.send((OUT_HOST, 5002), ("192.168.255.11", 9999), ACK)
    assert s.seen(9999, 5002)[3] & RST
    s.close()


def test_a_closed_port_at_a_vip_answers_a_syn(lab):
    with pytest.raises(ConnectionRefusedError):
        connect(lab.out, OUT_VIP, 9998)


def test_a_service_at_a_vip_works(lab):
    server = listen(lab.gw, OUT_VIP, 53)
    assert talk(server, connect(lab.out, OUT_VIP, 53))[0] == OUT_HOST


def test_port_unreachable_is_held_back_in_the_grace(lab):
    def refused():
        c = udp(lab.out)
        c.connect((OUT_VIP, 5353))
        c.settimeout(0.4)
        c.send(b"x")
        try:
            c.recv(10)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False

    assert refused()
    lab.grace(1500)
    assert not refused()
    time.sleep(1.6)
    assert refused()


def test_midstream_is_reset_except_in_the_grace(lab):
    cli, out = Sniffer(lab.cli), Sniffer(lab.out)

    def try_one(sport, flags=ACK):
        cli.send((CLIENT, sport), (OUT_HOST, 4444), flags)
        passed = out.seen(None, 4444)
        answer = cli.seen(4444, sport)
        return passed, answer

    passed, answer = try_one(6001)
    assert passed is None and answer[3] & RST
    passed, answer = try_one(6002, FIN | ACK)
    assert passed is None and answer[3] & RST
    lab.grace(3000)
    passed, _ = try_one(6003)
    assert passed[0] == OUT_VIP, "picked up, and translated again"
    time.sleep(3.1)
    passed, answer = try_one(6004)
    assert passed is None and answer[3] & RST
    cli.close()
    out.close()


def test_midstream_to_a_forward_is_reset_by_the_vip(lab):
    out, srv = Sniffer(lab.out), Sniffer(lab.srv)
    out.send((OUT_HOST, 6100), (OUT_VIP, 443), ACK)
    answer = out.seen(443, 6100)
    assert answer[0] == OUT_VIP and answer[3] & RST
    assert srv.seen(6100, 443) is None
    out.close()
    srv.close()


def test_a_reset_is_never_answered(lab):
    cli = Sniffer(lab.cli)
    cli.send((CLIENT, 6200), (OUT_HOST, 4444), RST | ACK)
    assert cli.seen(4444, 6200) is None
    cli.close()


def test_own_traffic_is_not_tracked(lab):
    a = udp(lab.gw, ("172.30.16.1", 3780))
    b = udp(lab.peer, ("172.30.16.2", 3780))
    a.sendto(b"x", ("172.30.16.2", 3780))
    assert b.recv(10) == b"x"
    b.sendto(b"y", ("172.30.16.1", 3780))
    assert a.recv(10) == b"y"
    with inside_ns(lab.gw):
        vrrp = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
    vrrp.sendto(b"v" * 20, (OUT_HOST, 0))
    assert "3780" not in lab.flows("-p", "udp")
    assert "unknown  112" not in lab.flows()
    # another port on the same link is tracked: the rule is what did it
    c = udp(lab.gw, ("172.30.16.1", 3781))
    c.sendto(b"x", ("172.30.16.2", 3781))
    assert "3781" in lab.flows("-p", "udp")


def test_forwarded_to_the_sync_port_is_translated(lab):
    """Only what is for the gateway itself is its own traffic."""
    (lab.tmp / "site.yaml").write_text(
        SITE.replace("over: [sync]", "over: [inside]"))
    lab.natload("full", lab.tmp / "site.yaml", "fw-1")
    server, client = udp(lab.out, (OUT_HOST, 3780)), udp(lab.cli)
    client.sendto(b"x", (OUT_HOST, 3780))
    assert server.recvfrom(10)[1][0] == OUT_VIP
    own = udp(lab.gw, ("10.0.0.1", 3780))
    lab.flush_flows()
    client.sendto(b"x", ("10.0.0.1", 3780))
    assert own.recv(10) == b"x"
    assert "3780" not in lab.flows("-p", "udp")


def test_a_forwarded_connection_has_two_events(lab):
    source = listen(lab.out, OUT_HOST, 80)
    forward = listen(lab.srv, SERVER, 443)
    for server, client, addr in ((source, lab.cli, (OUT_HOST, 80)),
                                 (forward, lab.out, (OUT_VIP, 443))):
        ev = Events(lab)
        talk(server, connect(client, *addr))
        time.sleep(0.2)
        lab.flush_flows()
        assert ev.count() == 2, "assured and over; its end is not told"
        ev.close()


def attribute(message, *path):
    """An attribute of a conntrack event, or None."""
    attrs = message[20:]
    for want in path:
        while attrs:
            size, kind = struct.unpack_from("=HH", attrs)
            if kind & 0x3FFF == want:
                attrs = attrs[4:size]
                break
            attrs = attrs[(size + 3) & ~3:]
        else:
            return None
    return attrs


def tcp_state(message):
    state = attribute(message, 4, 1, 1)  # CTA_PROTOINFO, _TCP, _TCP_STATE
    return state and state[0]


def is_over(message):
    """As syncd reads it: FINs from both sides, and a state to match, if
    the packet has changed it, else no RST."""
    labels, state = attribute(message, 22), tcp_state(message)  # CTA_LABELS
    return (labels is not None and labels[15] & 0x60 == 0x60 and
            (state in (LAST_ACK, TIME_WAIT, CLOSE) if state is not None
             else not labels[15] & 0x10))


def is_destroy(message):
    return struct.unpack_from("=H", message, 4)[0] == 0x102


LAST_ACK, TIME_WAIT, CLOSE = 6, 7, 8


@contextlib.contextmanager
def foreign(ns, hook, *rules, policy="accept", needs=None):
    """Somebody else's table on that host, for a while."""
    nft = f"ip netns exec {ns} nft "
    sh(nft + "add table inet t")
    try:
        if needs:
            sh(nft + "add " + needs)
        sh(nft + f"add chain inet t c {{ type filter hook {hook} priority 0; "
           f"policy {policy}; }}")
        for rule in rules:
            sh(nft + "add rule inet t c " + rule)
        yield
    finally:
        sh(nft + "delete table inet t")


def open_flow(lab, injected=False):
    """Both ends of a connection through the gateway, whose entry there is
    one that came in by netlink if wanted: every event is its own."""
    server = listen(lab.out, OUT_HOST, 80)
    client = connect(lab.cli, OUT_HOST, 80)
    conn, _ = server.accept()
    client.sendall(b"ping")
    assert conn.recv(10) == b"ping"
    if injected:
        flow = lab.flows("-p", "tcp", "--state", "ESTABLISHED").split()
        sport, dport = [f.split("=")[1] for f in flow if "port=" in f][:2]
        assert int(dport) == 80
        lab.sysctl("net.netfilter.nf_conntrack_tcp_be_liberal=1")
        lab.flush_flows()
        sh(f"ip netns exec {lab.gw} conntrack -I -p tcp -s {CLIENT} "
           f"-d {OUT_HOST} --sport {sport} --dport 80 "
           f"--state ESTABLISHED -u SEEN_REPLY,ASSURED -t 600 "
           f"--src-nat {OUT_VIP}")
    return conn, client


@pytest.mark.parametrize("from_server", [False, True])
@pytest.mark.parametrize("injected", [False, True])
def test_the_second_fin_is_told(lab, from_server, injected):
    """With the state it has led to; then nothing, not even the end."""
    conn, client = open_flow(lab, injected)
    ev = Events(lab)
    first, second = (conn, client) if from_server else (client, conn)
    first.close()
    messages = ev.messages()
    assert not any(is_over(m) for m in messages), "half closed only"
    assert injected or not messages
    second.close()
    messages = ev.messages()
    assert [is_over(m) for m in messages] == [True]
    assert tcp_state(messages[0]) == LAST_ACK
    lab.flush_flows()
    assert not ev.messages()
    ev.close()


@pytest.mark.parametrize("from_server", [False, True])
@pytest.mark.parametrize("after_fin", [False, True])
def test_a_reset_is_told_and_the_end_after_it(lab, from_server, after_fin):
    conn, client = open_flow(lab)
    ev = Events(lab)
    first, second = (conn, client) if from_server else (client, conn)
    if after_fin:
        second.shutdown(socket.SHUT_WR)
        assert not ev.messages()
    first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     struct.pack("ii", 1, 0))
    first.close()
    messages = ev.messages()
    assert [tcp_state(m) for m in messages] == [CLOSE]
    assert not is_over(messages[0])
    lab.flush_flows()
    assert [is_destroy(m) for m in ev.messages()] == [True]
    second.close()
    ev.close()


@pytest.mark.parametrize("end", [False, True])
def test_a_fin_repeated_is_not_a_second_one(lab, end):
    """The kernel goes to LAST_ACK by it, but one side still sends."""
    conn, client = open_flow(lab)
    ev = Events(lab)
    with foreign(lab.cli, "input", policy="drop"):
        client.shutdown(socket.SHUT_WR)
        time.sleep(1)  # the FIN is repeated after 0.2 s and 0.6
    assert "ESTABLISHED" not in lab.flows("-p", "tcp")
    assert not ev.messages()
    conn.sendall(b"still here")
    assert client.recv(20) == b"still here"
    if end:
        conn.close()
        messages = ev.messages()
        assert [is_over(m) for m in messages] == [True]
        assert tcp_state(messages[0]) is None, "it was LAST_ACK before"
    lab.flush_flows()
    assert [is_destroy(m) for m in ev.messages()] == [True] * (not end)
    ev.close()


def test_fins_that_crossed_have_their_end_told(lab):
    """Two processors saw one each, and neither the other's label: a FIN
    repeated must not take away the end that was to be told."""
    conn, client = open_flow(lab)
    ev = Events(lab)
    with foreign(lab.gw, "forward", "ct label set 125", "ct label set 126"):
        client.sendall(b"x")
        assert conn.recv(10) == b"x"
        client.close()
        conn.close()
        ev.messages()
        lab.flush_flows()
        assert [is_destroy(m) for m in ev.messages()] == [True]
    ev.close()


def test_a_flow_with_a_helper_has_its_end_told(lab):
    """What a helper drops nobody sees, and the event of that packet."""
    helper = "ct helper inet t h { type '\"ftp\"' protocol tcp; }"
    with foreign(lab.gw, "prerouting", "tcp dport 80 ct helper set h",
                 needs=helper):
        conn, client = open_flow(lab)
        ev = Events(lab)
        client.close()
        conn.close()
        assert not any(is_over(m) for m in ev.messages())
        lab.flush_flows()
        assert [is_destroy(m) for m in ev.messages()] == [True]
        ev.close()


def vanish(s):
    """Closed, and not a word said."""
    s.setsockopt(socket.IPPROTO_TCP, 19, 1)  # TCP_REPAIR
    s.close()


def test_ports_used_again_after_a_last_ack_was_lost(lab):
    """The kernel keeps the entry, which was over; the flow is not."""
    conn, client = open_flow(lab)
    source = client.getsockname()
    ev = Events(lab)
    conn.close()
    with foreign(lab.out, "output", policy="drop"):
        client.shutdown(socket.SHUT_WR)
        time.sleep(0.1)
        vanish(client)
    assert [is_over(m) for m in ev.messages()] == [True]
    assert "LAST_ACK" in lab.flows("-p", "tcp")
    server = listen(lab.out, OUT_HOST, 80)
    client = connect(lab.cli, OUT_HOST, 80, source)
    messages = ev.messages()
    assert len(messages) == 1 and not is_over(messages[0])
    conn, _ = server.accept()
    client.sendall(b"again")
    assert conn.recv(10) == b"again"
    lab.flush_flows()
    assert [is_destroy(m) for m in ev.messages()] == [True]
    ev.close()


def test_a_fin_that_others_drop_ends_nothing(lab):
    conn, client = open_flow(lab)
    ev = Events(lab)
    with foreign(lab.gw, "forward",
                 "tcp flags & fin == fin tcp sport 80 drop"):
        client.close()
        conn.close()
        time.sleep(0.3)
        assert "ESTABLISHED" not in lab.flows("-p", "tcp")
        lab.flush_flows()
        assert [is_destroy(m) for m in ev.messages()] == [True]
    ev.close()


def test_udp_is_announced_from_its_first_packet(lab):
    server = udp(lab.srv, (SERVER, 10001))
    client = udp(lab.out)
    ev = Events(lab)
    client.sendto(b"a", (OUT_VIP, 10001))
    _, who = server.recvfrom(10)
    assert ev.count() == 1
    server.sendto(b"b", who)
    client.recv(10)
    assert ev.count() == 1
    ev.close()


def test_local_connections_are_silent(lab):
    at_vip = listen(lab.gw, OUT_VIP, 53)
    away = listen(lab.out, OUT_HOST, 82)
    ev = Events(lab)
    talk(at_vip, connect(lab.out, OUT_VIP, 53))
    talk(away, connect(lab.gw, OUT_HOST, 82))
    lab.flush_flows()
    assert ev.count() == 0
    ev.close()


def test_a_change_touches_its_element_alone(lab):
    (lab.tmp / "more.yaml").write_text(MORE)
    server = listen(lab.srv, SERVER, 443)
    talk(server, connect(lab.out, OUT_VIP, 443))
    out = lab.natload("delta", lab.tmp / "site.yaml",
                      lab.tmp / "more.yaml", "fw-1").stdout
    # begin, element, marker out and in, end
    assert out.split()[1] == "5"
    assert hits(lab, "fwd4", ". 443 counter") == 1, "counted before"
    smtp = listen(lab.srv, SERVER, 25)
    talk(smtp, connect(lab.out, OUT_VIP, 25))
    lab.natload("delta", lab.tmp / "more.yaml", lab.tmp / "site.yaml",
                "fw-1")
    with pytest.raises(ConnectionRefusedError):
        connect(lab.out, OUT_VIP, 25)


def test_a_batch_that_does_not_fit_changes_nothing(lab):
    (lab.tmp / "more.yaml").write_text(MORE)
    before = lab.nft("list table inet hagw")
    r = lab.natload("delta", lab.tmp / "more.yaml", lab.tmp / "site.yaml",
                    "fw-1", check=False)
    assert r.returncode == 1 and "fwd4" in r.stderr
    assert lab.nft("list table inet hagw") == before
