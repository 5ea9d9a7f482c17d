"""Where things are in the store: the only place that spells a key.

Keys are text, ordered; ``/`` separates parts, and no part contains one.
"""

from __future__ import annotations

from macvnet.addresses import Address, Subnet, sort_key

META = "meta/"
META_INSTALLATION = f"{META}installation"
META_HOST = f"{META}host"
META_RESTORED = f"{META}restored"

NETWORKS = "network/"
NAMES = "name/"
ENDPOINTS = "endpoint/"
MADE_LINKS = "link/"
RUNS = "run/"
SEGMENTS = "segment/"
KEPT = "kept/"
APPLIED = "applied/"


def network(network_id: str) -> str:
    """The network's record."""
    return NETWORKS + network_id


def name(network_name: str) -> str:
    """Network name to ID: its existence makes names unique."""
    return NAMES + network_name


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
    """Index: the endpoints recorded for one owner, also after its sandbox is gone.

    The value is what its sandbox was known by when it was first connected (boot id, nsid).
    """
    return f"owner-endpoint/{_part(owner)}/{endpoint_id}"


def owners(prefix: str) -> str:
    """What the index of owners begins with, for owners that begin with ``prefix``."""
    return f"owner-endpoint/{_part(prefix)}"


def owner_in(key: str) -> str:
    """The owner that a key of ``endpoints_of_owner`` names."""
    return _whole(key.split("/")[1])


def mac(parent: str, address: str) -> str:
    """Who holds a MAC on a parent: its existence makes MACs unique there."""
    return f"mac/{parent}/{address}"


def token(parent: str, suffix: str) -> str:
    """Who makes IPv6 addresses with a token on a parent: its existence makes tokens unique there.

    Their prefix is the router's, the same for all networks on the parent.
    """
    return f"token/{parent}/{suffix}"


def made_link(link_name: str) -> str:
    """A link that macvnet made in the host's namespace."""
    return MADE_LINKS + link_name


def run(run_name: str) -> str:
    """A sandbox that ``macvnet run`` made."""
    return RUNS + run_name


def segment(segment_name: str) -> str:
    """Count of the changes to a segment's pools: what two creations conflict on."""
    return f"{SEGMENTS}{_part(segment_name)}"


def segment_in(key: str) -> str:
    """The segment that a key of ``segment`` names."""
    return _whole(key.removeprefix(SEGMENTS))


def pools(segment_name: str, subnet: Subnet | None = None) -> str:
    """The pools of a segment, or those of exactly one subnet there."""
    base = f"pool/{_part(segment_name)}/"
    if subnet is None:
        return base
    return f"{base}{subnet.family}{sort_key(subnet.family, subnet.first)}{subnet.prefixlen:03d}/"


def pool(segment_name: str, subnet: Subnet, pool_id: str) -> str:
    """A pool in the index of its segment."""
    return pools(segment_name, subnet) + pool_id


def allowed_runs(pool_id: str) -> str:
    """Runs of addresses that a pool may give out by itself: key first, value last."""
    return f"allow/{pool_id}/"


def free_runs(pool_id: str) -> str:
    """Runs of addresses that a pool can give out now: key first, value last."""
    return f"free/{pool_id}/"


def leases(segment_name: str, family: int) -> str:
    """The addresses held in a segment, of one family."""
    return f"lease/{_part(segment_name)}/{family}"


def lease(segment_name: str, address: Address) -> str:
    """Who holds an address in a segment."""
    return leases(segment_name, address.family) + address.key


def kept(network_id: str, owner: str = "") -> str:
    """What is reserved for an owner in a network, whether its container is up or not."""
    return f"{KEPT}{network_id}/{_part(owner)}"


def applied(file_id: str, kind: str = "", thing: str = "") -> str:
    """What a file of ``apply`` has made, by the ID that the file has."""
    base = f"{APPLIED}{file_id}/"
    return f"{base}{kind}/{_part(thing)}" if kind else base


def applied_thing(key: str) -> tuple[str, str, str]:
    """File, kind and ID of what a key of ``applied`` names."""
    _, file_id, kind, thing = key.split("/")
    return file_id, kind, _whole(thing)


def taken(pool_id: str, until: int | None = None, address: Address | None = None) -> str:
    """Index: addresses of a pool that others on the LAN have, by the second they are let go in."""
    base = f"taken/{pool_id}/"
    if until is None or address is None:
        return base
    return f"{base}{until:012d}/{address.family}{address.key}"


def _part(text: str) -> str:
    return text.replace("%", "%25").replace("/", "%2f")


def _whole(part: str) -> str:
    return part.replace("%2f", "/").replace("%25", "%")


def request(network_id: str) -> str:
    """What a network was created with, as typed: for inspect and --config-from."""
    return f"request/{network_id}"
