"""The commands that scripts and machines call most, read without click.

click takes longer to load than they take to do their work. What is plain is read
here, by the same rules (``syntax``); whatever is not, such as help, several
containers, or a word that is to be refused, is left to click, which then begins
at the first word. So nothing here prints or refuses. That both read a line alike
is for tests/properties/test_short.py to show.
"""

from __future__ import annotations

from macvnet.cli import syntax
from macvnet.cli.invocation import Invocation
from macvnet.errors import UsageError
from macvnet.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

TEXT, NUMBER, LIST, REPEATED, BOOLEAN = "text", "number", "list", "repeated", "boolean"
"""One word; a whole number; words separated by commas, repeated or not; repeated; true or false."""

_NOTHING: Mapping[str, Any] = {TEXT: "", NUMBER: 0, LIST: (), REPEATED: (), BOOLEAN: None}


class Form(NamedTuple):
    """What a command takes: its arguments by name, its flags with their kinds.

    ``beyond`` are flags of which one is enough to leave the line to click.
    """

    positionals: tuple[str, ...]
    flags: Mapping[str, str]
    defaults: Mapping[str, Any] = {}
    beyond: Mapping[str, str] = {}


class Call(NamedTuple):
    """A line that was read: the command, its parameters, and the global options."""

    command: str
    parameters: dict[str, Any]
    shared: dict[str, Any]


_ENDPOINT = {
    "--ip": TEXT,
    "--ip6": TEXT,
    "--mac-address": TEXT,
    "--ifname": TEXT,
    "--gw-priority": NUMBER,
    "--no-default-route": BOOLEAN,
    "--metric": NUMBER,
    "--route": REPEATED,
    "--policy-routes": BOOLEAN,
    "--no-probe": BOOLEAN,
    "--ip6-token": TEXT,
    "--rate": TEXT,
}
_LISTS = {"--alias": LIST, "--driver-opt": LIST, "--link-local-ip": LIST}
_NETWORKS = {"--network": REPEATED, "--net": REPEATED}
_DRY_RUN = {"--dry-run": BOOLEAN}
_ATOMIC = {"--atomic": BOOLEAN}
_MANY = {**_ATOMIC, "--batch": TEXT}
FORMS = {
    "attach": Form(
        ("container",),
        {**_ENDPOINT, **_NETWORKS, **_DRY_RUN, "--format": TEXT},
        {"format": "text"},
        beyond=_ATOMIC,
    ),
    "detach": Form(("container",), {**_NETWORKS, **_DRY_RUN}, beyond=_ATOMIC),
    "connect": Form(("network", "container"), {**_ENDPOINT, **_LISTS, **_DRY_RUN}, beyond=_MANY),
    "disconnect": Form(
        ("network", "container"),
        {"--force": BOOLEAN, "-f": BOOLEAN, **_DRY_RUN},
        beyond={**_MANY, "--all": BOOLEAN},
    ),
}
_HELP = {"--help": BOOLEAN, "-h": BOOLEAN}
SHARED = {"--state-dir": TEXT, "--config": TEXT, "--verbose": BOOLEAN}
_NAMES = {"--network": "networks", "--net": "networks", "-f": "force"}


def read(arguments: Sequence[str]) -> Call | None:
    """A command line, if it is a plain one of ``FORMS``; else None, and click shall read it."""
    form = FORMS.get(arguments[0]) if arguments else None
    if form is None:
        return None
    kinds = {**form.flags, **SHARED, **form.beyond, **_HELP}
    booleans = {flag: syntax.BOOLEAN for flag, kind in kinds.items() if kind == BOOLEAN}
    try:
        line = syntax.normalise(arguments[1:], {**dict.fromkeys(kinds, syntax.VALUE), **booleans})
        if len(line.positionals) != len(form.positionals):
            return None
        parameters = {_name(flag): _NOTHING[kind] for flag, kind in form.flags.items()}
        parameters.update(form.defaults)
        parameters.update(zip(form.positionals, line.positionals, strict=True))
        shared: dict[str, Any] = {}
        words = iter(line.flags)
        for flag, text in zip(words, words, strict=True):
            if flag in form.beyond or flag in _HELP:
                return None
            into = shared if flag in SHARED else parameters
            name = _name(flag)
            into[name] = _value(kinds[flag], flag, text, into.get(name))
    except UsageError:
        return None
    return Call(arguments[0], parameters, shared)


def carry_out(invocation: Invocation, call: Call) -> int:
    """Do what a line that was read asks for; the exit status."""
    from macvnet.cli import acts

    invocation.given.update(call.shared)
    if not call.parameters["dry_run"]:
        invocation.begin_short()
    status: int = getattr(acts, call.command)(invocation, **call.parameters)
    return status


def _name(flag: str) -> str:
    return _NAMES.get(flag) or flag[2:].replace("-", "_")


def _value(kind: str, flag: str, text: str, before: Any) -> Any:
    if kind == BOOLEAN:
        return syntax.boolean(flag, text)
    if kind == NUMBER:
        return syntax.integer(flag, text)
    if kind == REPEATED:
        return (*before, text)
    if kind == LIST:
        return (*before, *syntax.split_list(flag, text))
    return text
