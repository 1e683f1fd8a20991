"""Reload while flows run: a forward and a network come and go, and nothing
else moves - no advertisement missed, no flow lost, no other object touched.
"""
import os
import re
import signal
import subprocess
import time

import pytest

import lab

FLOWS = 100
ADVERTISE_S = 0.1
# A port nothing is sent to: the listeners below must see the change alone.
FORWARD = """\
  forward:
    - { name: web, on: net2, port: tcp/8080, to: "172.23.0.20:80" }
"""
NETWORK = """\
  net3:
    interface: eth3
    address: { nat1: 172.26.0.10/16, nat2: 172.26.0.11/16 }
    vip: 172.26.0.100
    vrid: 30
"""


@pytest.fixture(scope="module")
def pair():
    with lab.NatPair(advertise=f"{ADVERTISE_S * 1000:.0f}ms",
                     preempt="never") as pair:
        net3 = pair.lab.network("net3")
        for i, gw in enumerate(pair.gateways):
            gw.connect(net3, "eth3", f"172.26.0.{10 + i}/16")
        pair.start()
        pair.talkers = lab.Talkers(pair.client1, pair.client2, pair.outside,
                                   FLOWS)
        yield pair


class Watch:
    """Listeners on the master's kernel and on the wire."""

    def __init__(self, pair):
        self.pair = pair
        gw = pair.gateways[0]
        self.nft = gw.start(["nft", "monitor"], "nft-monitor")
        self.ip = gw.start(["ip", "monitor", "address", "link", "route",
                            "rule"], "ip-monitor")
        self.wire = pair.lab.switch.start(
            ["tcpdump", "-i", "nat1.eth0", "-n", "-tt", "-l", "proto", "112"],
            "tcpdump")
        lab.wait_for("tcpdump: an advertisement",
                     lambda: self.wire.log().count("VRRPv3") > 2, 5)
        lab.wait_for("ip monitor: a refresh",
                     lambda: "172.23.0.100" in self.ip.log(), 5)
        for proc in (self.nft, self.ip, self.wire):
            proc.from_here = len(proc.log())

    def text(self, proc):
        return proc.log()[proc.from_here:]

    def stop(self):
        for proc in (self.nft, self.ip, self.wire):
            proc.stop()
            proc.log_path.unlink()


def longest_silence(text):
    """Between two advertisements of the master, in seconds."""
    times = [float(line.split()[0]) for line in text.splitlines()
             if "VRRPv3" in line]
    assert len(times) > 3
    return max(b - a for a, b in zip(times, times[1:]))


def edit(pair, text):
    pair.gateways[0].site.write_text(text)


def with_net3(text):
    assert "networks: [net1, net2]" in text
    return text.replace("networks: [net1, net2]",
                        "networks: [net1, net2, net3]").replace(
                            "  sync:  ", NETWORK + "  sync:  ", 1)


def reload(pair):
    """Standby first, as an administrator would."""
    for gw in reversed(pair.gateways):
        gw.hactl("reload")
    hashes = {gw.show("summary")["node"]["config"] for gw in pair.gateways}
    assert len(hashes) == 1


@pytest.fixture
def watched(pair):
    """The pair under watch; the checks that hold for any reload."""
    nat1, nat2 = pair.gateways
    assert nat1.is_master()
    before = [gw.show("vrrp")["vrrp"]["transitions"] for gw in
              pair.gateways]
    pids = [gw.hagw_pids() for gw in pair.gateways]
    pair.talkers.mark()
    watch = Watch(pair)
    yield watch
    time.sleep(0.5)
    wire, ip = watch.text(watch.wire), watch.text(watch.ip)
    watch.stop()
    flows = pair.talkers.settle()
    assert flows["lost"] == 0, flows
    # less than the peer waits, even on a busy machine
    assert longest_silence(wire) < 2.9 * ADVERTISE_S
    assert "prio 0" not in wire
    assert nat1.is_master()
    assert before == [gw.show("vrrp")["vrrp"]["transitions"]
                      for gw in pair.gateways]
    assert pids == [gw.hagw_pids() for gw in pair.gateways]
    for line in ip.splitlines():
        if line.startswith("Deleted"):
            assert "172.26." in line, line


def nft_changes(watch):
    """Lines of nft monitor that change something. The takeover grace gets
    its end a second after a takeover, reload or not.
    """
    return [line for line in watch.text(watch.nft).splitlines()
            if re.match(r"(add|delete|replace|insert|destroy) ", line) and
            "inet hagw grace" not in line]


