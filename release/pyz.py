"""Makes macvnet.pyz: everything macvnet needs but Python, in one file.

``python -S -s -m release.pyz``: in a process of its own with a fixed hash seed,
since marshal's bytes depend on what else a process has done. What goes in is what
is installed beside this Python, in the versions that it has. ``start`` reads it.
"""

from __future__ import annotations

import marshal
import os
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path

from release import start

ROOT = Path(__file__).resolve().parents[1]
SHEBANG = b"#!/usr/bin/env -S python3 -IS\n"
"""-I and -S: nothing that is set or installed on the host is looked at; that is also quicker."""
PACKAGES = ("click", "netaddr", "pyroute2", "rich", "tomli")
"""What is taken from installed distributions of the same name. rich's own requirements are not:
macvnet loads nothing of rich that needs them, which tests/docs/test_release.py shows."""
LEFT_OUT = ("netaddr/eui/oui.txt", "netaddr/eui/iab.txt", "netaddr/tests/")
"""Names of manufacturers, which macvnet never asks for; tests."""
COMMON = ("macvnet", "click", "pyroute2")
"""Stored as they are, so that no call has to inflate them."""
OLDEST = 315532800
"""1980: no earlier time can be in a zip."""
NO_CODE = (".pyc", ".so", ".pyi")

Pieces = dict[str, tuple[bytes, bool]]
"""Name to bytes, and whether it is a package's ``__init__``."""


def build(target: Path, epoch: int) -> None:
    """Write the archive; ``epoch`` (seconds since 1970) is the time that all in it is of."""
    call = [sys.executable, "-S", "-s", "-m", "release.pyz"]
    places = [str(ROOT), *(path for path in sys.path if path.endswith("-packages"))]
    env = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(places)}
    subprocess.run([*call, str(target), str(epoch)], check=True, cwd=ROOT, env=env)


def _write(target: Path, epoch: int) -> None:
    files: dict[str, bytes] = {}
    for package in ("macvnet", *PACKAGES):
        modules, data = _content(package, files)
        files[f"source/{package}"] = _pack(modules)
        compiled = {name: (_compiled(name, *piece), piece[1]) for name, piece in modules.items()}
        files[f"{start.bytecode(sys.implementation.cache_tag)}/{package}"] = _pack(compiled)
        files[f"data/{package}"] = _pack({name: (each, False) for name, each in data.items()})
    files["packages"] = " ".join(("macvnet", *PACKAGES)).encode()
    text = (ROOT / "release/start.py").read_text(encoding="utf-8")
    files["__main__.py"] = text.encode()
    # A .pyc that says of itself that it is never out of date (PEP 552).
    from importlib.util import MAGIC_NUMBER

    code = marshal.dumps(compile(text, "macvnet.pyz/__main__.py", "exec", dont_inherit=True))
    files["__main__.pyc"] = MAGIC_NUMBER + b"\1\0\0\0" + bytes(8) + code
    when = time.gmtime(max(epoch, OLDEST))[:6]
    with target.open("wb") as out:
        out.write(SHEBANG)
        with zipfile.ZipFile(out, "w") as archive:
            for name, content in sorted(files.items()):
                entry = zipfile.ZipInfo(name, when)
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                plain = name.rpartition("/")[2] in (*COMMON, "__main__.pyc", "packages")
                plain = plain and not name.startswith(("source", "data"))
                kind = zipfile.ZIP_STORED if plain else zipfile.ZIP_DEFLATED
                archive.writestr(entry, content, kind, 9)
    target.chmod(0o755)


def _content(package: str, files: dict[str, bytes]) -> tuple[Pieces, dict[str, bytes]]:
    """A package's modules, its other files, and (into ``files``) what its license asks for."""
    modules: Pieces = {}
    data: dict[str, bytes] = {}
    for path, place in _files(package):
        if path.startswith(LEFT_OUT) or path.endswith(NO_CODE) or "__pycache__" in path:
            continue
        if ".dist-info/" in path:
            if "licen" in path.lower() or path.endswith(("AUTHORS", "NOTICE")):
                files[f"licenses/{package}/{path.rpartition('/')[2]}"] = place.read_bytes()
        elif not path.startswith(f"{package}/"):
            continue
        elif path.endswith(".py"):
            name = path.removesuffix(".py").replace("/", ".")
            whole = name.removesuffix(".__init__")
            modules[whole] = (place.read_bytes(), whole != name)
        else:
            data[path] = place.read_bytes()
    return modules, data


def _files(package: str) -> Iterable[tuple[str, Path]]:
    if package == "macvnet":
        yield "macvnet.dist-info/LICENSE", ROOT / "LICENSE"
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file():
                yield path.relative_to(ROOT).as_posix(), path
        return
    for file in sorted(distribution(package).files or (), key=str):
        yield file.as_posix(), Path(str(file.locate()))


def _compiled(name: str, source: bytes, package: bool) -> bytes:
    path = name.replace(".", "/") + ("/__init__.py" if package else ".py")
    return marshal.dumps(compile(source, f"macvnet.pyz/{path}", "exec", dont_inherit=True))


def _pack(pieces: Mapping[str, tuple[bytes, bool]]) -> bytes:
    """The form that ``start.unpacked`` reads."""
    index: dict[str, tuple[int, int, bool]] = {}
    place = 0
    for name, (content, package) in sorted(pieces.items()):
        index[name] = (place, place + len(content), package)
        place += len(content)
    head = marshal.dumps(index, 2)
    body = b"".join(content for _, (content, _) in sorted(pieces.items()))
    return len(head).to_bytes(4, "little") + head + body


if __name__ == "__main__":
    _write(Path(sys.argv[1]), int(sys.argv[2]))
