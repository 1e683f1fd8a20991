"""Two NAT gateways between net1 and net2, with a client on each side."""
import re

from .pair import Pair


class NatPair(Pair):
    """client1 - net1 - (nat1 | nat2) - net2 - client2; nat1 -sync- nat2.

    sync_over: another network takes the flows, and there is no third one.
    """

    example = "site-nat-pair.yaml"
    nodes = ("nat1", "nat2")
    vips = {"eth0": "172.23.0.100", "eth1": "172.24.0.100"}
    inside = "172.23.0.20"
    outside = "172.24.0.20"
    sync_bits = 30

    def __init__(self, *args, sync_over="sync", **keys):
        self.sync_over = sync_over
        super().__init__(*args, **keys)

    def site_text(self):
        text = super().site_text()
        if self.sync_over == "sync":
            return text
        text, gone = re.subn(r"^  sync:.*\n(    .*\n)+", "", text, flags=re.M)
        assert gone == 1 and text.count("over: [sync]") == 1
        return text.replace("over: [sync]", f"over: [{self.sync_over}]")

    def build(self, gateway):
        lab = self.lab
        net1, net2 = lab.network("net1"), lab.network("net2")
        if self.sync_over == "sync":
            lab.network("sync")
        self.sync = lab.networks[self.sync_over]
        self.add_gateways(gateway)
        for i, gw in enumerate(self.gateways):
            gw.connect(net1, "eth0", f"172.23.0.{10 + i}/16")
            gw.connect(net2, "eth1", f"172.24.0.{10 + i}/16")
            if self.sync_over == "sync":
                gw.connect(self.sync, "eth2",
                           f"172.25.0.{1 + i}/{self.sync_bits}")
        self.client1 = lab.host("client1")
        self.client1.connect(net1, "eth0", f"{self.inside}/16")
        self.client1.route("172.24.0.0/16", "172.23.0.100")
        self.client2 = lab.host("client2")
        self.client2.connect(net2, "eth0", f"{self.outside}/16")
        self.client2.route("172.23.0.0/16", "172.24.0.100")
        self.client, self.server = self.client1, self.client2
