"""``make dist``: the same bytes each time, and a single file that needs nothing but Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_installation import run
from tests.kernel.steps import LAN
from tests.lab import Lab, Result
from tests.lab.terminal import Terminal

SOURCES = (
    *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"),
    *("macvnet", "man", "completions", "release"),
)
EPOCH = "1700000000"
PYTHON = str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))
# Where this Python's packages are, and macvnet's sources, there is nothing.
ALONE = 'mount -t tmpfs none "$0"; cd /; exec "$@"'
# The archive's modules as its own first step finds them.
INSIDE = """
import sys, zipimport
files = zipimport.zipimporter(sys.argv[1])
start = {"__name__": "start"}
exec(files.get_code("__main__"), start)
words = files.get_data(sys.argv[1] + "/packages").decode().split()
tag = sys.argv[2] or sys.implementation.cache_tag
finder = start["Finder"](files, words, tag, type(sys.__spec__))
sys.meta_path.insert(0, finder)
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make dist`` makes."""
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "release", str(folder)]
    assert run(words, SOURCE_DATE_EPOCH=EPOCH, PYTHONPATH=str(ROOT)).count("\n") == 3
    words[2] = "release.deb"
    assert run(words, SOURCE_DATE_EPOCH=EPOCH, PYTHONPATH=str(ROOT)).endswith("_all.deb\n")
    return folder


@pytest.fixture(scope="module")
def pyz(dist: Path) -> Path:
    return dist / "macvnet.pyz"


def alone(*argv: str) -> list[str]:
    """A command that sees neither an installation nor the sources."""
    prepare = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", ALONE)
    return [*prepare, str(ROOT), *argv]


def inside(pyz: Path, script: str, *, tag: str = "") -> str:
    """Run a script that can import what is in the archive, and nothing but the archive."""
    return run(alone(PYTHON, "-IS", "-c", INSIDE + script, str(pyz), tag))


def test_same_sources_give_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    """Elsewhere, at another time, with leftovers of other builds beside them."""
    source, again = tmp_path / "source", tmp_path / "again"
    source.mkdir()
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, source / name, ignore=ignored, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(path, source / name)
    (source / "build/lib/macvnet").mkdir(parents=True)
    (source / "build/lib/macvnet/left.py").touch()
    for module in ("release", "release.deb"):
        words = ["sh", "-c", 'cd "$0"; umask 027; exec "$@"', str(source), sys.executable, "-m"]
        more = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
        run([*words, module, str(again)], SOURCE_DATE_EPOCH=EPOCH, **more)
    names = sorted(path.name for path in dist.iterdir())
    assert names == [
        *("macvnet-0.1.0-py3-none-any.whl", "macvnet-0.1.0.tar.gz", "macvnet.pyz"),
        "macvnet_0.1.0_all.deb",
    ]
    for name in names:
        assert (again / name).read_bytes() == (dist / name).read_bytes(), name


def test_wheel_made_of_the_sdist_has_every_module_and_file(dist: Path) -> None:
    [wheel] = dist.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "macvnet").rglob("*.py")}
    assert modules <= names and not [name for name in names if name.startswith("release")]
    assert {"macvnet/py.typed", "macvnet/integration/systemd/macvnet-restore.service"} <= names
    assert len([name for name in names if name.endswith(".1")]) > 20


def test_debian_package_has_all_that_belongs_to_it(dist: Path, tmp_path: Path) -> None:
    [package] = dist.glob("*.deb")
    run(["dpkg-deb", "--extract", str(package), str(tmp_path)])
    listed = run(["dpkg-deb", "--contents", str(package)]).splitlines()
    assert {line.split()[1] for line in listed} == {"root/root"}
    assert {line.split()[0] for line in listed} == {
        *("drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx")
    }
    minor = sys.version_info.minor
    needs = run(["dpkg-deb", "--field", str(package), "Depends"])
    assert needs == f"python3 (>= 3.{minor}), python3 (<< 3.{minor + 1}~)\n"
    pages = {path.name for path in (tmp_path / "usr/share/man/man1").iterdir()}
    assert pages == {f"{path.name}.gz" for path in (ROOT / "man").iterdir()}
    for name in ("macvnet", "macvnet-oci-hook"):
        program = tmp_path / "usr/bin" / name
        assert program.read_bytes().startswith(b"#!/usr/bin/python3 -IS ")
        assert run(alone(PYTHON, "-IS", str(program), "--version")) == f"{name} 0.1.0\n"


def test_everything_that_macvnet_can_load_is_in_the_archive(pyz: Path) -> None:
    """Also those parts of rich that are imported inside of functions."""
    script = """
