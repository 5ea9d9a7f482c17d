"""The state: recorded durably, of one namespace, and where the configuration says."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.steps import CONFLICT, LAN, REQUEST, create, join, networks, refused, struck
from tests.lab import Lab
from tests.lab.faults import KILL


def test_network_is_recorded_durably_when_create_returns(lab: Lab) -> None:
    """In a copy of the files taken at that moment, as a power cut would leave them."""
    identity = create(lab.host, "net", *LAN).lines[0]
    joined = join(lab.host, lab.named("web"), "net")
    copy = lab.folder / "copy"
    copy.mkdir(mode=0o700)
    for path in lab.state_dir.iterdir():
        if path.is_file() and not path.name.endswith("-shm"):
            (copy / path.name).write_bytes(path.read_bytes())
            (copy / path.name).chmod(0o600)
    shown = lab.host.macvnet("--state-dir", str(copy), "inspect", "net").checked().json()[0]
    assert shown["Id"] == identity
    (endpoint,) = shown["Containers"].values()
    assert endpoint["IPv4Address"] == f"{joined.ip}/24"
    (database,) = copy.glob("*.db")
    with sqlite3.connect(database) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    connection.close()


LEVELS = """
import sys
from macvnet.cli.calling import run
from macvnet.store.sqlite import SqliteBackend
real, levels = SqliteBackend.commit, []
def commit(self, *operations):
    levels.append(self._connection.execute("PRAGMA synchronous").fetchone()[0])
    return real(self, *operations)
