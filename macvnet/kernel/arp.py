"""Asking who has an address: ARP probes from 0.0.0.0, solicitations from ::, and who answers.

Neither (RFC 5227 2.1.1, RFC 4862 5.4.2) leaves a trace in anybody's neighbour table,
but each is a frame on the LAN. At most ten go out in a second, however many are asked.
"""

from __future__ import annotations

import select
import struct
import time
from collections.abc import Sequence

from macvnet import chance, sockets
from macvnet.addresses import IPV4, IPV6, Address
from macvnet.errors import MacvnetError
from macvnet.kernel import packets
from macvnet.kernel.frames import (
    ALL_NODES_MAC,
    BROADCAST,
    ETH_ARP,
    ETH_IPV6,
    NEIGHBOUR_ADVERTISEMENT,
    NONCE_BYTES,
    claim,
    neighbour_solicitation,
)
from macvnet.kernel.namespaces import Namespace, entered
from macvnet.records import NamedTuple

ROUNDS = 3
ROUND_SECONDS = 0.6
SECOND_ANSWER_SECONDS = 0.3
"""How long a second one, that should not have the address, gets after the first answer."""
FRAME_SECONDS = 0.1
DRAINED = 64
REQUEST, REPLY = 1, 2
_ARP = struct.Struct("!HHBBH6s4s6s4s")


class Question(NamedTuple):
    """Who has ``address``, asked by the link ``name`` of ``namespace`` with ``mac``."""

    namespace: Namespace | None
    name: str
    mac: str
    address: Address


def probe(mac: bytes, address: Address) -> bytes:
    """The frame: who has the address, tell nobody in particular."""
    if address.family == IPV6:
        return neighbour_solicitation(mac, address, bytes.fromhex(chance.token(NONCE_BYTES)))
    head = BROADCAST + mac + struct.pack("!H", ETH_ARP)
    return head + _ARP.pack(1, 0x0800, 6, 4, REQUEST, mac, bytes(4), bytes(6), address.packed)


def answer(frame: bytes) -> tuple[Address, str] | None:
    """Address and MAC of who says to have it, in an answer; None for any other frame."""
    if frame[12:14] == ETH_IPV6.to_bytes(2, "big"):
        found = claim(frame) if frame[54:55] == bytes((NEIGHBOUR_ADVERTISEMENT,)) else None
        return (found.address, found.mac) if found is not None else None
    if len(frame) < 14 + _ARP.size or frame[12:14] != ETH_ARP.to_bytes(2, "big"):
        return None
    hardware, protocol, longer, shorter, operation, mac, address, _, _ = _ARP.unpack_from(frame, 14)
    if (hardware, protocol, longer, shorter, operation) != (1, 0x0800, 6, 4, REPLY):
        return None
    return Address(IPV4, int.from_bytes(address, "big")), mac.hex(":")


class _Asking:
    """One question with its socket, and who has answered so far."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.macs: list[str] = []
        self.first = 0.0
        if question.namespace is None:
            self.socket = _open()
        else:
            with entered(question.namespace):
                self.socket = _open()
        try:
            six = question.address.family == IPV6
            self.socket.bind((question.name, ETH_IPV6 if six else ETH_ARP))
            if six:
                # Where to an answer for :: goes.
                packets.join(self.socket, question.name, ALL_NODES_MAC)
        except BaseException:
            self.socket.close()
            raise

    def send(self) -> None:
        mac = bytes.fromhex(self.question.mac.replace(":", ""))
        try:
            self.socket.send(probe(mac, self.question.address))
        except OSError:
            return  # down, or gone: nobody will answer

    def receive(self) -> None:
        """Take what is there, and no more than a LAN says in a while."""
        for _ in range(DRAINED):
            try:
                found = answer(self.socket.recv(2048))
            except OSError:
                return
            if found is not None and found[0] == self.question.address:
                if found[1] not in self.macs:
                    self.macs.append(found[1])
                self.first = self.first or time.monotonic()


def _open() -> sockets.socket:
    """A packet socket that hears nothing before it is bound."""
    return sockets.socket(
        sockets.AF_PACKET, sockets.SOCK_RAW | sockets.SOCK_NONBLOCK | sockets.SOCK_CLOEXEC, 0
    )


def ask(questions: Sequence[Question]) -> list[tuple[str, ...] | None]:
    """For each question the MACs that answered, none after three rounds.

    None where it could not be asked: no right to, or no such link any more.
    """
    asking: list[_Asking | None] = []
    try:
        for question in questions:
            try:
                asking.append(_Asking(question))
            except (OSError, MacvnetError):
                asking.append(None)
        there = [one for one in asking if one is not None]
        for _ in range(ROUNDS):
            silent = [one for one in there if not one.macs]
            for one in silent:
                one.send()
                _listen(there, time.monotonic() + FRAME_SECONDS)
            if silent:
                _listen(there, time.monotonic() + ROUND_SECONDS, until_answered=True)
        return [None if one is None else tuple(one.macs) for one in asking]
    finally:
        for opened in asking:
            if opened is not None:
                opened.socket.close()


def _listen(asking: Sequence[_Asking], end: float, *, until_answered: bool = False) -> None:
    """Take what comes until ``end``, or until all have answered and had time for a second one."""
    by_number = {one.socket.fileno(): one for one in asking}
    poll = select.poll()
    for number in by_number:
        poll.register(number, select.POLLIN)
    while True:
        now = time.monotonic()
        if until_answered and all(one.macs for one in asking):
            end = min(end, max(one.first for one in asking) + SECOND_ANSWER_SECONDS)
        # Who was not let run in time still takes what has come meanwhile.
        for number, _ in poll.poll(max(0.0, 1000 * (end - now))):
            by_number[number].receive()
        if now >= end:
            return
