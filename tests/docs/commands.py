"""Every command of the program, those inside groups too, as pages and tests go through them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import click

from macvnet.cli.invocation import Invocation
from macvnet.cli.main import cli
from macvnet.cli.parameters import Command, Group


class Described(NamedTuple):
    """A command or group: what is typed after ``macvnet``, and what it is for, in a line."""

    words: str
    line: str
    command: Command | Group
    context: click.Context

    @property
    def own(self) -> list[click.Parameter]:
        """Its parameters, without those that all commands have."""
        shared = {param.name for param in cli.params}
        every = self.command.get_params(self.context)
        return [param for param in every if param.name not in shared]


def top() -> click.Context:
    """The context of ``macvnet`` itself."""
    return click.Context(cli, info_name="macvnet", obj=Invocation(), **cli.context_settings)


def everything() -> list[Described]:
    """Groups, each before what is in it, and commands, in the order of the help."""
    return list(_inside(cli, top(), ""))


def every() -> dict[str, Described]:
    """The commands by their words, without the groups."""
    return {one.words: one for one in everything() if isinstance(one.command, Command)}


def _inside(group: Group, context: click.Context, before: str) -> Iterator[Described]:
    for name, (_, line) in group.table.items():
        command = group.get_command(context, name)
        assert isinstance(command, (Command, Group))
        own = click.Context(command, info_name=name, parent=context)
        yield Described(before + name, line, command, own)
        if isinstance(command, Group):
            yield from _inside(command, own, f"{before}{name} ")
