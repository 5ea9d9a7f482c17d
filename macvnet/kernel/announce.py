"""Telling the neighbours where an address now is: gratuitous ARP and unsolicited NA.

Knows how many frames there are, and how the later ones are sent by a process that
nobody waits for (``announce``) or while somebody does (``repeat``); must not know
networks or records. Nothing here ever fails a command: an announcement that cannot
be sent is one that is not sent.

The sending process holds no namespace open, neither by descriptor nor by
socket: it would keep a dead container's links, and with them their MACs and
addresses, alive. It opens the namespace anew for each burst, and the kernel's
cookie proves that it is still the one that was meant.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time

from macvnet import sockets
from macvnet.addresses import IPV4, Address
from macvnet.errors import MacvnetError
from macvnet.kernel import detached, packets
from macvnet.kernel.frames import Due, gratuitous_arp, mac_bytes, paced, unsolicited_na
from macvnet.kernel.namespaces import Namespace, entered, socket_cookie
from macvnet.kernel.rtnetlink import SIOCGIFNAME
from macvnet.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PROCESS_NAME = "macvnet-arp"
"""What ps shows of the process that sends the later frames."""


class Item(NamedTuple):
    """The addresses of one endpoint to be announced.

    Frames leave by the link ``ifindex`` of ``namespace`` with ``mac`` as their
    sender: the endpoint's own link, or for ipvlan l2 the parent. ``parent``
    names what ``rate`` is counted for. ``count`` frames for each address,
    ``interval`` seconds apart. ``endpoint`` is the endpoint's own link where
    that is another one than frames leave by: announcing ends with it.
    """

    namespace: Namespace
    ifindex: int
    mac: str
    addresses: tuple[Address, ...]
    parent: str
    count: int = 3  # type: ignore[assignment]  # hides tuple.count, which nobody asks of an item
    interval: float = 1.0
    endpoint: tuple[Namespace, int] | None = None


class _Place(NamedTuple):
    """A link that can be found again without holding its namespace open."""

    origin: str
    cookie: int
    ifindex: int


def announce(items: Iterable[Item], *, rate: int = 10) -> None:
    """Announce all items: what is due at once now, the rest from one detached process.

    At most ``rate`` frames per second and parent; the bursts of a batch
    stretch accordingly. Never raises for what goes wrong.
    """
    announced = list(items)
    frames = schedule(announced, rate)
    if not frames:
        return
    try:
        places = [_places(item) for item in announced]
        at_once = [planned for planned in frames if planned.delay == 0]
        later = frames[len(at_once) :]
        alive = _Sender(places)
        for item in dict.fromkeys(planned.item for planned in at_once):
            alive.send(item, [planned.frame for planned in at_once if planned.item == item])
        later = [planned for planned in later if planned.item not in alive.gone]
        _leave(alive, later, time.monotonic())
    except (OSError, MacvnetError):
        return


def repeat(
    items: Sequence[Item], *, rate: int, report: Callable[[int, int], None]
) -> frozenset[int]:
    """Announce all items, and return when all is sent; the numbers of those that could not be.

    ``rate`` as for ``announce``. ``report`` is told how many frames of how many have been
    dealt with. The items' namespaces may be closed already. PermissionDenied without CAP_NET_RAW.
    """
    frames = schedule(items, rate)
    if frames:
        _ensure_permitted()
    sender = _Sender([_places(item) for item in items])
    _pace(sender, frames, time.monotonic(), lambda done: report(done, len(frames)))
    report(len(frames), len(frames))
    return frozenset(sender.gone)


def _ensure_permitted() -> None:
    """PermissionDenied where no frame can be sent from here at all."""
    try:
        sockets.socket(sockets.AF_PACKET, sockets.SOCK_RAW | sockets.SOCK_CLOEXEC, 0).close()
    except PermissionError:
        from macvnet.surroundings import machine

        raise machine.not_permitted("CAP_NET_RAW", "to send frames") from None


def schedule(items: Sequence[Item], rate: int) -> list[Due]:
    """Every frame with its time, in order: never more than ``rate`` in a window per parent."""
    return paced(
        (
            Due(burst * item.interval, number, frame, item.parent)
            for number, item in enumerate(items)
            for burst in range(item.count)
            for frame in frames_of(item)
        ),
        rate,
    )


def frames_of(item: Item) -> list[bytes]:
    """One frame for each address; none without a MAC."""
    mac = mac_bytes(item.mac)
    if mac is None:
        return []
    return [
        gratuitous_arp(mac, address) if address.family == IPV4 else unsolicited_na(mac, address)
        for address in item.addresses
    ]


def _places(item: Item) -> tuple[_Place, ...]:
    """Where the item's frames leave, then what else must still be there."""
    links = [(item.namespace, item.ifindex)]
    if item.endpoint is not None:
        links.append(item.endpoint)
    return tuple(_Place(space.origin, space.cookie, ifindex) for space, ifindex in links)


