"""What each running process holds, as the kernel tells it: users,
capabilities, filters, roots, descriptors; and what hagwd is not linked with.
"""
import os
import pathlib
import pwd
import re
import subprocess

import pytest

import lab

USERS = {"vrrpd": "_hagw_vrrp", "syncd": "_hagw_sync",
         "natd": "_hagw_nat", "ctld": "_hagw_ctl"}
CAPS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")

# Of <linux/capability.h>; the reasons stand in parentd/confine.c.
PARENT_CAPS = {"DAC_READ_SEARCH": 2, "KILL": 5, "SETGID": 6, "SETUID": 7,
               "SETPCAP": 8, "NET_ADMIN": 12, "NET_RAW": 13, "IPC_LOCK": 14,
               "SYS_CHROOT": 18, "SYS_NICE": 23, "SYS_RESOURCE": 24}

# Descriptors of each child beyond standard input and output, which are
# /dev/null, standard error, and the loop's own.
SOCKETS = {
    "vrrpd": {"parent": 1, "raw": 4},  # two networks, in and out
    "syncd": {"parent": 1, "udp": 1, "netlink": 1},
    "natd": {"parent": 1},
    "ctld": {"parent": 1, "listening": 1},
}
LOOP = re.compile(r"anon_inode:\[(eventpoll|timerfd|eventfd)\]|pipe:.*")


@pytest.fixture(scope="module")
def pair():
    with lab.NatPair(advertise="100ms", preempt="never") as pair:
        pair.start()
        yield pair


@pytest.fixture(params=["master", "standby"])
def gw(request, pair):
    return pair.gateways[request.param == "standby"]


def status(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines()
                if ":\t" in line)


def kind_of(pid, link):
    """What sort of socket it is, from the tables of its network."""
    inode = link[len("socket:["):-1]
    for table in ("raw", "udp", "netlink", "unix", "packet", "tcp"):
        text = pathlib.Path(f"/proc/{pid}/net/{table}").read_text()
        line = re.search(rf"^.*\b{inode}\b.*$", text, re.M)
        if line is None:
            continue
        if table != "unix":
            return table
        words = line.group(0).split()
        assert words[4] == "0005", words  # SOCK_SEQPACKET
        # flags: __SO_ACCEPTCON
        return "listening" if words[3] == "00010000" else "parent"
    return f"unknown {link}"


def descriptors(pid):
    return {int(fd.name): os.readlink(fd)
            for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()}


def test_users(gw):
    """One for each child, and no group besides its own."""
    for child, user in USERS.items():
        fields = status(gw.child(child))
        entry = pwd.getpwnam(user)
        assert fields["Uid"].split() == [str(entry.pw_uid)] * 4
        assert fields["Gid"].split() == [str(entry.pw_gid)] * 4
        assert fields["Groups"].split() == []
        assert entry.pw_uid != 0 and entry.pw_gid != 0
        assert "nologin" in entry.pw_shell or "false" in entry.pw_shell
    assert len({pwd.getpwnam(u).pw_uid for u in USERS.values()}) == 4


def test_children_can_gain_nothing(gw):
    for child in USERS:
        fields = status(gw.child(child))
        assert {int(fields[cap], 16) for cap in CAPS} == {0}, child
        assert fields["NoNewPrivs"] == "1", child
        assert fields["Seccomp"] == "2", child
        # the parent's and its own
        assert fields["Seccomp_filters"] == "2", child


def test_roots_are_empty_and_read_only(gw):
    for child, user in USERS.items():
        root = pathlib.Path(f"/proc/{gw.child(child)}/root")
        assert os.listdir(root) == [], child
        assert os.readlink(root) == f"{gw.rundir}/empty"
        assert os.readlink(f"/proc/{gw.child(child)}/cwd") == \
            f"{gw.rundir}/empty"
        st = root.stat()
        assert st.st_uid == 0 and st.st_mode & 0o222 == 0, child
        assert st.st_uid != pwd.getpwnam(user).pw_uid


