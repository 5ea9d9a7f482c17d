"""What can stand at the cursor of an unfinished command line.

Walks the commands and their parameters, so everything they have is known here
without being named. Must not know a shell, nor what a parameter's values are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import click

from macvnet.cli import suggest, syntax
from macvnet.cli.main import cli
from macvnet.cli.parameters import Command, Group
from macvnet.records import NamedTuple
from macvnet.text import printable

if TYPE_CHECKING:
    from macvnet.store import Store

WORDS, OPEN, FILES, DIRECTORIES, COMMAND = "words", "open", "files", "directories", "command"
"""Kinds of answer: whole words, beginnings of words, or what the shell completes by itself."""

_BY_THE_SHELL = {
    suggest.FILE: FILES,
    suggest.DIRECTORY: DIRECTORIES,
    suggest.COMMAND: COMMAND,
}
LONGEST, LONGEST_ABOUT = 300, 60

_SENTENCE = re.compile(r"\. (?=[A-Z])")
# What means itself, unquoted, in bash, zsh and fish alike.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_.,:/@%+=-]|!(?==))+")


class Candidate(NamedTuple):
    """A word for the place of the one at the cursor, and a few words about it ("" for none)."""

    word: str
    about: str = ""


class Answer(NamedTuple):
    """What can stand at the cursor.

    ``before`` is how the word at the cursor begins before its value (``--config=``);
    ``candidates`` are whole words, with that. ``skip`` is, for a COMMAND, how many
    words stand before it.
    """

    kind: str
    candidates: tuple[Candidate, ...] = ()
    before: str = ""
    skip: int = 0


NOTHING = Answer(WORDS)


class Situation:
    """click's ``obj`` while completing: where the state is that the line means."""

    def __init__(self) -> None:
        self.given: dict[str, str] = {}

    @cached_property
    def reader(self) -> Store:
        """The state, as it is; raises where it cannot be read at once."""
        from macvnet import settings
        from macvnet.store import open_store

        found = settings.load(
            state_dir=self.given.get("state_dir"), config=self.given.get("config")
        )
        return open_store(found.state_dir, glance=True)


class _Line(NamedTuple):
    """The words of one command: what each is, which of them is at the cursor."""

    parts: list[syntax.Part]
    cursor: int
    context: click.Context
    command: Command | Group

    @property
    def at_cursor(self) -> syntax.Part:
        return self.parts[self.cursor]

    def option(self, flag: str) -> click.Option | None:
        for param in self.command.get_params(self.context):
            if isinstance(param, click.Option) and flag in param.opts:
                return param
        return None


def answer(words: Sequence[str], cursor: int) -> Answer:
    """What can stand in the place of ``words[cursor]``, of which only the beginning is typed.

    ``words`` are without the program's name. Raises what the state raises.
    """
    command: Command | Group = cli
    context = click.Context(cli, info_name="macvnet", obj=Situation(), **cli.context_settings)
    begin = 0
    while True:
        parts = syntax.parts(
            words[begin:],
            command.kinds(context),
            interspersed=context.allow_interspersed_args,
            unfinished=cursor - begin,
        )
        line = _Line(parts, cursor - begin, context, command)
        if not isinstance(command, Group):
            return _of_command(line, begin)
        place = next((i for i, p in enumerate(parts) if p.role == syntax.POSITIONAL), None)
        if place is None or place >= line.cursor:
            return _of_group(line)
        _note_values(line._replace(parts=parts[:place]))
        found = command.get_command(context, parts[place].text)
        if not isinstance(found, (Command, Group)):
            return NOTHING
        command = found
        context = click.Context(
            found, info_name=found.name, parent=context, **found.context_settings
        )
        begin += place + 1


