"""What endpoints receive and send: counters read twice make rates.

Nothing of a container is held between two looks, so one that ends meanwhile is
gone, and not kept by who watches it.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from macvnet import keys
from macvnet.engine import lookup
from macvnet.engine.overview import conditions
from macvnet.kernel.sight import Sight, Traffic
from macvnet.model import Endpoint
from macvnet.records import NamedTuple
from macvnet.store import Reader


class Counted(NamedTuple):
    """An endpoint whose link was found: its ifindex there, and what it has counted."""

    endpoint: Endpoint
    network: str
    ifindex: int
    traffic: Traffic


class Look(NamedTuple):
    """All endpoints at one moment (seconds, time.monotonic), by ID."""

    moment: float
    counted: dict[str, Counted]


class Rate(NamedTuple):
    """What an endpoint received (rx) and sent (tx) in each second, bits and packets."""

    endpoint: Endpoint
    network: str
    rx_bits: float
    tx_bits: float
    rx_packets: float
    tx_packets: float
    total: Traffic


class Watcher:
    """Looks again and again; ``networks`` are the IDs of those that count, None: all."""

    def __init__(
        self, reader: Reader, boot_id: str, networks: Collection[str] | None = None
    ) -> None:
        self._reader = reader
        self._boot_id = boot_id
        self._networks = networks
        self._sight = Sight()

    def close(self) -> None:
        self._sight.close()

    def look(self) -> Look:
        """The counters of all endpoints whose links are there."""
        networks = {
            one.id: one
            for one in lookup.networks(self._reader)
            if self._networks is None or one.id in self._networks
        }
        every = (Endpoint.from_json(record) for _, record in self._reader.scan(keys.ENDPOINTS))
        endpoints = [one for one in every if one.network in networks]
        moment = time.monotonic()
        leaves = conditions(
            self._sight, endpoints, networks.values(), self._boot_id, _nobody_is_asked
        )
        found = {
            leaf.endpoint.id: Counted(
                leaf.endpoint,
                networks[leaf.endpoint.network].name,
                leaf.link.ifindex,
                leaf.link.traffic,
            )
            for leaf in leaves
            if leaf.link is not None
        }
        return Look(moment, found)


def _nobody_is_asked(endpoint: Endpoint) -> bool:
    return False


def rates(before: Look, after: Look) -> list[Rate]:
    """The rates of those that both looks have found, most traffic first.

    A link that was made again meanwhile counts from 0, and has no rate yet.
    """
    seconds = max(after.moment - before.moment, 1e-6)
    found = []
    for key, now in after.counted.items():
        then = before.counted.get(key)
        if then is None or then.ifindex != now.ifindex:
            continue
        grown = [late - early for early, late in zip(then.traffic, now.traffic, strict=True)]
        if min(grown) < 0:
            continue
        gained = Traffic(*grown)
        found.append(
            Rate(
                now.endpoint,
                now.network,
                gained.rx_bytes * 8 / seconds,
                gained.tx_bytes * 8 / seconds,
                gained.rx_packets / seconds,
                gained.tx_packets / seconds,
                now.traffic,
            )
        )
    found.sort(key=_order)
    return found


def _order(one: Rate) -> tuple[float, str, str]:
    return -(one.rx_bits + one.tx_bits), str(one.endpoint.owner), one.network
