"""One rtnetlink socket in one namespace: requests, acknowledgements, dumps.

Knows the protocol (rtnetlink(7), RFC 3549); must not know what the messages
are for.
"""

from __future__ import annotations

import errno
import fcntl
import struct
import time

from macvnet import sockets
from macvnet.errors import ADVICE, KernelRefused, PermissionDenied, meant
from macvnet.kernel import detached
from macvnet.kernel.constants import NAME_MAX
from macvnet.kernel.messages import Value, formed
from macvnet.kernel.namespaces import Namespace, entered, socket_cookie
from macvnet.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any

RTM_BASE = 16
"""rtnetlink's own messages have numbers from here on; below are netlink's."""
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWNSID, RTM_GETNSID = 88, 90

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR = 0x1, 0x4, 0x10
NLM_F_DUMP, NLM_F_EXCL, NLM_F_CREATE = 0x300, 0x200, 0x400
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLMSGERR_ATTR_MSG = 1

SIOCGIFNAME, SIOCGIFFLAGS, SIOCGIFINDEX = 0x8910, 0x8913, 0x8933

SOL_NETLINK = 270
NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 10, 11, 12

_HEADER = struct.Struct("=IHHII")
REPLY_SECONDS = 30.0
READING = "read the network configuration"
DOCTOR = "macvnet doctor"
ABSENT = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EINVAL)
"""What the kernel answers where there is no such object."""
PIPELINED = 64
ROOM = 1 << 18
"""Bytes for what the kernel sends at once: 32 KiB of a dump, or one object, however large."""
PROCESS_NAME = "macvnet-wait"
"""What ps shows of the process that waits for the kernel in our place."""


_rooms: list[bytearray] = []
"""What threads do not use just now of the rooms that they receive in."""


class NetlinkError(KernelRefused):
    """The kernel answered a request with an errno; ``text`` is its own explanation or "".

    Whoever knows what the request was for says so in an error of its own; where
    nobody does, ``operation`` is told.
    """

    def __init__(self, number: int, text: str = "", operation: str = READING) -> None:
        super().__init__(operation, number, meant(number, text), ADVICE.get(number, DOCTOR))
        self.text = text


class Request(NamedTuple):
    """A message that changes something, and the ``ip`` command that would do the same.

    ``message`` is encoded already but for its header, or one of pyroute2's.
    ``command`` is "" where nothing is meant to be changed: a question put as a request.
    """

    message: Any
    kind: int
    flags: int
    command: str


