"""Imports point downwards, and a command line imports no more than it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_contracts_on_imports_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


LIST = """
import json, sys
before = set(sys.modules)
from macvnet.cli.calling import run
status = run(sys.argv[1:])
sys.stderr.write(json.dumps([status, sorted(set(sys.modules) - before)]))
"""


def loaded(*arguments: str, program: str = LIST) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status in (0, 2)
    return set(modules)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_first_help_costs_click_and_the_command_line_only(arguments: list[str]) -> None:
    ours = {name for name in loaded(*arguments) if name.startswith("macvnet")}
    assert ours == {
        "macvnet",
        "macvnet.cli",
        "macvnet.cli.boundary",
        "macvnet.cli.calling",
        "macvnet.cli.invocation",
        "macvnet.cli.main",
        "macvnet.cli.parameters",
        "macvnet.cli.short",
        "macvnet.cli.suggest",
        "macvnet.cli.syntax",
        "macvnet.errors",
        "macvnet.finding",
        "macvnet.records",
        "macvnet.signals",
        "macvnet.text",
        "macvnet.words",
    }


@pytest.mark.parametrize(
    "command", ["create", "ls", "inspect", "attach", "run", "prune", "doctor", "watch"]
)
def test_the_help_of_a_command_needs_no_engine(command: str) -> None:
    modules = loaded(command, "--help")
    heavy = ("pyroute2", "netaddr", "sqlite3", "rich", "tomli", "difflib", "dataclasses")
    engine = ("macvnet.engine", "macvnet.kernel", "macvnet.store", "macvnet.settings")
    assert not modules.intersection((*heavy, *engine))


@pytest.mark.parametrize("command", ["reserve", "apply", "diff", "export", "import"])
def test_the_help_of_what_is_declared_needs_no_engine_either(command: str) -> None:
    modules = loaded(command, "--help")
    assert not modules.intersection(("macvnet.engine", "macvnet.declared", "pyroute2", "tomli"))


def test_a_scan_loads_its_engine_and_a_bar_when_they_are_needed() -> None:
    modules = loaded("ipam", "scan", "--help")
    assert not modules.intersection(("macvnet.engine", "macvnet.kernel", "rich", "pyroute2"))


def test_export_reads_the_state_and_nothing_else(tmp_path: Path) -> None:
    modules = loaded("export", "--state-dir", str(tmp_path / "state"))
    assert "macvnet.engine.describing" in modules
    assert not modules.intersection(("pyroute2", "netaddr", "rich", "tomli", "difflib"))


@pytest.mark.parametrize(("text", "parsed"), [("# arp_rate = 5\n", False), ("grace = 5\n", True)])
def test_only_a_file_that_says_something_is_parsed(tmp_path: Path, text: str, parsed: bool) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    state = str(tmp_path / "state")
    modules = loaded("ls", "--config", str(config), "--state-dir", state)
    assert ("tomli" in modules) is parsed


TEMPLATES = ("macvnet.gotemplate", "macvnet.cli.templates", "macvnet.cli.docker_types")


@pytest.mark.parametrize(
    "arguments",
    [["ls"], ["ls", "--format", "json"], ["ls", "-q", "--format", "raw"], ["inspect", "--help"]],
)
def test_only_a_template_loads_the_template_engine(tmp_path: Path, arguments: list[str]) -> None:
    assert not loaded(*arguments, "--state-dir", str(tmp_path)).intersection(TEMPLATES)
    modules = loaded("ls", "--format", "{{.ID}}", "--state-dir", str(tmp_path))
    assert modules.issuperset(TEMPLATES)
    assert not modules.intersection(("pyroute2.netlink", "rich", "difflib", "dataclasses"))


@pytest.mark.parametrize(
    "words",
    [
        "ipam status",
        "ipam status --format json",
        "hosts",
        "tree",
        "tree --format json",
        "top --once",
    ],
)
def test_who_only_looks_needs_no_library_for_links_or_pictures(tmp_path: Path, words: str) -> None:
    modules = loaded(*words.split(), "--state-dir", str(tmp_path))
    assert not modules.intersection(("pyroute2", "pyroute2.netlink", "netaddr", "rich"))


HOOK = LIST.replace("macvnet.cli.calling", "macvnet.cli.oci_hook")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--nope"]])
def test_oci_hook_is_read_without_click_or_engine(words: list[str]) -> None:
    ours = {name for name in loaded(*words, program=HOOK) if name.startswith("macvnet")}
    assert "macvnet.cli.oci_hook" in ours
    heavy = ("macvnet.cli.main", "macvnet.engine", "macvnet.kernel", "macvnet.store")
    assert not ours.intersection(heavy)
    assert "click" not in loaded(*words, program=HOOK)
