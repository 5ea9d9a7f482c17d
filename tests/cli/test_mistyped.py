"""Whatever is mistyped, the nearest that there is comes back as the hint, in every command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from macvnet import option_keys
from macvnet.annotations import KEYS, NUMBERS
from macvnet.cli import filters
from macvnet.cli.calling import run
from macvnet.cli.invocation import Invocation
from macvnet.cli.main import COMMANDS, walk
from macvnet.cli.meant import ELSEWHERE
from macvnet.cli.parameters import Command, Group
from macvnet.drivers import MODULES, driver
from macvnet.kernel import interfaces
from macvnet.model import IPAM_DRIVERS
from macvnet.runtimes import table
from macvnet.store import open_store
from macvnet.text import nearest
from tests.cli.conftest import Macvnet
from tests.cli.fakes import network
from tests.cli.test_completing import write_network

EVERY = {words: (context, found) for words, context, found in walk()}
SINGLE = {words: both for words, both in EVERY.items() if isinstance(both[1], Command)}


def slip(word: str) -> str:
    """The word with the second half of its letters begun by one too many."""
    middle = (len(word) + 1) // 2
    return f"{word[:middle]}{word[middle - 1]}{word[middle:]}"


def hint(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("hint: ")]
    return line.removeprefix("hint: ")


@pytest.mark.parametrize("words", EVERY)
def test_commands(macvnet: Macvnet, words: str) -> None:
    *group, name = words.split()
    said = macvnet(*group, slip(name))
    assert (said.status, hint(said.err)) == (2, f"did you mean {name}?")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("network ls", "ls"),
        ("network create -d macvlan lan", "create"),
        ("docker network inspect lan", "inspect"),
        ("network delete lan", "rm"),
        ("network", "--help"),
        ("network zzzz", "--help"),
        ("help", "--help"),
        ("help connect", "connect --help"),
        ("help zzzz", "--help"),
    ],
)
def test_words_of_docker(macvnet: Macvnet, line: str, meant: str) -> None:
    said = macvnet(*line.split())
    assert (said.status, hint(said.err)) == (2, f"macvnet {meant}")


@pytest.mark.parametrize(("word", "meant"), ELSEWHERE.items())
def test_words_of_others(macvnet: Macvnet, word: str, meant: str) -> None:
    assert word not in COMMANDS
    assert meant == "--version" or meant in EVERY
    said = macvnet(word)
    assert (said.status, hint(said.err)) == (2, f"macvnet {meant}")


FLAGS = [
    (words, flag)
    for words, (context, found) in EVERY.items()
    for param in found.get_params(context)
    if isinstance(param, click.Option)
    for flag in param.opts
    if flag.startswith("--")
]


@pytest.mark.parametrize(("words", "flag"), FLAGS)
def test_options_of_every_command(macvnet: Macvnet, words: str, flag: str) -> None:
    wrong = f"--{slip(flag[2:])}"
    known = [each for command, each in FLAGS if command == words]
    assert wrong not in known
    said = macvnet(*words.split(), wrong, "x")
    assert said.status == 2
    assert hint(said.err) == f"did you mean {nearest(wrong, known)}?" == f"did you mean {flag}?"


WITH_NETWORKS = {
    "inspect": "NET",
    "rm": "NET",
    "connect": "NET PID",
    "disconnect": "NET PID",
    "attach": "--network NET PID",
    "detach": "--network NET PID",
    "check": "NET",
    "repair": "NET",
    "run": "--network NET true",
    "ipam status": "NET",
    "ipam next": "NET",
    "ipam scan": "NET",
    "hosts": "NET",
    "top": "NET",
    "reserve": "NET netns:web",
    "unreserve": "NET netns:web",
    "export": "NET",
    "announce": "NET",
    "host-access enable": "NET",
    "host-access disable": "NET",
}
OTHERWISE = {
    "connect": ["--batch /dev/null NET", "--dry-run NET PID"],
    "disconnect": ["--all NET", "--force NET PID", "--batch /dev/null NET"],
    "attach": ["--network NET,ip=192.0.2.10 PID"],
    "repair": ["--dry-run NET"],
    "rm": ["--dry-run NET"],
    "doctor": ["NET"],
}
NEW_NAMES = ("create",)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A network and a configuration, for the engine itself."""
    directory = tmp_path / "state"
    monkeypatch.setenv("MACVNET_STATE_DIR", str(directory))
    with open_store(str(directory)) as store:
        store.transact(lambda tx: write_network(tx, network("frontend", 0xA1)))
        store.transact(lambda tx: write_network(tx, network("settings", 0xA2, config_only=True)))
    yield directory