class Rtnetlink:
    """A socket for rtnetlink in ``namespace`` (None: the one this thread is in).

    ``trace`` receives each changing request as an ``ip`` command; ``enter`` is
    what stands before a command to run it in the namespace ("" for this one).
    """

    def __init__(
        self,
        namespace: Namespace | None = None,
        *,
        trace: Callable[[str], None] | None = None,
        enter: str = "",
    ) -> None:
        self._trace = trace
        self._enter = enter
        self._sequence = 0
        self._interrupted = False
        if namespace is None:
            self._socket = _open_socket()
        else:
            with entered(namespace):
                self._socket = _open_socket()
            try:
                namespace.learn_cookie(self._socket)
            except BaseException:
                self._socket.close()
                raise

    @property
    def cookie(self) -> int:
        """The cookie of the namespace the socket is in."""
        return socket_cookie(self._socket)

    def tell_to(self, trace: Callable[[str], None] | None) -> None:
        """From now on ``trace`` receives what is done."""
        self._trace = trace

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Rtnetlink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def change(self, request: Request) -> None:
        """Send a request that changes something, wait for its acknowledgement.

        Raises NetlinkError with the kernel's errno, PermissionDenied for EPERM.
        """
        if request.command:
            self.tell(f"ip {request.command}")
        self._send(request.message, request.kind, request.flags | NLM_F_REQUEST | NLM_F_ACK)
        try:
            self._receive(self._sequence, single=True)
        except NetlinkError as error:
            raise _refusal(error, request) from None

    def change_soon(self, request: Request, done: Callable[[], bool]) -> None:
        """Send a request that changes something and takes the kernel long, without waiting.

        A process of its own waits for the acknowledgement; this returns as soon
        as ``done``. Only for this socket's own use: it is gone afterwards.
        Raises as ``change``.
        """
        if request.command:
            self.tell(f"ip {request.command}")
        flags = request.flags | NLM_F_REQUEST | NLM_F_ACK
        self._sequence += 1
        data = encoded(request.message, request.kind, flags, self._sequence)

        def work() -> int:
            self._socket.send(data)
            try:
                self._receive(self._sequence, single=True)
            except NetlinkError as error:
                return min(error.errno, 255)
            return 0

        with self:
            child = detached.leave(work, keep=(self._socket.fileno(),), name=PROCESS_NAME)
        deadline = time.monotonic() + REPLY_SECONDS
        while not done():
            status = detached.ended(child)
            if status == 0:
                return
            if status is not None or time.monotonic() > deadline:
                raise _refusal(NetlinkError(status or errno.ETIMEDOUT), request)
            time.sleep(0.0003)

    def tell(self, command: str) -> None:
        """Trace what is about to be done in the namespace, as a command."""
        if self._trace is not None:
            self._trace(f"{self._enter} {command}".lstrip())

    def get(self, message: bytes, kind: int) -> bytes | None:
        """The message of one object, or None where the kernel says it is not there."""
        self._send(message, kind, NLM_F_REQUEST)
        try:
            answers = self._receive(self._sequence, single=True)
        except NetlinkError as error:
            if error.errno in ABSENT:
                return None
            raise
        return answers[0] if answers else None

    def answered(self, questions: Sequence[bytes]) -> list[bool]:
        """For each encoded question whether there is such an object; all sent at once.

        At most PIPELINED of them, so that the answers fit into the socket's
        buffer. Raises as ``get``.
        """
        first = self._sequence + 1
        self._sequence += len(questions)
        batch = bytearray()
        for number, question in enumerate(questions, first):
            batch += question
            struct.pack_into("=I", batch, len(batch) - len(question) + 8, number)
        self._put(batch)
        found: dict[int, bool] = {}
        while len(found) < len(questions):
            for message in _messages(self._received()):
                _, kind, flags, number, _ = _HEADER.unpack_from(message)
                if number < first:
                    continue
                found[number] = kind != NLMSG_ERROR
                if kind == NLMSG_ERROR:
                    try:
                        _raise_error(message, flags)
                    except NetlinkError as error:
                        if error.errno not in ABSENT:
                            raise
        return [found[number] for number in range(first, first + len(questions))]

    def dump(
        self,
        name: str,
        kind: int,
        attributes: Mapping[str, int] | None = None,
        *,
        family: int = 0,
        keep: Callable[[bytes], bool] | None = None,
    ) -> list[bytes]:
        """The messages of all objects of a kind; asked again while the dump was interrupted.

        ``name`` is that of the message's class in pyroute2. ``keep`` says which
        of the answers are wanted.
        """

        message = question_all(name, family, attributes or {})
        while True:
            self._interrupted = False
            self._send(message, kind, NLM_F_REQUEST | NLM_F_DUMP)
            answers = self._receive(self._sequence, single=False, keep=keep)
            if not self._interrupted:
                return answers

    def ifindex(self, name: str) -> int | None:
        """The index of the link with that name, or None (netdevice(7), SIOCGIFINDEX)."""
        answer = self._ioctl(SIOCGIFINDEX, name)
        return None if answer is None else int(struct.unpack_from("=i", answer, 16)[0])

    def flags(self, name: str) -> int | None:
        """A link's flags (IFF_UP and so on), or None where there is no such link."""
        answer = self._ioctl(SIOCGIFFLAGS, name)
        return None if answer is None else int(struct.unpack_from("=H", answer, 16)[0])

    def has(self, ifindex: int) -> bool:
        """Whether there is a link with that index (netdevice(7), SIOCGIFNAME); waits for nobody."""
        try:
            request = struct.pack("=16si20x", b"", ifindex)
            fcntl.ioctl(self._socket.fileno(), SIOCGIFNAME, request)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return False
            raise NetlinkError(error.errno or errno.EIO) from None
        return True

    def _ioctl(self, number: int, name: str) -> bytes | None:
        request = name.encode()
        if len(request) > NAME_MAX:
            return None
        try:
            return fcntl.ioctl(self._socket.fileno(), number, request.ljust(40, b"\0"))
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise NetlinkError(error.errno or errno.EIO) from None

    def _send(self, message: Any, kind: int, flags: int) -> None:
        self._sequence += 1
        self._put(encoded(message, kind, flags, self._sequence))

    def _put(self, data: bytes | bytearray) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            raise NetlinkError(error.errno or errno.EIO) from None

    def _receive(
        self,
        sequence: int,
        *,
        single: bool,
        keep: Callable[[bytes], bool] | None = None,
    ) -> list[bytes]:
        answers: list[bytes] = []
        while True:
            for message in _messages(self._received()):
                _, kind, flags, number, _ = _HEADER.unpack_from(message)
                if number != sequence:
                    continue
                self._interrupted = self._interrupted or bool(flags & NLM_F_DUMP_INTR)
                if kind == NLMSG_DONE:
                    return answers
                if kind == NLMSG_ERROR:
                    _raise_error(message, flags)
                    return answers
                if kind >= RTM_BASE and (keep is None or keep(message)):
                    answers.append(message)
                if single:
                    return answers

    def _received(self) -> bytes:
        try:
            # Kept: memory of that size comes from the kernel, and goes back to it, each time.
            room = _rooms.pop()
        except IndexError:
            room = bytearray(ROOM)
        try:
            size = self._socket.recv_into(room)
            return bytes(memoryview(room)[:size])
        except BlockingIOError:
            raise NetlinkError(errno.ETIMEDOUT) from None
        except OSError as error:
            raise NetlinkError(error.errno or errno.EIO) from None
        finally:
            _rooms.append(room)