SqliteBackend.commit = commit
status = run(sys.argv[1:])
print(*levels)
sys.exit(status)
"""


@pytest.mark.parametrize("words", [("gc", "--grace=0"), ("repair",)], ids=["gc", "repair"])
@pytest.mark.parametrize("end", ["dies", "is half attached"])
def test_what_is_said_to_be_freed_is_synced(lab: Lab, words: tuple[str, ...], end: str) -> None:
    """With the last commit of the command (SQLite's level 2), and what came before with it."""
    create(lab.host, "net", *LAN)
    targets = [lab.container() for _ in range(2)]
    for target in targets:
        if end == "dies":
            join(lab.host, target, "net")
        else:
            assert struck(lab.host, KILL, 3, "connect", "net", target.target).status < 0
    for target in targets if end == "dies" or words[0] == "gc" else ():
        target.close()
    done = lab.host.run(sys.executable, "-c", LEVELS, *words).checked()
    *said, levels = done.lines
    assert len(said) >= 2 and levels.split()[-1] == "2", done
    assert lab.host.macvnet("state", "export").checked().json()["endpoints"] == []
    assert lab.host.macvnet("check").checked().lines == []


def test_state_of_another_namespace_is_not_changed_from_here(lab: Lab) -> None:
    """Reading it is fine; every command that changes something is refused, with the way out."""
    create(lab.host, "net", *LAN)
    elsewhere = lab.other_host("172.16.86.251/24")
    foreign = {"MACVNET_STATE_DIR": str(lab.state_dir)}
    container = lab.container()
    before = [machine.snapshot() for machine in (elsewhere, container)]
    for words in (
        ("create", "--subnet=10.9.0.0/24", "-o", "parent=eth0", "other"),
        ("rm", "net"),
        ("connect", "net", container.target),
        ("attach", container.target),
        ("prune", "-f"),
    ):
        hint = refused(
            elsewhere.macvnet(*words, env=foreign), CONFLICT, "another network namespace"
        )
        assert "--state-dir" in hint
    after = [machine.snapshot() for machine in (elsewhere, container)]
    assert [early.changes(late) for early, late in zip(before, after, strict=True)] == [[], []]
    assert elsewhere.macvnet("ls", "-q", env=foreign).checked().lines != []
    assert networks(lab.host) == ["net"]
    create(elsewhere, "other", *LAN)


def test_state_dir_is_a_flag_a_variable_and_a_key_in_that_order(lab: Lab) -> None:
    folders = {name: str(lab.folder / name) for name in ("flag", "variable", "key")}
    lab.config.write_text(f'state_dir = "{folders["key"]}"\n')
    without = {"MACVNET_STATE_DIR": ""}
    lab.host.macvnet("create", *LAN, "by-key", env=without).checked()
    variable = {"MACVNET_STATE_DIR": folders["variable"]}
    lab.host.macvnet("create", *LAN, "by-variable", env=variable).checked()
    flag = ("--state-dir", folders["flag"])
    lab.host.macvnet(*flag, "create", *LAN, "by-flag", env=variable).checked()
    for name, folder in folders.items():
        listed = lab.host.macvnet("--state-dir", folder, "ls").checked()
        assert [line.split()[1] for line in listed.lines[1:]] == [f"by-{name}"]
        assert Path(folder).stat().st_mode & 0o777 == 0o700


def test_option_defaults_of_the_configuration_are_what_a_network_gets(
    make_lab: Callable[..., Lab],
) -> None:
    """Unless the command says otherwise; seen on the link and in what siblings reach."""
    lab = make_lab(host=())
    lab.config.write_text('[options]\nparent = "eth0"\nmacvlan_mode = "private"\nmtu = 1400\n')
    create(lab.host, "net", *LAN[:2])
    one, other = lab.container(), lab.container()
    join(lab.host, one, "net")
    joined = join(lab.host, other, "net")
    assert one.link()["linkinfo"]["info_data"]["mode"] == "private"
    assert one.link()["mtu"] == 1400
    assert one.ping("172.16.86.1") and one.silent(joined.ip, seconds=0.4)
    create(
        *(lab.host, "own", "--subnet=10.2.0.0/24", "--gateway=10.2.0.1"),
        *("-o", "macvlan_mode=bridge", "-o", "mtu=1300", "-o", "share_parent=true"),
    )
    third = lab.container()
    join(lab.host, third, "own")
    assert third.link()["linkinfo"]["info_data"]["mode"] == "bridge"
    assert third.link()["mtu"] == 1300


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("arp_rate = 5\nstate_dri = '/x'\n", 2, "state_dri"),
        ("\n[options]\n\nparnet = 'eth0'\n", 4, "parnet"),
        ("[[default_pools]]\nbase = '10.0.0.0/8'\nsize = 24\nsiez = 3\n", 4, "siez"),
    ],
)
def test_unknown_key_is_an_error_with_its_line(lab: Lab, text: str, line: int, words: str) -> None:
    lab.config.write_text(text)
    done = lab.host.macvnet("create", *LAN, "net")
    refused(done, REQUEST, words, f"line {line}")


def test_config_is_a_flag_too(lab: Lab) -> None:
    other = lab.folder / "other.toml"
    other.write_text('[options]\nmacvlan_mode = "vepa"\n')
    lab.host.macvnet("--config", str(other), "create", *LAN, "net").checked()
    assert lab.host.macvnet("inspect", "net").json()[0]["Macvnet"]["Mode"] == "vepa"


def test_jumbo_and_small_mtu_reach_the_link(make_lab: Callable[..., Lab]) -> None:
    """Docker's key does the same; above the parent's it is refused before anything is made."""
    lab = make_lab(host=())
    create(lab.host, "net", *LAN, "-o", "com.docker.network.driver.mtu=1300")
    container = lab.container()
    join(lab.host, container, "net")
    assert container.link()["mtu"] == 1300
    assert container.ping("172.16.86.1", size=1272, fragment=False)
    assert not container.ping("172.16.86.1", size=1273, fragment=False, within=0.4)
    lab.host.macvnet("rm", "-f", "nosuch")
    done = lab.host.macvnet("create", *LAN[:2], "-o", "parent=eth0", "-o", "mtu=9000", "big")
    assert "mtu=1500" in refused(done, REQUEST, "9000", "1500")