def _of_group(line: _Line) -> Answer:
    _note_values(line._replace(parts=line.parts[: line.cursor]))
    if line.at_cursor.role != syntax.POSITIONAL:
        return _flag_or_value(line)
    assert isinstance(line.command, Group)
    typed = line.at_cursor.text
    commands = [Candidate(name, about) for name, (_, about) in line.command.table.items()]
    kept = _fitting(commands, typed)
    # A second word for the same thing, only for those who know it.
    return Answer(WORDS, kept or _fitting([Candidate(a) for a in line.command.other_words], typed))


def _of_command(line: _Line, begin: int) -> Answer:
    _note_values(line)
    if line.at_cursor.role != syntax.POSITIONAL:
        return _flag_or_value(line)
    arguments = [p for p in line.command.params if isinstance(p, click.Argument)]
    if not arguments:
        return NOTHING
    place = sum(part.role == syntax.POSITIONAL for part in line.parts[: line.cursor])
    if place >= len(arguments) and arguments[-1].nargs != -1:
        return NOTHING
    found = _values(line, arguments[min(place, len(arguments) - 1)])
    if found.kind == COMMAND:
        first = next(i for i, p in enumerate(line.parts) if p.role == syntax.POSITIONAL)
        return found._replace(skip=begin + first)
    return found


def _note_values(line: _Line) -> None:
    """The other words on the line, by parameter: click's ``params``, and the global ones."""
    positionals: list[str] = []
    for place, part in enumerate(line.parts):
        if part.role == syntax.POSITIONAL:
            positionals.append("" if place == line.cursor else part.text)
        elif part.role == syntax.ITS_VALUE and place != line.cursor:
            option = line.option(part.flags[-1])
            if option is not None and option.name:
                if option.expose_value:
                    earlier = line.context.params.get(option.name, ())
                    line.context.params[option.name] = (*earlier, part.text)
                else:
                    line.context.obj.given[option.name] = part.text
    for argument in line.command.params:
        if isinstance(argument, click.Argument) and argument.name:
            count = len(positionals) if argument.nargs == -1 else 1
            own = tuple(text for text in positionals[:count] if text)
            line.context.params[argument.name] = own
            del positionals[:count]


def _flag_or_value(line: _Line) -> Answer:
    part = line.at_cursor
    if part.role == syntax.ITS_VALUE:
        option = line.option(part.flags[-1])
        return _values(line, option) if option else NOTHING
    given = {flag for place, p in enumerate(line.parts) if place != line.cursor for flag in p.flags}
    found = []
    for param in line.command.get_params(line.context):
        if isinstance(param, click.Option) and (
            param.multiple or not given.intersection(param.opts)
        ):
            about = _SENTENCE.split(param.help or "")[0]
            found += [Candidate(flag, about) for flag in sorted(param.opts, key=len, reverse=True)]
    return Answer(WORDS, _fitting(found, part.text))


def _values(line: _Line, param: click.Parameter) -> Answer:
    part = line.at_cursor
    items = param.shell_complete(line.context, part.text)
    if items and items[0].type in _BY_THE_SHELL:
        return Answer(_BY_THE_SHELL[items[0].type], before=part.before)
    found = [Candidate(part.before + str(each.value), each.help or "") for each in items]
    kept = _fitting(found, part.before + part.text)
    open_ended = bool(kept) and all(one.word.endswith("=") for one in kept)
    return Answer(OPEN if open_ended else WORDS, kept, part.before)


def _fitting(found: Sequence[Candidate], typed: str) -> tuple[Candidate, ...]:
    """Those that go on from what is typed, and that a shell takes as they are."""
    kept: dict[str, Candidate] = {}
    for one in found:
        fits = one.word.startswith(typed) and len(one.word) <= LONGEST
        if fits and _PLAIN.fullmatch(one.word):
            about = printable(" ".join(one.about.split())).removesuffix(".")
            if len(about) > LONGEST_ABOUT:
                about = about[: LONGEST_ABOUT - 3] + "..."
            kept.setdefault(one.word, Candidate(one.word, about))
    return tuple(kept.values())
