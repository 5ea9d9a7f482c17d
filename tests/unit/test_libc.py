"""Functions of the C library, called without ctypes, and with it where that cannot be."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from macvnet.kernel import libc


@pytest.mark.parametrize("way", [libc._light, libc._plain])
def test_numbers_and_bytes_arrive_and_errno_comes_back(
    way: object, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    assert callable(way)
    monkeypatch.setattr(libc, "_library", way())
    monkeypatch.setattr(libc, "_functions", {})
    folder = os.fsencode(str(tmp_path)) + b"/made"
    libc.call("mkdir", folder, 0o700)
    assert os.path.isdir(folder)
    with pytest.raises(OSError) as refused:
        libc.call("mkdir", folder, 0o700)
    assert refused.value.errno == errno.EEXIST
    with pytest.raises(OSError) as refused:
        libc.call("setns", -1, 0)
    assert refused.value.errno == errno.EBADF


SHOW = """
import sys
from macvnet.kernel import libc
def otherwise():
    raise AttributeError
{before}
libc.call("close", 0)
print("ctypes" in sys.modules)
"""


@pytest.mark.parametrize(("before", "whole"), [("", "False"), ("libc._light = otherwise", "True")])
def test_ctypes_is_loaded_only_where_its_module_is_not_as_expected(before: str, whole: str) -> None:
    words = [sys.executable, "-c", SHOW.format(before=before)]
    found = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (found.stdout.strip(), found.stderr) == (whole, "")
