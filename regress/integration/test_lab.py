"""The lab itself: faults do what they say, and nothing is left behind."""
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import lab
from lab.core import namespaces


@pytest.fixture(scope="module")
def street():
    """Two hosts and a router between them, plain Linux forwarding."""
    with lab.Lab() as one:
        left, right = one.network("left"), one.network("right")
        a, b, r = one.host("a"), one.host("b"), one.host("r")
        a.connect(left, "eth0", "10.1.0.1/24")
        r.connect(left, "eth0", "10.1.0.254/24")
        r.connect(right, "eth1", "10.2.0.254/24")
        b.connect(right, "eth0", "10.2.0.1/24")
        a.route("default", "10.1.0.254")
        b.route("default", "10.2.0.254")
        r.sysctl("net.ipv4.ip_forward", 1)
        yield one


@pytest.fixture
def probe(street):
    probe = lab.Probe(street.hosts["a"], street.hosts["b"], "10.2.0.1")
    yield probe
    probe.stop()
    for network in street.networks.values():
        network.heal()


def share(probe, seconds=1.0):
    """The share of echoes that came, in a window."""
    probe.mark()
    time.sleep(seconds)
    report = probe.mark()
    assert report["sent"] > 20
    return report["received"] / report["sent"]


def test_a_good_cable_loses_nothing(probe):
    assert share(probe) > 0.97


def test_pulled_cable(street, probe):
    cable = street.hosts["b"].cables["eth0"]
    cable.pull()
    assert "NO-CARRIER" in street.hosts["b"].ip("link").stdout
    assert share(probe) < 0.02
    cable.plug()
    lab.wait_for("echoes", lambda: share(probe, 0.2) > 0.9, 3)


def test_loss(street, probe):
    street.networks["left"].lose(30, street.hosts["a"].cables["eth0"])
    assert 0.35 < share(probe) < 0.65  # twice 70 %
    street.networks["left"].heal()
    street.networks["left"].lose(30)
    assert 0.35 < share(probe) < 0.65
    street.networks["left"].heal()
    assert share(probe) > 0.97


def test_partition(street, probe):
    a, r = street.hosts["a"], street.hosts["r"]
    street.networks["left"].part(r.cables["eth0"], a.cables["eth0"],
                                 both_ways=False)
    assert share(probe, 0.3) == 0
    assert "NO-CARRIER" not in a.ip("link").stdout
    street.networks["left"].heal()
    assert share(probe) > 0.97


def test_relay_loses_repeats_and_reorders(street, probe):
    right = street.networks["right"]
    relay = right.disturb()
    assert share(probe) > 0.95
    right.disturb(loss=20)
    assert 0.5 < share(probe) < 0.78
    right.disturb(loss=0, dup=50)
    assert 1.8 < share(probe) < 2.7
    right.disturb(dup=0, reorder=30, hold=20)
    assert share(probe) > 0.9
    assert relay.ask("report")["reordered"] > 50
    # segments larger than a frame, and checksums not filled in yet
    flow = lab.download(street.hosts["a"], street.hosts["b"], "10.2.0.1")
    time.sleep(0.5)
    assert flow.report()["bytes"] > 100000 and flow.report()["lost"] == 0
    flow.stop()


def test_talkers_notice_a_reset_and_a_silence(street):
    a, b, r = (street.hosts[name] for name in "abr")
    talkers = lab.Talkers(a, b, "10.2.0.1", flows=20)
    time.sleep(0.2)
    assert talkers.report()["alive"] == 20
    r.run(["nft", "add table ip x; add chain ip x f { type filter hook "
           "forward priority 0; }; add rule ip x f ip saddr 10.1.0.1 tcp "
           "flags & ack == ack reject with tcp reset"])
    b.run(["ss", "-K", "src", "10.2.0.1"], check=False)
    lab.wait_for("all lost", lambda: talkers.report()["lost"] == 20, 8)
    r.run(["nft", "delete table ip x"])
    talkers.stop()


CHILD = """\
import sys, time
sys.path.insert(0, sys.argv[1])
import lab
lab.handle_signals()
with lab.Lab() as one:
    net = one.network("net")
    for name, addr in (("a", "10.0.0.1/24"), ("b", "10.0.0.2/24")):
        one.host(name).connect(net, "eth0", addr)
    one.hosts["a"].start(["sh", "-c", "sleep 1000 & sleep 1000"], "sleep")
    print(one.run, one.dir, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM,
                                 signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_behind(sig):
    """Two at once; each is gone when its program is, however that ended."""
    procs = [subprocess.Popen(
        [sys.executable, "-c", CHILD, str(lab.TOP / "regress")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        preexec_fn=lab.core.take_signals) for _ in range(2)]
    runs = [proc.stdout.readline().split() for proc in procs]
    assert runs[0][0] != runs[1][0]
    inside = {}
    for run, _ in runs:
        assert len(namespaces(run)) == 3
        lab.wait_for("processes", lambda run=run:
                     len(in_namespaces(run)) >= 2, 3)
        inside.update((pid, lab.core.start_time(pid))
                      for pid in in_namespaces(run))
    for proc in procs:
        proc.send_signal(sig)
        assert proc.wait(10) != 0
        proc.stdout.close()
    if sig == signal.SIGKILL:
        lab.core.sweep()
    for run, directory in runs:
        assert namespaces(run) == []
        assert not pathlib.Path(directory).exists()
        assert not (lab.core.REGISTRY / f"{run}.json").exists()
    for pid, started in inside.items():
        lab.wait_for(f"the end of {pid}", lambda pid=pid, started=started:
                     lab.core.start_time(pid) != started, 5)


def in_namespaces(run):
    return [pid for ns in namespaces(run) for pid in
            lab.call(["ip", "netns", "pids", ns]).stdout.split()
            if os.path.exists(f"/proc/{pid}")]


def test_a_lab_to_play_in():
    """Up, its scripts, down; other labs that are up stay."""
    def run(*argv):
        return lab.call(argv, cwd=lab.TOP, timeout=120).stdout
    text = run(sys.executable, "-m", "regress.lab", "up")
    where = pathlib.Path(text.split("site file are in ")[1].split(".\n")[0])
    name = where.name.split("-")[1]
    try:
        assert "MASTER" in run(where / "hactl", "nat1", "show", "summary")
        run(where / "pull", "nat1", "eth1")
        lab.wait_for("nat2: master", lambda: "nat2 MASTER" in run(
            where / "hactl", "nat2", "show", "summary"), 10, 0.2)
        run(where / "plug", "nat1", "eth1")
        assert "172.24.0.20" in run(where / "in", "client2", "ip", "addr")
        out = lab.call(["sh", "-c", f"{where}/ssh <<-'E'\n\techo $((6*7))"
                        "\n\texit\nE\n"], timeout=20).stdout
        assert "42" in out
    finally:
        run(sys.executable, "-m", "regress.lab", "down", name)
    assert namespaces(name) == [] and not where.exists()
