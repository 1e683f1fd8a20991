"""The attacks, by child: (label, commands, what the parent says of it).

The last is a pattern for the reason the child was killed for, or None: it is
not killed, its request is refused or of no effect. After a "?" either may
come first.
"""
import socket
import struct

from . import forge
from .forge import (TYPE, attr, batch, element, expr, fill, flood, hdr,
                    immediate, msg, name, nft, raw, rule, table, text,
                    transaction, u32, verdict)

LENGTH = "wrong length"
SENDER = "not this sender's to send"
PHASE = "out of phase"
FD = "descriptor missing or not wanted"
FORMED = "malformed message"

HELLO = struct.pack("=I", 0) + b"\0" * 32
CT_STATUS = "=6I32s4Q"


def framing():
    """What any child may try with the framing, the best first."""
    pong = TYPE["PROC_PONG"]
    return [
        ("more-than-said", raw(hdr(pong, 0) + b"x"), FORMED),
        ("three-descriptors", f"fds 3 {pong}", FORMED),
        ("one-descriptor", f"fds 1 {pong}", FD),
        ("unknown-type", msg(TYPE["MAX"]), "unknown type"),
        ("short-header", raw(b"abc"), FORMED),
        ("less-than-said", raw(hdr(pong, 64) + b"x" * 8), FORMED),
        ("length-wraps", raw(hdr(pong, 0xffffffff) + b"x"), FORMED),
        ("descriptor-promised", raw(hdr(pong, 0, 1, 1)), FORMED),
        ("hidden-descriptor", f"fds 200 {pong}", FORMED),
        ("type-none", msg(0), "unknown type"),
        ("type-huge", msg(0xffffffff), "unknown type"),
        ("too-long", fill("PROC_LOG", 65536 + 100, 65), FORMED),
        ("pong-flood", flood("PROC_PONG", 200), None),
        ("log-flood", flood("PROC_LOG", 500, struct.pack("=i", -1)
                            + (b"%s%n\n\x1b[2J" * 60)[:512]), "?never"),
    ]


def life():
    return [
        ("hello-twice", msg("PROC_HELLO", HELLO), PHASE),
        ("ready-twice", msg("PROC_READY", b"\0" * 4), PHASE),
        ("event-before-hello",
         "early " + msg("PROC_EVENT", b"x" * 256), PHASE),
        ("hello-of-another-build",
         "early " + msg("PROC_HELLO", HELLO), "another build"),
        ("drained-unasked", msg("RECONF_DRAINED", b"\xff" * 260), None),
    ]


def lengths(*names):
    return [(f"length-{each}-{size}", fill(each, size, 255), LENGTH)
            for each, size in names]


def senders(*names):
    return [(f"sender-{each}", msg(each), SENDER) for each in names]


def vrrpd():
    state = [(f"role-{role:x}",
              msg("VRRP_STATE", struct.pack("=I", role) + b"\xff" * 256),
              "no such role") for role in (0, 4, 0xffffffff)]
    return (framing()[:3] + state[:1] + [
        ("released-unasked", msg("VRRP_RELEASED", b"\xff" * 16), None),
        ("state-flood", flood("VRRP_STATE", 1000, struct.pack("=I", 3)
                              + b"\x1b" * 256), "far more often"),
    ] + senders("CT_INJECT", "NAT_COMMIT", "CTL_REQUEST")
        + life() + state[1:]
        + lengths(("VRRP_STATE", 259), ("VRRP_RELEASED", 0),
                  ("VRRP_ANNOUNCE", 1))
        + senders("VRRP_ROLE", "FD_VRRP_TX", "CTL_NODE", "CT_DUMP") + [
        ("announce-flood", flood("VRRP_ANNOUNCE", 1000), "far more often"),
        ("handover-flood", flood("VRRP_HANDOVER", 1000), "far more often"),
        ("stray-rows", msg("CTL_END", b"\x1b" * 260, 77), None),
    ] + framing()[3:])


INSIDE, REMOTE, VIP = "172.23.0.20", "172.24.0.20", "172.24.0.100"
GOOD = {"orig": (INSIDE, REMOTE, 4000, 80),
        "reply": (REMOTE, VIP, 80, 4000)}
OTHER = "203.0.113.9"


