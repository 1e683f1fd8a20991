"""A standby whose table is too small for all that the master has."""
import pathlib
import time

import pytest

import lab

MAX = 40000
FLOWS = MAX - 300  # more than a standby takes, which keeps 1 in 64 free
CT_MAX = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
OTHERS = ("-s", "172.23.1.1", "-d", "172.24.2.1", "-t", "172.24.0.100")


@pytest.fixture
def pair():
    before = CT_MAX.read_text()
    with lab.NatPair(advertise="100ms", preempt="never") as pair:
        CT_MAX.write_text(f"{MAX}\n")
        try:
            pair.start()
            yield pair
        finally:
            CT_MAX.write_text(before)


def test_what_it_holds_is_not_swept(pair):
    """Each further bulk finds no room, and names what is there already."""
    nat1, nat2 = pair.gateways
    report = nat1.ctload(*OTHERS, "-n", str(FLOWS), "-r", "20000")
    assert report["done"] == FLOWS, report
    full = MAX - MAX // 64
    lab.wait_for("nat2: full", lambda: nat2.flows() >= full - 200, 15)

    def bulks():
        return sum("bulk to nat2" in line
                   for line in nat1.hagwd.log().splitlines())
    first, least = bulks(), MAX
    end = time.monotonic() + 40
    while bulks() < first + 3 and time.monotonic() < end:
        least = min(least, nat2.flows())
        time.sleep(0.05)
    assert bulks() >= first + 3
    assert least >= full - 400, least
    assert not nat2.is_ready()
    assert nat2.show("summary")["node"]["inject_full"] > 0
    assert any("nat2 is not ready" in w["text"]
               for w in nat1.show("summary")["warnings"])
    # and with room again it takes them all
    CT_MAX.write_text(f"{2 * MAX}\n")
    pair.wait_ready(nat2, 40)
    pair.wait_equal()
