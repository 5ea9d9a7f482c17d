"""An endpoint's records: the endpoint itself, and the three indexes it is found by.

Knows which records belong to one; a change to the set is made here or nowhere.
"""

from __future__ import annotations

from macvnet import keys
from macvnet.ipam import allocation
from macvnet.model import Endpoint, Network
from macvnet.store import Transaction


def remember(tx: Transaction, endpoint: Endpoint) -> None:
    """Record a new endpoint, whose ID is new; its leases and MAC are its own."""
    proof = {"boot_id": endpoint.sandbox.boot_id, "nsid": endpoint.sandbox.nsid}
    tx.create_fresh(keys.endpoint(endpoint.id), endpoint.to_json())
    tx.create_fresh(keys.endpoints_of_network(endpoint.network, endpoint.id), {})
    tx.create_fresh(keys.endpoints_of_sandbox(endpoint.sandbox.key, endpoint.id), {})
    tx.create_fresh(keys.endpoints_of_owner(str(endpoint.owner), endpoint.id), proof)


def forget(tx: Transaction, network: Network | None, endpoint: Endpoint) -> None:
    """Release everything that an endpoint holds in the state."""
    if network is not None:
        for assigned in endpoint.addresses:
            allocation.release(tx, network.segment, assigned.address, endpoint.id)
    claims = [(keys.mac, endpoint.mac), (keys.token, endpoint.ip6_token)]
    for held in (key(endpoint.mac_scope, text) for key, text in claims if text):
        if (tx.get(held) or {}).get("endpoint") == endpoint.id:
            tx.delete(held)
    tx.erase(keys.endpoints_of_network(endpoint.network, endpoint.id))
    tx.erase(keys.endpoints_of_sandbox(endpoint.sandbox.key, endpoint.id))
    tx.erase(keys.endpoints_of_owner(str(endpoint.owner), endpoint.id))
    tx.delete(keys.endpoint(endpoint.id))