def test_reload_of_the_same_file(pair, watched):
    reload(pair)
    time.sleep(0.5)
    assert nft_changes(watched) == []
    assert "Deleted" not in watched.text(watched.ip)


def test_a_forward_comes_and_goes(pair, watched):
    text = pair.gateways[0].site.read_text()
    edit(pair, text + FORWARD)
    reload(pair)
    assert "8080" in pair.gateways[0].run(
        ["nft", "list", "table", "inet", "hagw"]).stdout
    rules = pair.gateways[0].show("nat")["rules"]
    assert {rule["name"] for rule in rules} == {"out", "web"}
    edit(pair, text)
    reload(pair)
    assert "8080" not in pair.gateways[0].run(
        ["nft", "list", "table", "inet", "hagw"]).stdout
    lab.wait_for("nft monitor: the end", lambda: any(
        "delete" in line for line in nft_changes(watched)), 3)
    touched = nft_changes(watched)
    assert any("8080" in line for line in touched), touched
    for line in touched:
        assert not re.match(r"\w+ table", line), line
        assert "172.24.0.100" not in line or "8080" in line, line


def test_a_network_comes_and_goes(pair, watched):
    """Its address joins the group; those that are there stay."""
    nat1, _ = pair.gateways
    text = nat1.site.read_text()
    edit(pair, with_net3(text))
    reload(pair)
    lab.wait_for("the new address", lambda: "172.26.0.100" in
                 nat1.addresses(), 5)
    names = {n["network"] for n in nat1.show("vrrp")["networks"]}
    assert names == {"net1", "net2", "net3"}
    time.sleep(1)
    assert "172.26.0.100" not in pair.gateways[1].addresses()
    edit(pair, text)
    reload(pair)
    lab.wait_for("no address", lambda: "172.26.0.100" not in
                 nat1.addresses(), 5)
    assert nat1.is_master()


@pytest.mark.parametrize("old, new, silent", [
    (None, "key", True), ("  over:", "  port: 3999\n  over:", True),
    ("site: nat-pair", "site: other", True), ("vrid: 10", "vrid: 11", False)],
    ids=["key", "port", "site", "vrid"])
def test_between_the_reloads_of_both(pair, watched, old, new, silent):
    """Nobody takes over, and what separated them they make up for. Of the
    networks in ha one at a time may get another vrid."""
    nat1, nat2 = pair.gateways
    text = nat1.site.read_text()
    if old is None:
        lab.new_key(pair.lab.dir / "sync.key")
    else:
        assert old in text
        edit(pair, text.replace(old, new, 1))
    for gw in (nat2, nat1):
        gw.hactl("reload")
        if gw is nat2 and silent:
            lab.wait_for("the other one is not heard",
                         lambda: not nat2.is_ready(), 5)
        elif gw is nat2:
            time.sleep(10 * ADVERTISE_S)
        assert nat1.is_master() and not nat2.holds()
    pair.wait_ready(nat2, 10)
    edit(pair, text)
    reload(pair)
    pair.wait_ready(nat2, 10)


def test_an_interface_that_is_not_here(pair):
    """The report says so; a network beside the group does no harm."""
    nat1, nat2 = pair.gateways
    text = nat1.site.read_text()
    edit(pair, text.replace("  sync:  ", '''\
  office:
    interface: { nat1: eht3, nat2: eth3 }
    address: { nat1: 172.26.0.10/16, nat2: 172.26.0.11/16 }
''' + "  sync:  ", 1))
    assert "no interface" not in nat2.hactl("reload").stdout
    report = nat1.hactl("reload").stdout
    assert "warning: this host has no interface eht3: until it has, nat1 " \
        "has no link to office" in report
    edit(pair, text)
    reload(pair)
    assert nat1.is_master()


def test_a_removed_address_is_not_announced(pair):
    """Whoever has it now would lose its neighbours each minute."""
    nat1, _ = pair.gateways
    text = nat1.site.read_text()
    edit(pair, with_net3(text))
    reload(pair)
    lab.wait_for("the new address", lambda: "172.26.0.100" in
                 nat1.addresses(), 5)
    edit(pair, text)
    reload(pair)
    heard = [pair.lab.switch.start(["tcpdump", "-i", f"nat1.{ifname}", "-n",
                                    "-l", "arp"], f"tcpdump-{ifname}")
             for ifname in ("eth0", "eth3")]
    for tcpdump in heard:
        lab.wait_for("tcpdump", lambda d=tcpdump: "listening" in d.log(), 5)
    time.sleep(1.1)  # no more than one a second
    # what somebody removes is put back, and everything announced once more
    nat1.ip("addr", "del", "172.23.0.100/32", "dev", "eth0")
    lab.wait_for("an announcement", lambda: "who-has 172.23.0.100 " in
                 heard[0].log(), 5)
    time.sleep(0.5)
    told = heard[1].log()
    for tcpdump in heard:
        tcpdump.stop()
    assert "172.26.0.100" not in told, told
    assert nat1.is_master()


