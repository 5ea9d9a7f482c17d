"""Whether another machine has the IPv6 address that a network reserves for the host.

Asked from the shim before the address is put on it, while no lock is held; until
then it is recorded and nothing more. Must not know how host access is made.
"""

from __future__ import annotations

import time

from macvnet import keys
from macvnet.addresses import Address
from macvnet.drivers import driver
from macvnet.engine import lookup
from macvnet.engine.context import Context
from macvnet.errors import Conflict, MacvnetError, NotFound
from macvnet.ipam import allocation, host_lease, taken
from macvnet.kernel.links import LinkInfo
from macvnet.model import Network
from macvnet.records import NamedTuple
from macvnet.store import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from macvnet.kernel.probe import Ask


class Question(NamedTuple):
    """An address that a network has reserved for the host, and that nobody has been asked for."""

    network: Network
    address: Address
    shim: LinkInfo
    parent: LinkInfo


def needed(ctx: Context, network: Network, parent: LinkInfo) -> bool:
    """Whether the LAN is asked for the host's address, as it is for the endpoints'."""
    from macvnet.engine.joining import asks

    return asks(ctx, network.link, driver(network.driver), parent)


def holder(ctx: Context, question: Question) -> str:
    """The MAC of the machine that has the address, or ""; what keeps from asking is raised."""
    from macvnet.kernel.probe import probe

    [answer] = probe([ask(ctx, question)], rate=ctx.settings.arp_rate)
    if isinstance(answer, MacvnetError):
        raise answer
    return answer.get(question.address, "")


def ask(ctx: Context, question: Question) -> Ask:
    """What is asked, from the shim."""
    from macvnet.kernel.probe import Ask

    return Ask(
        namespace=ctx.namespace,
        ifindex=question.shim.ifindex,
        mac=question.shim.mac,
        addresses=(question.address,),
        parent=question.parent.name,
        interval=question.network.link.probe_interval,
    )


def refusal(question: Question, mac: str) -> Conflict:
    """That the address which the host had is another machine's by now; it may have another."""
    name = question.network.name
    return Conflict(
        f"the host's address {question.address} in network {name!r} is used on the LAN by another "
        f"machine, with the MAC {mac}",
        f"macvnet host-access enable {name}",
    )


def move(ctx: Context, question: Question, mac: str, avoid: allocation.Avoid) -> None:
    """Reserve the next address instead, and remember whose the first one is.

    Exhausted where there is none. The caller holds the structure lock.
    """

    def write(tx: Transaction) -> str:
        network = tx.parsed(keys.network(question.network.id), Network.from_json)
        if network is None:
            raise NotFound("the network has just been removed", "macvnet ls")
        old = question.address
        made = lookup.made_link(tx, network.shim) if network.shim else None
        if network.shim_address != str(old) or made is None or network.id not in made.users:
            return ""  # somebody else has taken host access away, or made it anew
        pool = next(each for each in network.pools if each.subnet.holds(old))
        taken.remember(tx, network.segment, pool.id, pool.subnet, old, mac, time.time())
        other = host_lease.hold(tx, network, avoid=avoid)
        tx.put(keys.network(network.id), network._replace(shim_address=str(other)).to_json())
        return str(other)

    if ctx.store.transact(write, durable=False):
        ctx.note(
            f"the address {question.address} is used on the LAN by another machine, with the MAC "
            f"{mac}: the host gets another one in network {question.network.name!r}"
        )
