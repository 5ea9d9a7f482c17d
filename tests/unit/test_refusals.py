"""No refusal of the kernel is told by an errno alone, whatever it is."""

from __future__ import annotations

import ast
import errno
import os
import sqlite3
from pathlib import Path

import pytest

import macvnet
from macvnet import failures
from macvnet.engine import refusals
from macvnet.errors import (
    ADVICE,
    MEANINGS,
    KernelRefused,
    MacvnetError,
    PermissionDenied,
    StoreError,
)
from macvnet.kernel.rtnetlink import NetlinkError
from macvnet.store.explain import explanation

SOURCES = Path(macvnet.__file__).parent


def test_every_errno_is_told_with_what_to_ask() -> None:
    for number in errno.errorcode:
        told = NetlinkError(number).during("set eth0 up")
        assert told.message.startswith("cannot set eth0 up: ")
        assert told.hint == ADVICE.get(number, "macvnet doctor")
        assert os.strerror(number) in told.message
        if number in MEANINGS:
            assert f"{MEANINGS[number]} ({os.strerror(number)})" in told.message
        own_words = NetlinkError(number, "Invalid MTU").during("set eth0 up")
        assert "Invalid MTU" in own_words.message


@pytest.mark.parametrize("kind", ["macvlan", "ipvlan", "vlan", "dummy"])
def test_every_refusal_of_a_link_names_it_or_its_parent(kind: str) -> None:
    for number in errno.errorcode:
        told = refusals._by_errno(NetlinkError(number), kind, "eth7", "mv12")
        assert told.hint
        assert any(word in told.message for word in ("'eth7'", "'mv12'", "the module"))


def _worded(called: ast.Call) -> bool:
    """Whether a KernelRefused is made with words and a hint of its own, or to be told ``during``.

    What the kernel said (``error.text``) is often nothing.
    """
    given = dict(zip(("operation", "errno", "text", "hint"), called.args, strict=False))
    given |= {keyword.arg or "": keyword.value for keyword in called.keywords}
    if isinstance(given["operation"], ast.Constant) and given["operation"].value == "":
        return True
    said = given.get("text")
    return not isinstance(said, ast.Attribute | None) and "hint" in given


def _bare(source: str) -> list[int]:
    """The lines where an errno would be told by its name alone."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == KernelRefused.__name__
        and not _worded(node)
    ]


def test_nothing_makes_an_errno_without_words() -> None:
    found = {
        str(path.relative_to(SOURCES)): lines
        for path in sorted(SOURCES.rglob("*.py"))
        if path.name != "errors.py" and (lines := _bare(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("source", "bare"),
    [
        ("raise KernelRefused('set eth0 up', 5)", True),
        ("raise KernelRefused('set eth0 up', error.errno, error.text)", True),
        ("return KernelRefused('set eth0 up', error.errno, error.text, hint='ip link')", True),
        ("raise KernelRefused('set eth0 up', 5, 'it is gone')", True),
        ("raise KernelRefused('set eth0 up', 5, 'it is gone', 'ip link')", False),
        ("raise KernelRefused('', 5).during('set eth0 up')", False),
    ],
)
def test_what_counts_as_words(source: str, bare: bool) -> None:
    assert bool(_bare(source)) == bare


def test_what_nobody_words_is_told_with_the_command_that_was_refused() -> None:
    for number in errno.errorcode:
        told = NetlinkError(number, operation="do 'ip link set eth0 up'")
        assert told.message.startswith("cannot do 'ip link set eth0 up': ")
        assert told.text == "" and told.hint
        # Whoever does word it does so with the kernel's words, not with ours.
        again = told.during("set eth0 up").message
        assert again.count(os.strerror(number)) == 1 and "'ip link" not in again


def test_every_errno_of_the_system_is_told_or_is_a_bug_of_ours() -> None:
    """Of a machine in distress: at a file, with its name; without one, if any operation can."""
    for number in errno.errorcode:
        for path in (None, "/srv/state", b"/srv/state"):
            error = OSError(number, os.strerror(number), path)
            told = failures.told(error)
            distress = number in failures.SHORTAGES or (
                path is not None and number in failures.PLACES and number != errno.ENOENT
            )
            assert (told is not None) == distress, error
            if told is not None:
                assert told.hint and not told.message.endswith(f": {os.strerror(number)}")
                assert number in failures.SHORTAGES or "'/srv/state'" in told.message
                permission = isinstance(told, PermissionDenied)
                assert permission == (number in (errno.EACCES, errno.EPERM))


def test_every_error_of_sqlite_is_told_with_the_file_and_what_to_type(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch()
    known = {name: getattr(sqlite3, name) for name in dir(sqlite3) if name.startswith("SQLITE_")}
    codes = {code for code in known.values() if isinstance(code, int) and 0 < code < 0x100}
    assert len(codes) > 25
    for code in codes:
        error = sqlite3.OperationalError("words of SQLite's")
        error.sqlite_errorcode = code
        told = explanation(error, str(path), 5.0)
        assert f"'{path}'" in told.message and told.message.startswith(("the state ", "no ", "ano"))
        assert told.hint and told.exit_status == StoreError.exit_status


@pytest.mark.parametrize(
    ("error", "word", "hint"),
    [
        (MemoryError(), "there is no memory left", "free -m"),
        (RuntimeError("can't start new thread"), "a limit on processes", "ulimit -a"),
        (FileNotFoundError(2, "", "/proc/thread-self/ns/net"), "/proc is not", "findmnt -R /proc"),
        (FileNotFoundError(2, "", "/sys/class/net"), "/sys is not", "findmnt -R /sys"),
    ],
)
def test_machine_in_distress_is_no_bug(error: Exception, word: str, hint: str) -> None:
    told = failures.told(error)
    assert isinstance(told, MacvnetError) and word in told.message and told.hint == hint
    assert failures.told(RuntimeError("of ours")) is None