def bad_flows():
    """Flows of a standby's syncd, each wrong in one respect."""
    def but(**changes):
        return forge.flow(**{**GOOD, **changes})
    plain = {"orig": (INSIDE, REMOTE, 4000, 80),
             "reply": (REMOTE, INSIDE, 80, 4000)}
    flows = [
        but(reply=(REMOTE, OTHER, 80, 4000)),
        but(reply=(REMOTE, "172.24.0.10", 80, 4000)),
        but(reply=(OTHER, VIP, 80, 4000)),
        but(orig=(REMOTE, VIP, 4000, 80), reply=(OTHER, REMOTE, 80, 4000)),
        but(orig=(REMOTE, "172.24.0.77", 4000, 80),
            reply=(INSIDE, REMOTE, 80, 4000)),
        but(reply=(REMOTE, VIP, 22, 4000)),
        forge.flow(plain["orig"], (REMOTE, INSIDE, 22, 4000)),
        forge.flow(plain["orig"], (REMOTE, INSIDE, 80, 22)),
        but(orig=("127.0.0.1", REMOTE, 1, 2)),
        but(orig=(INSIDE, "224.0.0.18", 1, 2)),
        but(orig=("172.23.0.11", REMOTE, 1, 2)),
        but(orig=(INSIDE, "0.0.0.0", 1, 2)),
        but(orig=(INSIDE, "255.255.255.255", 1, 2)),
        but(family=socket.AF_INET6, orig=("2001:db8::1", "2001:db8::2", 1, 2),
            reply=("2001:db8::2", "2001:db8::3", 2, 1)),
        but(family=0), but(family=255), but(proto=0), but(proto=47),
        but(proto=132), but(proto=255), but(op=0), but(op=5), but(op=255),
        but(zone=1), but(zone=65535), but(tcp_state=9), but(tcp_state=255),
        but(wscale=(15, 0)), but(wscale=(0, 255)),
        but(timeout=forge.HOLD_S * 4), but(timeout=0xffffffff),
        forge.flow(**plain, op=4, timeout=0),
    ]
    flows += [but(status=forge.TUPLE_STATUS | 1 << bit)
              for bit in range(32)
              if not 1 << bit & 0x1fe]
    return flows


def bad_among_good():
    """One flow of a batch is refused: the others are what they were."""
    def flow(port, **changes):
        return forge.flow(orig=(INSIDE, REMOTE, port, 80),
                          reply=(REMOTE, changes.pop("nat", VIP), 80, port),
                          **changes)
    return [
        msg("CT_INJECT", flow(4001) + flow(4002, nat=OTHER) + flow(4003),
            1100),
        # only what is there has a timeout that can be set
        msg("CT_INJECT", flow(4001, op=4) + flow(4003, op=4), 1101),
        msg("CT_INJECT", flow(4001, op=3) + flow(4003, op=3), 1102)]


def syncd_standby():
    bad = bad_flows()
    return [
        ("good-flow", msg("CT_INJECT", forge.flow(**GOOD), 1000), None),
        ("good-flow-gone",
         msg("CT_INJECT", forge.flow(**GOOD, op=3), 1001), None),
        ("bad-among-good", "; ".join(bad_among_good()), None),
        ("bad-flows", "; ".join(msg("CT_INJECT", each, 2000 + i)
                                for i, each in enumerate(bad)), None),
    ]


def status(node=1, up=1, role=2, ready=1):
    return struct.pack(CT_STATUS, node, up, role, ready, 1, 0, b"\xff" * 32,
                       *[2**64 - 1] * 4)


def syncd_master():
    def flows(**changes):
        return forge.flow(**{**GOOD, **changes})
    ask = [flows(), flows(op=2), flows(op=3), flows(op=4, timeout=1),
           flows(op=4, timeout=0)]
    own = [
        ("master-injects", "; ".join(msg("CT_INJECT", each, 3000 + i)
                                     for i, each in enumerate(ask)), None),
        ("batch-too-long", fill("CT_INJECT", 100 * 129, 1),
         "more records than"),
        ("status-of-itself", msg("CT_STATUS", status(node=0)), "not a peer"),
        ("dump-flood", flood("CT_DUMP", 2000), "more dumps at a time"),
        ("inject-flood", flood("CT_INJECT", 2000, flows() * 128),
         "?does not read"),
        ("status-of-nobody", msg("CT_STATUS", status(node=99)), "not a peer"),
        ("status-role", msg("CT_STATUS", status(role=77)), "not a peer"),
        ("handover-of-nobody", msg("CT_HANDOVER_ASKED", b"\xff" * 8),
         "not a peer"),
        ("barrier-unasked", msg("CT_BARRIER_DONE", b"\xff" * 24), None),
        ("half-a-record", fill("CT_INJECT", 150, 1), LENGTH),
        ("no-record", fill("CT_INJECT", 0, 1), LENGTH),
        ("status-flood", flood("CT_STATUS", 2000, status()),
         "far more often"),
        ("event-flood", flood("PROC_EVENT", 1000, b"\x1b[31m%n" * 36
                              + b"\n" * 4), "?never"),
    ]
    return (own[:5] + framing()[:2] + senders("VRRP_STATE", "NAT_BATCH",
                                              "CTL_CANCEL")
            + own[5:] + life() + framing()[2:]
            + senders("VRRP_ANNOUNCE", "CT_APPLIED", "FD_CT_DUMP"))


