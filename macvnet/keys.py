"""Where things are in the store: the only place that spells a key.

Keys are text, ordered; ``/`` separates parts, and no part contains one.
"""

from __future__ import annotations

META_INSTALLATION = "meta/installation"
META_HOST = "meta/host"
META_SEQUENCE = "meta/sequence"

NETWORKS = "network/"
NAMES = "name/"
ENDPOINTS = "endpoint/"
MADE_LINKS = "link/"
RUNS = "run/"


def network(network_id: str) -> str:
    """The network's record."""
    return NETWORKS + network_id


def name(network_name: str) -> str:
    """Network name to ID: its existence makes names unique."""
    return NAMES + network_name


def parent_of(network_id: str) -> str:
    """Small record of which parent a network is on, read without the networks."""
    return f"parent/{network_id}"


def endpoint(endpoint_id: str) -> str:
    """The endpoint's record."""
    return ENDPOINTS + endpoint_id


def endpoints_of_network(network_id: str, endpoint_id: str = "") -> str:
    """Index: the endpoints of one network."""
    return f"network-endpoint/{network_id}/{endpoint_id}"


def endpoints_of_sandbox(sandbox_key: str, endpoint_id: str = "") -> str:
    """Index: the endpoints in one sandbox."""
    return f"sandbox-endpoint/{sandbox_key}/{endpoint_id}"


def endpoints_of_owner(owner: str, endpoint_id: str = "") -> str:
    """Index: the endpoints recorded for one owner, also after its sandbox is gone."""
    return f"owner-endpoint/{owner.replace('%', '%25').replace('/', '%2f')}/{endpoint_id}"


def mac(parent: str, address: str) -> str:
    """Who holds a MAC on a parent: its existence makes MACs unique there."""
    return f"mac/{parent}/{address}"


def made_link(link_name: str) -> str:
    """A link that macvnet made in the host's namespace."""
    return MADE_LINKS + link_name


def run(run_name: str) -> str:
    """A sandbox that ``macvnet run`` made."""
    return RUNS + run_name
