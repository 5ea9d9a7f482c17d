"""``macvnet watch``: what is followed, and the line that each act becomes."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING

import click

from macvnet.cli import formats, suggest
from macvnet.cli.boundary import Stop
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import command
from macvnet.text import printable

if TYPE_CHECKING:
    from macvnet.engine.following import Act

TEXT, JSON = "text", "json"
_PLAIN = re.compile(r"[A-Za-z0-9_.:/,@+-]+")


@command(
    "watch",
    click.Option(
        ["--format"],
        metavar="FORMAT",
        default=TEXT,
        shell_complete=suggest.words(TEXT, JSON),
        help="How a line of the log is written: text (key=value), or json (default: text).",
    ),
    logged=False,
    lasting=True,
    epilog="""
Examples:
  macvnet watch --format json
  macvnet integrate systemd --install --watch
  docker run --network none --label macvnet.network=lan,ip=192.0.2.10 alpine

A label counts for networks created with -o watch=allow, and where root runs the
runtime. Several networks are separated by ';'.

SIGTERM and SIGINT end it, with exit status 0. SIGUSR1 has it look at everything
again.
""",
)
@click.pass_obj
def watch(invocation: Invocation, /, format: str) -> int:
    """Follow Docker, Podman and the kernel, and do what each event asks for.

    Containers that start again get their endpoints back: same address, MAC and
    interface name. Those with a label macvnet.network are connected when they start.
    What removed ones and dead processes hold is freed; what may come back keeps its
    lease for the grace time. Links are made again when their parent comes back. At
    the start, and whenever a runtime comes back, it does what was missed.

    Each act is a line on standard error. While nothing happens, it sleeps. One runs for
    each state directory.
    """
    log = _Log(invocation, formats.check("watch", format, (TEXT, JSON)))
    try:
        with invocation.engine(note=log.note) as engine:
            engine.watch(log)
    except Stop:
        log.stopped()
    return 0


class _Log:
    """Writes the lines, tells systemd, and keeps the log of what was done."""

    def __init__(self, invocation: Invocation, format: str) -> None:
        self._invocation = invocation
        self._format = format

    def act(self, act: Act) -> None:
        """A line; ``ready`` is for systemd too."""
        fields = {
            key: " ".join(value) if isinstance(value, tuple) else value
            for key, value in act._asdict().items()
        }
        self._line(fields.pop("word"), fields)
        if act.word == "ready":
            _notify("READY=1")

    def note(self, text: str) -> None:
        """A sentence that is worth knowing."""
        self._line("note", {"reason": text})

    def stopped(self) -> None:
        """The last line."""
        _notify("STOPPING=1")
        self._line("stop", {})

    def _line(self, word: str, fields: dict[str, str]) -> None:
        shown = {"time": _now(), "act": word, **{k: v for k, v in fields.items() if v}}
        if self._format == JSON:
            line = formats.to_json(shown)
        else:
            line = " ".join(f"{key}={_value(value)}" for key, value in shown.items())
        if word in ("fail", "refuse"):
            self._invocation.errors.append(fields["reason"])
        self._invocation.tell(line)

    def burst(self, began: float) -> None:
        """What changed something in the kernel is in the log of commands, as any command is."""
        from macvnet import journal

        invocation = self._invocation
        if invocation.operations:
            made = journal.entry(
                sys.argv[1:], 0, invocation.errors, invocation.operations, began=began
            )
            failure = journal.record(invocation.settings.state_dir, made)
            if failure:
                self.note(f"this is not in the log, {failure}")
        invocation.errors.clear()
        invocation.operations.clear()


def _value(text: str) -> str:
    """A value as logfmt has it: quoted where it is more than a word."""
    shown = printable(text)
    return shown if _PLAIN.fullmatch(shown) else json.dumps(shown, ensure_ascii=False)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _notify(state: str) -> None:
    """Tell systemd how it stands (sd_notify(3)), where it has asked to be told."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where.startswith(("/", "@")):
        return
    import socket

    address = "\0" + where[1:] if where.startswith("@") else where
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(state.encode(), address)
    except OSError:
        # It is systemd's to notice; the work goes on.
        return