def bad_batches():
    """Batches of natd that must never reach the kernel."""
    ip = socket.inet_aton
    port = u32(443)
    yield "foreign-table", transaction(nft(forge.NEWTABLE, table("other"),
                                           flags=0x401))
    yield "delete-foreign-table", transaction(nft(forge.DELTABLE,
                                                  table("other")))
    yield "another-family", transaction(nft(forge.DELTABLE, table(),
                                            family=forge.IPV4))
    yield "conntrack-flush", transaction(forge.nlmsg(1 << 8 | 2, b""))
    yield "hidden-after-end", batch(
        forge.BEGIN + forge.END + nft(forge.DELTABLE, table("other")))
    yield "hidden-in-begin", batch(
        forge.nlmsg(0x10, nft(forge.DELTABLE, table("other")), family=0,
                    res_id=forge.NFT) + forge.END)
    yield "dnat-anywhere", transaction(rule(
        "nat_pre", immediate(1, ip(OTHER)),
        expr("nat", attr(1, u32(1)), attr(2, u32(2)), attr(3, u32(1)))))
    yield "expressions-before-chain", transaction(nft(
        forge.NEWRULE, table() + attr(4, expr(
            "lookup", attr(1, name("vip4")), attr(2, u32(1)))
            + verdict(0), True) + attr(2, name("guard_in")), flags=0xc01))
    yield "drop-all-that-is-local", transaction(rule(
        "guard_in", immediate(1, ip(VIP)),
        expr("lookup", attr(1, name("vip4")), attr(2, u32(1))), verdict(0)))
    yield "reject-all", transaction(rule("raw_pre", expr(
        "reject", attr(1, u32(1)), attr(2, b"\0"))))
    yield "vip-not-ours", transaction(element("vip4", ip(OTHER)))
    yield "source-not-ours", transaction(element(
        "src4", ip(INSIDE) + b"eth1".ljust(16, b"\0"), ip(OTHER)))
    yield "forward-not-ours", transaction(element(
        "fwd4", ip(VIP) + u32(6) + port, ip(OTHER) + port))
    yield "jump", transaction(rule("guard_in", verdict(-3, "nat_pre")))
    yield "drop-all", transaction(rule("guard_fwd", verdict(0)))
    yield "drop-at-the-vip", transaction(rule("raw_pre", expr(
        "lookup", attr(1, name("vip4")), attr(2, u32(1))), verdict(0)))
    yield "queue", transaction(rule("guard_in", expr("queue",
                                                     attr(1, b"\0\0"))))
    yield "route-message", transaction(forge.nlmsg(24, b"\0" * 12))
    yield "policy-rule-message", transaction(forge.nlmsg(32, b"\0" * 12))
    yield "address-message", transaction(forge.nlmsg(20, b"\0" * 8))
    yield "ipset", transaction(forge.nlmsg(6 << 8 | 2, table("x")))
    yield "message-too-long", batch(
        forge.BEGIN + nft(forge.DELTABLE, table(), length=4096) + forge.END)
    yield "message-too-short", batch(
        forge.BEGIN + nft(forge.DELTABLE, table(), length=8) + forge.END)
    yield "message-unaligned", batch(
        forge.BEGIN + nft(forge.DELTABLE, table(), length=27) + forge.END)
    yield "attribute-empty", transaction(
        nft(forge.DELTABLE, struct.pack("=HH", 0, 1)))
    yield "attribute-too-long", transaction(
        nft(forge.DELTABLE, struct.pack("=HH", 4000, 1) + b"hagw\0\0\0\0"))
    yield "attribute-overlaps", transaction(
        nft(forge.NEWCHAIN, table() + attr(3, name("nat_pre"))
            + struct.pack("=HHHH", 8, 4 | forge.NESTED, 400, 1),
            flags=0x401))
    yield "name-unended", transaction(nft(forge.DELTABLE, attr(1, b"hagw")))
    yield "name-with-tail", transaction(
        nft(forge.DELTABLE, attr(1, b"hagw\0other\0")))
    yield "table-twice", transaction(
        nft(forge.DELTABLE, table() + table("other")))
    yield "table-dormant", transaction(
        nft(forge.NEWTABLE, table() + attr(2, u32(1)), flags=0x401))
    yield "replace", transaction(
        nft(forge.NEWTABLE, table(), flags=0x401 | forge.NLM_F_REPLACE))
    yield "of-another-port", transaction(
        nft(forge.NEWTABLE, table(), flags=0x401, pid=1))
    yield "flowtable", transaction(nft(forge.NEWFLOWTABLE, table()))
    yield "object", transaction(nft(forge.NEWOBJ, table()))
    yield "chain-of-its-own", transaction(
        nft(forge.NEWCHAIN, table() + attr(3, name("mine")), flags=0x401))
    yield "chain-elsewhere", transaction(
        nft(forge.NEWCHAIN, table() + attr(3, name("guard_in"))
            + attr(4, attr(1, u32(0)) + attr(2, u32(-400 & 0xffffffff)),
                   True) + attr(7, name("filter")), flags=0x401))
    yield "chain-drops", transaction(
        nft(forge.NEWCHAIN, table() + attr(3, name("guard_in"))
            + attr(4, attr(1, u32(1)) + attr(2, u32(-5 & 0xffffffff)), True)
            + attr(5, u32(0)) + attr(7, name("filter")), flags=0x401))
    yield "masquerade", transaction(rule("nat_post", expr("masq")))
    yield "write-payload", transaction(rule("nat_pre", expr(
        "payload", attr(5, u32(1)), attr(2, u32(1)), attr(3, u32(16)),
        attr(4, u32(4)))))
    yield "no-end", batch(forge.BEGIN)
    yield "zeros", batch(b"\0" * 16)


