"""The man pages, from the program itself: one of macvnet, one of each command and group.

    python -m tests.docs.manual        # writes man

They come from the same click objects as ``--help``, in the man(7) language that
groff and mandoc share. A test fails while a page is not what this prints. They
have no date: the same program makes the same pages.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator

import click

from macvnet import __version__, settings
from macvnet.cli.invocation import Invocation
from macvnet.cli.main import EXAMPLES, HELP, cli, walk
from macvnet.cli.parameters import Command, Group, global_options
from macvnet.errors import ALL, MacvnetError
from tests.docs.pages import ROOT
from tests.docs.reference import meaning, summary

MAN = ROOT / "man"
WIDTH = 78
LINE = "macvlan and ipvlan networks for every process on this host"
_SENTENCE = re.compile(r"(?<=[.?!]) (?=[A-Z])")


def pages() -> dict[str, str]:
    """Every page by the name of its file."""
    found = {"macvnet.1": _main_page()}
    for words, context, command in walk():
        found[f"{_title(words)}.1"] = _page(words, context, command)
    return found


def _title(words: str) -> str:
    return "-".join(["macvnet", *words.split()])


def _text(text: str) -> str:
    """Roff that prints ``text`` as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    escaped = escaped.replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in escaped.split("\n"))


def _prose(text: str) -> list[str]:
    """A paragraph, each sentence on lines of its own (as man(7) wants it)."""
    sentences = _SENTENCE.split(" ".join(text.split()))
    lines = [line for each in sentences for line in textwrap.wrap(each, WIDTH - 8)]
    return [_text(line) for line in lines]


def _paragraphs(text: str) -> list[str]:
    """Paragraphs that empty lines are between."""
    lines: list[str] = []
    for block in re.split(r"\n\n+", inspect.cleandoc(text)):
        lines += ([".PP"] if lines else []) + _prose(block)
    return lines


def _epilog(text: str) -> Iterator[str]:
    """The examples, then what else stands below a help text."""
    examples = True
    indented: list[str] = []
    prose: list[str] = []
    for line in [*text.strip("\n").splitlines(), ""]:
        if line == "Examples:":
            yield ".SH EXAMPLES"
        elif line.startswith("  ") or (not line and indented):
            if prose:
                yield from (".PP", *_prose(" ".join(prose)))
                prose = []
            indented.append(line)
        else:
            yield from _example(indented)
            indented = []
            if line and examples:
                examples = False
                yield ".SH NOTES"
            if line:
                prose.append(line)
            elif prose:
                yield from (".PP", *_prose(" ".join(prose)))
                prose = []
    yield from _example(indented)


def _example(lines: list[str]) -> Iterator[str]:
    """Lines that are meant to be copied."""
    code = textwrap.dedent("\n".join(lines)).strip("\n").splitlines()
    if code:
        yield from (".PP", ".RS 4", ".nf")
        # An empty line between .nf and .fi is one that mandoc finds fault with.
        yield from (_text(line) if line else "\\&" for line in code)
        yield from (".fi", ".RE")


def _options(context: click.Context, params: Iterable[click.Parameter]) -> Iterator[str]:
    for param in params:
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None:
            flags, text = record
            parts = [re.split(r"[ =]", flag, maxsplit=1) for flag in flags.split(", ")]
            value = parts[-1][1] if len(parts[-1]) > 1 else ""
            names = ", ".join(f"\\fB{_text(part[0])}\\fR" for part in parts)
            yield from (".TP", names + (f" \\fI{_text(value)}\\fR" if value else ""))
            yield from _prose(text)


