"""The lists of allowed system calls are minimal: each is either seen in a
child at work, or has a reason here.
"""
import collections
import os
import re
import signal

import pytest

import lab

PROFILES = {"vrrpd": "vrrpd/vrrpd.c", "syncd": "syncd/syncd.c",
            "natd": "natd/natd.c", "ctld": "ctl/ctld.c"}

# Allowed to all, and not always seen in each of them.
REASONS = {
    "read": "an eventfd or pipe of the loop; a netlink dump",
    "write": "standard error, when abort() speaks; the loop's own wake-up",
    "close": "descriptors that are replaced",
    "epoll_pwait": "what epoll_wait is on other architectures",
    "clock_gettime": "where the vdso has it not",
    "gettimeofday": "where the vdso has it not",
    "getpid": "libevent and libsodium notice a fork by it; abort()",
    "gettid": "abort()",
    "tgkill": "abort(), of itself only",
    "rt_sigprocmask": "abort()",
    "rt_sigaction": "abort()",
    "rt_sigreturn": "a signal that was handled",
    "sigaltstack": "sanitizers, when they report",
    "restart_syscall": "the kernel's own, after a stop",
    "futex": "locks of the C library: exit, stdio",
    "getrandom": "libsodium; allocator and hash seeds",
    "brk": "memory", "mmap": "memory", "mprotect": "memory",
    "munmap": "memory", "mremap": "realloc of what is large",
    "madvise": "free of what is large",
    "exit": "the end", "exit_group": "the end",
    "fcntl": "a descriptor made non-blocking when it comes",
    "sysinfo": "natd: qsort of many elements asks for memory",
    "timerfd_settime": "precise timers", "epoll_ctl": "the loop",
}


class Traced(lab.Gateway):
    """A gateway under strace(1)."""

    @property
    def trace(self):
        return self.lab.dir / f"{self.name}.strace"

    def argv(self, *extra):
        return ["strace", "-f", "-qq", "-o", self.trace,
                *super().argv(*extra)]


def allowed():
    """From the tables in the sources, so that nothing can be forgotten."""
    def table(path, start):
        text = (lab.TOP / path).read_text()
        body = text[text.index(start):]
        body = body[:body.index("};")]
        return set(re.findall(r'\{(?:\.name = )?"(\w+)"', body))
    common = table("common/seccomp.c", "common_calls[]") | {"tgkill"}
    return {child: common | table(path, "struct sandbox_call")
            for child, path in PROFILES.items()}


def used(trace):
    """By child, after its sandbox was closed."""
    child_of, inside = {}, set()
    calls = collections.defaultdict(set)
    for line in trace.read_text().splitlines():
        m = re.match(r"(\d+) +(?:<\.\.\. )?(\w+)[( ](.*)", line)
        if m is None:
            continue
        pid, call, rest = m.groups()
        if call == "execve" and (exe := re.search(r'hagw/(\w+)"', rest)):
            child_of[pid] = exe.group(1)
            inside.discard(pid)
        elif call == "seccomp" and pid in child_of and "len=" in rest:
            inside.add(pid)  # those before it, without a filter, are probes
        elif pid in inside and call != "seccomp":
            calls[child_of[pid]].add(call)
    return calls


@pytest.fixture(scope="module")
def work():
    """A working day of two gateways, in short."""
    with lab.NatPair(advertise="100ms", preempt="never",
                     gateway=Traced) as pair:
        pair.start()
        one, two = pair.gateways
        flows = ("-s", "172.23.1.1", "-d", "172.24.2.1", "-t", "172.24.0.100")
        one.ctload(*flows, "-n", "2000")
        # in bursts, one each 4 ms: syncd waits a moment for each
        one.ctload(*flows, "-f", "2000", "-n", "2000", "-r", "5000", "-b",
                   "20")
        for words in ("summary", "vrrp", "nat", "sync", "events", "config"):
            one.hactl("show", words)
        one.hactl("log", "verbose")
        one.hactl("reload")
        pair.wait_ready(two)
        one.hactl("failover")
        pair.wait_master(two)
        pair.wait_ready(one)
        two.hactl("failover")
        pair.wait_master(one)
        cable = one.cables["eth0"]
        cable.pull()
        lab.wait_for("two: master", two.is_master, 10)
        cable.plug()
        for gw in pair.gateways:
            os.kill(int((gw.rundir / "hagwd.pid").read_text()),
                    signal.SIGTERM)
        for gw in pair.gateways:
            gw.hagwd.wait(15)
        calls = collections.defaultdict(set)
        for gw in pair.gateways:
            for child, each in used(gw.trace).items():
                calls[child] |= each
        yield calls


@pytest.mark.parametrize("child", PROFILES)
def test_allowed_calls_are_used(work, child):
    assert len(work[child]) > 5, work
    unused = allowed()[child] - work[child] - set(REASONS)
    assert not unused, f"{child}: allowed and never used: {unused}"


@pytest.mark.parametrize("child", PROFILES)
def test_used_calls_are_allowed(work, child):
    """Or the trace is not of what it seems to be."""
    extra = work[child] - allowed()[child]
    assert not extra, f"{child}: {extra}"


def test_the_parent_allows_what_its_children_do():
    """They inherit its filter."""
    text = (lab.TOP / "parentd/confine.c").read_text()
    body = text.partition("parent_calls[]")[2].partition("};")[0]
    parent = set(re.findall(r'CALL(?:_ARG)?\((\w+)|\{"(\w+)"', body))
    parent = {a or b for a, b in parent}
    common = set.intersection(*allowed().values())
    for child, calls in allowed().items():
        assert calls - common - parent == set(), child


def test_no_reason_is_left_over():
    every = set().union(*allowed().values())
    assert set(REASONS) <= every, set(REASONS) - every
