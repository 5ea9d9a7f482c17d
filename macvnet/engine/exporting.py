"""The state as a document: what a backup needs, and what moves to another host.

Knows which facts are worth keeping; how they get into a state again is
``engine.importing``'s. Indexes and free addresses are not in it: they follow
from the rest.
"""

from __future__ import annotations

import time
from typing import Any

from macvnet import __version__, keys
from macvnet.engine import lookup
from macvnet.engine.context import Context
from macvnet.model import ACTIVE, JOINED, RETURNING, Endpoint, MadeLink, Network
from macvnet.store import Transaction

FORMAT = "macvnet-state"
SCHEMA = 1
"""Grows when an older macvnet could no longer read the document (docs/reference/state.md)."""


def export(ctx: Context) -> dict[str, Any]:
    """The document, of one moment. What a command at work has not finished is not in it.

    An endpoint that is coming back is: its lease has been there before.
    """
    return ctx.reader.view(_document)


def _document(tx: Transaction) -> dict[str, Any]:
    networks = sorted(
        (each for each in lookup.networks(tx) if each.state == ACTIVE),
        key=lambda each: (each.created, each.id),
    )
    kept = {network.id for network in networks}
    every = [_settled(Endpoint.from_json(record)) for _, record in tx.scan(keys.ENDPOINTS)]
    endpoints = sorted(
        (each for each in every if each.state == JOINED and each.network in kept),
        key=lambda each: (each.sequence, each.id),
    )
    installation = tx.get(keys.META_INSTALLATION)
    links = [MadeLink.from_json(record) for _, record in tx.scan(keys.MADE_LINKS)]
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "macvnet": __version__,
        "exported": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "installation": installation["id"] if installation else "",
        "host": tx.get(keys.META_HOST) or {"boot_id": "", "cookie": 0},
        "networks": [_network(tx, each) for each in networks],
        "links": [_link(each) for each in links if kept.intersection(each.users)],
        "endpoints": [each.to_json() for each in endpoints],
        "applied": [list(keys.applied_thing(key)) for key, _ in tx.scan(keys.APPLIED)],
        "reservations": [
            kept.to_json() for each in networks for kept in lookup.kept_in_network(tx, each.id)
        ],
    }


def _settled(endpoint: Endpoint) -> Endpoint:
    """As repair would leave it."""
    if endpoint.state != RETURNING:
        return endpoint
    return endpoint._replace(state=JOINED, ifindex=0)


def _network(tx: Transaction, network: Network) -> dict[str, Any]:
    return {"record": network.to_json(), "request": tx.get(keys.request(network.id))}


def _link(made: MadeLink) -> dict[str, Any]:
    """That macvnet is to make it where it is missing; never that it made the one that is there."""
    return {
        "name": made.name,
        "kind": made.kind,
        "lower_name": made.lower_name,
        "vlan_id": made.vlan_id,
    }