def _terms(terms: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in terms:
        yield from (".TP", f"\\fB{_text(term)}\\fR", *_prose(text))


def _head(title: str, about: str) -> list[str]:
    return [
        '.\\" Written by tests/docs/manual.py from the program; see CONTRIBUTING.md.',
        f'.TH {title.upper()} 1 "" "macvnet {__version__}" "macvnet manual"',
        # Neither stretched lines nor hyphens, which would look like part of a word to type.
        ".ad l",
        ".nh",
        ".SH NAME",
        f"{_text(title)} \\- {_text(about.rstrip('.'))}",
        ".SH SYNOPSIS",
    ]


def _synopsis(context: click.Context, command: Command | Group) -> str:
    words = " ".join(command.collect_usage_pieces(context))
    return f"\\fB{_text(context.command_path)}\\fR {_text(words)}"


def _page(words: str, context: click.Context, command: Command | Group) -> str:
    lines = _head(_title(words), summary(words))
    lines += [_synopsis(context, command), ".SH DESCRIPTION", *_paragraphs(command.help or "")]
    if isinstance(command, Group):
        lines += [".SH COMMANDS", *_listed(f"{words} {name}" for name in command.table)]
    elif command.aliases:
        also = ", ".join(f"\\fB{_text(word)}\\fR" for word in command.aliases)
        lines += [".PP", f"Also called {also}."]
    shared = {param.name for param in global_options()}
    every = command.get_params(context)
    lines += [".SH OPTIONS", *_options(context, (p for p in every if p.name not in shared))]
    lines += [".SH GLOBAL OPTIONS", *_options(context, (p for p in every if p.name in shared))]
    lines += _epilog(command.epilog or "")
    lines += [".SH SEE ALSO", "\\fBmacvnet\\fR(1)"]
    return _joined(lines)


def _joined(lines: list[str]) -> str:
    """The page. A heading begins a paragraph by itself."""
    kept = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if line != ".PP" or not before.startswith(".SH")
    ]
    return "\n".join(kept) + "\n"


def _listed(every: Iterable[str]) -> Iterator[str]:
    for words in every:
        yield from (".TP", f"\\fB{_text(_title(words))}\\fR(1)", *_prose(summary(words)))


def _main_page() -> str:
    context = click.Context(cli, info_name="macvnet", obj=Invocation(), **cli.context_settings)
    lines = _head("macvnet", LINE)
    lines += [_synopsis(context, cli), ".SH DESCRIPTION", *_paragraphs(HELP)]
    lines += [".SH COMMANDS", *_listed(words for words, *_ in walk())]
    lines += [".SH OPTIONS", *_options(context, cli.get_params(context))]
    lines += [".SH ENVIRONMENT", *_terms(ENVIRONMENT), ".SH FILES", *_terms(FILES)]
    lines += [".SH EXIT STATUS", *_terms(_statuses())]
    lines += [*_epilog(EXAMPLES), ".SH SEE ALSO", SEE_ALSO]
    return _joined(lines)


def _statuses() -> Iterator[tuple[str, str]]:
    yield "0", "Done."
    kinds: list[type[MacvnetError]] = [MacvnetError, *ALL]
    for kind in kinds:
        shown = meaning(kind).replace("`", "")
        yield str(kind.exit_status), f"{kind.summary[0].upper()}{kind.summary[1:]}. {shown}"


ENVIRONMENT = (
    (settings.ENV_STATE_DIR, "The same as --state-dir."),
    (settings.ENV_CONFIG, "The same as --config."),
    ("NO_COLOR", "If set, tables have no colour."),
)
FILES = (
    (settings.DEFAULT_CONFIG, "Settings."),
    (f"{settings.DEFAULT_STATE_DIR}/", "The state, and the log of what was done."),
)
SEE_ALSO = "\\fBip\\-link\\fR(8), \\fBip\\-netns\\fR(8), \\fBnetwork_namespaces\\fR(7)"


def main() -> None:
    MAN.mkdir(exist_ok=True)
    for name, text in pages().items():
        (MAN / name).write_text(text, encoding="utf-8")
    for path in set(MAN.iterdir()) - {MAN / name for name in pages()}:
        path.unlink()


if __name__ == "__main__":
    main()
