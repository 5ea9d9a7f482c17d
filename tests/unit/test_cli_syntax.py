"""Docker's flag syntax, rule by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet.cli.syntax import (
    BOOLEAN,
    ITS_VALUE,
    NAME,
    POSITIONAL,
    SWITCH,
    VALUE,
    Line,
    Part,
    boolean,
    integer,
    normalise,
    parts,
    split_list,
)
from macvnet.errors import UsageError

KINDS = {
    "--driver": VALUE,
    "-d": VALUE,
    "--opt": VALUE,
    "-o": VALUE,
    "--force": BOOLEAN,
    "-f": BOOLEAN,
    "--quiet": BOOLEAN,
    "-q": BOOLEAN,
    "--help": SWITCH,
    "-h": SWITCH,
}


def read(*words: str, interspersed: bool = True) -> Line:
    return normalise(words, KINDS, interspersed=interspersed, where="macvnet x")


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["--driver", "macvlan"], ("--driver", "macvlan")),
        (["--driver=macvlan"], ("--driver", "macvlan")),
        (["--driver="], ("--driver", "")),
        (["--driver", ""], ("--driver", "")),
        (["--driver=a=b"], ("--driver", "a=b")),
        (["-d", "macvlan"], ("-d", "macvlan")),
        (["-dmacvlan"], ("-d", "macvlan")),
        (["-d=macvlan"], ("-d", "macvlan")),
        (["-o", "k=v"], ("-o", "k=v")),
        (["-ok=v"], ("-o", "k=v")),
        (["-o=k=v"], ("-o", "k=v")),
        (["-fq"], ("-f", "true", "-q", "true")),
        (["-fqdx"], ("-f", "true", "-q", "true", "-d", "x")),
        (["-fq=false"], ("-f", "true", "-q", "false")),
        (["-qd", "x"], ("-q", "true", "-d", "x")),
        (["--driver", "--force"], ("--driver", "--force")),
        (["-o", "-o"], ("-o", "-o")),
        (["--force=T", "--quiet=0"], ("--force", "true", "--quiet", "false")),
        (["--help"], ("--help",)),
        (["--help=false"], ()),
    ],
)
def test_a_flag_is_read_in_every_form_that_docker_takes(
    words: list[str], flags: tuple[str, ...]
) -> None:
    assert read(*words) == Line(flags, ())


def test_a_boolean_never_takes_the_next_word() -> None:
    assert read("--force", "false") == Line(("--force", "true"), ("false",))
    assert read("-f", "true") == Line(("-f", "true"), ("true",))


def test_flags_may_follow_positionals_and_end_at_two_dashes() -> None:
    assert read("a", "-f", "b", "--", "-q", "--", "c") == Line(
        ("-f", "true"), ("a", "b", "-q", "--", "c")
    )


def test_a_single_dash_is_a_positional() -> None:
    assert read("-", "-f") == Line(("-f", "true"), ("-",))


def test_flags_end_at_the_first_positional_where_a_command_follows() -> None:
    assert read("-f", "sh", "-c", "x", interspersed=False) == Line(
        ("-f", "true"), ("sh", "-c", "x")
    )
    assert read("--", "sh", "--", "-c", interspersed=False) == Line((), ("sh", "--", "-c"))


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--drivr", "x"], "unknown flag '--drivr'", "did you mean --driver?"),
        (["--zzz=1"], "unknown flag '--zzz'", "macvnet x --help"),
        (["-z"], "unknown flag '-z'", "macvnet x --help"),
        (["-driver", "x"], None, None),
        (["-fz"], "unknown flag '-fz'", "macvnet x --help"),
        (["---force"], "unknown flag '---force'", "did you mean --force?"),
        (["--=x"], "unknown flag '--'", "macvnet x --help"),
        (["--driver"], "flag '--driver' needs a value", "macvnet x --help"),
        (["-fd"], "flag '-d' needs a value", "macvnet x --help"),
        (["--force=maybe"], "flag '--force' takes true or false, not 'maybe'", None),
        (["--force="], "flag '--force' takes true or false, not ''", None),
        (["-f=yes"], "flag '-f' takes true or false, not 'yes'", None),
        (["--help=x"], "flag '--help' takes true or false, not 'x'", None),
        (["--\x1b[31m"], "unknown flag '--\\x1b[31m'", "macvnet x --help"),
    ],
)
def test_what_cannot_be_read_is_named(
    words: list[str], message: str | None, hint: str | None
) -> None:
    if message is None:
        assert read(*words) == Line(("-d", "river"), ("x",))
        return
    with pytest.raises(UsageError) as caught:
        read(*words)
    assert caught.value.message == message
    assert hint is None or caught.value.hint == hint


@pytest.mark.parametrize("word", ["1", "t", "T", "TRUE", "true", "True"])
def test_true_is_what_go_takes_for_true(word: str) -> None:
    assert boolean("--x", word) is True


@pytest.mark.parametrize("word", ["0", "f", "F", "FALSE", "false", "False"])
def test_false_is_what_go_takes_for_false(word: str) -> None:
    assert boolean("--x", word) is False


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("-5", -5), ("+7", 7), (str(2**63 - 1), 2**63 - 1)]
)
def test_numbers_are_decimal(text: str, value: int) -> None:
    assert integer("--n", text) == value


@pytest.mark.parametrize("text", ["", "x", "1.5", "1_0", " 1", "٣", str(2**63), "9" * 5000])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="takes a number"):
        integer("--n", text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("", []),
        ("a,,b", ["a", "", "b"]),
        ('"a,b",c', ["a,b", "c"]),
        ('"say ""x"""', ['say "x"']),
    ],
)
def test_lists_are_split_as_csv(text: str, values: list[str]) -> None:
    assert split_list("--x", text) == values


