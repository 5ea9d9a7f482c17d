"""What a machine does until its power is cut, and what it finds when it has power again.

    python -m tests.boots.working SEED [unsynced]      (inside User Mode Linux)

A line in the diary for each command before it begins and after it has succeeded.
The diary is outside, on the host's file system, and a write to it has arrived
there when it returns: what it says is done was acknowledged to the user.
``tests.boots.cutting`` cuts the power.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

from tests.boots.site import Site, same
from tests.lab import Machine, Result, executable
from tests.lab.books import complaints

DIARY = Path("/run/job/diary")
LOOKING, WORKING, DID = "=== looking", "=== working", "=== did"
SECONDS = 120.0
"""How long to work at most, where nobody cuts the power."""
REAL = 0.05
"""The share of commands that are processes of the installed executable."""
TARGETS = tuple(f"t{number}" for number in range(5))
QUIET = ("-o", "com.docker.network.advertise_addr_nmsgs=0")
SHARED = ("-o", "parent=eth0", "-o", "share_parent=true")
RANGE = "--ip-range=172.16.86.32/29"
NETWORKS: dict[str, tuple[str, ...]] = {
    "lan": (*SHARED, *("--subnet=172.16.86.0/24", "--gateway=172.16.86.1"), RANGE),
    "dual": (*SHARED, "--subnet=10.1.0.0/29", "--subnet=2001:db8:86::/64"),
    "v50": ("-o", "parent=eth0.50", "--subnet=10.2.0.0/24", "--aux-address=printer=10.2.0.2"),
    "v60": ("-d", "ipvlan", "-o", "parent=eth0.60", "--subnet=10.3.0.0/24"),
    "alone": ("--subnet=10.4.0.0/28",),
}


class Lost(AssertionError):
    """Something is not as it was acknowledged, or does not agree."""


class Place(NamedTuple):
    """What an endpoint has, as ``attach`` prints it."""

    ifname: str
    mac: str
    addresses: tuple[str, ...]


class Known(NamedTuple):
    """What is there: network name to ID, (network, target) to what the endpoint has."""

    networks: dict[str, str]
    endpoints: dict[tuple[str, str], Place]

    def to_json(self) -> list[Any]:
        return [self.networks, [[*where, *place] for where, place in self.endpoints.items()]]

    @classmethod
    def from_json(cls, data: list[Any]) -> Known:
        endpoints = {(n, t): Place(i, m, tuple(a)) for n, t, i, m, a in data[1]}
        return cls(dict(data[0]), endpoints)


class Act(NamedTuple):
    """One command. ``target`` is "" for those about a network alone."""

    verb: str
    network: str
    target: str = ""

    def words(self) -> tuple[str, ...]:
        match self.verb:
            case "create":
                return ("create", *NETWORKS[self.network], *QUIET, self.network)
            case "attach":
                return (
                    "attach",
                    "--format=json",
                    "--network",
                    self.network,
                    f"netns:{self.target}",
                )
            case "disconnect":
                return ("disconnect", self.network, f"netns:{self.target}")
        return (self.verb, self.network)


# -- the diary ------------------------------------------------------------------


def write(**entry: Any) -> None:
    """One line, outside when this returns."""
    descriptor = os.open(DIARY, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, json.dumps(entry).encode() + b"\n")
    finally:
        os.close(descriptor)


def read() -> tuple[Known, Act | None]:
    """What was acknowledged, and the command that had begun and not returned, if any."""
    known, begun = Known({}, {}), None
    text = DIARY.read_text() if DIARY.exists() else ""
    whole, _, rest = text.rpartition("\n")
    if rest:
        # Power went in the middle of a line, so nobody was told.
        os.truncate(DIARY, len(text) - len(rest))
    for line in whole.splitlines():
        entry = json.loads(line)
        if "found" in entry:
            known, begun = Known.from_json(entry["found"]), None
        elif "begin" in entry:
            begun = Act(*entry["begin"])
        elif "did" in entry:
            assert begun is not None
            known, begun = after(known, begun, entry["did"]), None
    return known, begun


def after(known: Known, act: Act, printed: str) -> Known:
    """What is there after a command that printed this."""
    networks, endpoints = dict(known.networks), dict(known.endpoints)
    where = (act.network, act.target)
    match act.verb:
        case "create":
            networks[act.network] = printed.strip()
        case "rm":
            del networks[act.network]
        case "attach":
            (item,) = json.loads(printed)
            endpoints[where] = Place(item["interface"], item["mac"], tuple(item["addresses"]))
        case "disconnect":
            del endpoints[where]
    return Known(networks, endpoints)


# -- after the cut --------------------------------------------------------------


def look(site: Site, known: Known, doubtful: Act | None, mending: Sequence[str]) -> Known:
    """The state is whole, has all that was acknowledged, and the kernel is made to agree.

    ``mending`` are the commands that do so; the first of them leaves nothing to do.
    """
    _intact(site)
    _compare(recorded(site), known, doubtful)
    targets = {name: site.named(name) for name in TARGETS}
    site.host.macvnet(mending[0]).checked()
    same(site.host.macvnet("check").checked().lines, [])
    for command in mending:
        same(site.host.macvnet(command).checked().lines, [])
    found = recorded(site)
    _compare(found, known, doubtful)
    from macvnet.store import open_store

    with open_store(str(site.state_dir), read_only=True) as store:
        same(complaints(store), [])
    present = {name: _interfaces(machine) for name, machine in targets.items()}
    for (network, target), place in found.endpoints.items():
        have = present[target].get(place.ifname)
        if have != (place.mac, set(place.addresses)):
            raise Lost(f"{target} has {have} in network {network}, not {place}")
    return found


def _interfaces(machine: Machine) -> dict[str, tuple[str, set[str]]]:
    """Interface name to MAC and addresses, as the kernel has them."""
    return {
        str(link["ifname"]): (
            str(link["address"]),
            {
                f"{one['local']}/{one['prefixlen']}"
                for one in link["addr_info"]
                if one["scope"] != "link"
            },
        )
        for link in machine.query("addr", "show")
    }


def _intact(site: Site) -> None:
    """SQLite's own opinion, of a copy: looking must not mend what macvnet is to open."""
    if not (site.state_dir / "state.db").exists():
        return
    copy = site.folder / "copy"
    copy.mkdir()
    for path in site.state_dir.glob("state.db*"):
        if not path.name.endswith("-shm"):
            shutil.copy(path, copy)
    try:
        connection = sqlite3.connect(copy / "state.db")
        found = connection.execute("PRAGMA integrity_check").fetchall()
        connection.close()
    except sqlite3.Error as error:
        raise Lost(f"the state cannot be read: {error}") from None
    if found != [("ok",)]:
        raise Lost(f"integrity_check: {found}")


