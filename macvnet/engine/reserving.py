"""Reserving: what an endpoint holds, chosen and written in one commit before any link is made."""

from __future__ import annotations

import time

from macvnet import chance, keys
from macvnet.addresses import IPV4, IPV6, Address
from macvnet.digest import sha256
from macvnet.drivers import Driver
from macvnet.engine import lookup
from macvnet.engine.lookup import endpoint as recorded_endpoint
from macvnet.engine.lookup import endpoints_of_network
from macvnet.engine.recording import forget, remember
from macvnet.engine.requests import Wanted
from macvnet.errors import Conflict, NotFound
from macvnet.ipam import allocation
from macvnet.ipam.segment import lease_holder
from macvnet.kernel.links import LinkInfo
from macvnet.model import ACTIVE, RESERVED, Assigned, Endpoint, Network, Owner, Pool, SandboxId
from macvnet.store import KeyTaken, Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from macvnet.kept import Kept

MAC_ATTEMPTS = 16


class Reservation:
    """One endpoint to be reserved; ``write`` is what a transaction runs (again on conflict).

    ``stale`` are endpoints of the same owner in sandboxes that are dead: their
    addresses come back to it. ``host_addresses`` are never given out by choice.
    ``alone``: the caller, who holds the sandbox's lock, has seen that it is empty.
    """

    def __init__(
        self,
        network: Network,
        driver: Driver,
        wanted: Wanted,
        owner: Owner,
        sandbox: SandboxId,
        pid: int | None,
        parent: LinkInfo | None,
        installation: str,
        host_addresses: Collection[Address],
        stale: Sequence[Endpoint] = (),
        *,
        alone: bool = False,
    ) -> None:
        self.network = network
        self.driver = driver
        self.wanted = wanted
        self.owner = owner
        self.sandbox = sandbox
        self.pid = pid
        self.parent = parent
        self.installation = installation
        self.host_addresses = host_addresses
        self.stale = stale
        self.alone = alone
        self.endpoint_id = chance.token(32)

    def write(self, tx: Transaction) -> tuple[Network, Endpoint]:
        """Reserve. Conflict, Exhausted or NotFound where it cannot be."""
        network = tx.parsed(keys.network(self.network.id), Network.from_json)
        if network is None:
            raise NotFound("the network has just been removed", "macvnet ls")
        if network.state != ACTIVE:
            raise Conflict(f"network {network.name!r} is being {network.state[:-3]}ed", "try again")
        self._check_once(tx, network)
        preferred: dict[int, Address] = {}
        for old in self.stale:
            current = recorded_endpoint(tx, old.id)
            if current is not None:
                preferred.update({a.address.family: a.address for a in current.addresses})
                forget(tx, network, current)
        kept = self._kept(tx, network)
        addresses = tuple(
            self._address(tx, network, family, preferred.get(family), kept)
            for family in (IPV4, IPV6)
            if any(pool.family == family for pool in network.pools)
        )
        mac = self._mac(tx, network, addresses)
        if self.wanted.ip6_token:
            self._hold_token(tx, network)
        request = self.wanted.request
        endpoint = Endpoint(
            id=self.endpoint_id,
            network=network.id,
            host_id=self.installation,
            state=RESERVED,
            owner=self.owner,
            sandbox=self.sandbox,
            pid=self.pid,
            ifname=self.wanted.ifname,
            ifindex=0,
            mac=mac,
            addresses=addresses,
            sequence=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            gw_priority=request.gw_priority,
            aliases=request.aliases,
            driver_options=self.wanted.driver_options,
            link_local=request.link_local,
            routing=self.wanted.routing,
            explicit_mac=bool(self.wanted.mac),
            mac_scope=network.parent.name if network.parent else "",
            parent_mac=self.parent.mac
            if self.parent and self.driver.exclusive(network.link)
            else "",
            ip6_token=self.wanted.ip6_token,
            rate=self.wanted.rate,
        )
        remember(tx, endpoint)
        return network, endpoint

    def _check_once(self, tx: Transaction, network: Network) -> None:
        prefix = keys.endpoints_of_sandbox(self.sandbox.key)
        for key, _ in () if self.alone else tx.scan(prefix):
            other = recorded_endpoint(tx, key.rpartition("/")[2])
            if other is not None and other.network == network.id:
                raise Conflict(
                    f"{self.owner} is connected to network {network.name!r} already, as "
                    f"{other.ifname or 'an interface being made'}",
                    f"macvnet disconnect {network.name} {self.owner}",
                )
        if self.driver.exclusive(network.link):
            others = [
                e
                for e in endpoints_of_network(tx, network.id)
                if e.id not in {old.id for old in self.stale}
            ]
            if others:
                raise Conflict(
                    f"network {network.name!r} is passthru and has its one endpoint, "
                    f"{others[0].owner}",
                    f"macvnet disconnect {network.name} {others[0].owner}",
                )

    def _mac(self, tx: Transaction, network: Network, addresses: Sequence[Assigned]) -> str:
        """The MAC the endpoint has, held in the state; "" where it is the parent's (ipvlan)."""
        parent = network.parent.name if network.parent else ""
        if self.wanted.mac:
            if not self._hold_mac(tx, parent, self.wanted.mac):
                holder = tx.get(keys.mac(parent, self.wanted.mac)) or {}
                other = recorded_endpoint(tx, holder.get("endpoint", ""))
                raise Conflict(
                    f"the MAC {self.wanted.mac} is held by {other.owner if other else 'another'} "
                    f"on {parent}",
                    "leave --mac-address out, and a free one is chosen",
                )
            return self.wanted.mac
        if self.driver.exclusive(network.link):
            return self.parent.mac if self.parent else ""
        if not self.driver.has_own_mac(network.link):
            return ""
        # A bare PID has no durable name: its address stands for it.
        basis = str(self.owner)
        if not self.owner.returns:
            basis = str(addresses[0].address) if addresses else self.endpoint_id
        for attempt in range(MAC_ATTEMPTS):
            mac = derived_mac(self.installation, network.name, basis, attempt)
            if self._hold_mac(tx, parent, mac):
                return mac
        raise Conflict("no free MAC was found", "--mac-address 02:00:5e:00:53:01")

    def _hold_mac(self, tx: Transaction, parent: str, mac: str) -> bool:
        try:
            tx.create(keys.mac(parent, mac), {"endpoint": self.endpoint_id})
        except KeyTaken:
            return False
        return True

    def _hold_token(self, tx: Transaction, network: Network) -> None:
        """Two endpoints with one token would make one address of the router's prefix."""
        parent, token = network.parent.name if network.parent else "", self.wanted.ip6_token
        try:
            tx.create(keys.token(parent, token), {"endpoint": self.endpoint_id})
        except KeyTaken:
            holder = tx.get(keys.token(parent, token)) or {}
            other = recorded_endpoint(tx, holder.get("endpoint", ""))
            raise Conflict(
                f"the token {token} is held by {other.owner if other else 'another'} on {parent}",
                "leave --ip6-token out, or choose another one",
            ) from None

    def _kept(self, tx: Transaction, network: Network) -> Kept | None:
        """What is reserved for the owner. Conflict where something else is asked for."""
        if not self.owner.returns:
            return None
        kept = lookup.kept(tx, network.id, str(self.owner))
        if kept is None:
            return None
        for family, wanted in self.wanted.addresses.items():
            own = kept.address(family)
            if own not in (None, wanted):
                raise Conflict(
                    f"{own} is reserved for {self.owner} in network {network.name!r}, and {wanted} "
                    "is another address",
                    f"leave it out, or macvnet unreserve {network.name} {self.owner}",
                )
        return kept

    def _address(
        self,
        tx: Transaction,
        network: Network,
        family: int,
        preferred: Address | None,
        kept: Kept | None,
    ) -> Assigned:
        pools = [pool for pool in network.pools if pool.family == family]
        own = kept.address(family) if kept else None
        wanted = self.wanted.addresses.get(family) or own
        claim = kept.claim if kept and own else None
        if wanted is not None:
            refuse_held(tx, network, wanted, claim)
        if wanted is None and preferred is not None:
            free = lease_holder(tx, network.segment, preferred) is None
            if free and preferred not in self.host_addresses:
                wanted = preferred
        pool, address = allocation.acquire_any(
            tx,
            network.segment,
            network.name,
            pools,
            wanted,
            self.endpoint_id,
            self.host_addresses,
            claim,
        )
        return assigned(
            network, self.driver, pool, address, explicit=family in self.wanted.addresses
        )


