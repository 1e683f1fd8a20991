"""What arrives on the sync link and was not meant for us: dropped, counted,
shown, logged at a limited rate; and the session goes on.
"""

import pytest

import lab

PORT = 3780
HEADER = 36  # in the clear, authenticated; syncd/PROTOCOL.md
OFF_VERSION = 4
OFF_SITE = 8
OFF_NUMBER = 28

# Run in the switch: catch datagrams of nat2 on their way to nat1, then send
# them to nat1, changed as asked. argv: how, how often.
FORGE = """\
import random, socket, struct, sys
how, times = sys.argv[1], int(sys.argv[2])
# every protocol: the bridge takes a frame before it is told apart as IP
rx = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
rx.bind(("nat2.eth2", 3))
rx.settimeout(5)
tx = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
tx.bind(("nat1.eth2", 0))


def checksum(data):
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return 0xffff ^ s


def frame(eth, ip, ports, payload):
    udp = ports + struct.pack("!HH", 8 + len(payload), 0)
    ip = (ip[:2] + struct.pack("!H", 20 + len(udp) + len(payload)) + ip[4:10]
          + b"\\0\\0" + ip[12:20])
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return eth + ip + udp + payload


def change(payload):
    if how == "replay":
        return payload
    if how == "garbage":
        return random.randbytes(random.randrange(0, 1400))
    if how == "truncated":
        return payload[:random.randrange(0, len(payload))]
    p = bytearray(payload)
    if how == "flipped":
        p[random.randrange(@HEADER@, len(p))] ^= 1 << random.randrange(8)
    elif how == "header":
        p[random.randrange(12, @HEADER@)] ^= 1 << random.randrange(8)
    elif how == "fresh":  # as if not seen yet: only the key can tell
        p[@NUMBER@ + 4] ^= 1
    elif how == "version":
        p[@VERSION@] += 1
    elif how == "site":
        p[@SITE@] ^= 0x55
    return bytes(p)


seen = []
while len(seen) < 3:
    data, address = rx.recvfrom(2000)
    if address[2] == socket.PACKET_OUTGOING or data[12:15] != b"\\x08\\0E":
        continue
    if data[23] != 17 or data[36:38] != struct.pack("!H", @PORT@):
        continue
    end = 14 + struct.unpack("!H", data[16:18])[0]
    seen.append((data[:14], data[14:34], data[34:38], data[42:end]))
for i in range(times):
    eth, ip, ports, payload = seen[i % len(seen)]
    tx.send(frame(eth, ip, ports, change(payload)))
"""
for word, value in (("@HEADER@", HEADER), ("@VERSION@", OFF_VERSION),
                    ("@SITE@", OFF_SITE), ("@NUMBER@", OFF_NUMBER),
                    ("@PORT@", PORT)):
    FORGE = FORGE.replace(word, str(value))

TIMES = 200
# Made of datagrams that nat1 never got: of others it looks at the number only.
OF_NEW = ("flipped", "truncated")


@pytest.fixture(scope="module")
def pair():
    with lab.NatPair(advertise="100ms", preempt="never") as pair:
        pair.start()
        yield pair


def dropped(gw):
    sync = gw.show("sync")["sync"]
    return {key: sync[key] for key in sync if key.startswith("dropped_")}


@pytest.mark.parametrize("how, counters", [
    ("replay", {"dropped_replay"}),
    ("fresh", {"dropped_key"}),
    ("flipped", {"dropped_key"}),
    ("header", {"dropped_key", "dropped_replay", "dropped_malformed",
                "dropped_site"}),
    ("truncated", {"dropped_malformed", "dropped_key"}),
    ("garbage", {"dropped_malformed", "dropped_key"}),
    ("version", {"dropped_version"}),
    ("site", {"dropped_site", "dropped_key"}),
])
def test_forged_datagrams(pair, how, counters):
    nat1, nat2 = pair.gateways
    before = dropped(nat1)
    lines = len(nat1.hagwd.log().splitlines())
    cable = nat2.cables["eth2"]
    try:
        if how in OF_NEW:
            cable.net.part(cable, nat1.cables["eth2"], both_ways=False)
        pair.lab.switch.python(FORGE, how, str(TIMES))
        lab.wait_for(f"{TIMES} counted", lambda: sum(
            dropped(nat1)[key] - before[key] for key in counters) >= TIMES, 3)
    finally:
        cable.net.heal()
    lab.wait_for("peer up", lambda:
                 nat1.show("sync")["sync_peers"][0]["up"], 10)
    assert nat1.is_master() and not nat2.holds()
    assert len(nat1.hagwd.log().splitlines()) - lines <= 10
    text = nat1.hactl("show", "sync").stdout
    assert "dropped" in text, text
    # and flows still get across
    nat1.ctload("-s", "172.23.9.1", "-d", "172.24.9.1", "-t", "172.24.0.100",
                "-n", "50")
    pair.wait_equal()
    nat1.ctload("-s", "172.23.9.1", "-d", "172.24.9.1", "-n", "50", "-o",
                "delete")


@pytest.fixture
def stranger(pair):
    """Starts nat2 with another site file; puts things right afterwards."""
    nat1, nat2 = pair.gateways
    right = nat2.site

    def start(text):
        nat2.stop_hagwd()
        nat2.site = pair.lab.dir / "other.yaml"
        nat2.site.write_text(text)
        nat2.start_hagwd()
        return nat2
    yield start
    nat2.stop_hagwd()
    nat2.site = right
    nat2.start_hagwd()
    pair.wait_ready(nat2)


def warned(gw, what):
    lab.wait_for(f"a warning: {what}", lambda: any(
        what in w["text"] for w in gw.show("summary")["warnings"]), 5)


def test_another_key(pair, stranger):
    nat1, _ = pair.gateways
    key = lab.new_key(pair.lab.dir / "other.key")
    before = dropped(nat1)["dropped_key"]
    stranger(lab.edit_site(nat1.site.read_text(), key_file=key))
    lab.wait_for("counted", lambda: dropped(nat1)["dropped_key"] > before, 5)
    warned(nat1, "compare the sync keys")
    lab.wait_for("peer down", lambda: not
                 nat1.show("sync")["sync_peers"][0]["up"], 10)
    assert nat1.is_master()


def test_another_site(pair, stranger):
    nat1, _ = pair.gateways
    before = dropped(nat1)["dropped_site"]
    text = nat1.site.read_text().replace("site: nat-pair", "site: other")
    assert "site: other" in text
    stranger(text)
    lab.wait_for("counted", lambda: dropped(nat1)["dropped_site"] > before, 5)
    warned(nat1, "compare the site files")
    assert nat1.is_master()
