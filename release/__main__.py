"""``python -m release FOLDER``: make everything that is handed out."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from release import pyz

SOURCES = (
    *("pyproject.toml", "README.md", "LICENSE", "macvnet", "man", "completions"),
    "release/scripts",
)
BACKEND = (
    "import sys; from setuptools import build_meta as backend; "
    "getattr(backend, sys.argv[1])(sys.argv[2])"
)


def main(target: Path) -> list[Path]:
    """Make them in a folder; their paths."""
    target.mkdir(parents=True, exist_ok=True)
    epoch = epoch_of_sources()
    made = _distributions(target.resolve(), epoch)
    archive = target.resolve() / "macvnet.pyz"
    pyz.build(archive, epoch)
    return [*made, archive]


def epoch_of_sources() -> int:
    """The time that all is of: SOURCE_DATE_EPOCH, else the commit's; that of now outside of git."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    words = ["git", "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(words, cwd=pyz.ROOT, capture_output=True, text=True, check=True)
        return int(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return int(time.time())


def _distributions(target: Path, epoch: int) -> list[Path]:
    """sdist, and the wheel that it gives.

    From a copy: what earlier builds left in the tree must not get in.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        source.mkdir()
        for name in SOURCES:
            path = pyz.ROOT / name
            if path.is_dir():
                shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, source / name)
        [sdist] = _built("build_sdist", source, Path(folder, "sdist"), epoch)
        _settle(sdist, epoch)
        subprocess.run(["tar", "-xzf", str(sdist)], cwd=folder, check=True)
        unpacked = Path(folder, sdist.name.removesuffix(".tar.gz"))
        [wheel] = _built("build_wheel", unpacked, Path(folder, "wheel"), epoch)
        return [Path(shutil.move(path, target / path.name)) for path in (sdist, wheel)]


def _built(kind: str, source: Path, out: Path, epoch: int) -> list[Path]:
    """What setuptools makes of a tree, in a new folder."""
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BACKEND, kind, str(out)],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(max(epoch, pyz.OLDEST))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"macvnet: setuptools could not build:\n{done.stderr}")
    return list(out.iterdir())


def _settle(path: Path, epoch: int) -> None:
    """Take out of a tar.gz who made it and when."""
    with tarfile.open(path) as old:
        members = [(member, old.extractfile(member)) for member in old.getmembers()]
        content = [(member, file.read() if file else b"") for member, file in members]
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member, data in sorted(content, key=lambda each: each[0].name):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = epoch
            member.mode = 0o755 if member.isdir() else 0o644
            member.pax_headers = {}
            new.addfile(member, io.BytesIO(data))
    with path.open("wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=epoch) as packed:
        packed.write(plain.getvalue())


if __name__ == "__main__":
    # The wheel has the modes of its files.
    os.umask(0o022)
    for one in main(Path(sys.argv[1])):
        print(one)
