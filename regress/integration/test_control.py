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


def test_log_verbose_and_brief(pair):
    gw = pair.gateways[1]
    assert gw.hactl("log", "verbose").returncode == 0
    assert gw.hactl("log", "brief").returncode == 0
