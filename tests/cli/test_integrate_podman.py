"""Podman's file for the OCI hook: what it says, and whose. Podman reads it in tests/runtimes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from macvnet.cli.calling import run
from macvnet.integration import oci_hooks


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for the file in podman's directory; a macvnet with its hook beside it."""
    monkeypatch.setattr(oci_hooks, "DIRECTORY", str(tmp_path / "hooks.d"))
    for name in ("macvnet", "macvnet-oci-hook"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setattr("sys.argv", [str(tmp_path / "macvnet")])
    monkeypatch.delenv("MACVNET_STATE_DIR", raising=False)
    monkeypatch.delenv("MACVNET_CONFIG", raising=False)
    return tmp_path / "hooks.d" / oci_hooks.FILE


def test_file_calls_the_hook_beside_this_macvnet_with_its_state(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a second installation changes nothing."""
    assert run(["integrate", "podman", "--install", "--state-dir", "/srv/mine"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    found = json.loads(path.read_text())
    program = str(path.parents[1] / "macvnet-oci-hook")
    words = ["macvnet-oci-hook", "--state-dir", "/srv/mine"]
    assert found["hook"] == {"path": program, "args": words}
    assert found["when"] == {"annotations": {r"^macvnet\.": ".*"}}
    assert found["stages"] == ["createRuntime", "poststop"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert run(["integrate", "podman", "--install", "--state-dir", "/srv/mine"]) == 0
    assert capsys.readouterr().out == ""


def test_dry_run_and_print_write_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["integrate", "podman", "--install", "--dry-run"]) == 0
    assert capsys.readouterr().out == f"create hook {path}\n"
    for words in ([], ["--print"]):
        assert run(["integrate", "podman", *words]) == 0
        assert json.loads(capsys.readouterr().out)["hook"]["args"] == ["macvnet-oci-hook"]
    assert not path.parent.exists()
    assert run(["integrate", "podman", "--print", "--install"]) == 2


def test_removal_takes_away_what_was_installed_and_nothing_else(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["integrate", "podman", "--install"]) == 0
    capsys.readouterr()
    assert run(["integrate", "podman", "--remove", "--dry-run"]) == 0
    assert capsys.readouterr().out == f"remove hook {path}\n"
    assert run(["integrate", "podman", "--remove"]) == 0
    assert capsys.readouterr().out == f"{path}\n" and not path.exists()
    assert run(["integrate", "podman", "--remove"]) == 0
    for text in ('{"hook": {"path": "/bin/true", "args": ["true"]}}', "[]", "", "[" * 100_000):
        path.write_text(text)
        assert run(["integrate", "podman", "--install"]) == 5
        assert run(["integrate", "podman", "--remove"]) == 0
        assert path.read_text() == text
        assert "macvnet did not write it" in capsys.readouterr().err


def test_missing_hook_is_said_and_how_it_is_made(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = path.parents[1] / "macvnet-oci-hook"
    program.unlink()
    assert run(["integrate", "podman", "--install"]) == 4
    said = capsys.readouterr().err
    assert f"hint: ln -s {path.parents[1]}/macvnet {program}" in said
    assert not path.parent.exists()


def test_path_of_unprintable_characters_is_refused(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MACVNET_STATE_DIR", "/srv/a\n\x1b[31m")
    assert run(["integrate", "podman", "--install"]) == 3
    assert "\x1b" not in capsys.readouterr().err and not path.parent.exists()
