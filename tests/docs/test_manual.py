"""The man pages say what the program says, and every reader of man pages is content with them."""

from __future__ import annotations

import os
import subprocess

import click
import pytest

from macvnet.cli.main import walk
from tests.docs import manual

PAGES = manual.pages()
EVERY = {words: (context, command) for words, context, command in walk()}
AGAIN = "make docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_program_says(name: str) -> None:
    assert (manual.MAN / name).read_text(encoding="utf-8") == PAGES[name], AGAIN


def test_there_is_a_page_for_each_command_and_no_other() -> None:
    wanted = {f"macvnet-{words.replace(' ', '-')}.1" for words in EVERY}
    assert wanted | {"macvnet.1"} == set(PAGES)
    assert {path.name for path in manual.MAN.iterdir()} == set(PAGES), AGAIN


def test_mandoc_has_nothing_to_say() -> None:
    files = [str(manual.MAN / name) for name in PAGES]
    said = subprocess.run(["mandoc", "-Tlint", *files], capture_output=True, text=True)
    # They have none on purpose.
    lines = [line for line in said.stdout.splitlines() if 'missing date, using ""' not in line]
    assert (lines, said.stderr) == ([], "")


def rendered(name: str) -> str:
    """What a reader sees, who must hear no warning."""
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", str(manual.MAN / name)],
        env={
            **os.environ,
            "MANWIDTH": "80",
            "MANPAGER": "cat",
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_man_shows_a_page_without_a_warning(name: str) -> None:
    text = rendered(name)
    assert text.startswith(name.removesuffix(".1").upper())
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "SEE ALSO"):
        assert f"\n{heading}\n" in text


@pytest.mark.parametrize("words", EVERY)
def test_a_reader_sees_what_help_has_as_it_is_typed(words: str) -> None:
    context, command = EVERY[words]
    text = rendered(f"macvnet-{words.replace(' ', '-')}.1")
    for param in command.get_params(context):
        if isinstance(param, click.Option):
            assert all(flag in text for flag in param.opts), param.opts
    flowing = " ".join(text.split())
    assert " ".join((command.help or "").split()) in flowing
    for line in (command.epilog or "").replace("Examples:", "EXAMPLES").splitlines():
        assert line.strip() in (text if line.startswith("  ") else flowing)
