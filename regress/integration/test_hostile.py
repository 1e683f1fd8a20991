"""A child that was taken over gains nothing: its place on the socketpair is
taken by a program that sends what an attacker would. What it may not ask for
is refused or it is killed, with the reason in the log; nothing that is not
hagw's changes in the kernel, and nobody else misses a beat.
"""
import difflib
import os
import re
import threading
import time

import pytest

import lab
from hostile import attacks
from hostile.tree import CHILDREN, Victim

ADVERTISE_S = 0.1
# the vrrpd of the master is not touched: its peer must never miss it
GAP_S = 0.25
SHORT = 12  # attacks by child; all of them with --full


@pytest.fixture(scope="module")
def pair():
    with lab.NatPair(advertise="100ms", preempt="never",
                     gateway=Victim) as pair:
        pair.start()
        nat1 = pair.gateways[0]
        nat1.run(["nft", "add table inet other; "
                  "add chain inet other in { type filter hook input priority "
                  "7; }; add rule inet other in counter accept; "
                  "add table ip hagw; add set ip hagw s { type ipv4_addr; }"])
        nat1.ip("route", "add", "198.51.100.0/24", "via", "172.24.0.20",
                "table", "77")
        nat1.ip("rule", "add", "from", "172.23.0.99", "lookup", "77")
        nat1.ip("addr", "add", "192.0.2.77/32", "dev", "lo")
        nat1.run(["conntrack", "-I", "-p", "udp", "-s", "192.0.2.1", "-d",
                  "192.0.2.2", "--sport", "5", "--dport", "6", "-t", "3000",
                  "-u", "ASSURED,SEEN_REPLY"])
        pair.wait_equal()
        lab.wait_for("addresses are usable", lambda: all(
            "tentative" not in gw.ip("addr").stdout
            for gw in pair.gateways), 10)
        pair.talkers = lab.Talkers(pair.client1, pair.client2, pair.outside,
                                   20)
        yield pair


def state(gw):
    """All of the kernel that a child could have changed, but for clocks."""
    rules = gw.run(["nft", "-s", "list", "ruleset"]).stdout
    flows = gw.run(["conntrack", "-L"]).stdout
    sysctls = gw.run(["sysctl", "-a"], check=False).stdout
    return {
        "rules": re.sub(r"\s+elements = \{[^}]*timeout[^}]*\}", "",
                        rules),
        "addresses": re.sub(r"(valid|preferred)_lft \S+|tentative ", "",
                            gw.ip("addr").stdout),
        "routes": gw.ip("route", "show", "table", "all").stdout,
        "policy": gw.ip("rule").stdout,
        "links": gw.ip("link").stdout,
        "flows": sorted(re.sub(r"^(\S+ +\d+) \d+", r"\1", line)
                        for line in flows.splitlines() if "192.0.2." in line),
        "sysctls": [line for line in sysctls.splitlines()
                    if line.startswith("net.") and "_count" not in line],
    }


def unchanged(gw, before):
    after = state(gw)
    for what, was in before.items():
        if isinstance(was, str):
            was, after[what] = was.splitlines(), after[what].splitlines()
        assert not "\n".join(difflib.unified_diff(
            was, after[what], lineterm="", n=1)), what


class Beat:
    """Advertisements of the master as a host on the network hears them."""

    def __init__(self, host):
        self.proc = host.start(
            ["tcpdump", "-tt", "-nn", "-l", "-i", "eth0", "ip proto 112"],
            "beat")
        lab.wait_for("advertisements", lambda: len(self.times()) > 3, 5)

    def times(self):
        return [float(m) for m in re.findall(
            r"^(\d+\.\d+) IP 172\.23\.0\.10 ", self.proc.log(), re.M)]

    def longest_gap(self):
        times = self.times()
        return max(b - a for a, b in zip(times, times[1:]))


def check_lives(gw, child, made):
    """Each attack ended as it should, and the log says so."""
    lives = gw.lives(child)[-len(made):]
    assert len(lives) == len(made)
    for (label, _, reason), life in zip(made, lives):
        killed = re.findall(rf"proc: {child} broke a rule and is killed: "
                            "(.*)", life)
        if reason is not None and reason[0] == "?" and not killed:
            continue
        if reason is None:
            assert not killed, (label, life)
            assert f"hostile: done {label}" in life, (label, life)
        else:
            assert len(killed) == 1, (label, life)
            assert re.search(reason.lstrip("?"), killed[0]), (label, killed[0])


def choose(full, made):
    return made if full else made[:SHORT]


def sane(gw, hagwd_pid, timeout):
    """The same parent, all real children."""
    for child in CHILDREN:
        lab.wait_for(f"{gw.name}: {child} is itself again",
                     lambda child=child: gw.over(child), timeout, 0.1)
    assert gw.hagwd.alive() and gw.hagwd.pid == hagwd_pid


