"""The first step of macvnet.pyz: the ``__main__`` of that archive.

Knows how modules come out of it: from packs, one for each package, that are read
whole when the package is first imported. To look for each module in a directory
of some hundred would take longer than macvnet's own work. Byte-code is used where
it is this Python's, else the source is compiled at each call. Writes nothing.
"""

from __future__ import annotations

import marshal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    # typing takes longer to load than all of this.
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any
    from zipimport import zipimporter

HOOK = "macvnet-oci-hook"
SOURCE, DATA = "source", "data"
OLDEST = (3, 11)


def bytecode(tag: str) -> str:
    """The folder of the byte-code of one kind of Python."""
    return f"bytecode-{tag}"


def unpacked(files: zipimporter, folder: str, package: str) -> tuple[dict[str, Any], memoryview]:
    """Where each thing is in a pack, and its bytes. OSError where there is no such pack."""
    whole = memoryview(files.get_data(f"{files.archive}/{folder}/{package}"))
    begin = 4 + int.from_bytes(whole[:4], "little")
    return marshal.loads(whole[4:begin]), whole[begin:]


class Package:
    """One package of the archive, and the loader of its modules."""

    def __init__(self, files: zipimporter, name: str, tag: str) -> None:
        self._files = files
        self._name = name
        self.compiled = True
        try:
            self.modules, self._bytes = unpacked(files, bytecode(tag), name)
        except OSError:
            self.compiled = False
            self.modules, self._bytes = unpacked(files, SOURCE, name)

    def path(self, module: str) -> str:
        """What ``__file__`` is."""
        inside = module.replace(".", "/") + ("/__init__.py" if self.modules[module][2] else ".py")
        return f"{self._files.archive}/{inside}"

    def create_module(self, spec: ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), vars(module))  # noqa: S102 - as every loader does

    def get_code(self, name: str) -> CodeType:
        start, end, _ = self.modules[name]
        found = self._bytes[start:end]
        if self.compiled:
            code: CodeType = marshal.loads(found)
            return code
        return compile(bytes(found), self.path(name), "exec", dont_inherit=True)

    def get_source(self, name: str) -> str:
        """For tracebacks."""
        modules, found = unpacked(self._files, SOURCE, self._name)
        start, end, _ = modules[name]
        return bytes(found[start:end]).decode()

    def get_data(self, path: str) -> bytes:
        """A file beside the modules; OSError where there is none."""
        where, found = unpacked(self._files, DATA, self._name)
        place = where.get(path.removeprefix(f"{self._files.archive}/"))
        if place is None:
            raise FileNotFoundError(2, "no such file in the archive", path)
        return bytes(found[place[0] : place[1]])

    def get_resource_reader(self, name: str) -> Resources:
        return Resources(self, f"{self._files.archive}/{name.replace('.', '/')}")


class Resources:
    """The files in one package's folder (importlib.resources)."""

    def __init__(self, package: Package, folder: str) -> None:
        self._package = package
        self._folder = folder

    def open_resource(self, name: str) -> Any:
        import io

        return io.BytesIO(self._package.get_data(f"{self._folder}/{name}"))


class Finder:
    """Finds the modules of the packages in the archive."""

    def __init__(self, files: zipimporter, packages: Sequence[str], tag: str, spec: Any) -> None:
        self._files = files
        self._packages: dict[str, Package | None] = dict.fromkeys(packages)
        self._tag = tag
        self._spec = spec

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        top = name.partition(".")[0]
        if top not in self._packages:
            return None
        package = self._packages[top]
        if package is None:
            package = self._packages[top] = Package(self._files, top, self._tag)
        if name not in package.modules:
            return None
        place = package.path(name)
        spec = self._spec(name, package, origin=place)
        spec.has_location = True
        if package.modules[name][2]:
            spec.submodule_search_locations = [place.rpartition("/")[0]]
        return spec


def main() -> None:
    """Become macvnet, or its OCI hook where the archive is called so."""
    if sys.version_info < OLDEST:
        sys.exit(f"macvnet: Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    own: Any = vars(sys.modules["__main__"])["__spec__"]
    files = own.loader
    words = files.get_data(f"{files.archive}/packages").decode().split()
    finder: Any = Finder(files, words, sys.implementation.cache_tag, type(own))
    sys.meta_path.insert(0, finder)
    # Nothing else is to be looked for in the archive.
    sys.path[:] = [each for each in sys.path if each != files.archive]
    if sys.argv[0].rpartition("/")[2].startswith(HOOK):
        from macvnet.cli.oci_hook import main as start
    else:
        from macvnet.cli.entry import main as start
    start()


if __name__ == "__main__":
    main()
