"""Help: on every command, with examples, within 80 columns, from one source."""

from __future__ import annotations

import pytest

from macvnet.cli.main import ALIASES, COMMANDS, cli
from macvnet.cli.parameters import Command
from tests.cli.conftest import Macvnet


def command(name: str) -> Command:
    found = cli.get_command(cli.make_context("macvnet", [], resilient_parsing=True), name)
    assert isinstance(found, Command)
    return found


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help_with_examples(macvnet: Macvnet, name: str, flag: str) -> None:
    said = macvnet(name, flag)
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"Usage: macvnet {name} ")
    assert "\nExamples:\n  " in said.out
    assert f"  macvnet {name} " in said.out
    assert "--state-dir" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_is_explained(name: str) -> None:
    for param in command(name).params:
        if param.param_type_name == "option":
            assert getattr(param, "help", None), param.name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_agrees_with_the_commands(macvnet: Macvnet, name: str) -> None:
    found = command(name)
    assert found.name == name
    assert set(found.aliases) == {word for word, meant in ALIASES.items() if meant == name}
    line = COMMANDS[name][1]
    assert line in macvnet("--help").out


def test_aliases_are_shown(macvnet: Macvnet) -> None:
    assert "Aliases:\n  rm, remove\n" in macvnet("remove", "--help").out
    assert "Aliases:\n  ls, list\n" in macvnet("ls", "--help").out


READ_ONLY = ("ls", "inspect", "check", "log")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in READ_ONLY])
def test_what_changes_something_has_a_dry_run(name: str) -> None:
    assert any(param.name == "dry_run" for param in command(name).params)


def test_help_comes_before_the_count_of_arguments(macvnet: Macvnet) -> None:
    assert macvnet("create", "a", "b", "--help").status == 0
