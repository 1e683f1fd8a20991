"""Processes die or hang; the data plane does not notice, and an address
whose owner is gone goes too.
"""
import os
import signal

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