import importlib, re
sources = {name: finder.find_spec(name).loader.get_source(name)
           for name in files and start["unpacked"](files, "source", "macvnet")[0]}
wanted = {found for text in sources.values()
          for found in re.findall(r"(?:from|import) ((?:rich|click|netaddr|tomli)[._a-z]*)", text)}
for name in (*sources, *wanted):
    module = importlib.import_module(name)
    assert module.__file__.startswith(sys.argv[1] + "/"), module
print(len(sources), *sorted(wanted))
"""
    count, *wanted = inside(pyz, script).split()
    assert int(count) > 150 and {"rich.table", "rich.progress", "click"} <= {*wanted}


def test_python_of_another_version_compiles_what_it_loads(pyz: Path) -> None:
    script = "from macvnet.cli import calling; sys.exit(calling.run(['--version']))"
    assert inside(pyz, script, tag="other-99") == "macvnet 0.1.0\n"
    script = "import macvnet; print(finder.find_spec('macvnet').loader.compiled)"
    assert inside(pyz, script, tag="other-99") == "False\n"
    assert inside(pyz, script) == "True\n"


def test_archive_has_the_licenses_of_what_is_in_it(pyz: Path) -> None:
    names = zipfile.ZipFile(pyz).namelist()
    licensed = {name.split("/")[1] for name in names if name.startswith("licenses/")}
    assert licensed == set(zipfile.ZipFile(pyz).read("packages").decode().split())


def test_archive_does_all_on_a_host_with_nothing_but_python(
    pyz: Path, tmp_path: Path, make_lab: Callable[..., Lab]
) -> None:
    """Through its own first line, under each of its two names."""
    lab = make_lab()
    container = lab.container()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(PYTHON)
    for name in ("macvnet", "macvnet-oci-hook"):
        (tmp_path / "bin" / name).symlink_to(pyz)
    path = {"PATH": f"{tmp_path}/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def call(*words: str, stdin: str | None = None) -> Result:
        return lab.host.run(*alone(*words), stdin=stdin, env=path)

    def macvnet(*words: str) -> str:
        done = call("macvnet", *words).checked()
        assert done.stderr == "", done
        return done.stdout

    assert macvnet("--version") == "macvnet 0.1.0\n"
    assert len(macvnet("create", *LAN, "--ip-range=172.16.86.128/25", "net")) == 65
    assert macvnet("attach", container.target).startswith("eth0 ")
    assert container.ping("172.16.86.1")
    assert macvnet("ls", "--format", "{{.Name}} {{.Driver}}") == "net macvlan\n"
    assert json.loads(macvnet("inspect", "net"))[0]["Name"] == "net"
    assert macvnet("check") == ""
    assert "ExecStart=" in macvnet("integrate", "systemd")
    assert "macvnet-oci-hook" in macvnet("integrate", "podman")
    assert macvnet("detach", container.target) == ""
    state = {"id": "web", "status": "creating", "bundle": "/run/web", "pid": container.pid}
    told = json.dumps({**state, "annotations": {"macvnet.network": "net"}})
    assert call("macvnet-oci-hook", stdin=told).checked().stdout == ""
    assert container.ping("172.16.86.1")
    macvnet("disconnect", "net", container.target)
    refused = call(
        "macvnet", "create", "--subnet=nope", "-o", "parent=eth0", "-o", "share_parent=1", "x"
    )
    assert refused.status == 3 and "'nope'" in refused.stderr
    # A table, drawn by rich.
    env = {**os.environ, **lab.host.env, **path, "TERM": "xterm"}
    terminal = Terminal([*lab.host.enter, *alone("macvnet", "ls")], env=env)
    try:
        terminal.expect("NETWORK ID", 60)
        terminal.expect("macvlan", 60)
        assert terminal.status() == 0
    finally:
        terminal.close()
    assert macvnet("rm", "net") == "net\n"
    assert not list(pyz.parent.rglob("__pycache__"))


def test_bug_is_told_with_the_lines_it_happened_in(pyz: Path) -> None:
    """As of any installation: the source is in the archive too."""
    script = """
import traceback
from macvnet import addresses
try:
    addresses.Subnet.parse("nope")
except ValueError:
    print(traceback.format_exc())
"""
    said = inside(pyz, script)
    assert "macvnet.pyz/macvnet/addresses.py" in said and "raise ValueError" in said


def test_python_that_is_too_old_is_told_so(pyz: Path) -> None:
    script = f"""
import runpy, sys
sys.version_info = (3, 10, 1)
runpy.run_path({str(pyz)!r}, run_name="__main__")
"""
    done = subprocess.run([PYTHON, "-IS", "-c", script], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith(
        "macvnet: Python 3.11 or newer is needed"
    )
