"""What pip installs, in an empty environment: the program, and where man and shells look for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.docs import manual
from tests.docs.pages import ROOT

SOURCES = (
    *("pyproject.toml", "README.md", "LICENSE", "macvnet", "man", "completions"),
    "release/scripts",
)
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with macvnet in it and nothing else, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("installation")
    source, environment = folder / "source", folder / "environment"
    source.mkdir()
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    alone = ["--no-deps", "--no-index", "--quiet"]
    run([*PIP, "wheel", *alone, "--no-build-isolation", "-w", str(folder), str(source)])
    [wheel] = folder.glob("*.whl")
    run([sys.executable, "-m", "venv", "--without-pip", str(environment)])
    python = str(environment / "bin/python")
    run([*PIP, "--python", python, "install", *alone, "--root-user-action=ignore", str(wheel)])
    return environment


def run(argv: list[str], **changed: str) -> str:
    done = subprocess.run(
        argv,
        env={**os.environ, **changed},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def as_user(prefix: Path, argv: list[str]) -> str:
    """Run with the environment's programs in front, and its ``share`` among those for data."""
    return run(
        argv,
        PATH=f"{prefix}/bin:{os.environ['PATH']}",
        XDG_DATA_DIRS=f"{prefix}/share:/usr/share",
        # What macvnet needs is not in there; this is where the tests have it from.
        PYTHONPATH=sysconfig.get_path("purelib"),
        HOME=str(prefix / "home"),
        LC_ALL="C.UTF-8",
    )


def test_the_installed_program_runs(prefix: Path) -> None:
    assert as_user(prefix, ["macvnet", "--version"]).startswith("macvnet ")


@pytest.mark.parametrize("page", ["macvnet", "macvnet-create", "macvnet-state-import"])
def test_man_finds_every_page_beside_the_program(prefix: Path, page: str) -> None:
    assert as_user(prefix, ["man", "-w", page]) == f"{prefix}/share/man/man1/{page}.1\n"


def test_all_pages_are_installed(prefix: Path) -> None:
    installed = {path.name for path in (prefix / "share/man/man1").iterdir()}
    assert installed == set(manual.pages())


def test_the_shells_find_their_scripts(prefix: Path) -> None:
    bash = """
source /usr/share/bash-completion/bash_completion
COMP_LINE='macvnet completion f' COMP_POINT=20 COMP_WORDS=(macvnet completion f) COMP_CWORD=2
_completion_loader macvnet
_macvnet macvnet f completion
echo "${COMPREPLY[@]}"
"""
    assert as_user(prefix, ["bash", "--norc", "-c", bash]) == "fish\n"
    zsh = f"fpath=({prefix}/share/zsh/site-functions $fpath); autoload -U compinit"
    zsh += "; compinit -u -D; print $_comps[macvnet]"
    assert as_user(prefix, ["zsh", "-f", "-c", zsh]) == "_macvnet\n"
    assert as_user(prefix, ["fish", "-c", "complete -C 'macvnet completion f'"]) == "fish\n"
