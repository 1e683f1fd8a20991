"""Control of the preloaded library that makes calls fail: shim.c."""
import mmap
import struct

import lab
from lab.core import TOOLS
from tree import TreeGateway

FAULTS = ("send ENOBUFS", "send EAGAIN", "send ENOMEM", "EINTR",
          "recv EAGAIN", "recv ENOBUFS", "recv short", "read short",
          "netlink EBUSY", "netlink EEXIST", "malloc", "fork", "socket",
          "open")
HITS = 4 * len(FAULTS)
DICE = 2 * HITS
SHIFT = DICE + 8
SIZE = SHIFT + 8


class Shim:
    """The control file of one program."""

    def __init__(self, path, seed=1):
        self.path = path
        path.write_bytes(bytes(SIZE))
        path.chmod(0o666)
        with open(path, "r+b") as f:
            self._map = mmap.mmap(f.fileno(), SIZE)
        struct.pack_into("=I", self._map, DICE, seed or 1)

    def set(self, fault, per_mille):
        struct.pack_into("=I", self._map, 4 * FAULTS.index(fault), per_mille)

    def clear(self):
        self._map[0:HITS] = bytes(HITS)

    def hits(self):
        counts = struct.unpack_from(f"={len(FAULTS)}I", self._map, HITS)
        return dict(zip(FAULTS, counts))

    def shift(self, seconds):
        """Step the wall clock, as this program sees it."""
        struct.pack_into("=q", self._map, SHIFT, seconds)


class ShimGateway(TreeGateway):
    """hagwd and its children, each with the library before the others."""

    library = TOOLS / "shim.so"
    options = ()  # more of hagwd's environment

    def __init__(self, lab_, name):
        super().__init__(lab_, name)
        self.shim = Shim(lab_.dir / f"shim-{name}", seed=hash(name) & 0xffff)
        self.child_shims = {}

    def preload_child(self, child):
        path = self.lab.dir / f"shim-{self.name}-{child}"
        self.child_shims[child] = Shim(path)
        self.mode(child, f"preload {TOOLS / 'shim.so'} HAGW_SHIM={path}")

    def shims(self):
        return [self.shim, *self.child_shims.values()]

    def argv(self, *extra):
        return ["env", f"LD_PRELOAD={self.library}",
                f"HAGW_SHIM={self.shim.path}", *self.options,
                *super().argv(*extra)]


def descriptors(pid):
    """How many a process has."""
    return len(list((lab.core.pathlib.Path("/proc") / str(pid) / "fd")
                    .iterdir()))