def test_limits(gw):
    for child in USERS:
        text = pathlib.Path(f"/proc/{gw.child(child)}/limits").read_text()
        for what in ("Max core file size", "Max processes", "Max file size"):
            assert re.search(rf"^{what}\s+0\s+0\s", text, re.M), (child, text)
        soft, hard = re.search(r"^Max open files\s+(\d+)\s+(\d+)", text,
                               re.M).groups()
        assert soft == hard and int(soft) <= 256, (child, text)


def test_descriptors(gw):
    """No more than it works with; no file, no device, no other socket."""
    for child, wanted in SOCKETS.items():
        pid = gw.child(child)
        fds = descriptors(pid)
        assert fds.pop(0) == fds.pop(1) == "/dev/null", child
        assert fds.pop(2) == str(gw.hagwd.log_path), child  # hagwd -d
        found = {}
        for link in fds.values():
            if LOOP.match(link):
                continue
            assert link.startswith("socket:["), (child, link)
            kind = kind_of(pid, link)
            found[kind] = found.get(kind, 0) + 1
        assert found == wanted, child


def test_children_are_not_dumpable(gw):
    """Their memory is root's alone, not their own user's."""
    for child, user in USERS.items():
        pid = gw.child(child)
        for name in ("mem", "maps", "fd", "environ"):
            assert os.stat(f"/proc/{pid}/{name}").st_uid == 0, (child, name)
        proc = subprocess.run(
            ["setpriv", "--reuid", user, "--regid", user, "--clear-groups",
             "cat", f"/proc/{pid}/maps"], capture_output=True, check=False)
        assert proc.returncode != 0 and not proc.stdout, child


def test_one_child_cannot_reach_another(gw):
    """By signal or by trace, as the user that it is."""
    code = ("import ctypes, os, sys\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "for pid in map(int, sys.argv[1:]):\n"
            "    try:\n"
            "        os.kill(pid, 0)\n"
            "        sys.exit(f'signal to {pid}')\n"
            "    except PermissionError:\n"
            "        pass\n"
            "    if libc.ptrace(16, pid, 0, 0) == 0:\n"
            "        sys.exit(f'trace of {pid}')\n")
    for child, user in USERS.items():
        others = [str(gw.child(each)) for each in USERS if each != child]
        proc = subprocess.run(
            ["setpriv", "--reuid", user, "--regid", user, "--clear-groups",
             "/usr/bin/python3", "-c", code, str(gw.hagwd.pid), *others],
            capture_output=True, text=True, check=False)
        assert proc.returncode == 0, (child, proc)


