"""The one boundary: every failure is words and an exit status, never a traceback."""

from __future__ import annotations

import signal
import stat
import tempfile
from pathlib import Path

import click
import pytest

from macvnet import errors
from macvnet.cli import boundary
from tests.cli.conftest import Macvnet, Said
from tests.cli.fakes import FakeEngine


def instance(kind: type[errors.MacvnetError]) -> errors.MacvnetError:
    if issubclass(kind, errors.KernelRefused):
        return kind("add a link", 17, "exists", "ip link")
    if issubclass(kind, errors.Interrupted):
        return kind(signal.SIGTERM)
    return kind("what went wrong", "something to type")


@pytest.mark.parametrize("kind", errors.ALL)
def test_each_class_of_error_ends_with_its_status(
    macvnet: Macvnet, engine: FakeEngine, kind: type[errors.MacvnetError]
) -> None:
    engine.fail = error = instance(kind)
    said = macvnet("ls")
    assert said.status == error.exit_status
    hint = f"hint: {error.hint}\n" if error.hint else ""
    assert (said.out, said.err) == ("", f"macvnet: {error.message}\n{hint}")


def test_control_characters_are_never_printed(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.fail = errors.NotFound("a\x1b[31m\n\x9b\udc80", "b\r\x07")
    assert macvnet("ls").err == "macvnet: a\\x1b[31m\\n\\x9b\\udc80\nhint: b\\r\\x07\n"
    assert macvnet("rm", "-f", "\x1b]0;x\x07") == macvnet("rm", "\x1b]0;x\x07")
    assert "\x1b" not in macvnet("create", "\x1b", "\x1b").err


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (boundary.Stop(signal.SIGTERM), 143),
        (boundary.Stop(signal.SIGINT), 130),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_an_interruption_is_told(
    macvnet: Macvnet, engine: FakeEngine, raised: BaseException, status: int
) -> None:
    engine.fail = raised
    text = "macvnet: interrupted, what was not finished has been undone\n"
    assert macvnet("ls") == Said(status, "", text)


def test_clicks_own_errors_have_the_same_shape(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.fail = click.BadParameter("no good")
    assert macvnet("ls") == Said(
        2, "", "macvnet: Invalid value: no good\nhint: macvnet ls --help\n"
    )


def test_a_bug_leaves_a_private_log_and_its_path(
    macvnet: Macvnet, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, temporary = tmp_path / "state", tmp_path / "tmp"
    state.mkdir(mode=0o700)
    temporary.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    engine.fail = RuntimeError("deep \x1b[31minside")
    said = macvnet("--state-dir", str(state), "ls")
    assert (said.status, said.out) == (1, "")
    (log,) = state.glob("bug-*.log")
    assert said.err == (
        f"macvnet: a bug in macvnet: RuntimeError, recorded in '{log}'\nhint: cat {log}\n"
    )
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "RuntimeError: deep" in log.read_text()

    state.chmod(0o777)
    assert f"recorded in '{temporary}/bug-" in macvnet("--state-dir", str(state), "ls").err
    assert len(list(state.iterdir())) == 1

    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    said = macvnet("--state-dir", "/nonexistent", "ls")
    assert said.err.startswith("macvnet: a bug in macvnet: RuntimeError\nhint: ")
