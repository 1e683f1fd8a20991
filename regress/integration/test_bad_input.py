"""Bad input: a clear message, nothing changed, a non-zero exit."""
import os
import re

import pytest

import lab

USERS = ("_hagw_vrrp", "_hagw_sync", "_hagw_nat", "_hagw_ctl")
SYSCTLS = ("net.ipv4.ip_forward", "net.netfilter.nf_conntrack_events",
           "net.netfilter.nf_conntrack_tcp_be_liberal")


@pytest.fixture(scope="module")
def pair():
    with lab.NatPair(advertise="100ms") as pair:
        yield pair


@pytest.fixture
def host(pair):
    """nat1, without hagwd; nothing in its kernel may change."""
    gw = pair.gateways[0]
    assert gw.hagwd is None
    before = state(gw)
    yield gw
    assert state(gw) == before


def state(gw):
    return (gw.ip("-4", "addr").stdout, gw.ip("route").stdout,
            gw.run(["nft", "-s", "list", "ruleset"]).stdout,
            *(gw.sysctl(name) for name in SYSCTLS))


def start(gw, *extra, site=None, argv0=()):
    """Start hagwd and expect it to give up."""
    argv = [str(a) for a in gw.argv(*extra)]
    if site is not None:
        path = gw.lab.dir / "bad.yaml"
        path.write_text(site)
        argv[argv.index("-f") + 1] = str(path)
    proc = gw.run([*argv0, *argv], check=False, timeout=15)
    assert proc.returncode > 0, proc
    assert len(proc.stderr) < 4000
    return proc


@pytest.mark.parametrize("old, new, message", [
    ("  preempt:", "  preemt:", r'unknown key "preemt".*"preempt"'),
    ("site: nat-pair", "site: nat-pair\nsite: again", r"duplicate|twice"),
    ("vip: 172.23.0.100", "vip: 172.99.0.100", r"172\.99\.0\.100"),
    ("vrid: 10", "vrid: 256", r"1 to 255"),
    ("  nat1: { priority: 200 }", "  nat1: { priority: 100 }", r"priority"),
    ("nodes:", "nodes: [", r"."),
    ("over: [sync]", "over: [sink]", r'sink'),
    ("from: net1", "from: net9", r"net9"),
], ids=["unknown", "duplicate", "vip", "range", "contradiction", "broken",
        "network", "reference"])
def test_site_file(host, old, new, message):
    """file:line:column, what is wrong, and nothing happens."""
    text = host.site.read_text()
    assert old in text
    proc = start(host, site=text.replace(old, new, 1))
    said = re.search(r"bad\.yaml:\d+:\d+: error: (.*)", proc.stderr)
    assert said and re.search(message, said[1]), proc
    assert proc.returncode == 2
    check = start(host, "-n", site=text.replace(old, new, 1))
    assert check.returncode == 2 and check.stderr == proc.stderr


def test_all_errors_at_once(host):
    text = host.site.read_text().replace("vrid: 10", "vrid: 0") \
        .replace("preempt:", "preemt:")
    proc = start(host, site=text)
    assert len(re.findall(r": error: ", proc.stderr)) == 2, proc


@pytest.mark.parametrize("how, message", [
    ("mode", r"0600|mode|readable"), ("short", r"32"), ("long", r"32"),
    ("missing", r"no such key|No such file"), ("owner", r"root|own")])
def test_key_file(host, how, message):
    key = host.lab.dir / "bad.key"
    key.unlink(missing_ok=True)
    if how != "missing":
        lab.new_key(key)
    if how == "mode":
        key.chmod(0o644)
    elif how == "owner":
        os.chown(key, 65534, 65534)
    elif how in ("short", "long"):
        key.write_bytes(b"x" * (31 if how == "short" else 33))
    proc = start(host, site=lab.edit_site(host.site.read_text(),
                                          key_file=key))
    assert "bad.key" in proc.stderr and re.search(message, proc.stderr), proc
    assert proc.returncode == 2