def test_parent(gw):
    """Bounded: these capabilities, a filter, and nothing by exec."""
    fields = status(gw.hagwd.pid)
    allowed = sum(1 << bit for bit in PARENT_CAPS.values())
    for cap in ("CapPrm", "CapEff", "CapBnd"):
        assert int(fields[cap], 16) & ~allowed == 0, cap
    assert int(fields["CapEff"], 16) & 1 << PARENT_CAPS["NET_ADMIN"]
    assert int(fields["CapInh"], 16) == int(fields["CapAmb"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2" and fields["Seccomp_filters"] == "1"


def processors(pid):
    found = set()
    for part in status(pid)["Cpus_allowed_list"].strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def test_processors(gw):
    """vrrpd is never where a dump holds the processor (cpus.c)."""
    every = processors(gw.hagwd.pid)
    if len(every) < 2:
        pytest.skip("one processor")
    assert processors(gw.child("vrrpd")) == every - {max(every)}
    for child in ("syncd", "natd", "ctld"):
        assert processors(gw.child(child)) == every, child


def proc_text(pid, name):
    """Empty: a kernel without it."""
    path = pathlib.Path(f"/proc/{pid}/{name}")
    return path.read_text() if path.exists() else ""


def test_syncd_goes_first(gw):
    """Nice, for its session too; no real-time class (cpus.c)."""
    pid = gw.child("syncd")
    assert os.sched_getscheduler(pid) == os.SCHED_OTHER
    assert os.getpriority(os.PRIO_PROCESS, pid) == -10
    assert os.getpriority(os.PRIO_PROCESS, gw.child("natd")) == 0
    group = proc_text(pid, "autogroup")
    assert not group or group.split()[-2:] == ["nice", "-10"]
    kernel = [int(n) for n in re.findall(r"\d+", os.uname().release)[:2]]
    assert proc_text(pid, "timerslack_ns").strip() == "1"
    found = re.search(r"se\.slice\s*:\s*(\d+)", proc_text(pid, "sched"))
    if found and kernel >= [6, 12]:
        assert int(found[1]) == 100000


def test_parent_reads_no_network(gw):
    """Its sockets: netlink, one that only sends frames, the children's."""
    pid = gw.hagwd.pid
    kinds = {}
    for fd, link in descriptors(pid).items():
        if fd <= 2 or LOOP.match(link):
            continue
        if not link.startswith("socket:["):
            assert link in (f"{gw.rundir}/hagwd.pid",
                            f"{gw.rundir}/lease"), link
            continue
        kind = kind_of(pid, link)
        kinds[kind] = kinds.get(kind, 0) + 1
    assert kinds["parent"] == 4 and kinds["listening"] == 1, kinds
    assert kinds["packet"] == 1, kinds
    assert set(kinds) == {"netlink", "packet", "parent", "listening"}, kinds
    packet = pathlib.Path(f"/proc/{pid}/net/packet").read_text()
    # protocol 0: nothing is ever received
    assert [line.split()[3] for line in packet.splitlines()[1:]] == ["0000"]


def symbols(*options):
    out = subprocess.run(["nm", *options, lab.HAGWD], check=True,
                         capture_output=True, text=True).stdout
    return {line.split()[-1].partition("@")[0]
            for line in out.splitlines()}


def of_library(name):
    out = subprocess.run(["nm", "--defined-only", "-g",
                          lab.BUILD / f"lib{name}.a"], check=True,
                         capture_output=True, text=True).stdout
    return {line.split()[-1] for line in out.splitlines()
            if len(line.split()) == 3}


def test_no_parser_is_linked_in():
    """What parses the network or users is in other programs only."""
    have = symbols("-g")
    own = of_library("hagwd") | of_library("common")
    for other in ("vrrpd", "syncd", "natd", "ctld"):
        theirs = of_library(other)
        assert len(theirs) > 10, other
        # names are unique within a program only
        assert (theirs - own) & have == set(), other
    have = symbols()
    for prefix in ("vrrp_packet", "packet_", "wire_", "record_decode",
                   "crypto_aead", "clients_", "relay_", "nftnl_", "nfct_"):
        assert [s for s in have if s.startswith(prefix)] == [], prefix


def test_no_foreign_code_is_called():
    """Not the resolver, no HTTP, no accept, no shell, no loader."""
    undefined = symbols("-D", "--undefined-only")
    assert "sendto" in undefined  # the list is not empty by mistake
    banned = re.compile(
        r"^(getaddrinfo|getnameinfo|gethostby.*|res_.*|evhttp.*|evdns.*|"
        r"accept4?|system|popen|dlopen|dlsym|execvp.*|execlp.*|gets)$")
    assert [s for s in undefined if banned.match(s)] == []
    needed = subprocess.run(["readelf", "-d", lab.HAGWD], check=True,
                            capture_output=True, text=True).stdout
    libraries = set(re.findall(r"NEEDED.*\[lib([a-z]+)", needed))
    assert libraries <= {"c", "event", "mnl", "bsd", "yaml", "seccomp",
                         "sodium"}, libraries


@pytest.mark.parametrize("program", ["sbin/hagwd", "libexec/hagw/vrrpd",
                                     "libexec/hagw/syncd",
                                     "libexec/hagw/natd",
                                     "libexec/hagw/ctld"])
def test_hardening(program):
    """Position independent, relocations read-only, stack not executable."""
    out = subprocess.run(["readelf", "-Wdlh", lab.BUILD / program],
                         check=True, capture_output=True, text=True).stdout
    assert "DYN (" in out and "BIND_NOW" in out and "GNU_RELRO" in out
    assert re.search(r"GNU_STACK.* RW ", out)
    assert "__stack_chk_fail" in subprocess.run(
        ["nm", "-D", lab.BUILD / program], check=True, capture_output=True,
        text=True).stdout
