"""What attach, detach, connect and disconnect do for one container, once their words are read.

Must not know how they were read: by click, or by ``short``, which does without.
"""

from __future__ import annotations

from macvnet.cli import wanted
from macvnet.cli.invocation import Invocation
from macvnet.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from macvnet.engine.seats import Connected

TEXT, JSON = "text", "json"


def attach(
    invocation: Invocation,
    *,
    container: str,
    networks: tuple[str, ...],
    format: str,
    dry_run: bool | None,
    **given: Any,
) -> int:
    """Attach one container, and print a line or an object for each endpoint."""
    chosen = attach_format(format)
    with invocation.engine() as engine:
        asked = wanted.resolve_only(engine, wanted.wanted(networks, given))
        result = engine.attach(container, asked, dry_run=bool(dry_run))
        if dry_run:
            invocation.changes(change for one in result for change in one.changes)
            return 0
    if chosen == JSON:
        from macvnet.cli import formats

        invocation.out(formats.to_json([connected_object(one) for one in result]))
    else:
        for one in result:
            invocation.out(connected_line(one))
    return 0


def attach_format(given: str) -> str:
    """Attach's ``--format``, if it is one; InvalidRequest otherwise."""
    if given == TEXT:
        return given
    from macvnet.cli import formats

    return formats.check("attach", given, (TEXT, JSON))


def connected_line(done: Connected) -> str:
    """An endpoint in a line: interface, MAC, addresses, gateways."""
    endpoint = done.endpoint
    words = [endpoint.ifname, endpoint.mac, *(a.cidr for a in endpoint.addresses)]
    for assigned in endpoint.addresses:
        if assigned.gateway is not None:
            words += ("gateway", str(assigned.gateway))
    return printable(" ".join(words))


def connected_object(done: Connected) -> dict[str, Any]:
    """The same for JSON, with whose endpoint it is."""
    endpoint = done.endpoint
    return {
        "container": str(endpoint.owner),
        "network": done.network.name,
        "network_id": done.network.id,
        "endpoint_id": endpoint.id,
        "interface": endpoint.ifname,
        "mac": endpoint.mac,
        "addresses": [assigned.cidr for assigned in endpoint.addresses],
        "gateways": [str(a.gateway) for a in endpoint.addresses if a.gateway is not None],
    }


def detach(
    invocation: Invocation, *, container: str, networks: tuple[str, ...], dry_run: bool | None
) -> int:
    """Detach one container from networks, from all it is in where there are none."""
    with invocation.engine() as engine:
        changes = engine.detach(container, networks, dry_run=bool(dry_run))
        if dry_run:
            invocation.changes(changes)
    return 0


def connect(
    invocation: Invocation, *, network: str, container: str, dry_run: bool | None, **given: Any
) -> int:
    """Connect one container to a network."""
    with invocation.engine() as engine:
        done = engine.connect(network, container, wanted.request(given), dry_run=bool(dry_run))
        if dry_run:
            invocation.changes(done.changes)
    return 0


def disconnect(
    invocation: Invocation,
    *,
    network: str,
    container: str,
    force: bool | None,
    dry_run: bool | None,
) -> int:
    """Disconnect one container from a network."""
    with invocation.engine() as engine:
        changes = engine.disconnect(network, container, force=bool(force), dry_run=bool(dry_run))
        if dry_run:
            invocation.changes(changes)
    return 0
