"""The generated pages of the reference, from the program itself.

    python -m tests.docs.reference        # writes docs/reference

``commands.md`` comes from the click objects, the table in ``errors.md`` from
``macvnet.errors.ALL``. A test fails while a page is not what this prints.
"""

from __future__ import annotations

import inspect
import re

import click

from macvnet.cli.invocation import Invocation
from macvnet.cli.main import cli
from macvnet.cli.parameters import Command
from macvnet.errors import ALL, MacvnetError
from tests.docs.pages import ROOT

COMMANDS = ROOT / "docs/reference/commands.md"
ERRORS = ROOT / "docs/reference/errors.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"

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
- A container is a PID (`4242` or `pid:4242`), `netns:NAME`, the path of a network namespace, or
  `run:NAME`.
"""


def commands() -> str:
    """The page of all commands."""
    top = click.Context(cli, info_name="macvnet", obj=Invocation(), **cli.context_settings)
    pieces = [INTRODUCTION, _index(top), "## Global options\n", _global_options(top)]
    pieces += [_command(top, name) for name in cli.list_commands(top)]
    return "\n".join(pieces)


def _index(top: click.Context) -> str:
    rows = [f"| [`{name}`](#{name}) | {cli.table[name][1]} |" for name in cli.list_commands(top)]
    return "\n".join(["| command | |", "|---|---|", *rows]) + "\n"


def _found(top: click.Context, name: str) -> Command:
    command = cli.get_command(top, name)
    assert isinstance(command, Command)
    return command


def _global_options(top: click.Context) -> str:
    every = _found(top, cli.list_commands(top)[0])
    text = "They stand before the command or after it.\n\n" + _table(top, list(every.globals))
    return text + "\n`--version` (without a command) prints the version.\n"


def _command(top: click.Context, name: str) -> str:
    command = _found(top, name)
    context = click.Context(command, info_name=name, parent=top)
    own = [param for param in command.get_params(context) if param not in command.globals]
    lines = [f"## {name}\n", f"    {command.usage_line(context)}\n"]
    if command.aliases:
        lines.append("Also called " + ", ".join(f"`{word}`" for word in command.aliases) + ".\n")
    lines.append(inspect.cleandoc(command.help or "") + "\n")
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
    before, _, rest = ERRORS.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{_error_table()}{END}{after}"


def _error_table() -> str:
    rows = ["| status | class | what it is | meaning |", "|---|---|---|---|"]
    kinds: list[type[MacvnetError]] = [MacvnetError, *ALL]
    for kind in kinds:
        meaning = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        if kind is MacvnetError:
            meaning = "Never meant to happen: a traceback goes to a file, whose path is printed."
        meaning = meaning.replace("``", "`")
        rows.append(f"| {kind.exit_status} | `{kind.__name__}` | {kind.summary} | {meaning} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    COMMANDS.write_text(commands(), encoding="utf-8")
    ERRORS.write_text(errors(), encoding="utf-8")


if __name__ == "__main__":
    main()