@pytest.mark.parametrize("text", ['"open', 'a "b"x,"', '"a"b'])
def test_a_broken_list_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read the list"):
        split_list("--x", text)


def roles(*words: str, interspersed: bool = True) -> list[tuple[str, ...]]:
    """Role and text of each word, and what else there is to say of it."""
    found = parts(words, KINDS, interspersed=interspersed)
    return [tuple(filter(None, (p.role, p.text, p.before, *p.flags))) for p in found]


@pytest.mark.parametrize(
    ("words", "last"),
    [
        ([""], ("positional",)),
        (["x"], ("positional", "x")),
        (["-"], ("positional", "-")),
        (["--"], ("end", "--")),
        (["--dr"], ("name", "--dr", "--dr")),
        (["--driver"], ("name", "--driver", "--driver")),
        (["--driver", "mac"], ("its value", "mac", "--driver")),
        (["--driver", "--force"], ("its value", "--force", "--driver")),
        (["--driver=mac"], ("its value", "mac", "--driver=", "--driver")),
        (["--opt=parent=et"], ("its value", "parent=et", "--opt=", "--opt")),
        (["--unknown=x"], ("its value", "x", "--unknown=", "--unknown")),
        (["--force", "x"], ("positional", "x")),
        (["-o"], ("name", "-o", "-o")),
        (["-o", "par"], ("its value", "par", "-o")),
        (["-opar"], ("its value", "par", "-o", "-o")),
        (["-o=par=x"], ("its value", "par=x", "-o=", "-o")),
        (["-fqo"], ("name", "-fqo", "-f", "-q", "-o")),
        (["-fqo", "par"], ("its value", "par", "-o")),
        (["-fqopar"], ("its value", "par", "-fqo", "-f", "-q", "-o")),
        (["-f=tr"], ("its value", "tr", "-f=", "-f")),
        (["--", "--driver"], ("positional", "--driver")),
    ],
)
def test_an_unfinished_word_is_known_for_what_it_is(words: list[str], last: tuple[str]) -> None:
    assert roles(*words)[-1] == last


def test_flags_end_at_the_first_positional_where_they_do() -> None:
    assert roles("x", "-o", interspersed=False)[-1] == ("positional", "-o")
    assert roles("-o", "a", "x", "-f", interspersed=False)[-1] == ("positional", "-f")


def test_of_an_unfinished_word_more_may_follow() -> None:
    def last(*words: str) -> Part:
        return parts(words, KINDS, unfinished=len(words) - 1)[-1]

    assert last("-").role == last("--").role == NAME
    assert last("--", "-").role == last("--", "--").role == POSITIONAL
    assert last("-o", "--") == Part(ITS_VALUE, "--", "", ("-o",))
    assert last("-o=") == Part(ITS_VALUE, "", "-o=", ("-o",))
    assert parts(["-o=", ""], KINDS, unfinished=1)[0] == Part(ITS_VALUE, "=", "-o", ("-o",))


WORDS = st.lists(
    st.one_of(
        st.sampled_from([*KINDS, "--", "-", "x", "", "-fq", "-ox", "-o=x", "-qo", "-f=1", "-o="]),
        st.builds("{}={}".format, st.sampled_from([*KINDS]), st.sampled_from(["", "a", "true"])),
    ),
    max_size=7,
)


@given(WORDS, st.booleans())
def test_words_are_the_same_finished_and_unfinished(words: list[str], interspersed: bool) -> None:
    try:
        line = normalise(words, KINDS, interspersed=interspersed)
    except UsageError:
        return
    found = parts(words, KINDS, interspersed=interspersed)
    assert len(found) == len(words)
    assert tuple(p.text for p in found if p.role == POSITIONAL) == line.positionals
    values = [p.text for p in found if p.role == ITS_VALUE and KINDS[p.flags[-1]] == VALUE]
    canonical = iter(line.flags)
    pairs = [(flag, next(canonical)) for flag in canonical if KINDS[flag] != SWITCH]
    assert values == [value for flag, value in pairs if KINDS[flag] == VALUE]
