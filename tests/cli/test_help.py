"""Help: on every command, with examples, within 80 columns, from one source."""

from __future__ import annotations

import pytest

from macvnet.cli.main import ALIASES, cli, walk
from macvnet.cli.parameters import Command, Group
from tests.cli.conftest import Macvnet

ALL = {words: (context, found) for words, context, found in walk()}
SINGLE = {words: found for words, (_, found) in ALL.items() if isinstance(found, Command)}


@pytest.mark.parametrize("words", ALL)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help_with_examples(macvnet: Macvnet, words: str, flag: str) -> None:
    said = macvnet(*words.split(), flag)
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"Usage: macvnet {words} ")
    assert "\nExamples:\n  " in said.out
    assert f"  macvnet {words} " in said.out
    assert "--state-dir" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


@pytest.mark.parametrize("words", ALL)
def test_every_flag_is_explained(words: str) -> None:
    for param in ALL[words][1].params:
        if param.param_type_name == "option":
            assert getattr(param, "help", None), param.name


@pytest.mark.parametrize("words", ALL)
def test_the_table_of_commands_agrees_with_the_commands(macvnet: Macvnet, words: str) -> None:
    *above, name = words.split()
    found = ALL[words][1]
    assert found.name == name
    group = ALL[" ".join(above)][1] if above else cli
    assert isinstance(group, Group)
    assert group.table[name][1] in macvnet(*above, "--help").out
    if isinstance(found, Command) and not above:
        assert set(found.aliases) == {word for word, meant in ALIASES.items() if meant == name}


@pytest.mark.parametrize("words", [w for w in ALL if w not in SINGLE])
def test_a_group_alone_shows_its_help_on_stderr(macvnet: Macvnet, words: str) -> None:
    said = macvnet(*words.split())
    assert (said.status, said.out) == (0, "") and f"Usage: macvnet {words} " in said.err
    wrong = macvnet(*words.split(), "no-such-command")
    assert wrong.status == 2 and "unknown command 'no-such-command'" in wrong.err


def test_aliases_are_shown(macvnet: Macvnet) -> None:
    assert "Aliases:\n  rm, remove\n" in macvnet("remove", "--help").out
    assert "Aliases:\n  ls, list\n" in macvnet("ls", "--help").out


LOOKING = ("ipam status", "ipam who", "ipam next", "hosts", "tree", "top")
# What it says to the neighbours is so already.
TELLING = ("announce",)
READ_ONLY = (
    *TELLING,
    *("ls", "inspect", "check", "doctor", "log", "state export", "completion"),
    *("diff", "export", "import", *LOOKING),
)


# It does what comes, which nobody foresees.
UNFORESEEN = ("watch",)


@pytest.mark.parametrize("words", sorted(SINGLE.keys() - {*READ_ONLY, *UNFORESEEN}))
def test_what_changes_something_has_a_dry_run(words: str) -> None:
    assert any(param.name == "dry_run" for param in SINGLE[words].params)


def test_help_comes_before_the_count_of_arguments(macvnet: Macvnet) -> None:
    assert macvnet("create", "a", "b", "--help").status == 0
