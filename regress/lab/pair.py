"""What the topologies have in common: gateways, one of them master."""
from .core import TOP, Lab, LabError, raise_limits, wait_for
from .gateway import Gateway, edit_site, new_key


class Pair:
    """Two gateways, or more, around a site file."""

    example = ""   # the shipped site file
    nodes = ()     # the gateways' names, the preferred first
    vips = {}      # interface: virtual address

    def __init__(self, gateway=Gateway, **keys):
        raise_limits()
        self.lab = Lab()
        self.gateways = []
        try:
            self.build(gateway)
            self.write_site(**keys)
        except BaseException:
            self.lab.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.lab.close()

    def build(self, gateway):
        """Lay hosts, networks and cables."""
        raise NotImplementedError

    def add_gateways(self, gateway):
        for name in self.nodes:
            gw = self.lab.host(name, gateway)
            gw.vips = dict(self.vips)
            gw.sysctl("net.ipv4.ip_forward", 0)  # hagwd sets it
            self.gateways.append(gw)

    def site_text(self):
        return (TOP / "etc" / self.example).read_text()

    def write_site(self, **keys):
        """The shipped example with a key of this lab's own."""
        path = self.lab.dir / "site.yaml"
        key = self.lab.dir / "sync.key"
        if not key.exists():
            new_key(key)
        text = self.site_text()
        path.write_text(edit_site(text, key_file=key, **keys))
        for gw in self.gateways:
            gw.site = path

    def start(self):
        """hagwd on all; the preferred one first so that it is master."""
        for gw in self.gateways:
            gw.start_hagwd(wait=False)
            if gw is self.gateways[0]:
                wait_for(f"{gw.name}: master", gw.is_master, 20)
        for gw in self.gateways:
            wait_for(f"{gw.name}: answers", gw.answers, 10)
        for gw in self.gateways[1:]:
            self.wait_ready(gw)

    def others(self, gw):
        return [each for each in self.gateways if each is not gw]

    def other(self, gw):
        """The other one of two."""
        other, = self.others(gw)
        return other

    def masters(self):
        return [gw for gw in self.gateways if gw.is_master()]

    def master(self):
        masters = self.masters()
        if len(masters) != 1:
            raise LabError(f"masters: {[gw.name for gw in masters]}")
        return masters[0]

    def wait_master(self, gw, timeout=15):
        """Until gw alone holds all virtual addresses, the others none."""
        wait_for(f"{gw.name}: sole master", lambda: gw.is_master()
                 and not any(o.holds() for o in self.others(gw)), timeout)

    def wait_ready(self, gw, timeout=30):
        wait_for(f"{gw.name}: ready", gw.is_ready, timeout, 0.05)

    def make_master(self, gw):
        """Bring gw to mastership by a planned failover, where needed."""
        for each in self.gateways:
            if each.hagwd is None:
                each.come_back()
            for cable in each.cables.values():
                cable.plug()
        wait_for("a master", lambda: len(self.masters()) == 1, 20)
        master = self.master()
        self.wait_ready(self.other(master))
        if master is not gw:
            master.hactl("failover", timeout=30)
            self.wait_master(gw)
            self.wait_ready(self.other(gw))

    def wait_equal(self, timeout=10, **kwargs):
        """Until all tables are the same; their forwarded flows.

        LabError, with a few of the flows that differ, when they stay
        different.
        """
        found = []

        def same():
            found[:] = self.dumps(**kwargs)
            return all(each == found[0] for each in found)
        try:
            wait_for("equal tables", same, timeout, 0.2)
        except LabError as e:
            everywhere = set.intersection(*found)
            text = "\n".join(
                f"{len(some)} on {gw.name}, not on all, such as\n  "
                + "\n  ".join(sorted(some)[:5])
                for gw, some in ((gw, flows - everywhere) for gw, flows
                                 in zip(self.gateways, found)))
            raise LabError(f"{e}\n{text}") from None
        return found[0]

    def local_addresses(self):
        """The gateways' own addresses and the virtual ones."""
        found = set(self.vips.values())
        for gw in self.gateways:
            found.update(gw.addresses())
        return sorted(found)

    def dumps(self, **kwargs):
        """The forwarded flows of each gateway, as sets of lines."""
        local = self.local_addresses()
        return [set(gw.ctdump(*local, **kwargs)) for gw in self.gateways]
