"""A reservation: addresses kept for an owner, whether its container is up or not.

Knows how it is written into and read from the store's JSON; must not know how
its addresses are held (``ipam.allocation``), nor who takes them.
"""

from __future__ import annotations

from typing import Any

from macvnet.addresses import Address
from macvnet.model import Owner
from macvnet.records import NamedTuple


class Kept(NamedTuple):
    """What is kept for an owner in a network.

    ``id`` tells it from one that is made later for the same owner; ``addresses``
    are (pool ID, address), one of each family that the network has.
    """

    network: str
    owner: Owner
    addresses: tuple[tuple[str, Address], ...]
    id: str = ""

    @property
    def claim(self) -> tuple[str, str]:
        """Whose the leases are: the network's ID and the owner."""
        return self.network, str(self.owner)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "network": self.network,
            "owner": {"runtime": self.owner.runtime, "name": self.owner.name},
            "addresses": [[pool, str(address)] for pool, address in self.addresses],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Kept:
        return cls(
            data["network"],
            Owner(data["owner"]["runtime"], data["owner"]["name"]),
            tuple((pool, Address.parse(text)) for pool, text in data["addresses"]),
            data["id"],
        )

    def address(self, family: int) -> Address | None:
        """Its address of that family, or None."""
        return next((a for _, a in self.addresses if a.family == family), None)
