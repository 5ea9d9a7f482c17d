"""The values everything else talks about: frozen, and free of any side effect.

Knows how a value is written into and read from the store's JSON; must not know
a store, a kernel or a command line. Typed tuples rather than dataclasses, since
they cost nothing at start-up.
"""

from __future__ import annotations

from macvnet.addresses import Address, Interval, Subnet
from macvnet.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

CREATING = "creating"
ACTIVE = "active"
REMOVING = "removing"

RESERVED = "reserved"
JOINED = "joined"
RETURNING = "returning"

DEFAULT_SEGMENT = "default"
NULL = "null"
AUTO, ON, OFF = "auto", "on", "off"
STATIC, SLAAC, NO_IPV6 = "static", "slaac", "none"
"""Where an endpoint has its IPv6 addresses from: ``-o ipv6_mode``."""

IPAM_DRIVERS = ("default", NULL)


class Pool(NamedTuple):
    """One subnet of a network, with its ranges, gateway and auxiliary addresses.

    ``id`` is unique in the state. ``allowed`` (what may be given out
    dynamically) is not here: it can be long, and lives in the store as runs.
    ``onlink`` says that the gateway is reached without being in the subnet;
    ``automatic`` that macvnet chose the subnet from the default pools.
    """

    id: str
    subnet: Subnet
    gateway: Address | None = None
    ranges: tuple[Interval, ...] = ()
    range_texts: tuple[str, ...] = ()
    aux: tuple[tuple[str, Address], ...] = ()
    onlink: bool = False
    automatic: bool = False

    @property
    def family(self) -> int:
        return self.subnet.family

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "subnet": str(self.subnet),
            "gateway": str(self.gateway) if self.gateway else None,
            "ranges": [[f"{r.first:x}", f"{r.last:x}"] for r in self.ranges],
            "range_texts": list(self.range_texts),
            "aux": {name: str(address) for name, address in self.aux},
            "onlink": self.onlink,
            "automatic": self.automatic,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Pool:
        return cls(
            data["id"],
            Subnet.parse(data["subnet"]),
            Address.parse(data["gateway"]) if data["gateway"] else None,
            tuple(Interval(int(first, 16), int(last, 16)) for first, last in data["ranges"]),
            tuple(data["range_texts"]),
            tuple((name, Address.parse(text)) for name, text in data["aux"].items()),
            data["onlink"],
            data["automatic"],
        )


class Parent(NamedTuple):
    """The effective parent of a network: the host link its endpoints hang on.

    ``name`` is the kernel's name for it (an alternative name resolved, a
    macvlan replaced by its lower link); ``ifindex`` and ``mac`` hold for
    ``boot_id`` only, ``permanent_mac`` is the hardware's or ""; ``requested``
    is what the user typed ("" for a dummy).
    """

    name: str
    requested: str
    ifindex: int
    mac: str
    boot_id: str
    permanent_mac: str = ""

    def to_json(self) -> dict[str, Any]:
        return self._asdict()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Parent:
        return cls(**data)


