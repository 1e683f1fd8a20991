"""Gateways with rules of their own beside hagw's, as people have them: a
stateful filter that drops what it does not know, and connections marked for
policy routes. Both go by what the kernel knows of a flow, so a takeover is
good only when the standby's kernel knows the same.
"""
import json
import re
import sys

import pytest

import lab

FLOWS = 200
SETTLE_S = 40  # only a limit: how long it takes is for other tests
LATER = 0x10   # a mark that established flows get
OWN = """\
table inet own {
    counter marked { }
    counter unmarked { }
    chain pre {
        type filter hook prerouting priority mangle;
        tcp flags & (fin | syn | rst | ack) == syn ct state new \\
            meta mark set numgen inc mod 10 map { 0-6: 1, 7-9: 2 }
        ct mark 0 ct mark set meta mark
        ct state established,related meta mark set ct mark
    }
    chain later { }
    chain forward {
        type filter hook forward priority filter; policy drop;
        jump later
        meta l4proto tcp meta mark 0 counter name unmarked
        meta l4proto tcp meta mark != 0 counter name marked
        ct state related accept
        iifname eth1 ct state established accept
        iifname eth0 tcp dport 7000 ct state new \\
            tcp flags & (fin | syn | rst | ack) == syn accept
        iifname eth0 udp dport 9000 ct state new accept
        iifname eth0 ct state established accept
    }
}
"""


def counter(gw, name):
    found = json.loads(gw.run(["nft", "-j", "list", "counter", "inet", "own",
                               name]).stdout)["nftables"]
    return found[1]["counter"]["packets"]


@pytest.fixture(scope="module")
def pair():
    with lab.NatPair(advertise="200ms", preempt="never") as pair:
        rules = pair.lab.dir / "own.nft"
        rules.write_text(OWN)
        for gw in pair.gateways:
            gw.run(["nft", "-f", rules])
        pair.start()
        pair.talkers = lab.Talkers(pair.client1, pair.client2, pair.outside,
                                   FLOWS, interval_us=50000)
        yield pair


@pytest.fixture
def nat1(pair):
    pair.make_master(pair.gateways[0])
    check(pair)
    return pair.gateways[0]


def check(pair):
    """Each flow speaks: nothing was dropped for good."""
    flows = pair.talkers.settle(SETTLE_S)
    assert flows["lost"] == 0 and flows["alive"] == FLOWS, flows
    assert flows["silent_now_ms"] < 1000, flows


def marks(pair):
    """Of the talking flows: the same in both kernels; all that there are."""
    flows = [line for line in pair.wait_equal(SETTLE_S, state=True)
             if ">172.24.0.20:7000 " in line]
    assert len(flows) == FLOWS
    return {int(re.search(r"mark=(0x\w+)", line)[1], 16) for line in flows}


def take_over(pair, how):
    """From nat1; nat2's counters, which begin at 0, are of its own reign."""
    nat1, nat2 = pair.gateways
    nat2.run(["nft", "reset", "counters", "table", "inet", "own"])
    if how == "failover":
        nat1.hactl("failover", timeout=30)
    else:
        nat1.crash()
    lab.wait_for("nat2: master", nat2.is_master, SETTLE_S)
    check(pair)
    return nat2


def later(gw, rule=""):
    """A rule before the others of the filter, instead of the last such."""
    gw.run(["nft", f"flush chain inet own later; {rule}"])


@pytest.mark.parametrize("how", ["failover", "crash"])
def test_filter_and_marks_know_the_flows(pair, nat1, how):
    assert marks(pair) == {1, 2}
    nat2 = take_over(pair, how)
    lab.wait_for("packets", lambda: counter(nat2, "marked") > FLOWS, SETTLE_S)
    assert counter(nat2, "unmarked") == 0


def test_advertisements_that_may_not_leave(pair, nat1):
    """One command says so, and what drops them."""
    def warnings():
        return [w for w in nat1.show("summary")["warnings"]
                if "cannot leave" in w["text"]]

    nat1.run(["nft", "add chain inet own out { type filter hook output "
              "priority filter; }; add rule inet own out oifname eth0 "
              "ip protocol vrrp drop"])
    lab.wait_for("a warning", warnings, 5)
    found, = warnings()
    assert found["object"] == "net1" and found["hint"] == "nft list ruleset"
    assert "a rule of this host drops IP protocol 112 on output" in \
        found["text"]
    nat1.run(["nft", "flush chain inet own out; "
              "delete chain inet own out"])
    lab.wait_for("no warning", lambda: not warnings(), 5)
    check(pair)


def test_a_mark_of_later(pair, nat1):
    """Of an established flow, by a rule; its changes are told as well."""
    assert marks(pair) == {1, 2}
    later(nat1, "add rule inet own later tcp sport 7000 ct mark < "
          f"{LATER} ct mark set ct mark | {LATER}")
    lab.wait_for("another mark in nat2's kernel",
                 lambda: marks(pair) == {LATER | 1, LATER | 2}, SETTLE_S, 0.2)
    later(nat1, f"add rule inet own later tcp sport 7000 ct mark >= {LATER} "
          f"ct mark set ct mark & {LATER - 1}")
    lab.wait_for("the mark of before", lambda: marks(pair) == {1, 2},
                 SETTLE_S, 0.2)
    later(nat1)


ANSWER_ONCE = """\
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9000))
data, peer = s.recvfrom(100)
s.sendto(peer[0].encode(), peer)
"""

# Refused is what the client is told by an ICMP error about its own socket.
ASK_UNTIL_REFUSED = """\
import pathlib, socket, sys, time
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9000))
s.send(b"?")
print("answer from", s.recv(100).decode(), flush=True)
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.1)
s.settimeout(1)
while True:
    try:
        s.send(b"?")
        s.recv(100)
    except socket.timeout:
        continue
    except ConnectionRefusedError:
        break
print("refused", flush=True)
"""


@pytest.mark.parametrize("how", ["failover", "crash"])
def test_an_error_about_a_flow_of_before(pair, nat1, how):
    """It is RELATED, and is translated back to who had the flow."""
    go = pair.lab.dir / f"go-{how}"
    server = pair.client2.start([sys.executable, "-c", ANSWER_ONCE,
                                 pair.outside], "answer")
    lab.wait_for("server: listens", lambda: ":9000" in pair.client2.run(
        ["ss", "-lnu"]).stdout, SETTLE_S, 0.1)
    client = pair.client1.start([sys.executable, "-c", ASK_UNTIL_REFUSED,
                                 pair.outside, go], f"ask-{how}")
    lab.wait_for("an answer", lambda: "answer from 172.24.0.100"
                 in client.log(), SETTLE_S, 0.1)
    server.wait(SETTLE_S)
    pair.wait_equal(SETTLE_S)
    later(pair.gateways[1],
          "add rule inet own later udp dport 9000 ct state new drop")
    nat2 = take_over(pair, how)
    go.touch()
    lab.wait_for("refused", lambda: "refused" in client.log(), SETTLE_S, 0.1)
    later(nat2)
    client.stop()
    server.stop()
