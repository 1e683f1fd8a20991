"""hactl against running daemons: what no other test asks of it, and
preemption by the site file alone.
"""
import json
import time

import pytest

import lab
from lab.gateway import HACTL


@pytest.fixture(scope="module")
def pair():
    with lab.NatPair(advertise="100ms", preempt="{ after: 2s }") as pair:
        pair.start()
        pair.talkers = lab.Talkers(pair.client1, pair.client2, pair.outside,
                                   100)
        yield pair


def test_preempt_after_return(pair):
    """The better node takes over again by itself, and no flow notices."""
    nat1, nat2 = pair.gateways
    nat1.crash()
    lab.wait_for("nat2 is master", nat2.holds, 15)
    nat1.come_back()
    pair.wait_ready(nat1, 30)
    back = time.monotonic()
    lab.wait_for("nat1 is master again", nat1.is_master, 30)
    assert time.monotonic() - back > 1, "it did not wait"
    lab.wait_for("nat2 has let go", lambda: not nat2.holds(), 10)
    flows = pair.talkers.settle()
    assert flows["lost"] == 0, flows
    assert "asks and is ready" in nat2.hagwd.log()


def test_monitor_shows_what_happens(pair):
    nat1, nat2 = pair.gateways
    lab.wait_for("nat1 is master", nat1.is_master, 30)
    pair.wait_ready(nat2, 30)
    monitor = nat1.start([str(HACTL), "-s", str(nat1.sock), "-j", "monitor"],
                         "monitor")
    time.sleep(0.5)
    nat1.hactl("failover")
    lab.wait_for("the event of the role", lambda: any(
        json.loads(line)["kind"] == "vrrp" for line in
        monitor.log().splitlines() if line.startswith("{")), 10)
    monitor.stop()
    pair.wait_ready(nat1, 30)
    nat1.hactl("failback", timeout=30)


def test_a_failover_holds_until_the_failback(pair):
    """The site file alone would have the better node back after 2 s."""
    nat1, nat2 = pair.gateways
    pair.wait_ready(nat2, 30)
    nat1.hactl("failover", timeout=30)
    pair.wait_ready(nat1, 30)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        assert pair.masters() == [nat2]
        time.sleep(0.1)
    nat1.hactl("failback", timeout=30)
    assert pair.masters() == [nat1]
    assert pair.talkers.settle()["lost"] == 0


def cable(pair, pulled):
    """The sync cable, and both have noticed."""
    nat1, nat2 = pair.gateways
    if pulled:
        nat2.cables["eth2"].pull()
    else:
        nat2.cables["eth2"].plug()
    lab.wait_for("nat1 noticed", lambda: pulled != bool(
        nat1.show("sync")["sync_peers"][0]["up"]), 15, 0.1)


def test_a_failover_without_a_sync_link(pair):
    """Refused; forced, it is done, and what was known is kept."""
    nat1, nat2 = pair.gateways
    pair.wait_ready(nat2, 30)
    cable(pair, pulled=True)
    try:
        refused = nat1.hactl("failover", check=False)
        assert refused.returncode == 4, refused
        assert nat1.is_master()
        forced = nat1.hactl("failover", "force", check=False, timeout=30)
        assert forced.returncode == 0, forced
        assert pair.masters() == [nat2]
    finally:
        cable(pair, pulled=False)
    pair.wait_ready(nat1, 30)
    nat1.hactl("failback", timeout=30)
    assert pair.talkers.settle()["lost"] == 0


def test_who_may_not_speak_does_not_preempt(pair):
    """The addresses would come and go each two seconds."""
    nat1, nat2 = pair.gateways

    def warnings():
        return [w["text"] for w in nat1.show("summary")["warnings"]
                if "cannot leave" in w["text"]]
    pair.wait_ready(nat2, 30)
    nat1.run(["nft", "add table inet own; add chain inet own out { type "
              "filter hook output priority filter; }; add rule inet own out "
              "ip protocol vrrp drop"])
    try:
        lab.wait_for("nat2 alone is master",
                     lambda: pair.masters() == [nat2], 10)
        pair.wait_ready(nat1, 30)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert pair.masters() == [nat2]
            time.sleep(0.1)
        assert any("no preemption before hactl failback" in text
                   for text in warnings()), warnings()
    finally:
        nat1.run(["nft", "delete table inet own"])
    nat1.hactl("failback", timeout=30)
    assert pair.masters() == [nat1]
    lab.wait_for("no warning", lambda: not warnings(), 5)
    assert pair.talkers.settle()["lost"] == 0


def test_log_verbose_and_brief(pair):
    """Whether debug lines are in the log, of children as well."""
    gw = pair.gateways[0]

    def told():
        before = gw.hagwd.log().count("peer nat2: down")
        cable(pair, pulled=True)
        cable(pair, pulled=False)
        time.sleep(0.5)
        return gw.hagwd.log().count("peer nat2: down") - before
    gw.hactl("log", "verbose")
    assert told() == 1
    gw.hactl("log", "brief")
    assert told() == 0