def descriptors(gw):
    """Of the parent, apart from those towards a child."""
    return len(os.listdir(f"/proc/{gw.hagwd.pid}/fd"))


@pytest.mark.limit(900)
def test_children_of_the_standby(pair, full):
    """vrrpd, and syncd where flows may be injected at all."""
    nat1, nat2 = pair.gateways
    pid, before = nat2.hagwd.pid, state(nat2)
    beat = Beat(pair.client1)
    made = {"vrrpd": choose(full, attacks.vrrpd()),
            "syncd": attacks.syncd_standby()}
    for child, each in made.items():
        nat2.attack(child, each)
    sane(nat2, pid, 60 if not full else 600)
    for child, each in made.items():
        check_lives(nat2, child, each)
    log = nat2.hagwd.log()
    bad = len(attacks.bad_flows())
    assert re.findall(r"hostile: ([1-9]\d* answers, .*)", log) == [
        "1 answers, 1 flows taken, 0 refused",
        "1 answers, 1 flows taken, 0 refused",
        "3 answers, 6 flows taken, 1 refused",
        f"{bad} answers, 0 flows taken, {bad} refused"]
    assert beat.longest_gap() < GAP_S
    lab.wait_for("nat2: backup", lambda: not nat2.holds(), 5)
    unchanged(nat2, before)
    assert nat1.is_master()
    lab.wait_for("nat2: ready", nat2.is_ready, 30)


@pytest.mark.limit(900)
def test_children_of_the_master(pair, full):
    """syncd, natd and ctld at once; vrrpd's beat is heard outside."""
    nat1, nat2 = pair.gateways
    pid, before, fds = nat1.hagwd.pid, state(nat1), descriptors(nat1)
    transitions = nat2.show("vrrp")["vrrp"]["transitions"]
    beat = Beat(pair.client1)
    pair.talkers.mark()
    made = {"syncd": choose(full, attacks.syncd_master()),
            "natd": choose(full, attacks.natd()),
            "ctld": choose(full, attacks.ctld())}
    for child, each in made.items():
        nat1.attack(child, each)
    sane(nat1, pid, 60 if not full else 600)
    for child, each in made.items():
        check_lives(nat1, child, each)
    log = nat1.hagwd.log()
    assert "hostile: 5 answers, 0 flows taken, 5 refused" in log
    assert "hostile: result 9: errno 0" in log  # the control
    assert "\x1b" not in log and len(log) < 2_000_000
    assert beat.longest_gap() < GAP_S
    assert nat1.is_master() and not nat2.holds()
    assert nat2.show("vrrp")["vrrp"]["transitions"] == transitions
    assert pair.talkers.settle()["lost"] == 0
    unchanged(nat1, before)
    assert descriptors(nat1) <= fds
    lab.wait_for("nat2: ready", nat2.is_ready, 30)


def test_a_vrrpd_that_floods_starves_nobody(pair):
    """It comes first with the parent, but not all the time."""
    nat2 = pair.gateways[1]
    nat2.attack("vrrpd", [("flood", attacks.flood("PROC_PONG", 4000), None)])
    lab.wait_for("flood", lambda: "hostile: begin flood"
                 in nat2.hagwd.log(), 5)
    took = []
    while "hostile: done flood" not in nat2.hagwd.log():
        begin = time.monotonic()
        nat2.hactl("show", "nat")
        took.append(time.monotonic() - begin)
    # it uses up its share of the processor, and may
    assert len(took) > 2 and max(took) < 2.5, took
    lab.wait_for("vrrpd is itself again", lambda: nat2.over("vrrpd"), 10, 0.1)


def test_a_vrrpd_that_lies_gets_only_what_the_site_names(pair):
    """It may take the virtual addresses, and nothing else."""
    nat2 = pair.gateways[1]
    before = state(nat2)
    role = attacks.msg("VRRP_STATE", attacks.struct.pack("=I", 2)
                       + b"\x1b" * 256)
    seen = []
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            seen.append(frozenset(nat2.addresses()))
            time.sleep(0.02)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        nat2.attack("vrrpd", [("lie", role, None)])
        lab.wait_for("vrrpd is itself again", lambda: nat2.over("vrrpd"),
                     60, 0.1)
        lab.wait_for("no address is left", lambda: not nat2.holds(), 5)
    finally:
        stop.set()
        thread.join()
    gained = frozenset.union(*seen) - seen[0]
    assert gained == set(nat2.vips.values())
    unchanged(nat2, before)
    lab.wait_for("one master", lambda: len(pair.masters()) == 1, 10)
