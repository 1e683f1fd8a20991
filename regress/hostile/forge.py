"""What an attacker in a child would send: messages, flows, netlink batches.

Numbers of messages are read from the catalogue; layouts are written out here
a second time, so that a change of a struct shows as a failed attack.
"""
import pathlib
import re
import socket
import struct

TOP = pathlib.Path(__file__).resolve().parents[2]


def _types():
    text = (TOP / "common/imsg_msg.h").read_text()
    body = text.partition("enum imsg_type {")[2].partition("};")[0]
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    names = [name.strip() for name in body.split(",") if name.strip()]
    return {name.removeprefix("IMSG_"): i for i, name in enumerate(names)}


TYPE = _types()


def hdr(kind, length, ident=1, hasfd=0):
    return struct.pack("=4I", kind, length, ident, hasfd)


def msg(name, payload=b"", ident=1):
    kind = TYPE[name] if isinstance(name, str) else name
    return f"msg {kind} {ident} {payload.hex()}"


def raw(data):
    return f"raw {data.hex()}"


def fill(name, length, byte):
    return f"fill {TYPE[name]} {length} {byte}"


def flood(name, ms, payload=b""):
    return f"flood {TYPE[name]} {ms} {payload.hex()}"


def text(string, size):
    return string.encode().ljust(size, b"\0")


# Flows

def _addr(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address).ljust(16, b"\0")


TUPLE_STATUS = 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100  # a translated flow
HOLD_S = 864000 + 259200
FIELDS = {"status": 0x1, "timeout": 0x2, "tcp": 0x8, "win": 0x10}


def flow(orig, reply, op=1, family=socket.AF_INET, proto=6,
         status=TUPLE_STATUS, timeout=HOLD_S, mark=0, ident=0, fields=0xb,
         zone=0, tcp_state=3, wscale=(7, 7), flags=(0, 0)):
    """A struct ct_rec; orig and reply are (src, dst, sport, dport)."""
    data = b""
    for src, dst, sport, dport in (orig, reply):
        data += _addr(src) + _addr(dst) + struct.pack("!HH", sport, dport)
    return data + struct.pack("=4I2H8B", status, timeout, mark, ident,
                              fields, zone, op, family, proto, tcp_state,
                              *wscale, *flags)


# Netlink

NLM_F_REQUEST, NLM_F_CREATE, NLM_F_REPLACE = 0x1, 0x400, 0x100
NESTED = 0x8000
NFT = 10  # subsystem
INET, IPV4, NETDEV = 1, 2, 5
(NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, GETCHAIN, DELCHAIN, NEWRULE,
 GETRULE, DELRULE, NEWSET, GETSET, DELSET, NEWSETELEM, GETSETELEM,
 DELSETELEM) = range(15)
NEWOBJ = 18
NEWFLOWTABLE = 22


def attr(kind, data, nested=False):
    length = 4 + len(data)
    return struct.pack("=HH", length, kind | (NESTED if nested else 0)) \
        + data + b"\0" * (-length % 4)


def u32(value):
    return struct.pack("!I", value)


def name(string):
    return string.encode() + b"\0"


def nlmsg(kind, payload, family=INET, flags=NLM_F_REQUEST, res_id=0, seq=1,
          pid=0, length=None, version=0):
    data = struct.pack("=BBH", family, version, socket.htons(res_id)) \
        + payload
    total = 16 + len(data) if length is None else length
    return struct.pack("=IHHII", total, kind, flags, seq, pid) + data


BEGIN = nlmsg(0x10, b"", family=0, res_id=NFT)
END = nlmsg(0x11, b"", family=0, res_id=NFT)


def nft(kind, payload, **kwargs):
    return nlmsg(NFT << 8 | kind, payload, **kwargs)


def batch(data, parts=None, size=None, ident=9):
    """The commands that hand a whole batch to the parent."""
    step = 60000
    pieces = [data[i:i + step] for i in range(0, len(data), step)]
    lines = [msg("NAT_BATCH", piece, ident) for piece in pieces]
    commit = struct.pack("=II", len(pieces) if parts is None else parts,
                         len(data) if size is None else size)
    return "; ".join(lines + [msg("NAT_COMMIT", commit, ident)])


def transaction(*messages, **kwargs):
    return batch(BEGIN + b"".join(messages) + END, **kwargs)


def table(string="hagw"):
    return attr(1, name(string))


def expr(kind, *attrs):
    return attr(1, attr(1, name(kind)) + attr(2, b"".join(attrs), True),
                True)


def rule(chain, *exprs, extra=b"", **kwargs):
    kwargs.setdefault("flags", NLM_F_REQUEST | NLM_F_CREATE | 0x800)
    return nft(NEWRULE, table() + attr(2, name(chain))
               + attr(4, b"".join(exprs), True) + extra, **kwargs)


def immediate(reg, value):
    return expr("immediate", attr(1, u32(reg)),
                attr(2, attr(1, value), True))


def verdict(code, chain=None):
    body = attr(1, u32(code & 0xffffffff))
    if chain:
        body += attr(2, name(chain))
    return expr("immediate", attr(1, u32(0)),
                attr(2, attr(2, body, True), True))


def element(setname, key, data=None, **kwargs):
    body = attr(1, attr(1, key), True)
    if data is not None:
        body += attr(2, attr(1, data), True)
    kwargs.setdefault("flags", NLM_F_REQUEST | NLM_F_CREATE)
    return nft(NEWSETELEM, table() + attr(2, name(setname))
               + attr(3, attr(1, body, True), True), **kwargs)
