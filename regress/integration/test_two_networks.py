"""Two gateways and two networks: the flows go over one that has a virtual
address, so that a cable pulled is often the sync path too.
"""
import pytest

import lab

FLOWS = 300
OTHERS = 10000
NEW_FLOWS = 50
MORE = 2000
MANY = 100000  # some seconds of the sync path
SETTLE_S = 40  # only a limit: how long it takes is for other tests
# TCP alone: idle UDP flows expire while the tests last.
LOAD = ("-s", "172.23.1.1", "-d", "172.24.2.1", "-t", "172.24.0.100", "-r",
        "60000", "-u", "0")
SYNC_OVER = "net2"
CABLES = {"net1": "eth0", "net2": "eth1"}


class Fire:
    """The pair and what goes through it: it grows, and nothing ends."""

    def __init__(self, pair):
        self.pair = pair
        self.talkers = []
        self.others = 0
        self.more(FLOWS, OTHERS)

    def more(self, flows=NEW_FLOWS, others=MORE):
        """Flows of which a gateway that is cut off does not hear."""
        pair, port = self.pair, lab.traffic.TALK_PORT + len(self.talkers)
        self.talkers.append(lab.Talkers(pair.client1, pair.client2,
                                        pair.outside, flows, port=port,
                                        interval_us=50000))
        done = pair.master().ctload(*LOAD, "-f", str(self.others), "-n",
                                    str(others))
        assert done["done"] == others, done
        self.others += others

    def check(self):
        """No flow is lost, and each still speaks."""
        for talkers in self.talkers:
            flows = talkers.settle(SETTLE_S)
            assert flows["lost"] == 0, flows
            assert flows["alive"] == talkers.flows, flows
            assert flows["silent_now_ms"] < 1000, flows

    def equal(self):
        """What the standby's kernel holds is what the master's does."""
        flows = self.pair.wait_equal(SETTLE_S, state=True)
        assert len(flows) == self.others + sum(t.flows for t in self.talkers)
        return flows


@pytest.fixture(scope="module")
def fire():
    with lab.NatPair(sync_over=SYNC_OVER, advertise="200ms",
                     preempt="never") as pair:
        assert list(pair.lab.networks) == ["net1", "net2"]
        pair.start()
        yield Fire(pair)


@pytest.fixture
def pair(fire):
    """nat1 is master, nat2 ready; both have what there is."""
    fire.pair.make_master(fire.pair.gateways[0])
    fire.equal()
    fire.check()
    return fire.pair


def role(gw):
    return gw.show("vrrp")["vrrp"]["role"]


def warnings(gw):
    return [f"{w['object']}: {w['text']}"
            for w in gw.show("summary")["warnings"]]


def whole(fire, master):
    """One master, the other one ready, equal tables, nothing to say."""
    pair = fire.pair
    spare = pair.other(master)
    pair.wait_ready(spare, SETTLE_S)
    pair.wait_master(master, SETTLE_S)
    fire.equal()
    for gw in pair.gateways:
        lab.wait_for(f"{gw.name}: no warning", lambda gw=gw: not
                     warnings(gw), SETTLE_S, 0.2)
    assert master.is_master() and not spare.holds()
    fire.check()


def test_the_standby_holds_all_and_nothing_of_the_gateways_own(fire, pair):
    """By the network it shares with the clients, and with a rule for it."""
    for gw in pair.gateways:
        peer, = gw.show("sync")["sync_peers"]
        assert peer["path"] == SYNC_OVER and peer["up"], peer
        assert not [line for line in gw.ctdump() if ":3780" in line]
    assert all("nat=s" in line for line in fire.equal())


def test_planned_failover_and_failback(fire, pair):
    nat1, nat2 = pair.gateways
    nat1.hactl("failover", timeout=30)
    whole(fire, nat2)
    nat1.hactl("failback", timeout=30)
    whole(fire, nat1)


@pytest.mark.parametrize("rebooted", [False, True],
                         ids=["kept-its-table", "rebooted"])
def test_crash_and_return(fire, pair, rebooted):
    for gone in pair.gateways:
        other = pair.other(gone)
        gone.crash()
        lab.wait_for(f"{other.name}: master", other.is_master, SETTLE_S)
        fire.check()
        gone.come_back(rebooted=rebooted)
        whole(fire, other)


@pytest.mark.parametrize("net", CABLES)
def test_a_cable_of_the_master(fire, pair, net):
    """Both addresses move; with the sync path gone the new master has all
    flows nevertheless, and the old one all of the new ones in the end.
    """
    nat1, nat2 = pair.gateways
    cable = nat1.cables[CABLES[net]]
    cable.pull()
    pair.wait_master(nat2, SETTLE_S)
    assert nat2.holds() == set(pair.vips.values())
    assert role(nat1) == "FAULT"
    fire.check()
    fire.more()
    why = "nat1 is silent" if net == SYNC_OVER else "nat1: is FAULT"
    lab.wait_for("nat2: a warning", lambda: any(
        why in text for text in warnings(nat2)), SETTLE_S, 0.2)
    refused = nat2.hactl("failover", check=False)
    assert refused.returncode == 4, refused
    cable.plug()
    whole(fire, nat2)
    nat1.hactl("failback", timeout=30)
    whole(fire, nat1)