def test_a_long_range_to_other_ports(pair):
    """Each port is an element of a map: many times a rule's share."""
    nat1, nat2 = pair.gateways
    text = nat1.site.read_text()
    pids = [gw.child("natd") for gw in pair.gateways]
    for to in (10000, 12000):
        edit(pair, text + FORWARD.replace("tcp/8080", "udp/20000-52000")
             .replace(".20:80", f".20:{to}"))
        reload(pair)
        there = re.compile(r"\. 52000 counter packets 0 bytes 0 : "
                           rf"172\.23\.0\.20 \. {to + 32000}\b")
        lab.wait_for("the last port", lambda t=there: t.search(
            nat2.run(["nft", "list", "map", "inet", "hagw", "fwd4"],
                     check=False, timeout=60).stdout), 20)
    edit(pair, text)
    reload(pair)
    assert pids == [gw.child("natd") for gw in pair.gateways]
    assert nat1.is_master()


def forwarded(gw, port):
    return gw.run(["sh", "-c", "conntrack -L -p tcp --dport "
                   f"{port} 2>/dev/null"], check=False).stdout.splitlines()


def test_flows_of_a_forward_that_moved(pair):
    """They live on, at a standby that starts anew too; one that never had
    them is ready without."""
    nat1, nat2 = pair.gateways
    text = nat1.site.read_text()
    edit(pair, text + FORWARD)
    reload(pair)
    talkers = lab.Talkers(pair.client2, pair.client1, pair.inside, 10,
                          port=80, to=("172.24.0.100", 8080))
    lab.wait_for("nat2: the flows", lambda: len(forwarded(nat2, 8080)) == 10,
                 5)
    edit(pair, text + FORWARD.replace(".20:80", ".21:80"))
    reload(pair)
    nat2.stop_hagwd()
    nat2.start_hagwd()
    pair.wait_ready(nat2)
    assert len(forwarded(nat2, 8080)) == 10
    for _ in pair.gateways:
        pair.make_master(nat2 if nat1.is_master() else nat1)
        assert talkers.settle()["lost"] == 0
    nat2.stop_hagwd()
    nat2.run(["conntrack", "-F"], check=False)
    nat2.start_hagwd()
    pair.wait_ready(nat2, 40)
    assert forwarded(nat2, 8080) == []
    talkers.stop()
    edit(pair, text)
    reload(pair)


def test_reload_by_signal(pair, watched):
    nat1, _ = pair.gateways
    before = nat1.show("summary")["node"]["config"]
    text = nat1.site.read_text()
    edit(pair, text + FORWARD)
    for gw in pair.gateways:
        gw.hagwd.signal(signal.SIGHUP)
    lab.wait_for("a new configuration", lambda:
                 nat1.show("summary")["node"]["config"] != before, 5)
    edit(pair, text)
    reload(pair)
    assert nat1.show("summary")["node"]["config"] == before


def with_nat0(text):
    """A node that is numbered before the others, and is never there."""
    text = text.replace("  nat1: {", "  nat0: { priority: 50 }\n  nat1: {", 1)
    for net in ("172.23.0", "172.24.0", "172.25.0"):
        text = text.replace("{ nat1: " + net,
                            f"{{ nat0: {net}.6/16, nat1: {net}")
    return re.sub(r"(172\.25\.0\.\d)/\d+", r"\1/29", text)


def test_a_node_that_goes(pair):
    """What a child says of another one before it has the new numbers is not
    taken for a breach: here one asks to take over just then.
    """
    nat1, nat2 = pair.gateways
    text = nat2.site.read_text()
    edit(pair, with_nat0(text))
    reload(pair)
    pair.make_master(nat2)
    edit(pair, text)
    syncd, natd, hagwd = (nat2.child("syncd"), nat2.child("natd"),
                          nat2.hagwd.pid)
    os.kill(natd, signal.SIGSTOP)
    try:
        nat2.reload()
        time.sleep(0.3)  # the others have checked it
        os.kill(hagwd, signal.SIGSTOP)
    finally:
        os.kill(natd, signal.SIGCONT)
    try:
        failback = nat1.start([lab.HACTL, "-s", nat1.sock, "failback"],
                              "failback")
        time.sleep(0.7)  # nat2's syncd is asked
    finally:
        os.kill(hagwd, signal.SIGCONT)
    lab.wait_for("nat1: master", nat1.is_master, 20)
    failback.stop()
    assert nat2.child("syncd") == syncd
    reload(pair)


