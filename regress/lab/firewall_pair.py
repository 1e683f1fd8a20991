"""A firewall pair: LAN behind it, the world before it, a sync link beside."""
from .pair import Pair


class FirewallPair(Pair):
    """(lan, inner) - inside - (fw-1 | fw-2) - outside - world; fw-1 -sync- fw-2."""

    example = "site-firewall-pair.yaml"
    nodes = ("fw-1", "fw-2")
    vips = {"ens2": "192.168.255.250", "ens4": "10.0.0.3"}
    inside = "10.0.0.10"
    outside = "192.168.255.33"

    def build(self, gateway):
        lab = self.lab
        outside, inside = lab.network("outside"), lab.network("inside")
        self.sync = lab.network("sync")
        self.add_gateways(gateway)
        for i, gw in enumerate(self.gateways):
            gw.connect(outside, "ens2", f"192.168.255.{11 * (i + 1)}/24")
            gw.connect(self.sync, "ens3", f"172.30.16.{1 + i}/30")
            gw.connect(inside, "ens4", f"10.0.0.{1 + i}/24")
        self.lan = lab.host("lan")
        self.lan.connect(inside, "eth0", f"{self.inside}/24")
        self.lan.route("default", "10.0.0.3")
        self.world = lab.host("world")
        self.world.connect(outside, "eth0", f"{self.outside}/24")
        self.inner = lab.host("inner")
        self.inner.connect(inside, "eth0", "10.0.0.20/24", "10.0.0.30/24")
        self.inner.route("default", "10.0.0.3")
        self.client, self.server = self.lan, self.world