def test_node_not_in_the_file(host):
    proc = start(host, "-N", "nat3")
    assert "nat3" in proc.stderr, proc
    assert "nat1" in proc.stderr, proc  # those there are
    assert proc.returncode == 2


def test_site_file_missing(host):
    proc = start(host, "-f", "/nonexistent/site.yaml")
    assert "/nonexistent/site.yaml" in proc.stderr, proc


def test_not_root(host):
    proc = start(host, argv0=["setpriv", "--reuid", "65534", "--regid",
                              "65534", "--clear-groups"])
    assert "root" in proc.stderr, proc


def test_users_missing(host):
    """The message names the command that creates them."""
    with open("/etc/passwd", encoding="utf-8") as f:
        lines = [line for line in f
                 if not line.startswith(tuple(f"{u}:" for u in USERS))]
    host.etc("passwd", "".join(lines))
    try:
        proc = start(host)
    finally:
        (lab.core.ETC_NETNS / host.ns / "passwd").unlink()
    assert "_hagw_" in proc.stderr, proc
    assert "make users" in proc.stderr or "sysusers" in proc.stderr, proc
    assert proc.returncode == 1  # not 2: systemd is to try again


def test_wrong_option(host):
    proc = start(host, "-x")
    assert proc.returncode == 2
    assert "usage:" in proc.stderr, proc


def test_no_rights_in_the_kernel(host):
    """Root without CAP_NET_ADMIN, as in a container."""
    proc = start(host, argv0=["setpriv", "--bounding-set", "-net_admin",
                              "--inh-caps", "-net_admin"])
    assert re.search(r"permitted|CAP_NET_ADMIN", proc.stderr), proc


def test_kernel_feature_missing(host):
    """No conntrack netlink: a bus the process may not open."""
    code = ("import ctypes,os,sys,struct\n"
            "# seccomp: socket(AF_NETLINK, .., NETLINK_NETFILTER) fails\n"
            "def ins(c, jt, jf, k): return struct.pack('HBBI', c, jt, jf, k)\n"
            "prog = b''.join([ins(0x20,0,0,0), ins(0x15,0,5,41),"
            " ins(0x20,0,0,16), ins(0x15,0,3,16), ins(0x20,0,0,32),"
            " ins(0x15,0,1,12), ins(0x6,0,0,0x5005d), "
            " ins(0x6,0,0,0x7fff0000)])\n"
            "buf = ctypes.create_string_buffer(prog)\n"
            "fprog = struct.pack('HxxxxxxP', len(prog)//8,"
            " ctypes.addressof(buf))\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "pbuf = ctypes.create_string_buffer(fprog)\n"
            "assert libc.prctl(38, 1, 0, 0, 0) == 0\n"
            "assert libc.prctl(22, 2, pbuf, 0, 0) == 0\n"
            "os.execv(sys.argv[1], sys.argv[1:])\n")
    proc = start(host, argv0=["/usr/bin/python3", "-c", code])
    assert "conntrack" in proc.stderr, proc
    assert "nf_conntrack_netlink" in proc.stderr, proc


def test_child_program_missing(host):
    """An incomplete installation, named."""
    tree = host.lab.dir / "tree"
    (tree / "sbin").mkdir(parents=True)
    os.link(lab.HAGWD, tree / "sbin" / "hagwd") \
        if os.stat(lab.HAGWD).st_dev == os.stat(tree).st_dev else \
        (tree / "sbin" / "hagwd").write_bytes(lab.HAGWD.read_bytes())
    (tree / "sbin" / "hagwd").chmod(0o755)
    argv = host.argv()
    argv[0] = tree / "sbin" / "hagwd"
    proc = host.run(argv, check=False, timeout=15)
    assert proc.returncode > 0
    assert "vrrpd" in proc.stderr, proc


