"""Modules that are found in our way are those that Python finds, as it finds them."""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from macvnet import finding

EVERY = """
import json, pkgutil, sys
import macvnet
{first}
shown = {{}}
for found in pkgutil.walk_packages(macvnet.__path__, "macvnet."):
    if found.name == "macvnet.finding" or found.name.endswith("__main__"):
        continue
    __import__(found.name)
    module = sys.modules[found.name]
    spec = module.__spec__
    shown[found.name] = [
        module.__name__, module.__file__, module.__cached__, module.__package__, module.__doc__,
        list(getattr(module, "__path__", [])), spec.name, spec.origin, spec.cached,
        spec.parent, spec.has_location, spec.submodule_search_locations,
        module.__loader__.get_source(found.name),
        module.__loader__.is_package(found.name), sorted(vars(module)),
    ]
loaders = sorted({{type(sys.modules[name].__loader__).__name__ for name in shown}})
json.dump([loaders, shown], sys.stdout)
"""
PLAIN = "sys.meta_path[:] = [each for each in sys.meta_path if type(each).__name__ != 'Finder']"


def python(*words: str, **environment: str) -> str:
    env = {**os.environ, **environment}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    argv = [sys.executable, *words]
    return subprocess.run(argv, env=env, check=True, capture_output=True, text=True).stdout


def test_every_module_is_what_python_makes_of_it() -> None:
    plain: Any = json.loads(python("-c", EVERY.format(first=PLAIN)))
    found: Any = json.loads(python("-c", EVERY.format(first="")))
    assert plain[0] == ["SourceFileLoader"] and found[0] == ["Loader"]
    assert len(found[1]) > 200 and found[1] == plain[1]


class Package:
    """A package with one module, ``value``, and another package inside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inner = folder / "pack" / "inner"
        self.inner.mkdir(parents=True)
        (folder / "pack" / "__init__.py").write_text(
            "import sys\nfrom macvnet import finding\nfinding.install(sys.modules[__name__])\n"
        )
        (self.inner / "__init__.py").write_text("")
        self.source = self.inner / "value.py"
        self.write("1")

    def write(self, value: str) -> None:
        self.source.write_text(f"VALUE = {value}\n")

    def loaded(self, *flags: str, **environment: str) -> list[str]:
        """The value, and whether Python found it, or we did; the second time it is looked for."""
        show = "from pack.inner import value; print(value.VALUE, type(value.__loader__).__name__)"
        return python(*flags, "-c", show, PYTHONPATH=str(self.folder), **environment).split()


@pytest.fixture
def package(tmp_path: Path) -> Package:
    made = Package(tmp_path)
    assert made.loaded() == ["1", "SourceFileLoader"]
    assert made.loaded() == ["1", "Loader"]
    return made


def test_a_source_that_has_changed_is_read_anew(package: Package) -> None:
    package.write("22")
    assert package.loaded() == ["22", "SourceFileLoader"]
    assert package.loaded() == ["22", "Loader"]
    before = package.source.stat()
    package.write("33")
    os.utime(package.source, ns=(before.st_atime_ns, before.st_mtime_ns + 2_000_000_000))
    assert package.loaded() == ["33", "SourceFileLoader"]


def test_where_nothing_is_compiled_python_does_it(package: Package) -> None:
    [cached] = (package.inner / "__pycache__").glob("value.*")
    cached.unlink()
    assert package.loaded() == ["1", "SourceFileLoader"]
    cached.write_bytes(b"")
    assert package.loaded() == ["1", "SourceFileLoader"]
    cached.write_bytes(b"\0" * 100)
    assert package.loaded() == ["1", "SourceFileLoader"]


def test_files_that_are_compiled_for_their_content_are_python_s(package: Package) -> None:
    for mode in ("CHECKED_HASH", "UNCHECKED_HASH"):
        py_compile.compile(
            str(package.source), invalidation_mode=py_compile.PycInvalidationMode[mode]
        )
        assert package.loaded() == ["1", "SourceFileLoader"]


def test_large_files_are_python_s(package: Package) -> None:
    package.write("1\nTEXT = '" + "x" * finding.LARGEST + "'")
    for _ in range(2):
        assert package.loaded() == ["1", "SourceFileLoader"]


def test_another_way_to_compile_is_python_s(package: Package, tmp_path: Path) -> None:
    for _ in range(2):
        assert package.loaded("-O") == ["1", "SourceFileLoader"]
        prefix = str(tmp_path / "elsewhere")
        assert package.loaded(PYTHONPYCACHEPREFIX=prefix) == ["1", "SourceFileLoader"]


def test_what_is_not_there_is_not_found(package: Package) -> None:
    show = "import pack.inner\ntry:\n import pack.inner.no\nexcept ImportError as e: print(e.name)"
    assert python("-c", show, PYTHONPATH=str(package.folder)) == "pack.inner.no\n"


def test_a_module_that_is_loaded_again_is_read_again(package: Package) -> None:
    show = (
        "import importlib\nfrom pack.inner import value\nvalue.VALUE = 7\n"
        "print(importlib.reload(value).VALUE, value.__loader__.get_code(value.__name__).co_name)"
    )
    assert python("-c", show, PYTHONPATH=str(package.folder)) == "1 <module>\n"


def test_a_traceback_shows_the_source(package: Package) -> None:
    package.source.write_text("VALUE = 1\ndef f():\n    raise ValueError\n")
    package.loaded()
    show = "import traceback\nfrom pack.inner import value\ntry: value.f()\nexcept ValueError: "
    told = python("-c", show + "print(traceback.format_exc())", PYTHONPATH=str(package.folder))
    assert f'File "{package.source}", line 3, in f\n    raise ValueError' in told
