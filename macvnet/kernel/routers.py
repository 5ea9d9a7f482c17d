"""Asking who is a router: solicitations from ::, and what is advertised.

Like ``arp``, it leaves no trace with anybody. Routers may take half a second to answer,
and answer all at once no more than every three seconds (RFC 4861 6.2.6).
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence

from macvnet import sockets
from macvnet.errors import MacvnetError
from macvnet.kernel import packets
from macvnet.kernel.arp import DRAINED, Question
from macvnet.kernel.frames import (
    ALL_NODES_MAC,
    ETH_IPV6,
    Advertisement,
    advertisement,
    router_solicitation,
)
from macvnet.kernel.namespaces import entered

ROUNDS = 3
ROUND_SECONDS = 1.5
MORE_SECONDS = 0.2
"""How long others get after the first one."""


class _Asking:
    def __init__(self, question: Question) -> None:
        self.question = question
        self.heard: dict[tuple[str, str], Advertisement] = {}
        kind = sockets.SOCK_RAW | sockets.SOCK_NONBLOCK | sockets.SOCK_CLOEXEC
        if question.namespace is None:
            self.socket = sockets.socket(sockets.AF_PACKET, kind, 0)
        else:
            with entered(question.namespace):
                self.socket = sockets.socket(sockets.AF_PACKET, kind, 0)
        try:
            self.socket.bind((question.name, ETH_IPV6))
            packets.join(self.socket, question.name, ALL_NODES_MAC)
        except BaseException:
            self.socket.close()
            raise

    def send(self) -> None:
        try:
            self.socket.send(router_solicitation(bytes.fromhex(self.question.mac.replace(":", ""))))
        except OSError:
            return  # down, or gone: nobody will answer

    def receive(self) -> None:
        for _ in range(DRAINED):
            try:
                found = advertisement(self.socket.recv(2048))
            except OSError:
                return
            if found is not None:
                self.heard[found.mac, str(found.router)] = found


def ask(questions: Sequence[Question]) -> list[tuple[Advertisement, ...] | None]:
    """For each question (whose address says nothing) who advertises, none after three rounds.

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
            silent = [one for one in there if not one.heard]
            for one in silent:
                one.send()
            if silent:
                _listen(there)
        return [None if one is None else tuple(one.heard.values()) for one in asking]
    finally:
        for opened in asking:
            if opened is not None:
                opened.socket.close()


def _listen(asking: Sequence[_Asking]) -> None:
    """Take what comes in a round, or until a moment after all have been answered."""
    poll = select.poll()
    by_number = {one.socket.fileno(): one for one in asking}
    for number in by_number:
        poll.register(number, select.POLLIN)
    end, answered = time.monotonic() + ROUND_SECONDS, False
    while True:
        now = time.monotonic()
        # Who was not let run in time still takes what has come meanwhile.
        for number, _ in poll.poll(max(0.0, 1000 * (end - now))):
            by_number[number].receive()
        if not answered and all(one.heard for one in asking):
            answered, end = True, min(end, time.monotonic() + MORE_SECONDS)
        if now >= end:
            return
