"""The Tab key in real shells: what is typed, what is completed, what the program is then given.

A person's shell runs in the lab's host with the scripts of ``completions``, where
each shell looks for them. A program of the same name hands its ``__complete`` to
macvnet and writes down any other call; so what counts is what the shell makes of
the completed line, quotes and all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from macvnet.cli.shells import SHELLS as SHELL_FILES
from tests.kernel.runner_program import wait_until
from tests.lab import Lab, executable
from tests.lab.terminal import Terminal

ROOT = Path(__file__).parents[2]
WITH_PACKAGE = "bash with bash-completion"
SHELLS = ["bash", WITH_PACKAGE, "zsh", "fish"]
PROMPT = "READY> "
SECONDS = 60

RECORDER = """#!/bin/sh
[ "$1" != __complete ] || exec '{program}' "$@"
printf '%s\\0' "$@" >'{typed}.new'
mv '{typed}.new' '{typed}'
"""


class Person:
    """At a terminal, with a home of files; ``typed`` is what the recorder writes."""

    def __init__(self, lab: Lab, shell: str, home: Path) -> None:
        self.home = home
        self.shell = shell
        self.typed = home / "typed"
        self._lab = lab
        for folder in ("bin", "states", ".config/fish/completions"):
            (home / folder).mkdir(parents=True)
        for file in ("config.toml", "stately"):
            (home / file).touch()
        script = RECORDER.format(program=executable(), typed=self.typed)
        for name, text in (("macvnet", script), ("macvnet-lab-unique", "#!/bin/sh\n")):
            (home / "bin" / name).write_text(text)
            (home / "bin" / name).chmod(0o755)
        argv = getattr(self, "_" + shell.split()[0])(shell == WITH_PACKAGE)
        env = {
            **lab.env,
            "HOME": str(home),
            "PATH": f"{home}/bin:{os.environ['PATH']}",
            "TERM": "dumb",
            "PS1": PROMPT,
            "HISTFILE": "",
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_DATA_HOME": str(home / ".local/share"),
        }
        host = lab.host
        self.terminal = Terminal([*host.enter, *argv], env=env, prepare=lambda: os.chdir(home))
        self.terminal.resize(40, 300)
        self.terminal.expect(PROMPT, SECONDS)

    def _bash(self, package: bool) -> list[str]:
        file = self.home / ".local/share/bash-completion/completions/macvnet"
        file.parent.mkdir(parents=True)
        shutil.copy(ROOT / "completions/macvnet.bash", file)
        start = "/usr/share/bash-completion/bash_completion" if package else str(file)
        own = f"complete -F _macvnet m; PS1='{PROMPT}'\n"
        load = "_completion_loader macvnet\n" if package else ""
        (self.home / "rc").write_text(f"source {start}\n{load}alias m=macvnet\n{own}")
        return ["bash", "--noprofile", "--rcfile", str(self.home / "rc"), "-i"]

    def _zsh(self, package: bool) -> list[str]:
        (self.home / ".zshrc").write_text(
            f"fpath=({ROOT}/completions $fpath)\nautoload -U compinit\ncompinit -u -D\n"
            f"unsetopt global_rcs\nalias m=macvnet\nPS1='{PROMPT}'\n"
        )
        return ["env", f"ZDOTDIR={self.home}", "zsh", "-d", "-i"]

    def _fish(self, package: bool) -> list[str]:
        shutil.copy(ROOT / "completions/macvnet.fish", self.home / ".config/fish/completions")
        (self.home / ".config/fish/config.fish").write_text(
            f"function fish_prompt; printf '{PROMPT}'; end\nset -g fish_greeting\n"
            "alias m=macvnet\nset -g fish_autosuggestion_enabled 0\n"
        )
        return ["fish", "-i"]

    def enter(self, keys: str) -> list[str]:
        """Type and press Enter; the words that the program was given."""
        self.typed.unlink(missing_ok=True)
        self.terminal.type(keys)
        self.terminal.type("\r")
        self.terminal.wait_for(self.typed.exists, SECONDS)
        self.terminal.expect(PROMPT, SECONDS)
        return self.typed.read_bytes().decode(errors="replace").split("\0")[:-1]

    def run(self, keys: str, happened: Callable[[], bool]) -> None:
        """Type and press Enter, with the real program; wait until something has happened."""
        (self.home / "bin/macvnet").unlink()
        (self.home / "bin/macvnet").symlink_to(executable())
        self.terminal.type(keys)
        self.terminal.type("\r")
        self.terminal.wait_for(happened, SECONDS)


@pytest.fixture
def stage(lab: Lab) -> Lab:
    """Networks lan and lab, v50 with one address; web and db in lan, odd names about."""
    lan = ("--subnet=172.16.86.0/24", "--ip-range=172.16.86.128/26")
    one = ("--subnet=10.50.0.0/24", "--ip-range=10.50.0.77/32")
    for name, subnet in (("lan", lan), ("lab", ("--subnet=10.1.0.0/16",)), ("v50", one)):
        options = ("-o", "parent=eth0", "-o", "share_parent=true")
        lab.host.macvnet("create", *subnet, *options, name).checked()
    for name in ("web", "db"):
        lab.named(name)
        lab.host.macvnet("connect", "lan", f"netns:{name}").checked()
    for name in ("we b", "we$(touch hacked)", "we\x1b[31m", "we'b"):
        lab.named(name)
    lab.named("other")
    lab.host.macvnet("connect", "lab", "netns:other").checked()
    return lab


@pytest.fixture(params=SHELLS)
def person(request: pytest.FixtureRequest, stage: Lab, tmp_path: Path) -> Iterator[Person]:
    found = Person(stage, request.param, tmp_path / "home")
    yield found
    found.terminal.end()


LEFT = "\x02"
CASES = {
    "macvnet insp\tlan": ["inspect", "lan"],
    "macvnet state exp\t": ["state", "export"],
    "macvnet rm v\t": ["rm", "v50"],
    'macvnet rm "v\t': ["rm", "v50"],
    "macvnet rm 'v\t": ["rm", "v50"],
    "macvnet rm lan la\t": ["rm", "lan", "lab"],
    "macvnet create --dri\tip\tx": ["create", "--driver", "ipvlan", "x"],
    "macvnet create -o par\teth\tx": ["create", "-o", "parent=eth0", "x"],
    "macvnet create --opt=macv\tve\tx": ["create", "--opt=macvlan_mode=vepa", "x"],
    "macvnet connect lan netns:o\t": ["connect", "lan", "netns:other"],
    "macvnet disconnect lan netns:w\t": ["disconnect", "lan", "netns:web"],
    "macvnet disconnect lan w\t": ["disconnect", "lan", "web"],
    "macvnet disconnect lan 'netns:d\t": ["disconnect", "lan", "netns:db"],
    "macvnet connect --ip \tv50 x": ["connect", "--ip", "v50", "x"],
    "macvnet connect v50 x --ip \t": ["connect", "v50", "x", "--ip", "10.50.0.77"],
    "macvnet connect --ip  v50 x" + LEFT * 6 + "\t": ["connect", "--ip", "10.50.0.77", "v50", "x"],
    "macvnet attach --network=v50,ip=\t1": ["attach", "--network=v50,ip=10.50.0.77", "1"],
    "macvnet attach --net v50,ifn\tx 1": ["attach", "--net", "v50,ifname=x", "1"],
    "macvnet --state-dir sta\tx": ["--state-dir", "states/x"],
    "macvnet ls --config=conf\t": ["ls", "--config=config.toml"],
    "macvnet ls --filter dang\tt\t": ["ls", "--filter", "dangling=true"],
    "macvnet run --net=lan -- macvnet-lab-un\t": ["run", "--net=lan", "--", "macvnet-lab-unique"],
    "macvnet run --net=lan cat conf\t": ["run", "--net=lan", "cat", "config.toml"],
    "~/bin/macvnet rm v\t": ["rm", "v50"],
    "m rm v\t": ["rm", "v50"],
    "true; MACVNET_X=1 macvnet rm v\t": ["rm", "v50"],
    "macvnet connect lan netns:we\t\t": ["connect", "lan", "netns:web"],
    "macvnet disconnect lab netns:\t": ["disconnect", "lab", "netns:other"],
    "macvnet nonsense x\t": ["nonsense", "x"],
    "macvnet rm '$(touch hacked)\t'": ["rm", "$(touch hacked)"],
}
# A script for fish never learns what stands behind the cursor.
OF_FISH = {"macvnet connect --ip  v50 x" + LEFT * 6 + "\t": ["connect", "--ip", "v50", "x"]}


# Plain bash completes nothing behind another command.
BEHIND = {
    "command macvnet rm v\t": ["rm", "v50"],
    "command macvnet disconnect lab netns:\t": ["disconnect", "lab", "netns:other"],
    "command macvnet disconnect lan netns:w\t": ["disconnect", "lan", "netns:web"],
    "command macvnet create --scope=\tx": ["create", "--scope=local", "x"],
}


def test_what_the_tab_key_makes_of_a_line(person: Person) -> None:
    wanted = {**CASES, **(OF_FISH if person.shell == "fish" else {})}
    wanted.update({} if person.shell == "bash" else BEHIND)
    assert {keys: person.enter(keys) for keys in wanted} == wanted
    assert not (person.home / "hacked").exists()


def test_a_completed_line_does_what_it_says(person: Person, stage: Lab) -> None:
    def left() -> bool:
        found = stage.host.macvnet("inspect", "lan").json()[0]["Containers"]
        return len(found) == 1

    assert not left()
    person.run("macvnet disco\tlan netns:w\t", left)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_without_the_program_there_is_nothing_to_say(shell: str, tmp_path: Path) -> None:
    """Completions may outlive it."""
    (tmp_path / "bin").mkdir()
    for name in (shell, "cat"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    tab = {
        "bash": "source {file}; COMP_LINE='macvnet r' COMP_POINT=9; _macvnet macvnet r macvnet",
        "zsh": "compdef() {{ :; }}; source {file}; words=(macvnet r) CURRENT=2 PREFIX=r; _macvnet",
        "fish": "source {file}; complete -C 'macvnet r'",
    }[shell]
    script = tab.format(file=ROOT / "completions" / SHELL_FILES[shell].file)
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *quiet, "-c", script],
        env={"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.stdout, done.stderr) == ("", "")


def offered(lab: Lab, *words: str) -> dict[str, str]:
    """What is offered for the last word, and what is said about each."""
    done = lab.host.run(executable(), "__complete", "fish", str(len(words) - 1), *words).checked()
    assert done.stderr == ""
    lines = (line.split("\t") for line in done.lines[1:])
    return dict(lines)


def test_containers_of_every_runtime_are_offered(stage: Lab) -> None:
    container = stage.container()
    stage.host.macvnet("run", "-d", "--net", "lan", "--name", "job", "--", "sleep", "600").checked()
    wanted = {"netns:web", "netns:db", "netns:other", "run:job", f"pid:{container.pid}"}
    found: dict[str, str] = {}

    def all_there() -> bool:
        # On a busy machine, the time for one Tab may be over before all have been listed.
        found.update(offered(stage, "connect", "v50", ""))
        return wanted <= set(found)

    wait_until(all_there, SECONDS)
    assert found["run:job"] == "sleep 600"
    for of_the_host in (os.getpid(), 1, stage.host.pid):
        assert f"pid:{of_the_host}" not in found
    wait_until(lambda: set(offered(stage, "connect", "v50", "jo")) == {"job"}, SECONDS)
    pid = str(container.pid)
    wait_until(lambda: pid in offered(stage, "connect", "v50", pid), SECONDS)


def test_what_is_said_of_a_process_is_printable(stage: Lab) -> None:
    """It may call itself anything."""
    title = "sleep\x1b]0;owned\x07 \x1b[31m"
    enter = ["unshare", "--net", "bash", "-c", 'exec -a "$0" sleep 600', title]
    with subprocess.Popen(enter) as process:
        try:
            name = f"pid:{process.pid}"
            wait_until(lambda: "owned" in offered(stage, "attach", "pid:").get(name, ""), SECONDS)
            assert all(about.isprintable() for about in offered(stage, "attach", "").values())
        finally:
            process.kill()
