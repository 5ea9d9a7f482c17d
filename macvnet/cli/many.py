"""Several containers in one call: the lines of ``--batch``, and what becomes of each.

Knows how a line is written; must not know what it can ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from macvnet.cli import files, suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Command, Flag
from macvnet.errors import InvalidRequest, MacvnetError, PartlyDone, UsageError
from macvnet.records import NamedTuple
from macvnet.text import quoted

if TYPE_CHECKING:
    from macvnet.engine import Engine
    from macvnet.engine.seats import Connected
    from macvnet.model import Change

LARGEST = 1 << 24
"""Bytes of a batch; some hundred thousand lines."""


def options(line: str) -> list[click.Option]:
    """``--batch`` and ``--atomic``; ``line`` is what a line looks like."""
    return [
        click.Option(
            ["--batch"],
            metavar="FILE|-",
            shell_complete=suggest.files,
            help=f"Many containers, a line each: {line}.",
        ),
        atomic_option(),
    ]


def atomic_option() -> click.Option:
    return Flag(["--atomic"], help="With many containers: all of them or none.")


class One(NamedTuple):
    """One of several: how it is called in what is told, and what is asked for, or why not."""

    label: str
    asked: Any


def lines(file: str, form: Form, ask: Callable[[dict[str, Any]], Any]) -> list[One]:
    """What the lines of a batch ask for: ``ask`` makes it from the values of one.

    Raises as ``files.content``.
    """
    found = []
    for number, text in enumerate(files.content(file, LARGEST).split("\n"), 1):
        try:
            words = words_of(text.removesuffix("\r"))
            if words:
                found.append(One(f"line {number}", ask(form.read(words))))
        except MacvnetError as error:
            found.append(One(f"line {number}", error))
    return found


def words_of(text: str) -> list[str]:
    """The words of a line, quoted as in a shell; InvalidRequest where a quote is left open.

    As there, a # begins a comment at the beginning of a word only.
    """
    import io
    import shlex

    stream = io.StringIO(text)
    lexer = shlex.shlex(stream, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        while not text[stream.tell() :].lstrip().startswith("#"):
            word = lexer.get_token()
            if word is None:
                break
            words.append(word)
    except ValueError:
        raise InvalidRequest(
            f"{quoted(text)} ends inside of a quotation", "close it, or put a \\ before it"
        ) from None
    return words


class Form:
    """What can be on a line: a container, and a command's own options."""

    def __init__(self, context: click.Context, *options: click.Parameter) -> None:
        self._context = context
        self._plain: dict[str, Any] | None = None
        self._command = Command(
            context.info_name or "",
            params=[*options, click.Argument(["container"])],
            shared=False,
            add_help_option=False,
        )

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """The values of a line. Raises what is wrong with it."""
        plain = len(words) == 1 and not words[0].startswith("-")
        if plain and self._plain is not None:
            # Most lines are so, and click takes its time.
            return {**self._plain, "container": words[0]}
        try:
            values = self._parsed(words)
        except click.ClickException as error:
            raise UsageError(
                error.format_message().rstrip("."), f"{self._context.command_path} --help"
            ) from None
        if plain:
            self._plain = values
        return values

    def _parsed(self, words: Sequence[str]) -> dict[str, Any]:
        with self._command.make_context(
            self._context.info_name,
            list(words),
            parent=self._context.parent,
        ) as context:
            return dict(context.params)


def connect(
    invocation: Invocation,
    engine: Engine,
    ones: Sequence[One],
    *,
    verb: str,
    atomic: bool,
    dry_run: bool,
    done: Callable[[One, list[Connected]], None] = lambda one, result: None,
) -> int:
    """Connect what the ``asked`` of each says (container, wanted); the exit status.

    ``done`` is told each one that is connected.
    """

    def finished(one: One, result: list[Connected]) -> None:
        if dry_run:
            invocation.changes(change for made in result for change in made.changes)
        else:
            done(one, result)

    tally = Tally(invocation, ones, verb, finished, atomic=atomic, dry_run=dry_run)
    with tally.drawn():
        engine.connect_many(
            [one.asked for one in tally.sound], tally.report, atomic=atomic, dry_run=dry_run
        )
    return tally.status()


def disconnect(
    invocation: Invocation,
    engine: Engine,
    terms: Sequence[str],
    ones: Sequence[One],
    *,
    verb: str,
    force: bool = False,
    atomic: bool,
    dry_run: bool,
) -> int:
    """Disconnect what the ``asked`` of each says, a container or an endpoint; the exit status."""

    def finished(one: One, changes: Sequence[Change]) -> None:
        if dry_run:
            invocation.changes(changes)

    tally = Tally(invocation, ones, verb, finished, atomic=atomic, dry_run=dry_run)
    with tally.drawn():
        engine.disconnect_many(
            terms,
            [one.asked for one in tally.sound],
            tally.report,
            force=force,
            atomic=atomic,
            dry_run=dry_run,
        )
    return tally.status()


class Tally:
    """What becomes of each, told as it becomes known. ``verb`` is what is done to them.

    ``sound`` are those that can be tried: none, where all shall be one deed and
    one asks for what cannot be read.
    """

    def __init__(
        self,
        invocation: Invocation,
        ones: Sequence[One],
        verb: str,
        done: Callable[[One, Any], None],
        *,
        atomic: bool,
        dry_run: bool,
    ) -> None:
        self._invocation = invocation
        self._total = len(ones)
        self._verb = verb
        self._done = done
        self._atomic = atomic
        self._dry_run = dry_run
        self._finished = 0
        self._refused: list[MacvnetError] = []
        from macvnet.cli.progress import Progress

        self._progress = Progress(f"{verb}ing", len(ones))
        self.sound = [one for one in ones if not isinstance(one.asked, MacvnetError)]
        for one in ones:
            if isinstance(one.asked, MacvnetError):
                self._refuse(one, one.asked)
        if atomic and self._refused:
            self.sound = []
        if not ones:
            invocation.note("nothing to do")

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """With a bar on a terminal, where it takes long."""
        try:
            yield
        finally:
            self._progress.close()

    def report(self, number: int, outcome: Any) -> None:
        """One of ``sound`` is done, or refused."""
        self._progress.step()
        if isinstance(outcome, MacvnetError):
            self._refuse(self.sound[number], outcome)
        else:
            self._finished += 1
            self._done(self.sound[number], outcome)

    def _refuse(self, one: One, error: MacvnetError) -> None:
        self._refused.append(error)
        self._invocation.error(error, one.label)

    def status(self) -> int:
        """The exit status: 0, that of the first refusal where nothing was done, else 13."""
        if not self._refused:
            return 0
        if not self._finished:
            if self._total > 1 and not self._dry_run:
                self._invocation.note(f"nothing was {self._verb}ed")
            return self._refused[0].exit_status
        rest = PartlyDone(
            f"{len(self._refused)} of {self._total} containers were not {self._verb}ed, "
            f"the other {self._finished} were"
        )
        if not self._dry_run:
            self._invocation.error(rest)
        return rest.exit_status
