"""systemd's units: what they say, whose they are, and that systemd takes them."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from macvnet.cli.calling import run
from macvnet.integration import systemd_units as units
from tests.lab import executable

UNIT = "macvnet-restore.service"
WATCH = "macvnet-watch.service"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for /etc/systemd/system."""
    found = tmp_path / "system"
    found.mkdir()
    monkeypatch.setattr(units, "DIRECTORY", str(found))
    monkeypatch.setattr("sys.argv", ["/opt/mac vnet/bin/macvnet"])
    return found


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_unit_is_enabled_by_the_link_that_systemctl_makes(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a second installation changes nothing."""
    link = f"multi-user.target.wants/{UNIT}"
    assert run(["integrate", "systemd", "--install"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(directory / name) for name in (UNIT, link)]
    before = tree(directory)
    assert before[link] == f"../{UNIT}"
    assert (directory / UNIT).stat().st_mode & 0o777 == 0o644
    assert run(["integrate", "systemd", "--install"]) == 0
    assert capsys.readouterr().out == "" and tree(directory) == before


def test_unit_calls_the_macvnet_and_the_state_that_installed_it(directory: Path) -> None:
    config = directory.parent / "m.toml"
    config.touch(0o600)
    words = ["--state-dir", "/srv/100% mine", f"--config={config}"]
    assert run([*words, "integrate", "systemd", "--install"]) == 0
    text = (directory / UNIT).read_text()
    (start,) = (line for line in text.splitlines() if line.startswith("ExecStart="))
    assert shlex.split(start.removeprefix("ExecStart=")) == [
        *("/opt/mac vnet/bin/macvnet", "--state-dir", "/srv/100%% mine"),
        *("--config", str(config), "restore", "--wait", "300"),
    ]
    assert "ConditionPathExists=/srv/100%% mine/state.db" in text


@pytest.mark.parametrize("text", ["/srv/a\nExecStartPre=/bin/evil", "/srv/\x1b[31m", "/srv/\udcff"])
@pytest.mark.parametrize("word", ["--print", "--install"])
def test_path_cannot_bring_lines_of_its_own_into_the_unit(
    directory: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    word: str,
) -> None:
    monkeypatch.setenv("MACVNET_STATE_DIR", text)
    assert run(["integrate", "systemd", word]) == 3
    said = capsys.readouterr()
    assert said.out == "" and "no unit of systemd's can hold" in said.err
    assert "\x1b" not in said.err and len(said.err.splitlines()) == 2
    assert tree(directory) == {}


def test_nothing_waits_for_the_unit(directory: Path) -> None:
    """Boot is not delayed, and neither network nor login is ordered after it."""
    assert run(["integrate", "systemd", "--install"]) == 0
    text = (directory / UNIT).read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert not [line for line in lines if line.startswith(("Before=", "RequiredBy=", "PartOf="))]
    assert "Type=exec" in lines and "WantedBy=multi-user.target" in lines


def test_unit_of_somebody_else_is_neither_replaced_nor_removed(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / UNIT).write_text("[Service]\nExecStart=/bin/true\n")
    before = tree(directory)
    assert run(["integrate", "systemd", "--install"]) == 5
    assert "macvnet did not write it" in capsys.readouterr().err
    assert run(["integrate", "systemd", "--remove"]) == 0
    assert tree(directory) == before
    (directory / UNIT).unlink()
    (directory / UNIT).symlink_to("/dev/null")  # systemctl mask
    assert run(["integrate", "systemd", "--install"]) == 5
    assert os.readlink(directory / UNIT) == "/dev/null"


def test_removal_takes_away_what_was_installed(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "other.service").write_text("")
    run(["integrate", "systemd", "--install"])
    made = capsys.readouterr().out.splitlines()
    assert run(["integrate", "systemd", "--remove", "--dry-run"]) == 0
    assert capsys.readouterr().out == f"remove unit {directory / UNIT}\n"
    assert run(["integrate", "systemd", "--remove"]) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(made)
    assert list(tree(directory)) == ["other.service"]


def test_dry_run_and_print_write_nothing(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["integrate", "systemd", "--install", "--dry-run"]) == 0
    assert capsys.readouterr().out == f"create unit {directory / UNIT}\n"
    for words in ([], ["--print"]):
        assert run(["integrate", "systemd", *words]) == 0
        assert "ExecStart=" in capsys.readouterr().out
    assert tree(directory) == {}
    assert run(["integrate", "systemd", "--print", "--install"]) == 2


def test_watch_is_installed_on_request_and_removed_with_the_rest(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a process that stays, which not everybody wants."""
    assert run(["integrate", "systemd", "--install"]) == 0
    assert not (directory / WATCH).exists()
    assert run(["integrate", "systemd", "--install", "--watch", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"create unit {directory / WATCH}"
    assert run(["--state-dir=/srv/m", "integrate", "systemd", "--install", "--watch"]) == 0
    lines = (directory / WATCH).read_text().splitlines()
    assert 'ExecStart="/opt/mac vnet/bin/macvnet" --state-dir /srv/m watch' in lines
    assert "Type=notify" in lines and (directory / f"multi-user.target.wants/{WATCH}").is_symlink()
    # What is there is not taken away by another installation without it.
    assert run(["integrate", "systemd", "--install"]) == 0
    assert (directory / WATCH).exists()
    assert run(["integrate", "systemd", "--remove", "--watch"]) == 2
    assert run(["integrate", "systemd", "--remove"]) == 0
    assert tree(directory) == {}


@pytest.mark.parametrize(("words", "name"), [([], UNIT), (["--watch"], WATCH)])
def test_systemd_takes_the_unit_as_it_is(tmp_path: Path, words: list[str], name: str) -> None:
    """The real executable, and systemd's own verification."""
    printed = subprocess.run(
        [executable(), "integrate", "systemd", *words], capture_output=True, text=True, check=True
    ).stdout
    unit = tmp_path / name
    # Each begins with a comment that says what it does; the last one printed is meant.
    unit.write_text(printed[printed.rindex("\n[Unit]") :])
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
