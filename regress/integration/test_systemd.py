"""hagwd as systemd starts it: what sd_notify(3) has it say, and when."""
import socket

import pytest

import lab


@pytest.fixture
def gw():
    with lab.NatPair() as pair:
        yield pair.gateways[0]


def test_ready_watchdog_stopping(gw):
    path = gw.lab.dir / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(20)
        gw.hagwd = gw.start(["env", f"NOTIFY_SOCKET={path}",
                             "WATCHDOG_USEC=10000000", *gw.argv()], "hagwd")
        while (said := systemd.recv(100)) == b"WATCHDOG=1":
            pass
        assert said == b"READY=1"
        states = {row["name"]: row["state"]
                  for row in gw.show("process")["processes"]}
        assert len(states) == 5 and set(states.values()) == {"running"}
        assert [systemd.recv(100) for _ in range(2)] == 2 * [b"WATCHDOG=1"]
        assert gw.stop_hagwd() == 0
        while (said := systemd.recv(100)) == b"WATCHDOG=1":
            pass
        assert said == b"STOPPING=1"
