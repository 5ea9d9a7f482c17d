"""The generated pages of the reference, from the program itself.

    python -m tests.docs.reference        # writes docs/reference

``commands.md`` comes from the click objects, the table in ``errors.md`` from
``macvnet.errors.ALL``, the causes in ``doctor.md`` from ``macvnet.doctor``. A test
fails while a page is not what this prints.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path

import click

from macvnet import doctor
from macvnet.cli.main import cli, walk
from macvnet.cli.parameters import Command, Group
from macvnet.doctor.findings import Cause
from macvnet.errors import ALL, MacvnetError
from tests.docs.pages import ROOT

COMMANDS = ROOT / "docs/reference/commands.md"
ERRORS = ROOT / "docs/reference/errors.md"
DOCTOR = ROOT / "docs/reference/doctor.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"

Entry = tuple[str, click.Context, Group | Command]
INTRODUCTION = """\
# Commands

This page is generated from the program (`python -m tests.docs.reference`). `macvnet COMMAND --help`
prints the same.

- A flag with a value is written `--flag value` or `--flag=value`.
- A flag without a value may be written `--flag=true` or `--flag=false`.
- Flags may follow the arguments; `--` ends them. In `macvnet run` they end at the command.
- `--subnet`, `--gateway`, `--ip-range`, `--exclude`, `--alias`, `--driver-opt` and
  `--link-local-ip` take several values with commas between them, or can be repeated.
- Results go to standard output. Notes (`macvnet: note: ...`) and errors go to standard error.
  The exit statuses are in [errors.md](errors.md).
- A network is named by its name, its ID, or the first digits of its ID (four or more).
- A container is a PID (`4242` or `pid:4242`), `docker:NAME`, `podman:NAME`, `nspawn:NAME` (or
  `machine:NAME`), `lxc:NAME`, `containerd:ID`, `runc:ID`, `netns:NAME`, `run:NAME`, or the path of
  a network namespace. A name alone is looked up in all runtimes; if several know it, the error
  lists them.
"""


def commands() -> str:
    """The page of all commands."""
    every = list(walk())
    pieces = [INTRODUCTION, _index(every), "## Global options\n", _global_options(every)]
    pieces += [_command(*each) for each in every]
    return "\n".join(pieces)


def _index(every: list[Entry]) -> str:
    rows = [
        f"| [`{words}`](#{words.replace(' ', '-')}) | {summary(words)} |" for words, *_ in every
    ]
    return "\n".join(["| command | |", "|---|---|", *rows]) + "\n"


def summary(words: str) -> str:
    """The line of help that the command has in its group's table."""
    group: Group = cli
    *above, name = words.split()
    for word in above:
        found = group.get_command(click.Context(group), word)
        assert isinstance(found, Group)
        group = found
    return group.table[name][1]


def _global_options(every: list[Entry]) -> str:
    context, command = next((c, found) for _, c, found in every if isinstance(found, Command))
    text = "They stand before the command or after it.\n\n" + _table(context, list(command.globals))
    return text + "\n`--version` (without a command) prints the version.\n"


def _command(words: str, context: click.Context, command: Group | Command) -> str:
    lines = [f"## {words}\n"]
    own: list[click.Parameter] = []
    if isinstance(command, Command):
        own = [param for param in command.get_params(context) if param not in command.globals]
        lines.append(f"    {command.usage_line(context)}\n")
        if command.aliases:
            lines.append("Also called " + ", ".join(map("`{}`".format, command.aliases)) + ".\n")
    lines.append(inspect.cleandoc(command.help or "") + "\n")
    if own:
        lines.append(_table(context, own))
    if command.epilog:
        lines.append("```text\n" + command.epilog.strip("\n") + "\n```\n")
    return "\n".join(lines)


def _table(context: click.Context, params: list[click.Parameter]) -> str:
    rows = ["| flag | |", "|---|---|"]
    for param in params:
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None:
            flags, text = (re.sub(r"\s+", " ", each).replace("|", "\\|") for each in record)
            rows.append(f"| `{flags}` | {text} |")
    return "\n".join(rows) + "\n"


def errors() -> str:
    """The page of errors, its table made anew."""
    return _filled(ERRORS, _error_table())


def causes() -> str:
    """The page of causes, what it says of each made anew."""
    return _filled(DOCTOR, "\n".join(map(_cause, doctor.causes())))


def _filled(page: Path, generated: str) -> str:
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{generated}{END}{after}"


def _cause(cause: Cause) -> str:
    paragraphs = (cause.meaning, f"Seen: {cause.evidence}", f"Fix: {cause.remedy}")
    shown = "\n\n".join(textwrap.fill(each, 105, break_on_hyphens=False) for each in paragraphs)
    return f"### `{cause.id}`\n\n{shown}\n"


def meaning(kind: type[MacvnetError]) -> str:
    """What an exit status means, in Markdown."""
    if kind is MacvnetError:
        return "Never meant to happen: a traceback goes to a file, whose path is printed."
    text = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return text.replace("``", "`")


def _error_table() -> str:
    rows = ["| status | class | what it is | meaning |", "|---|---|---|---|"]
    kinds: list[type[MacvnetError]] = [MacvnetError, *ALL]
    for kind in kinds:
        row = (str(kind.exit_status), f"`{kind.__name__}`", kind.summary, meaning(kind))
        rows.append(f"| {' | '.join(row)} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    COMMANDS.write_text(commands(), encoding="utf-8")
    ERRORS.write_text(errors(), encoding="utf-8")
    DOCTOR.write_text(causes(), encoding="utf-8")


if __name__ == "__main__":
    main()
