"""Three NAT gateways between net1 and net2: the shipped pair, and a third."""
from .core import wait_for
from .nat_pair import NatPair


class NatTrio(NatPair):
    """As NatPair; nat3, of the lowest priority, is .12 and .3."""

    nodes = ("nat1", "nat2", "nat3")
    sync_bits = 29

    def site_text(self):
        text = super().site_text().replace("/30", "/29")
        for line, more in (
                ("  nat2: { priority: 100 }", "\n  nat3: { priority: 50 }"),
                ("nat2: 172.23.0.11/16", ", nat3: 172.23.0.12/16"),
                ("nat2: 172.24.0.11/16", ", nat3: 172.24.0.12/16"),
                ("nat2: 172.25.0.2/29", ", nat3: 172.25.0.3/29")):
            assert text.count(line) == 1, line
            text = text.replace(line, line + more)
        return text

    def all_there(self):
        """Every hagwd runs, every cable is plugged, one is master."""
        for gw in self.gateways:
            if gw.hagwd is None:
                gw.come_back()
            for cable in gw.cables.values():
                if not cable.plugged:
                    cable.plug()
        wait_for("a master", lambda: len(self.masters()) == 1, 20)
        self.all_ready()

    def all_ready(self):
        """The master's word: each of the others holds every flow."""
        def ready():
            master = self.masters()
            if len(master) != 1:
                return False
            peers = master[0].show("sync")["sync_peers"]
            return all(peer["up"] and peer["ready"] for peer in peers)
        wait_for("all are ready", ready, 30, 0.05)