def refused(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    """Exit status, output and hint of a command line of the real engine."""
    capsys.readouterr()
    status = run(line.split(), Invocation())
    said = capsys.readouterr()
    return status, said.out, hint(said.err)


def _takes_networks(command: click.Command) -> bool:
    return any(param.name in ("network", "networks") for param in command.params)


def test_every_command_that_takes_networks_is_in_the_matrix() -> None:
    found = {words for words, (_, command) in SINGLE.items() if _takes_networks(command)}
    assert found - set(NEW_NAMES) == set(WITH_NETWORKS)


@pytest.mark.parametrize(
    "line",
    [
        *(f"{words} {rest}" for words, rest in WITH_NETWORKS.items()),
        *(f"{words} {rest}" for words, lines in OTHERWISE.items() for rest in lines),
    ],
)
def test_networks(state: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    typed = line.replace("NET", "frontent").replace("PID", str(os.getpid()))
    status, out, said = refused(capsys, typed)
    assert (status, said) == (4, "frontend")
    assert out in ("", "[]\n")


def test_capitals(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "inspect FRONTEND") == (4, "[]\n", "frontend")
    assert refused(capsys, "LS") == (2, "", "did you mean ls?")
    told = refused(capsys, "create -d MACVLAN new")
    assert told == (3, "", "--driver macvlan")


@pytest.mark.parametrize("key", NUMBERS)
def test_numbers_of_a_network_on_the_line(
    state: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    line = f"attach --network frontend,{key}=x {os.getpid()}"
    assert refused(capsys, line) == (2, "", f"--network NET,{key}=100")


def test_configurations(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def create(source: str) -> tuple[int, str, str]:
        return refused(capsys, f"create --config-from {source} new")

    assert create("setings") == (4, "", "--config-from settings")
    assert create("frontent") == (4, "", "macvnet create --config-only frontent")


@pytest.mark.parametrize("name", MODULES)
def test_parents(state: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    usable = [each for each, up in interfaces.names() if up and len(each) < 12]
    for parent in usable:
        line = f"create -d {name} --subnet 198.51.100.0/24 -o parent={slip(parent)}"
        status, out, said = refused(capsys, f"{line} new")
        guess = said.removeprefix("-o parent=")
        assert (status, out, said) == (4, "", f"-o parent={guess}")
        assert guess in usable


@pytest.mark.parametrize("name", MODULES)
def test_drivers_and_their_options(
    state: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert refused(capsys, f"create -d {slip(name)} new") == (3, "", f"--driver {name}")
    keys = (*option_keys.OF_DRIVER[name], *option_keys.COMMON)
    for key in keys:
        wrong = slip(key)
        told = refused(capsys, f"create -d {name} -o {wrong}=x new")
        assert told == (3, "", f"-o {nearest(wrong, keys)}=...")
    for key, words in driver(name).WORDS.items():
        for word in words:
            _, _, said = refused(capsys, f"create -d {name} -o {key}={slip(word)} new")
            assert said.startswith(f"-o {key}={word}"), said
    (mode,) = (key for key in keys if key.endswith("_mode") and key.startswith(name))
    assert refused(capsys, f"create -d {name} -o mode=x new") == (3, "", f"-o {mode}=...")
    (other,) = (each for each in MODULES if each != name)
    told = refused(capsys, f"create -d {name} -o {other}_mode=x new")
    assert told == (3, "", f"-o {mode}=..., or -d {other}")


@pytest.mark.parametrize("word", IPAM_DRIVERS)
def test_ipam_drivers(state: Path, capsys: pytest.CaptureFixture[str], word: str) -> None:
    said = refused(capsys, f"create --ipam-driver {slip(word)} new")
    assert said == (3, "", f"--ipam-driver {word}")


@pytest.mark.parametrize(
    ("command", "key"),
    [("ls", key) for key in filters.LS_KEYS] + [("prune", key) for key in filters.PRUNE_KEYS],
)
def test_filters(state: Path, capsys: pytest.CaptureFixture[str], command: str, key: str) -> None:
    status, out, said = refused(capsys, f"{command} --filter {slip(key)}=x")
    assert (status, out, said) == (3, "", f"--filter {key}=VALUE")


@pytest.mark.parametrize("word", ["true", "false"])
def test_values_of_the_filter_dangling(
    state: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    said = refused(capsys, f"ls --filter dangling={slip(word)}")
    assert said == (3, "", f"--filter dangling={word}")


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_a_network_on_the_line(
    state: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    line = f"attach --network frontend,{slip(key)}=x {os.getpid()}"
    assert refused(capsys, line) == (3, "", f"--network NET,{key}=VALUE")


@pytest.mark.parametrize("runtime", table())
def test_runtimes(state: Path, capsys: pytest.CaptureFixture[str], runtime: str) -> None:
    status, out, said = refused(capsys, f"connect frontend {slip(runtime)}:web")
    assert (status, out, said) == (4, "", f"did you mean {runtime}:web?")


WITH_FORMATS = [
    words
    for words, (_, command) in SINGLE.items()
    if any("text or json" in (getattr(param, "help", "") or "") for param in command.params)
]
NEEDED = {"attach": "42", "ipam who": "192.0.2.1", "ipam next": "lan", "ipam scan": "lan"}


@pytest.mark.parametrize("words", WITH_FORMATS)
@pytest.mark.parametrize("word", ["text", "json"])
def test_formats(macvnet: Macvnet, words: str, word: str) -> None:
    said = macvnet(*words.split(), "--format", slip(word), *NEEDED.get(words, "").split())
    assert (said.status, hint(said.err)) == (3, f"--format {word}")


def test_the_table_of_commands_is_what_is_walked() -> None:
    assert set(COMMANDS) == {words.split()[0] for words in EVERY}
    assert any(isinstance(found, Group) for _, found in EVERY.values())
