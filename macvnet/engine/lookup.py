"""Finding what is recorded: networks by term, endpoints by network, sandbox or owner."""

from __future__ import annotations

from macvnet import keys
from macvnet.errors import Conflict, InvalidRequest, NotFound
from macvnet.model import Endpoint, MadeLink, Network
from macvnet.store import Reader
from macvnet.text import nearest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from macvnet.kept import Kept

ID_LENGTH = 64
PREFIX_SHORTEST = 4
_HEX = frozenset("0123456789abcdef")


def network(reader: Reader, term: str) -> Network:
    """The network that ``term`` means: full ID, then exact name, then unique ID prefix.

    Docker's order; a prefix has at least 4 characters. NotFound, or Conflict
    where a prefix is ambiguous.
    """
    if not term:
        raise InvalidRequest("the network name or ID is empty", "macvnet ls")
    found = known(reader, term)
    if found is None:
        names = [key[len(keys.NAMES) :] for key, _ in reader.scan(keys.NAMES)]
        guess = nearest(term, names)
        raise NotFound(f"network {quoted(term)} not found", guess or "macvnet ls")
    return found


def known(reader: Reader, term: str) -> Network | None:
    """The same, None where there is none; a few look-ups, however many networks there are."""
    if len(term) == ID_LENGTH and set(term) <= _HEX:
        found = reader.get(keys.network(term))
        if found:
            return Network.from_json(found)
    if "/" not in term and "\0" not in term:
        named = reader.get(keys.name(term))
        if named:
            record = reader.get(keys.network(named["id"]))
            if record:
                return Network.from_json(record)
    if PREFIX_SHORTEST <= len(term) < ID_LENGTH and set(term) <= _HEX:
        matches = reader.scan(keys.NETWORKS + term, limit=3)
        if len(matches) == 1:
            return Network.from_json(matches[0][1])
        if matches:
            raise Conflict(
                f"network {quoted(term)} is ambiguous: it begins more than one ID",
                "macvnet ls --no-trunc",
            )
    return None


def networks(reader: Reader) -> list[Network]:
    """Every network."""
    return [Network.from_json(record) for _, record in reader.scan(keys.NETWORKS)]


def made_link(reader: Reader, name: str) -> MadeLink | None:
    """The record of a link that macvnet made on the host, or None."""
    data = reader.get(keys.made_link(name))
    return MadeLink.from_json(data) if data else None


def endpoint(reader: Reader, endpoint_id: str) -> Endpoint | None:
    """The endpoint of that ID, or None."""
    return reader.parsed(keys.endpoint(endpoint_id), Endpoint.from_json)


def kept(reader: Reader, network_id: str, owner: str) -> Kept | None:
    """What is reserved for an owner in a network, or None."""
    record = reader.get(keys.kept(network_id, owner))
    if record is None:
        return None
    from macvnet.kept import Kept

    return Kept.from_json(record)


def kept_in_network(reader: Reader, network_id: str) -> list[Kept]:
    """Every reservation in a network, by owner."""
    from macvnet.kept import Kept

    return [Kept.from_json(record) for _, record in reader.scan(keys.kept(network_id))]


def _indexed(reader: Reader, prefix: str) -> list[Endpoint]:
    """In the order of their joining."""
    found = (endpoint(reader, key.rpartition("/")[2]) for key, _ in reader.scan(prefix))
    return sorted((e for e in found if e is not None), key=lambda each: each.sequence)


def endpoints_of_network(reader: Reader, network_id: str) -> list[Endpoint]:
    """The endpoints recorded in one network, in the order of their joining."""
    return _indexed(reader, keys.endpoints_of_network(network_id))


def endpoints_of_sandbox(reader: Reader, sandbox_key: str) -> list[Endpoint]:
    """The endpoints recorded in one sandbox, in the order of their joining."""
    return _indexed(reader, keys.endpoints_of_sandbox(sandbox_key))


def endpoints_of_owner(reader: Reader, owner: str) -> list[Endpoint]:
    """The endpoints recorded for one owner, whatever has become of its sandbox."""
    return _indexed(reader, keys.endpoints_of_owner(owner))