def recorded(site: Site) -> Known:
    """What the state says, by macvnet itself."""
    done = site.host.macvnet("state", "export")
    if not done.ok:
        raise Lost(str(done))
    document = done.json()
    names = {each["record"]["id"]: each["record"]["name"] for each in document["networks"]}
    endpoints = {}
    for each in document["endpoints"]:
        addresses = tuple(f"{one['address']}/{one['prefixlen']}" for one in each["addresses"])
        where = (names[each["network"]], each["owner"]["name"])
        endpoints[where] = Place(each["ifname"], each["mac"], addresses)
    return Known({name: identity for identity, name in names.items()}, endpoints)


def _compare(found: Known, known: Known, doubtful: Act | None) -> None:
    """Everything acknowledged and nothing else; the command in doubt wholly, or not at all."""
    networks = {doubtful.network} if doubtful and not doubtful.target else set()
    endpoints = {(doubtful.network, doubtful.target)} if doubtful else set()
    _hold_against("network", found.networks, known.networks, networks)
    _hold_against("endpoint", found.endpoints, known.endpoints, endpoints)


def _hold_against(
    what: str, found: Mapping[Any, Any], known: Mapping[Any, Any], doubtful: Set[Any]
) -> None:
    for key in found.keys() | known.keys():
        here, there = found.get(key), known.get(key)
        either = key in doubtful and None in (here, there)
        if here != there and not either:
            raise Lost(f"{what} {key} is {here}, and was acknowledged as {there}")


# -- until the cut --------------------------------------------------------------


def choose(chance: random.Random, known: Known) -> Act:
    """A command that must succeed now."""
    absent = [name for name in NETWORKS if name not in known.networks]
    empty = [name for name in known.networks if all(n != name for n, _ in known.endpoints)]
    possible = [
        (network, target)
        for network in known.networks
        for target in TARGETS
        if (network, target) not in known.endpoints
    ]
    acts: list[tuple[Act, float]] = []
    if absent:
        acts.append((Act("create", chance.choice(absent)), 3))
    if empty:
        acts.append((Act("rm", chance.choice(empty)), 1))
    if possible:
        acts.append((Act("attach", *chance.choice(possible)), 6))
    if known.endpoints:
        acts.append((Act("disconnect", *chance.choice(list(known.endpoints))), 3))
    ((act, _),) = chance.choices(acts, [weight for _, weight in acts])
    return act


def work(site: Site, known: Known, chance: random.Random, *, real: float) -> None:
    """Commands at random, each in the diary, until the power is cut."""
    deadline = time.monotonic() + SECONDS
    done = 0
    while time.monotonic() < deadline:
        act = choose(chance, known)
        write(begin=act)
        words = act.words()
        result: Result = (
            site.host.run(executable(), *words)
            if chance.random() < real
            else site.host.macvnet(*words)
        )
        result.checked()
        write(did=result.stdout)
        done += 1
        print(f"{DID} {done}", flush=True)
        known = after(known, act, result.stdout)
    raise TimeoutError("the power was not cut")


class Unsynced(sqlite3.Connection):
    """A connection that leaves it to the kernel when anything gets to the disk."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith("PRAGMA synchronous"):
            sql = "PRAGMA synchronous = OFF"
        return super().execute(sql, *values)


def _never_sync() -> None:
    """From now on macvnet's connections are such ones."""
    from macvnet.store import sqlite_module

    real = sqlite_module.sqlite3.connect

    def connect(*arguments: Any, **options: Any) -> Any:
        opened = real(*arguments, **options, factory=Unsynced)
        opened.execute("PRAGMA synchronous = OFF")
        return opened

    vars(sqlite_module.sqlite3)["connect"] = connect


def main() -> int:
    seed, *how = sys.argv[1:]
    if how:
        _never_sync()
    chance = random.Random(seed)
    mending = chance.sample(("restore", "repair"), 2)
    site = Site()
    with site:
        print(LOOKING, flush=True)
        try:
            found = look(site, *read(), mending)
        except AssertionError as error:
            write(lost=str(error))
            raise
        write(found=found.to_json())
        print(WORKING, flush=True)
        work(site, found, chance, real=0 if how else REAL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
