"""VRRP that is not this site's: more than anybody sends, and another group's."""
import time

import pytest

import lab

VRID = {"net1": 10, "net2": 20}


@pytest.fixture(scope="module")
def pair():
    with lab.NatPair(advertise="100ms", preempt="never") as pair:
        pair.start()
        yield pair


@pytest.fixture
def nat1(pair):
    pair.make_master(pair.gateways[0])
    return pair.gateways[0]


def state_of(gw):
    """What a disturbance changes: vrrpd's restarts, the group's role."""
    vrrpd, = (row for row in gw.show("process")["processes"]
              if row["name"] == "vrrpd")
    vrrp = gw.show("vrrp")["vrrp"]
    return vrrpd["restarts"], vrrp["role"], vrrp["transitions"]


@pytest.mark.parametrize("nets", [["net1"], ["net1", "net2"]],
                         ids=["one-network", "both"])
def test_a_flood_ends_nothing(pair, nat1, nets):
    """vrrpd sleeps between its turns: the kernel does not end it as stuck."""
    before = [state_of(gw) for gw in pair.gateways]
    senders = []
    for name, host, third in (("net1", pair.client1, 23),
                              ("net2", pair.client2, 24)):
        if name not in nets:
            continue
        vip = f"172.{third}.0.100"
        vrid = VRID[name]
        kinds = [f"172.{third}.0.{last},{vrid},1,{vip}"
                 for last in (66, 67, 66, 67, 66, 67, 10)]
        kinds.append(f"172.{third}.0.66,99,1,{vip}")
        senders.append(host.tool("advsend", "eth0", "0", *kinds))
    time.sleep(4)
    for sender in senders:
        print(sender.ask("report"))
        sender.stop()
    assert [state_of(gw) for gw in pair.gateways] == before
    assert nat1.is_master() and not pair.other(nat1).holds()
    heard = {row["network"]: row["received"]
             for row in pair.other(nat1).show("vrrp")["networks"]}
    assert all(heard[name] > 10000 for name in nets), heard