class _Sender:
    """Sends frames of items, and remembers in ``gone`` whose link is no more."""

    def __init__(self, places: list[tuple[_Place, ...]]) -> None:
        self._places = places
        self.gone: set[int] = set()
        self.used: list[sockets.socket] = []

    def close(self) -> None:
        """Close the sockets that were used."""
        for opened in self.used:
            opened.close()
        self.used.clear()

    def send(self, item: int, frames: Sequence[bytes]) -> None:
        try:
            for place in self._places[item][1:]:
                self.used.append(self._opened(place))
            opened = self._opened(self._places[item][0])
            self.used.append(opened)
            for frame in frames:
                opened.send(frame)
        except (OSError, MacvnetError):
            # ENETDOWN, ENXIO, ENODEV, no such namespace: whichever, it is over for this one.
            self.gone.add(item)

    def look(self, items: Iterable[int]) -> None:
        """Find those of ``items`` whose link is no more."""
        for item in items:
            try:
                for place in self._places[item]:
                    with _socket_at(place, sockets.AF_UNIX, sockets.SOCK_DGRAM) as probe:
                        request = struct.pack("=16si20x", b"", place.ifindex)
                        fcntl.ioctl(probe.fileno(), SIOCGIFNAME, request)
            except (OSError, MacvnetError):
                self.gone.add(item)

    def _opened(self, place: _Place) -> sockets.socket:
        """A packet socket on the link. Protocol 0: it receives nothing."""
        opened = _socket_at(place, sockets.AF_PACKET, sockets.SOCK_RAW)
        try:
            packets.bind(opened, place.ifindex)
        except BaseException:
            opened.close()
            raise
        return opened


def _socket_at(place: _Place, family: int, kind: int) -> sockets.socket:
    """A socket in the namespace of a place. OSError where another one is there now."""
    with Namespace.open(place.origin) as namespace, entered(namespace):
        opened = sockets.socket(family, kind | sockets.SOCK_CLOEXEC, 0)
    try:
        if socket_cookie(opened) != place.cookie:
            raise OSError("another namespace is there now")
    except BaseException:
        opened.close()
        raise
    return opened


def _leave(sender: _Sender, frames: list[Due], began: float) -> None:
    """Send the rest from a process that nobody has to wait for.

    Closing a packet socket waits for the kernel's other readers (an RCU grace
    period, 10 ms and more), so that is left to it too: once ours are closed,
    its own are the last ones, and the pipe tells when.
    """
    used = [opened.fileno() for opened in sender.used]

    def work() -> int:
        sender.close()
        _pace(sender, frames, began)
        return 0

    if detached.at_end(work, keep=used, name=PROCESS_NAME):
        return
    told, tell = os.pipe2(os.O_CLOEXEC)

    def work_alone() -> int:
        os.read(told, 1)
        os.close(told)
        return work()

    try:
        detached.leave(work_alone, keep=(told, *used), name=PROCESS_NAME)
    finally:
        os.close(told)
        sender.close()
        os.close(tell)


def _pace(
    sender: _Sender,
    frames: list[Due],
    began: float,
    report: Callable[[int], None] = lambda done: None,
) -> None:
    for number, planned in enumerate(frames):
        report(number)
        if planned.item in sender.gone:
            continue
        time.sleep(max(0.0, began + planned.delay - time.monotonic()))
        sender.send(planned.item, [planned.frame])
        sender.close()
        if planned.item in sender.gone:
            # Often they go together, and nobody should wait for the frames of the others.
            sender.look({later.item for later in frames[number:]} - sender.gone)
        # Late (a busy or suspended machine): all that follows moves with it, as far apart
        # as planned and no closer.
        began = max(began, time.monotonic() - planned.delay)
