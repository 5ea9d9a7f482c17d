"""The IPv6 address that a network holds for the host's own use, in its host access.

It is chosen like an endpoint's, and recorded as the network's claim, like a
gateway: everybody who would take it is told whose it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from macvnet import keys
from macvnet.addresses import IPV6, Address
from macvnet.ipam import allocation
from macvnet.ipam.segment import Holder, Reservation, lease_holder

if TYPE_CHECKING:
    from macvnet.model import Network
    from macvnet.store import Transaction

HOST_ACCESS = "host access"


def hold(
    tx: Transaction, network: Network, wanted: Address | None = None, avoid: allocation.Avoid = ()
) -> Address | None:
    """Hold ``wanted``, or the lowest free address; None where the network has no IPv6 subnet.

    Exhausted where none is free; Conflict where ``wanted`` cannot be had.
    """
    pools = [pool for pool in network.pools if pool.family == IPV6]
    if not pools:
        return None
    _, address = allocation.acquire_any(
        tx, network.segment, network.name, pools, wanted, network.id, avoid
    )
    claim = Reservation(network.id, network.name, HOST_ACCESS)
    tx.put(keys.lease(network.segment, address), Holder(reserved=(claim,)).to_json())
    return address


def release(tx: Transaction, network: Network, address: Address) -> None:
    """Give the address back. Nothing happens unless this network holds it for the host."""
    holder = lease_holder(tx, network.segment, address)
    claims = holder.reserved if holder else ()
    if (network.id, HOST_ACCESS) in [(claim.network, claim.role) for claim in claims]:
        tx.delete(keys.lease(network.segment, address))
        allocation.give_back(tx, None, network.segment, address)
