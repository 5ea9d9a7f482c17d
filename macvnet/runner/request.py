"""What ``run`` is asked for, and the refusals that need nothing but the values."""

from __future__ import annotations

import os

from macvnet import chance
from macvnet.addresses import Address
from macvnet.errors import InvalidRequest
from macvnet.model import EndpointRequest, Owner
from macvnet.records import NamedTuple
from macvnet.rules import check_name
from macvnet.runner.sandbox import RESOLV_CONF
from macvnet.text import quoted


class RunRequest(NamedTuple):
    """A command to be run on networks; texts as typed.

    ``wanted`` as for ``Engine.attach_target``. ``remove`` (``--rm``) asks for
    what always happens: the endpoint goes with the command.
    """

    command: tuple[str, ...]
    name: str = ""
    wanted: tuple[tuple[str, EndpointRequest], ...] = ()
    detach: bool = False
    interactive: bool = False
    tty: bool = False
    dns: tuple[str, ...] = ()
    remove: bool = False


class Identity(NamedTuple):
    """Who a run is: its ID (64 hexadecimal digits), its name, and whether it was given."""

    id: str
    name: str
    named: bool

    @classmethod
    def of(cls, request: RunRequest) -> Identity:
        """A new one: a name that nobody gave is made from the ID."""
        identifier = chance.token(32)
        return cls(identifier, request.name or f"run-{identifier[:12]}", bool(request.name))

    @property
    def owner(self) -> Owner:
        # Only a name that somebody chose can be chosen again.
        return Owner("run", self.name, self.id, returns=self.named)


def judge(request: RunRequest) -> None:
    """InvalidRequest for what cannot be run as asked for."""
    if not request.command:
        raise InvalidRequest("no command is given", "macvnet run --net NET -- COMMAND")
    if request.name:
        check_name(request.name, "run")
    for server in request.dns:
        try:
            Address.parse(server)
        except ValueError:
            raise InvalidRequest(
                f"--dns {quoted(server)} is not an IP address", "--dns 192.0.2.53"
            ) from None
    if request.dns and not os.path.isfile(RESOLV_CONF):
        raise InvalidRequest(
            f"--dns has no {RESOLV_CONF} to replace: it does not exist or points nowhere",
            f"ls -lL {RESOLV_CONF}",
        )
    if request.tty and request.interactive and not request.detach and not os.isatty(0):
        raise InvalidRequest("the input device is not a TTY", "leave out -t, or add -d")