def assigned(
    network: Network, driver: Driver, pool: Pool, address: Address, *, explicit: bool
) -> Assigned:
    """What an endpoint has with an address of a pool."""
    routed = not network.isolated and not driver.routes_on_link(network.link)
    gateway = pool.gateway if routed else None
    return Assigned(pool.id, address, pool.subnet.prefixlen, gateway, pool.onlink, explicit)


def refuse_held(
    tx: Transaction, network: Network, wanted: Address, claim: allocation.Claim | None = None
) -> None:
    """An address that another target has: named as the user knows it, not by its endpoint.

    One that is only kept, under ``claim``, is not another's. What is only remembered as
    another machine's is let go: who asks for it by name may know better, and it is asked
    for again.
    """
    holder = lease_holder(tx, network.segment, wanted)
    if holder is not None and holder.mac:
        from macvnet.ipam import taken

        taken.let_go(tx, network.segment, wanted)
        return
    if holder and holder.kept and not holder.endpoint and holder.kept != claim:
        network_id, owner = holder.kept
        kept_in = tx.get(keys.network(network_id))
        name = Network.from_json(kept_in).name if kept_in else network_id[:12]
        raise Conflict(
            f"the address {wanted} is reserved for {owner} in network {name!r}",
            f"leave the address out, or macvnet unreserve {name} {owner}",
        )
    other = recorded_endpoint(tx, holder.endpoint) if holder and holder.endpoint else None
    record = tx.get(keys.network(other.network)) if other else None
    if other is not None and record is not None:
        name = Network.from_json(record).name
        raise Conflict(
            f"the address {wanted} is held by {other.owner} in network {name!r}",
            f"leave the address out, or macvnet disconnect {name} {other.owner}",
        )


def derived_mac(installation: str, network: str, owner: str, attempt: int = 0) -> str:
    """A locally administered unicast MAC, stable for owner and network, different on every host.

    Never derived from the address alone: two hosts giving out one address must
    not have one MAC, or duplicate detection is blind (RFC 5227 relies on it).
    """
    text = "\0".join((installation, network, owner, str(attempt)))
    digest = bytearray(sha256(text.encode()).digest()[:6])
    digest[0] = digest[0] & 0xFC | 0x02
    return ":".join(f"{byte:02x}" for byte in digest)
