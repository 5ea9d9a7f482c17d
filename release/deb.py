"""Makes a Debian package of the macvnet.pyz in a folder: ``python -m release.deb FOLDER``.

The package has no scripts and starts nothing. It is for the version of Python
that it was made with, whose byte-code is inside.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import macvnet
from release import pyz
from release.__main__ import epoch_of_sources

SHEBANG = b"#!/usr/bin/python3 -IS".ljust(len(pyz.SHEBANG) - 1) + b"\n"
"""Debian's own Python, whatever PATH has; as long as the other line, which it stands for."""
MINOR = sys.version_info.minor
CONTROL = f"""\
Package: macvnet
Version: {macvnet.__version__}
Architecture: all
Maintainer: The macvnet authors <macvnet@localhost>
Depends: python3 (>= 3.{MINOR}), python3 (<< 3.{MINOR + 1}~)
Suggests: bash-completion
Section: net
Priority: optional
Description: macvlan and ipvlan networks for every process on a host
 Puts processes and containers directly on the LAN, each with a MAC and an
 address of its own, with the words of docker network and without a daemon.
"""
COMPLETIONS = {
    "macvnet.bash": "usr/share/bash-completion/completions/macvnet",
    "_macvnet": "usr/share/zsh/vendor-completions/_macvnet",
    "macvnet.fish": "usr/share/fish/vendor_completions.d/macvnet.fish",
}


def main(target: Path) -> Path:
    """Make the package beside the archive; its path."""
    if not shutil.which("dpkg-deb"):
        sys.exit("macvnet: dpkg-deb is missing, which a Debian package takes: make dist")
    epoch = epoch_of_sources()
    package = target.resolve() / f"macvnet_{macvnet.__version__}_all.deb"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        _fill(root, target / "macvnet.pyz")
        for path in (root, *root.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
            os.utime(path, (epoch, epoch), follow_symlinks=False)
        words = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build"]
        env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
        subprocess.run([*words, root, package], check=True, env=env, stdout=subprocess.DEVNULL)
    return package


def _fill(root: Path, archive: Path) -> None:
    program = root / "usr/bin/macvnet"
    _put(program, SHEBANG + archive.read_bytes().removeprefix(pyz.SHEBANG))
    (program.parent / "macvnet-oci-hook").symlink_to("macvnet")
    _put(root / "DEBIAN/control", CONTROL.encode())
    for page in sorted((pyz.ROOT / "man").glob("*.1")):
        _put(root / f"usr/share/man/man1/{page.name}.gz", _packed(page))
    for name, path in COMPLETIONS.items():
        _put(root / path, (pyz.ROOT / "completions" / name).read_bytes())
    _put(root / "usr/share/doc/macvnet/copyright", (pyz.ROOT / "LICENSE").read_bytes())
    _put(root / "usr/share/doc/macvnet/changelog.gz", _packed(pyz.ROOT / "CHANGELOG.md"))


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9, mtime=0)


if __name__ == "__main__":
    os.umask(0o022)
    print(main(Path(sys.argv[1])))