def natd():
    bad = [(f"batch-{label}", lines, "nat batch: ")
           for label, lines in bad_batches()]
    control = [("good-batch", transaction(
        nft(forge.NEWTABLE, table(), flags=0x401)), None)]
    more = [
        ("parts-missing", batch(forge.BEGIN + forge.END, parts=2),
         "incomplete"),
        ("bytes-missing", batch(forge.BEGIN + forge.END, size=2**32 - 1),
         "incomplete"),
        ("batch-without-end", flood("NAT_BATCH", 2000, b"\0" * 60000),
         "over its limit"),
        ("commit-flood", flood("NAT_COMMIT", 1000, b"\0" * 8), "incomplete"),
        ("dump-of-nothing", msg("NAT_DUMP", b"\xff" * 36), "dump request"),
        ("dump-flood", flood("NAT_DUMP", 4000, struct.pack("=I", 1)
                             + b"\0" * 32), "does not read"),
        ("dump-foreign-set", msg("NAT_DUMP", struct.pack("=I", 2)
                                 + text("../other", 32)), None),
    ]
    return (control + bad[:12] + more[:3] + bad[12:] + more[3:]
            + framing()[:2] + senders("VRRP_STATE", "CT_INJECT",
                                      "CTL_REQUEST", "NAT_RESULT")
            + lengths(("NAT_COMMIT", 7), ("NAT_DUMP", 37), ("NAT_BATCH", 0))
            + life() + framing()[2:])


def ctld():
    def request(what, flags=0, number=0, arg=b""):
        return struct.pack("=4I", what, flags, number, 0) \
            + arg.ljust(32, b"\0")
    own = [
        ("request-unknown", msg("CTL_REQUEST", request(999)), "impossible"),
        ("request-unnumbered", msg("CTL_REQUEST", request(1), 0),
         "impossible"),
        ("request-flood", flood("CTL_REQUEST", 2000, request(1)),
         "impossible|does not read"),
        ("cancel-flood", flood("CTL_CANCEL", 1000), None),
        ("events-all", msg("CTL_REQUEST", request(6, number=2**32 - 1,
                                                  arg=b"\xff" * 32)), None),
        ("request-twice", msg("CTL_REQUEST", request(8), 5) + "; "
         + msg("CTL_REQUEST", request(8), 5), "impossible"),
        ("monitors", "; ".join(msg("CTL_REQUEST", request(8), i)
                               for i in range(10, 300)), None),
        ("reads-nothing", "; ".join(
            msg("CTL_REQUEST", request(6, number=512), i)
            for i in range(1000, 1100)) + "; mute 3000", "?does not read"),
    ]
    return (own[:4] + framing()[:3] + senders("VRRP_STATE", "CT_INJECT",
                                              "NAT_COMMIT")
            + own[4:] + lengths(("CTL_REQUEST", 0), ("CTL_CANCEL", 4))
            + senders("CTL_END", "FD_CTL") + life() + framing()[3:])