def test_the_sync_path_for_a_moment(fire, pair):
    """Too short for sync to call anybody silent; the role has moved."""
    nat1, nat2 = pair.gateways
    cable = nat1.cables[CABLES[SYNC_OVER]]
    cable.pull()
    pair.wait_master(nat2, SETTLE_S)
    cable.plug()
    fire.more()
    whole(fire, nat2)
    nat2.crash()
    lab.wait_for("nat1: master", nat1.is_master, SETTLE_S)
    fire.check()


@pytest.mark.parametrize("net", CABLES)
def test_a_cable_of_the_standby(fire, pair, net):
    nat1, nat2 = pair.gateways
    cable = nat2.cables[CABLES[net]]
    cable.pull()
    lab.wait_for("nat2: FAULT", lambda: role(nat2) == "FAULT", SETTLE_S)
    lab.wait_for("nat1: a warning", lambda: warnings(nat1), SETTLE_S, 0.2)
    fire.more()
    assert nat1.is_master() and not nat2.holds()
    assert nat1.hactl("failover", check=False).returncode == 4
    cable.plug()
    whole(fire, nat1)
    nat1.crash()
    lab.wait_for("nat2: master", nat2.is_master, SETTLE_S)
    fire.check()


def test_the_sync_path_of_one_after_the_other(fire, pair):
    """With both in FAULT nobody is master; the first to return is."""
    nat1, nat2 = pair.gateways
    cables = [gw.cables[CABLES[SYNC_OVER]] for gw in pair.gateways]
    cables[0].pull()
    pair.wait_master(nat2, SETTLE_S)
    cables[1].pull()
    lab.wait_for("nobody is master", lambda: not nat1.holds() and not
                 nat2.holds(), SETTLE_S)
    cables[0].plug()
    pair.wait_master(nat1, SETTLE_S)
    fire.check()
    cables[1].plug()
    whole(fire, nat1)


def part(pair, *nets):
    """The gateways do not hear each other there; the clients hear both."""
    nat1, nat2 = pair.gateways
    for net in nets:
        pair.lab.networks[net].part(nat1.cables[CABLES[net]],
                                    nat2.cables[CABLES[net]])


def heal(pair):
    for net in CABLES:
        pair.lab.networks[net].heal()


def test_only_the_sync_path_is_cut(fire, pair):
    """Within the switch: every link is up, and net1 tells who is master."""
    nat1, nat2 = pair.gateways
    part(pair, SYNC_OVER)
    try:
        lab.wait_for("both warn", lambda: all(
            any("is silent" in text for text in warnings(gw))
            for gw in pair.gateways), SETTLE_S, 0.2)
        fire.more()
        assert nat1.is_master() and not nat2.holds()
        assert nat1.hactl("failover", check=False).returncode == 4
    finally:
        heal(pair)
    whole(fire, nat1)
    nat1.crash()
    lab.wait_for("nat2: master", nat2.is_master, SETTLE_S)
    fire.check()


def test_a_split_that_nobody_can_tell_of_heals(fire, pair):
    """No path is left between the two: both are masters of the flows that
    they had, and nat1 keeps them when they hear each other again.
    """
    nat1, nat2 = pair.gateways
    part(pair, *CABLES)
    try:
        lab.wait_for("two masters", lambda: len(pair.masters()) == 2,
                     SETTLE_S)
        lab.wait_for("both warn", lambda: all(
            any("is silent" in text for text in warnings(gw))
            for gw in pair.gateways), SETTLE_S, 0.2)
        fire.check()
    finally:
        heal(pair)
    whole(fire, nat1)


def test_a_better_node_that_returns_waits_for_all_flows(fire, pair):
    """It hears the master by net1 before the first flow comes by net2; there
    are enough of them for one that does not wait to be found out.
    """
    nat1, nat2 = pair.gateways
    cable = nat1.cables[CABLES[SYNC_OVER]]
    pair.write_site(advertise="200ms", preempt="{ after: 0s }")
    for gw in pair.gateways:
        gw.hactl("reload")
    try:
        cable.pull()
        pair.wait_master(nat2, SETTLE_S)
        fire.more(others=MANY)
        said = len(nat1.hagwd.log())
        cable.plug()
        pair.wait_master(nat1, SETTLE_S)
        whole(fire, nat1)
        log = nat1.hagwd.log()[said:]
        assert 0 <= log.find("holds its") < log.find("vrrp: MASTER"), log
    finally:
        pair.write_site(advertise="200ms", preempt="never")
        for gw in pair.gateways:
            gw.hactl("reload")


def test_from_the_shipped_file_with_nobody_at_the_keys():
    """As people try a pair of gateways: an ssh session, one is stopped and
    started again, takes over by itself, and then the other one is stopped.
    """
    with lab.NatPair(sync_over=SYNC_OVER) as pair:
        pair.start()
        nat1, nat2 = pair.gateways
        ssh = lab.SshSession(pair.client1, lab.Sshd(pair.client2,
                                                    pair.outside))

        def goes_on():
            before = ssh.count
            lab.wait_for("ssh session: counts on", lambda: ssh.error or
                         ssh.count > before + 5, SETTLE_S)
            assert not ssh.error
        nat1.crash()
        lab.wait_for("nat2: master", nat2.is_master, SETTLE_S)
        goes_on()
        nat1.come_back(rebooted=True)
        pair.wait_master(nat1, SETTLE_S)
        pair.wait_ready(nat2, SETTLE_S)
        goes_on()
        nat2.crash()
        goes_on()
        nat2.come_back(rebooted=True)
        pair.wait_ready(nat2, SETTLE_S)
        nat1.crash()
        lab.wait_for("nat2: master", nat2.is_master, SETTLE_S)
        goes_on()