class MadeLink(NamedTuple):
    """A link that macvnet made in the host's namespace, and how to prove it.

    ``name`` is what it is called, ``kind`` "vlan", "dummy" or "macvlan" (a shim);
    ``tag`` its alias, and the name it is made under; ``lower`` the lower link's
    ifindex (0: none).
    ``ifindex`` (0: not made yet) and ``lower`` hold for ``boot_id`` only.
    ``users`` are the IDs of the networks on it.
    """

    name: str
    kind: str
    tag: str
    lower_name: str
    lower: int
    vlan_id: int
    ifindex: int
    boot_id: str
    users: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {**self._asdict(), "users": list(self.users)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> MadeLink:
        return cls(**{**data, "users": tuple(data["users"])})


class LinkOptions(NamedTuple):
    """What a driver read from ``-o``: typed, validated, complete.

    ``watch``: whether a container's label can connect it, where ``macvnet watch`` runs.
    """

    parent: str = ""
    mode: str = ""
    flag: str = ""
    mtu: int = 0
    share_parent: bool = False
    passthru_force: bool = False
    onlink: bool = False
    segment: str = ""
    announce_count: int = 3
    announce_interval: float = 1.0
    watch: bool = False
    probe: str = AUTO
    probe_interval: float = 0.1
    ipv6_mode: str = STATIC

    def to_json(self) -> dict[str, Any]:
        return self._asdict()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LinkOptions:
        return cls(**data)


class LinkPlan(NamedTuple):
    """Pure description of a link to be made.

    ``data`` are driver attributes as (netlink attribute, value); ``words`` the
    same for the ``ip`` command that --verbose and --dry-run print. ``mac`` ""
    and ``mtu`` 0 leave the choice to the kernel.
    """

    kind: str
    data: tuple[tuple[str, Any], ...] = ()
    words: str = ""
    mac: str = ""
    mtu: int = 0


REMEMBERED = 64
"""Networks that ``Network.from_json`` knows again."""

_seen: dict[str, tuple[dict[str, Any], Network]] = {}


class Network(NamedTuple):
    """A network as recorded. ``created`` is RFC 3339 with nanoseconds, UTC.

    ``shim`` is the link of its host access, ``shim_address`` the IPv6 address on it; "" without.
    """

    id: str
    name: str
    driver: str
    created: str
    state: str
    ipv4: bool
    ipv6: bool
    internal: bool
    attachable: bool
    config_only: bool
    config_from: str
    options: dict[str, str]
    labels: dict[str, str]
    ipam_driver: str
    ipam_options: dict[str, str]
    segment: str
    link: LinkOptions
    parent: Parent | None
    pools: tuple[Pool, ...]
    excluded: int = 0
    shim: str = ""
    shim_address: str = ""

    @property
    def isolated(self) -> bool:
        """No way out: ``--internal``, or a dummy parent (docker 29 treats both alike)."""
        return self.internal or not self.link.parent

    def to_json(self) -> dict[str, Any]:
        data = self._asdict()
        data["link"] = self.link.to_json()
        data["parent"] = self.parent.to_json() if self.parent else None
        data["pools"] = [pool.to_json() for pool in self.pools]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Network:
        # A command reads the same network many times, and it costs more to make than to compare.
        seen = _seen.get(data["id"])
        if seen is not None and seen[0] == data:
            return seen[1]
        values = dict(data)
        values["link"] = LinkOptions.from_json(data["link"])
        values["parent"] = Parent.from_json(data["parent"]) if data["parent"] else None
        values["pools"] = tuple(Pool.from_json(pool) for pool in data["pools"])
        network = cls(**values)
        if len(_seen) >= REMEMBERED:
            _seen.clear()
        _seen[network.id] = data, network
        return network


class Owner(NamedTuple):
    """Whose endpoint it is: the runtime, its durable name there, and the runtime's own ID.

    ``returns`` says that the target can come back under this name after its
    death (a PID cannot).
    """

    runtime: str
    name: str
    id: str = ""
    returns: bool = True

    def __str__(self) -> str:
        return f"{self.runtime}:{self.name}"


class SandboxId(NamedTuple):
    """Proof of which namespace it was: the boot, the kernel's cookie, the nsid given to it.

    A cookie is never reused while the machine is up; a nsid vanishes when the
    namespace dies (both from the kernel, SO_NETNS_COOKIE and RTM_NEWNSID).
    """

    boot_id: str
    cookie: int
    nsid: int | None = None

    @property
    def key(self) -> str:
        return f"{self.boot_id}.{self.cookie:016x}"


class Assigned(NamedTuple):
    """An address held by an endpoint. ``explicit``: asked for with ``--ip``."""

    pool: str
    address: Address
    prefixlen: int
    gateway: Address | None
    onlink: bool
    explicit: bool

    @property
    def cidr(self) -> str:
        return f"{self.address}/{self.prefixlen}"

    @classmethod
    def link_local(cls, text: str) -> Assigned:
        """A ``--link-local-ip``: 169.254.0.0/16 (RFC 3927) or fe80::/64 (RFC 4291)."""
        address = Address.parse(text)
        return cls("", address, 16 if address.family == 4 else 64, None, False, True)

    def to_json(self) -> dict[str, Any]:
        return {
            "pool": self.pool,
            "address": str(self.address),
            "prefixlen": self.prefixlen,
            "gateway": str(self.gateway) if self.gateway else None,
            "onlink": self.onlink,
            "explicit": self.explicit,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Assigned:
        return cls(
            data["pool"],
            Address.parse(data["address"]),
            data["prefixlen"],
            Address.parse(data["gateway"]) if data["gateway"] else None,
            data["onlink"],
            data["explicit"],
        )


class Routing(NamedTuple):
    """What an endpoint asks for besides the default route of its network.

    ``no_default``: it never has the default route. ``metric`` is that of its
    routes (0: the kernel's own choice); ``routes`` are ``DST=VIA``. ``policy``:
    what comes in on its link is answered from it, by rules that look into
    ``table`` (0: none chosen yet).
    """

    no_default: bool = False
    metric: int = 0
    routes: tuple[str, ...] = ()
    policy: bool = False
    table: int = 0

    def to_json(self) -> dict[str, Any]:
        return {**self._asdict(), "routes": list(self.routes)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Routing:
        """``{}`` is what was recorded before there was anything to ask for."""
        return cls(**{**data, "routes": tuple(data["routes"])}) if data else PLAIN


PLAIN = Routing()


class Endpoint(NamedTuple):
    """One sandbox's presence in one network, as recorded.

    ``sequence`` grows with each joining: who joined first is what the default
    route is decided by. ``ifindex`` is the link's in the sandbox, 0 until made.
    ``mac_scope`` is the parent's name under which its MAC is held; ``dead_since``
    when its sandbox was first seen dead (seconds since the epoch; 0: not seen).
    ``ip6_token`` is the lower half of the IPv6 addresses it makes itself, "" where chosen.
    ``rate`` is what it may send, in bits per second; 0: no limit.
    """

    id: str
    network: str
    host_id: str
    state: str
    owner: Owner
    sandbox: SandboxId
    pid: int | None
    ifname: str
    ifindex: int
    mac: str
    addresses: tuple[Assigned, ...]
    sequence: int
    gw_priority: int = 0
    aliases: tuple[str, ...] = ()
    driver_options: dict[str, str] = {}
    link_local: tuple[str, ...] = ()
    explicit_mac: bool = False
    parent_mac: str = ""
    mac_scope: str = ""
    dead_since: float = 0.0
    routing: Routing = PLAIN
    ip6_token: str = ""
    rate: int = 0

    def to_json(self) -> dict[str, Any]:
        data = self._asdict()
        data["routing"] = self.routing.to_json()
        data["owner"] = self.owner._asdict()
        data["sandbox"] = self.sandbox._asdict()
        data["addresses"] = [address.to_json() for address in self.addresses]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Endpoint:
        values = dict(data)
        values["owner"] = Owner(**data["owner"])
        values["sandbox"] = SandboxId(**data["sandbox"])
        values["addresses"] = tuple(Assigned.from_json(item) for item in data["addresses"])
        values["aliases"] = tuple(data["aliases"])
        values["link_local"] = tuple(data["link_local"])
        values["routing"] = Routing.from_json(data.get("routing") or {})
        return cls(**values)

    @classmethod
    def from_lists(cls, values: Sequence[Any]) -> Endpoint:
        """An endpoint that was written as a tuple, which JSON makes nested lists of."""
        one = cls(*values)
        return one._replace(
            owner=Owner(*one.owner),
            sandbox=SandboxId(*one.sandbox),
            addresses=tuple(
                Assigned(
                    pool,
                    Address(*address),
                    prefixlen,
                    Address(*gateway) if gateway else None,
                    onlink,
                    explicit,
                )
                for pool, address, prefixlen, gateway, onlink, explicit in one.addresses
            ),
            aliases=tuple(one.aliases),
            link_local=tuple(one.link_local),
            routing=Routing(*one.routing)._replace(routes=tuple(one.routing[2])),
        )

    def address(self, family: int) -> Assigned | None:
        """Its address of that family, or None."""
        return next((a for a in self.addresses if a.address.family == family), None)


class CreateRequest(NamedTuple):
    """``create`` as asked for: texts as typed, not yet judged.

    ``ipv4``/``ipv6`` are None where the flag was not given.
    """

    name: str
    driver: str = "macvlan"
    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    ip_ranges: tuple[str, ...] = ()
    aux_addresses: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    internal: bool = False
    ipv4: bool | None = None
    ipv6: bool | None = None
    labels: tuple[str, ...] = ()
    ipam_driver: str = "default"
    ipam_options: tuple[str, ...] = ()
    config_only: bool = False
    config_from: str = ""
    attachable: bool = False
    scope: str = ""
    host_access: bool = False


class EndpointRequest(NamedTuple):
    """``connect`` as asked for: texts as typed, "" or None where not given."""

    ip: str = ""
    ip6: str = ""
    mac: str = ""
    ifname: str = ""
    gw_priority: int = 0
    aliases: tuple[str, ...] = ()
    driver_options: tuple[str, ...] = ()
    link_local: tuple[str, ...] = ()
    no_default_route: bool = False
    metric: int = 0
    routes: tuple[str, ...] = ()
    policy_routes: bool = False
    no_probe: bool = False
    ip6_token: str = ""
    rate: str = ""


class Change(NamedTuple):
    """One thing a command makes, removes or asks; what ``--dry-run`` prints.

    ``action`` is "create", "remove" or "ask"; ``kind`` is a glossary word (network,
    pool, link, address, route, endpoint, ...); ``text`` says which.
    """

    action: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.text}"
