"""Docker's flag syntax (Go's pflag), turned into the one form that click reads.

Only this module knows how a flag may be written; it must not know which flags
there are. Source: github.com/spf13/pflag, flag.go and string_slice.go.
"""

from __future__ import annotations

from macvnet.errors import UsageError
from macvnet.records import NamedTuple
from macvnet.text import nearest, quoted
from macvnet.words import boolean as boolean
from macvnet.words import integer as integer
from macvnet.words import split_list as split_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VALUE = "value"
BOOLEAN = "boolean"
SWITCH = "switch"
"""Kinds of flag: takes a value; true or false; ends the call by itself (``--help``)."""

NAME, ITS_VALUE, POSITIONAL, END = "name", "its value", "positional", "end"


class Line(NamedTuple):
    """A command line, understood: canonical flag tokens, then what is left, in order."""

    flags: tuple[str, ...]
    positionals: tuple[str, ...]


class Part(NamedTuple):
    """What one word of an unfinished command line is.

    ``role`` is NAME (of flags, without a value), ITS_VALUE (of the last of ``flags``),
    POSITIONAL or END (``--``). ``text`` is the name, value or positional as far as
    it is typed; ``before`` what stands before a value in the same word (``--ip=``).
    """

    role: str
    text: str
    before: str = ""
    flags: tuple[str, ...] = ()


def normalise(
    arguments: Sequence[str],
    kinds: Mapping[str, str],
    *,
    interspersed: bool = True,
    where: str = "",
) -> Line:
    """Read ``arguments`` as pflag does. ``kinds``: ``--name`` or ``-n`` to its kind.

    Not ``interspersed``: flags end at the first positional. UsageError for an
    unknown flag, a missing value, a word that is neither true nor false.
    """
    flags: list[str] = []
    positionals: list[str] = []
    rest = list(reversed(arguments))
    while rest:
        word = rest.pop()
        if word == "--":
            break
        if word.startswith("--"):
            _long(word, kinds, rest, flags, where)
        elif word.startswith("-") and word != "-":
            _cluster(word, kinds, rest, flags, where)
        else:
            positionals.append(word)
            if not interspersed:
                break
    positionals.extend(reversed(rest))
    return Line(tuple(flags), tuple(positionals))


def _long(
    word: str, kinds: Mapping[str, str], rest: list[str], flags: list[str], where: str
) -> None:
    name, equals, value = word.partition("=")
    kind = kinds.get(name)
    if kind is None:
        raise _unknown(name, kinds, where)
    if not equals:
        value = _next(name, rest, where) if kind == VALUE else "true"
    _emit(name, kind, value, flags)


def _cluster(
    word: str, kinds: Mapping[str, str], rest: list[str], flags: list[str], where: str
) -> None:
    letters = word[1:]
    while letters:
        name, kind = f"-{letters[0]}", kinds.get(f"-{letters[0]}")
        if kind is None:
            # A whole word behind one dash is more likely a long flag than a cluster.
            raise _unknown(name if len(word) == 2 else f"-{word}", kinds, where, typed=word)
        if len(letters) > 2 and letters[1] == "=":
            _emit(name, kind, letters[2:], flags)
            return
        if kind == VALUE:
            _emit(name, kind, letters[1:] or _next(name, rest, where), flags)
            return
        _emit(name, kind, "true", flags)
        letters = letters[1:]


def parts(
    words: Sequence[str],
    kinds: Mapping[str, str],
    *,
    interspersed: bool = True,
    unfinished: int | None = None,
) -> list[Part]:
    """What each word is, read as ``normalise`` does, but refusing none.

    Of the word number ``unfinished`` more may follow: dashes alone are the
    beginning of a flag there, and an equals sign that of a value.
    """
    found: list[Part] = []
    awaiting: tuple[str, ...] = ()
    flags_end = False
    for place, word in enumerate(words):
        more = place == unfinished
        if awaiting:
            found.append(Part(ITS_VALUE, word, "", awaiting))
            awaiting = ()
        elif flags_end or not word.startswith("-") or (word == "-" and not more):
            found.append(Part(POSITIONAL, word))
            flags_end = flags_end or not interspersed
        elif word == "--" and not more:
            found.append(Part(END, word))
            flags_end = True
        else:
            part = _long_part(word) if word.startswith("--") else _cluster_part(word, kinds, more)
            found.append(part)
            if part.role == NAME and part.flags and kinds.get(part.flags[-1]) == VALUE:
                awaiting = part.flags[-1:]
    return found


def _long_part(word: str) -> Part:
    name, equals, value = word.partition("=")
    if equals:
        return Part(ITS_VALUE, value, name + equals, (name,))
    return Part(NAME, word, "", (name,))


def _cluster_part(word: str, kinds: Mapping[str, str], more: bool) -> Part:
    flags: tuple[str, ...] = ()
    for place, letter in enumerate(word[1:], 1):
        flags = (*flags, f"-{letter}")
        rest = word[place + 1 :]
        if rest and (rest.startswith("=") or kinds.get(flags[-1]) == VALUE):
            # As in normalise: an equals sign alone is the value itself.
            separated = rest.startswith("=") and (len(rest) > 1 or more)
            cut = place + 2 if separated else place + 1
            return Part(ITS_VALUE, word[cut:], word[:cut], flags)
    return Part(NAME, word, "", flags)


def _next(name: str, rest: list[str], where: str) -> str:
    if not rest:
        raise UsageError(f"flag '{name}' needs a value", f"{where} --help")
    return rest.pop()


def _emit(name: str, kind: str, value: str, flags: list[str]) -> None:
    if kind == SWITCH:
        if boolean(name, value):
            flags.append(name)
    else:
        if kind == BOOLEAN:
            value = "true" if boolean(name, value) else "false"
        flags += (name, value)


def _unknown(
    name: str, kinds: Mapping[str, str], where: str, *, typed: str | None = None
) -> UsageError:
    long_ones = [known for known in kinds if known.startswith("--")]
    close = nearest(name, long_ones)
    hint = f"did you mean {close}?" if close else f"{where} --help"
    return UsageError(f"unknown flag {quoted(typed if typed is not None else name)}", hint)
