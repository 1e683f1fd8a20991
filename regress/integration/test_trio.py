"""Three gateways: two may die, and who takes over is who holds the flows."""
import os
import signal
import time

import pytest

import lab

FLOWS = 300
OTHERS = 100000
LOAD = ("-s", "172.23.1.1", "-d", "172.24.2.1", "-t", "172.24.0.100")


class Fire:
    """The trio and what goes through it."""

    def __init__(self, trio):
        self.trio = trio
        self.talkers = lab.Talkers(trio.client1, trio.client2, trio.outside,
                                   FLOWS)
        done = trio.gateways[0].ctload(*LOAD, "-n", str(OTHERS), "-r",
                                       "60000", "-m", "9")
        assert done["done"] == OTHERS, done

    def check(self):
        flows = self.talkers.settle()
        assert flows["lost"] == 0, flows
        assert flows["alive"] == FLOWS, flows


@pytest.fixture(scope="module")
def fire():
    with lab.NatTrio(advertise="100ms", preempt="never") as trio:
        trio.start()
        yield Fire(trio)


@pytest.fixture
def trio(fire):
    """nat1 is master, the others are ready and hold every flow."""
    trio = fire.trio
    nat1 = trio.gateways[0]
    trio.all_there()
    if not nat1.is_master():
        nat1.hactl("failback", timeout=30)
        trio.wait_master(nat1)
    trio.all_ready()
    fire.check()
    return trio


def feed(trio, gw):
    """gw comes back empty and is being told of every flow."""
    gw.crash()
    lab.wait_for(f"{gw.name}: gone for the others", lambda: not any(
        peer["up"] for peer in trio.master().show("sync")["sync_peers"]
        if peer["node"] == gw.name), 5)
    gw.come_back(rebooted=True)
    lab.wait_for(f"{gw.name}: hears of flows",
                 lambda: 1000 < gw.flows() < OTHERS * 9 / 10, 5, 0.005)


def test_two_crashes_and_both_return(fire, trio):
    nat1, nat2, nat3 = trio.gateways
    nat1.crash()
    lab.wait_for("nat2: master", nat2.is_master, 5)
    fire.check()
    trio.wait_ready(nat3)
    nat2.crash()
    lab.wait_for("nat3: master", nat3.is_master, 5)
    fire.check()
    nat1.come_back(rebooted=True, wait=False)
    nat2.come_back(wait=False)
    trio.all_ready()
    assert nat3.is_master() and not nat1.holds() and not nat2.holds()
    assert len(trio.wait_equal(state=True)) >= OTHERS + FLOWS
    fire.check()


def test_failover_to_who_holds_them_all(fire, trio):
    """nat2 has the higher priority, and nothing yet."""
    nat1, nat2, nat3 = trio.gateways
    feed(trio, nat2)
    said = nat1.hactl("failover", timeout=30).stdout
    trio.wait_master(nat3, 5)
    assert "nat3 is ready" in said, said
    assert "nat2" not in said, said
    fire.check()


def test_crash_while_one_is_fed(fire, trio):
    nat1, nat2, nat3 = trio.gateways
    feed(trio, nat2)
    nat1.crash()
    lab.wait_for("a master", lambda: nat2.is_master() or nat3.is_master(), 5)
    assert nat3.is_master() and not nat2.holds()
    fire.check()


def test_the_master_stands_still_while_the_other_is_fed(fire, trio):
    """For longer than vrrpd's silence: who holds less does not take over."""
    nat1, nat2, nat3 = trio.gateways
    nat3.crash()
    feed(trio, nat2)
    for pid in nat1.hagw_pids():
        os.kill(pid, signal.SIGSTOP)
    time.sleep(0.7)
    for pid in nat1.hagw_pids():
        os.kill(pid, signal.SIGCONT)
    trio.wait_ready(nat2)
    assert nat1.is_master() and not nat2.holds()
    fire.check()


def test_a_spare_without_its_sync_cable(fire, trio):
    """It is told of as not ready; the other one takes over as ever."""
    nat1, nat2, nat3 = trio.gateways
    nat3.cables["eth2"].pull()
    lab.wait_for("nat3 is silent", lambda: any(
        "nat3 is silent" in w["text"]
        for w in nat1.show("summary")["warnings"]), 5)
    nat1.hactl("failover", timeout=30)
    trio.wait_master(nat2, 5)
    fire.check()
    nat3.cables["eth2"].plug()


def test_one_is_cut_off_and_heals(fire, trio):
    """Alone, nat3 is master of nothing that anybody sees."""
    nat1, nat2, nat3 = trio.gateways
    for cable in nat3.cables.values():
        for other in cable.net.cables:
            if other is not cable:
                cable.net.part(cable, other)
    lab.wait_for("nat3: master of its island", nat3.is_master, 5)
    fire.check()
    nat1.ctload(*LOAD, "-f", "2000000", "-n", "1000", "-r", "20000")
    for cable in nat3.cables.values():
        cable.net.heal()
    trio.wait_master(nat1, 5)
    trio.all_ready()
    trio.wait_equal()
    fire.check()
    nat1.ctload(*LOAD, "-f", "2000000", "-n", "1000", "-o", "delete")
    assert not nat2.holds()