def question_all(name: str, family: int, attributes: Mapping[str, int]) -> bytes:
    """The message that asks for a dump, but for its header; as ``Rtnetlink.dump``."""

    def build(**attributes: Value) -> Any:
        from macvnet.kernel import classes

        message = getattr(classes, name)()
        message["family"] = family
        message["attrs"] = [list(item) for item in attributes.items()]
        return message

    return formed(("all", name), build, attributes, bytes((family,)))


def encoded(message: Any, kind: int, flags: int, sequence: int) -> bytes:
    """A message of pyroute2's, or one whose header is yet to be filled in, as it is sent."""
    if not isinstance(message, bytes):
        from macvnet.kernel.classes import encode

        return encode(message, kind, flags, sequence)
    return _HEADER.pack(len(message), kind, flags, sequence, 0) + message[_HEADER.size :]


def _refusal(error: NetlinkError, request: Request) -> NetlinkError | PermissionDenied:
    if error.errno != errno.EPERM:
        command = f"do 'ip {request.command}'" if request.command else "make a link to try"
        return NetlinkError(error.errno, error.text, command)
    from macvnet.surroundings import machine

    what = f"for 'ip {request.command}'" if request.command else "to make links"
    return machine.not_permitted("CAP_NET_ADMIN", what)


def _messages(data: bytes) -> Iterator[bytes]:
    """The messages of one datagram, each with its header."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length = _HEADER.unpack_from(data, offset)[0]
        if length < _HEADER.size:
            return
        yield data[offset : offset + length]
        offset += (length + 3) & ~3


def _open_socket() -> sockets.socket:
    opened = sockets.socket(
        sockets.AF_NETLINK, sockets.SOCK_RAW | sockets.SOCK_CLOEXEC, sockets.NETLINK_ROUTE
    )
    for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
        try:
            opened.setsockopt(SOL_NETLINK, option, 1)
        except OSError:
            # Older kernels lack one or the other: answers are then terser, not wrong.
            continue
    opened.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 1 << 20)
    # By the kernel: a time-out of Python's asks it before each message whether there is room.
    seconds, fraction = divmod(REPLY_SECONDS, 1)
    limit = struct.pack("@ll", int(seconds), int(fraction * 1e6))
    opened.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVTIMEO, limit)
    opened.bind((0, 0))
    return opened


def _raise_error(data: bytes, flags: int) -> None:
    """Raise what an NLMSG_ERROR says; an errno of 0 is the acknowledgement."""
    number = -struct.unpack_from("=i", data, _HEADER.size)[0]
    if number == 0:
        return
    text = ""
    if flags & NLM_F_ACK_TLVS:
        offset = _HEADER.size + 4
        inner = struct.unpack_from("=I", data, offset)[0]
        offset += _HEADER.size if flags & NLM_F_CAPPED else (inner + 3) & ~3
        while offset + 4 <= len(data):
            length, kind = struct.unpack_from("=HH", data, offset)
            if length < 4:
                break
            if kind & 0x3FFF == NLMSGERR_ATTR_MSG:
                raw = data[offset + 4 : offset + length]
                text = raw.rstrip(b"\0").decode("utf-8", "replace")
            offset += (length + 3) & ~3
    raise NetlinkError(number, text)
