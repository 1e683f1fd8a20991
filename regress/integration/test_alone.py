"""The shipped site of one node: what hactl says of it, and how it refuses."""
import json

import pytest

import lab
from lab.pair import Pair


class Alone(Pair):
    """gw-1 between lan and wan, without anybody to share its work with."""

    example = "site-minimal.yaml"
    nodes = ("gw-1",)
    vips = {"eth1": "10.0.0.1", "eth0": "192.0.2.1"}

    def build(self, gateway):
        self.add_gateways(gateway)
        gw, = self.gateways
        gw.connect(self.lab.network("lan"), "eth1", "10.0.0.2/24")
        gw.connect(self.lab.network("wan"), "eth0", "192.0.2.2/24")

    def write_site(self, **keys):
        path = self.lab.dir / "site.yaml"
        path.write_text(self.site_text())
        for gw in self.gateways:
            gw.site = path


@pytest.fixture(scope="module")
def gw():
    with Alone() as alone:
        alone.start()
        yield alone.gateways[0]


def test_json_of_what_changes_something(gw):
    """What failed has an error, what was done a result."""
    done = gw.hactl("-j", "failover", check=False)
    found = json.loads(done.stdout)
    assert done.returncode == found["code"] == 4
    assert found["error"] == "refused: this site has one node"
    assert "result" not in found
    found = json.loads(gw.hactl("-j", "reload").stdout)
    assert found["code"] == 0 and "result" in found and "error" not in found
    assert json.loads(gw.hactl("-j", "version").stdout)["error"] is None


@pytest.mark.parametrize("what, known, other", [
    ("vrrp", "lan", "wan"), ("nat", "out", "nosuch")])
def test_no_such_name(gw, what, known, other):
    """A mistake in the words, whoever finds it."""
    done = gw.hactl("show", what, "nosuch", check=False)
    assert done.returncode == 2 and done.stdout == ""
    found = gw.hactl("-j", "show", what, "nosuch", check=False)
    assert json.loads(found.stdout)["code"] == found.returncode == 2
    found = gw.hactl("show", what, known).stdout
    assert known in found and other not in found


def test_it_is_healthy(gw):
    """That nobody takes over is what the site says, not a fault of it."""
    lab.wait_for("health", lambda: gw.hactl(
        "health", check=False).stdout.startswith("HAGW OK - gw-1 MASTER"), 5)
    assert gw.hactl("health").returncode == 0
    assert "warnings  none" in gw.hactl("show", "summary").stdout
