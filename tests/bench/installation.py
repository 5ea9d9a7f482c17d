"""macvnet as people have it: installed by pip, byte-compiled, in an environment of its own.

Beside it two bare click programs, to say what of a call is click's. Asks no
network: what macvnet needs is copied from the environment that runs this.
"""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    *("pyproject.toml", "README.md", "LICENSE", "macvnet", "man", "completions"),
    "release/scripts",
)
ALONE = ["--no-deps", "--no-index", "--quiet"]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]

BARE = '''"""A click program with one command."""
import click


@click.command()
@click.option("--network", metavar="NET", help="Network.")
@click.option("--ip", metavar="IP", help="IPv4 address.")
@click.argument("pid")
def main(network, ip, pid):
    """Do nothing."""
'''
SIZED_HEAD = '''"""A click program with as many commands and options as macvnet."""
import click


@click.group()
@click.version_option("1")
def main():
    """Do nothing."""
'''
SCRIPT = """#!{python}
import sys
from {module} import main
sys.exit(main())
"""


class Installation:
    """Made in ``folder``. ``macvnet``, ``bare`` and ``sized`` are the executables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = folder / "environment"
        self._run([sys.executable, "-m", "venv", "--without-pip", str(environment)])
        self.python = str(environment / "bin/python")
        self.macvnet = str(environment / "bin/macvnet")
        self.hook = str(environment / "bin/macvnet-oci-hook")
        found = subprocess.run(
            [self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        )
        self._packages = Path(found.stdout.strip())
        self.versions: dict[str, str] = {}
        building = self._build(folder / "source")
        for name in _needed("macvnet"):
            self._copy(distribution(name))
        self._compile()
        self._install(building, folder)
        self.bare = self._program("bare", BARE)
        self.sized = self._program("sized", SIZED_HEAD + "".join(_commands()))
        self._compile()

    def _compile(self) -> None:
        """What has not been compiled yet, on all processors."""
        compileall.compile_dir(str(self._packages), quiet=1, workers=0)

    def _copy(self, found: Distribution) -> None:
        self.versions[found.metadata["Name"]] = found.version
        for file in found.files or ():
            if ".." in file.parts or file.suffix == ".pyc":
                continue
            target = self._packages / str(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), target)

    def _build(self, source: Path) -> subprocess.Popen[str]:
        """Begin to build the wheel."""
        source.mkdir()
        for name in SOURCES:
            path = ROOT / name
            if path.is_dir():
                shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, source / name)
        argv = [*PIP, "wheel", *ALONE, "--no-build-isolation", "-w", str(source.parent)]
        return self._started([*argv, str(source)])

    def _install(self, building: subprocess.Popen[str], folder: Path) -> None:
        self._ended(building)
        [wheel] = folder.glob("*.whl")
        into = [*PIP, "--python", self.python, "install", *ALONE, "--root-user-action=ignore"]
        self._run([*into, "--no-compile", str(wheel)])

    def _program(self, name: str, text: str) -> str:
        module = f"bench_{name}"
        (self._packages / f"{module}.py").write_text(text)
        script = Path(self.python).with_name(name)
        script.write_text(SCRIPT.format(python=self.python, module=module))
        script.chmod(0o755)
        return str(script)

    def _run(self, argv: list[str]) -> None:
        self._ended(self._started(argv))

    @staticmethod
    def _started(argv: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @staticmethod
    def _ended(process: subprocess.Popen[str]) -> None:
        told, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{process.args!r}\n{told}")


def _needed(name: str) -> list[str]:
    """What a distribution needs without extras, and what that needs."""
    from packaging.requirements import Requirement

    found: list[str] = []
    waiting = [name]
    while waiting:
        for text in distribution(waiting.pop()).requires or ():
            requirement = Requirement(text)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and requirement.name not in found:
                found.append(requirement.name)
                waiting.append(requirement.name)
    return found


def _commands() -> list[str]:
    """The source of a command for each of macvnet's, with as many options and arguments."""
    import click

    from macvnet.cli.main import cli

    parts = []
    context = click.Context(cli)
    for number, name in enumerate(cli.list_commands(context)):
        command = cli.get_command(context, name)
        lines = [f'\n\n@main.command("{name}")\n']
        lines += [
            f'@click.option("--option-{place}", metavar="VALUE", help="What it is good for.")\n'
            for place, _ in enumerate(command.params if command else ())
        ]
        parts.append("".join([*lines, f'def command_{number}(**given):\n    """Do nothing."""\n']))
    return parts