def test_interface_missing(pair):
    """Of a node that is otherwise right: FAULT, and a word about it."""
    gw = pair.gateways[0]
    text = gw.site.read_text().replace("interface: eth1", "interface: eth7")
    path = gw.lab.dir / "eth7.yaml"
    path.write_text(text)
    site, gw.site = gw.site, path
    try:
        gw.start_hagwd()
        assert "eth7" in gw.hagwd.log()
        lab.wait_for("FAULT", lambda: gw.show("vrrp")["vrrp"]["role"] ==
                     "FAULT", 5)
        assert gw.holds() == set()
        assert any("eth7" in w["text"] for w in
                   gw.show("summary")["warnings"])
        assert gw.stop_hagwd() == 0
    finally:
        gw.site = site


def test_an_orderly_stop_undoes_everything(pair):
    """What a master had put into the kernel, and the sysctls."""
    gw = pair.gateways[0]
    for name in SYSCTLS:
        gw.sysctl(name, 0)
    before = state(gw)
    gw.start_hagwd()
    lab.wait_for("master", gw.is_master, 10)
    assert [gw.sysctl(name) for name in SYSCTLS] == ["1"] * len(SYSCTLS)
    assert gw.run(["nft", "list", "table", "inet", "hagw"]).stdout
    assert gw.stop_hagwd() == 0
    assert state(gw) == before


@pytest.fixture(scope="module")
def running(pair):
    gw = pair.gateways[1]
    gw.start_hagwd()
    lab.wait_for("master", gw.is_master, 10)
    yield gw


def test_second_hagwd_on_the_same_run_directory(running):
    before = state(running)
    proc = start(running)
    assert "another hagwd" in proc.stderr, proc
    assert str(running.rundir) in proc.stderr, proc
    assert running.answers() and running.is_master()
    # what runs by itself: lifetimes, and the grace after a takeover
    clocks = re.compile(r"valid_lft \S+|elements = .* expires .*")
    assert [clocks.sub("", s) for s in state(running)] == \
        [clocks.sub("", s) for s in before]


def test_reload_of_a_bad_file_changes_nothing(running):
    text = running.site.read_text()
    before = running.show("summary")["node"]["config"]
    try:
        running.site.write_text(text.replace("vrid: 10", "vrid: ten"))
        proc = running.hactl("reload", check=False)
        assert proc.returncode == 2, proc
        assert re.search(r"site\.yaml:\d+:\d+: error: ",
                         proc.stdout + proc.stderr), proc
    finally:
        running.site.write_text(text)
    assert running.show("summary")["node"]["config"] == before
    assert running.is_master()


def test_hactl_without_daemon(pair):
    gw = pair.gateways[0]
    proc = gw.hactl("show", "summary", check=False)
    assert proc.returncode == 3, proc
    assert "hagw.sock" in proc.stderr, proc


@pytest.mark.parametrize("words", [
    ("show", "sumary"), ("failovr",), ("fail",), (), ("show", "vrrp", "net9"),
    ("log", "loud")])
def test_hactl_with_a_wrong_word(running, words):
    proc = running.hactl(*words, check=False)
    assert proc.returncode != 0, proc
    assert proc.returncode == 2 or words[-1:] == ("net9",), proc
    assert proc.stderr.strip(), proc


def as_user(running, words, groups):
    return running.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", *groups,
         lab.HACTL, "-s", running.sock, *words], check=False)


def test_hactl_without_permission(running):
    """Others: nothing. Group hagw: look, but not change."""
    for directory in (running.lab.dir,):
        directory.chmod(0o755)
    nobody = as_user(running, ["show", "summary"], ["--clear-groups"])
    assert nobody.returncode != 0
    assert re.search(r"[Pp]ermission|hagw", nobody.stderr), nobody
    looker = as_user(running, ["show", "summary"], ["--groups", "hagw"])
    assert looker.returncode == 0, looker
    changer = as_user(running, ["failover", "force"], ["--groups", "hagw"])
    assert changer.returncode == 1, changer
    assert "root" in changer.stderr, changer
    assert running.is_master()
