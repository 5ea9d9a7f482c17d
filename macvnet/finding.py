"""Finding macvnet's own modules with a third of the questions that Python asks the disk.

A short command loads some eighty of them, and looking for one costs about as much as
running it. Asked for are the source, for its age, and the compiled file; where that is
not as Python itself would have left it, or anything else is unusual, Python looks.
Knows the compiled file's head (PEP 552); must not know what is in a module.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

HEAD = 16
LARGEST = 1 << 18
"""Bytes of a compiled file; a larger one is Python's to load."""


class Loader(SourceFileLoader):
    """Python's own, which has the compiled code already."""

    compiled: bytes | None = None

    def get_code(self, fullname: str) -> CodeType | None:
        """The code of the module; what was read is for one use."""
        compiled, self.compiled = self.compiled, None
        if compiled is None:
            return super().get_code(fullname)
        # From where Python itself would have it, and as it would.
        code: CodeType = marshal.loads(memoryview(compiled)[HEAD:])  # noqa: S302
        return code


class Finder:
    """Finds the modules under one package."""

    def __init__(self, package: str, tag: str) -> None:
        self._prefix = f"{package}."
        self._suffix = f".{tag}.pyc"

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As importlib.abc.MetaPathFinder has it; None where Python shall look."""
        if not path or not name.startswith(self._prefix):
            return None
        word = name.rpartition(".")[2]
        found = self._found(name, path[0], word)
        if found is None:
            folder = f"{path[0]}/{word}"
            found = self._found(name, folder, "__init__")
            if found is not None:
                found.submodule_search_locations = [folder]
        return found

    def _found(self, name: str, folder: str, word: str) -> ModuleSpec | None:
        source, cached = f"{folder}/{word}.py", f"{folder}/__pycache__/{word}{self._suffix}"
        try:
            status = os.stat(source)
            file = os.open(cached, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            compiled = os.read(file, LARGEST)
        finally:
            os.close(file)
        if len(compiled) == LARGEST or not compiled.startswith(_head(status)):
            return None
        loader = Loader(name, source)
        loader.compiled = compiled
        spec = ModuleSpec(name, loader, origin=source)
        spec.has_location = True
        spec.cached = cached
        return spec


def _head(status: os.stat_result) -> bytes:
    """How a file begins that was compiled from the source as it is now."""
    words = (0, int(status.st_mtime), status.st_size)
    return MAGIC_NUMBER + b"".join((word & 0xFFFFFFFF).to_bytes(4, "little") for word in words)


def install(package: ModuleType) -> None:
    """Find the package's modules so, where it is a folder of sources."""
    spec, tag = package.__spec__, sys.implementation.cache_tag
    if not tag or sys.flags.optimize or sys.pycache_prefix is not None:
        return
    if spec is not None and type(spec.loader) is SourceFileLoader:
        sys.meta_path.insert(0, Finder(package.__name__, tag))