def test_what_was_refused_is_tried_at_once(pair):
    """After a reload, by which it may be mended; not when its time comes."""
    _, nat2 = pair.gateways
    good = table(nat2)
    with subprocess.Popen(
            ["ip", "netns", "exec", nat2.ns, "nft", "-i"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as owner:
        owner.stdin.write("delete table inet hagw; "
                          "add table inet hagw { flags owner; }\n")
        owner.stdin.flush()
        lab.wait_for("a long pause", lambda: re.search(
            r"refused: .*; again in \d{5} ms", nat2.hagwd.log()), 40)
    assert table(nat2) == ""
    nat2.hactl("reload")
    lab.wait_for("the table", lambda: table(nat2) == good, 5)


def test_another_interval(pair):
    """The master's addresses outlast the new, shorter term at once."""
    nat1, _ = pair.gateways
    text = nat1.site.read_text()
    assert "advertise: 100ms" in text
    before = nat1.show("vrrp")["vrrp"]["transitions"]
    for _ in range(3):
        edit(pair, text.replace("advertise: 100ms", "advertise: 2s"))
        reload(pair)
        time.sleep(1.5)
        edit(pair, text)
        reload(pair)
    assert nat1.show("vrrp")["vrrp"]["transitions"] == before


def table(gw):
    """hagw's table; counters and the grace's clock left out."""
    text = gw.run(["nft", "-s", "list", "table", "inet", "hagw"],
                  check=False).stdout
    return re.sub(r"\t\telements = \{ ipv4.*\n", "", text)


NFT = "inet hagw"
MUCH = "add set ip much m{} {{ type ipv4_addr; elements = {{ " + ",\n".join(
    f"10.9.{i // 250}.{i % 250}" for i in range(20000)) + " }}; }}"
FOREIGN = {
    "a rule more": f"insert rule {NFT} guard_fwd udp dport 9 drop",
    "a chain flushed": f"flush chain {NFT} nat_post",
    "a rule for another": f"flush chain {NFT} guard_fwd\n"
                          f"add rule {NFT} guard_fwd udp dport 9 drop",
    "an element gone": f"flush set {NFT} vip4",
    "no table": f"delete table {NFT}",
    "no rules at all": "flush ruleset",
    # more than the kernel keeps of such news
    "much else, and no table":
        f"add table ip much\n{MUCH.format(1)}\n"
        f"delete table {NFT}\n{MUCH.format(2)}",
}
GONE = ("no table", "no rules at all", "much else, and no table")
COUNTED = ("a rule more", "a chain flushed", "no table")


def mends(gw):
    return gw.hactl("show", "events").stdout.count("loading it anew")


@pytest.mark.parametrize("change,found_by", sorted(
    [(change, "the news of it") for change in FOREIGN] +
    [(change, "a new natd") for change in COUNTED],
    key=lambda case: case[0] in GONE))
def test_what_somebody_changed_is_mended(pair, tmp_path, change, found_by):
    """And no flow is lost, nor is it told as if nothing were."""
    nat1, _ = pair.gateways
    pair.talkers.mark()
    good, before = table(nat1), mends(nat1)
    assert "snat" in good
    natd = nat1.child("natd")
    asleep = natd if found_by == "a new natd" else nat1.hagwd.pid
    (tmp_path / "change").write_text(FOREIGN[change])
    time.sleep(3)  # natd looks after a batch of its own
    os.kill(asleep, signal.SIGSTOP)
    try:
        nat1.run(["nft", "-f", tmp_path / "change"])
        assert table(nat1) != good
    finally:
        os.kill(asleep, signal.SIGCONT if asleep != natd else signal.SIGKILL)
    lab.wait_for("the table as it was", lambda: table(nat1) == good, 10)
    nat1.run(["nft", "delete table ip much"], check=False)
    if found_by == "the news of it":
        assert nat1.child("natd") == natd
        assert mends(nat1) > before
    if change not in GONE:  # without its hooks the kernel translates no flow
        assert pair.talkers.settle(15)["lost"] == 0
