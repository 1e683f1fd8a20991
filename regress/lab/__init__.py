"""A lab of network namespaces: hosts, cables, faults, traffic, gateways."""
from .core import (BUILD, TOP, Cable, Host, Lab, LabError, Network, Proc,
                   Tool, call, handle_signals, open_labs, raise_limits,
                   wait_for)
from .firewall_pair import FirewallPair
from .gateway import HACTL, HAGWD, Gateway, edit_site, new_key
from .nat_pair import NatPair
from .nat_trio import NatTrio
from .traffic import Probe, SshSession, Sshd, Talkers, download

__all__ = [
    "BUILD", "TOP", "Cable", "Host", "Lab", "LabError", "Network", "Proc",
    "Tool", "call", "handle_signals", "open_labs", "raise_limits",
    "wait_for", "FirewallPair", "HACTL", "HAGWD", "Gateway", "edit_site",
    "new_key", "NatPair", "NatTrio", "Probe", "SshSession", "Sshd", "Talkers",
    "download",
]
