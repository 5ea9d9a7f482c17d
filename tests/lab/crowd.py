"""A crowd: several processes that work on one host at once, at random, and are killed at random.

Each worker has targets of its own and shares the networks with all others. What
it did goes into a history, which ``Verdict`` holds against a serial model: some
order of the commands, one after the other, must explain every result.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import re
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from macvnet.store import open_store
from tests.lab import Lab, Named, books

PARENTS = ("eth0", "eth1", "eth2")
KILL_SHARE = 0.15
LONGEST_LIFE = 0.12
FINE, NOT_FOUND, CONFLICT, DIFFERENCES, PARTLY = 0, 4, 5, 11, 13
KILLED = -9
EXPECTED = {
    "create": {FINE, CONFLICT},
    "rm": {FINE, NOT_FOUND, CONFLICT},
    "connect": {FINE, NOT_FOUND, CONFLICT},
    "disconnect": {FINE, NOT_FOUND},
    "restore": {FINE, PARTLY},
    "repair": {FINE, DIFFERENCES},
    "gc": {FINE},
    "check": {FINE, DIFFERENCES},
    "ls": {FINE},
}
WEIGHTS = {"connect": 36, "disconnect": 30, "create": 9, "rm": 7, "restore": 5, "repair": 5,
           "gc": 3, "check": 2, "ls": 3}  # fmt: skip


class Act(NamedTuple):
    """One command: when it ran (time.monotonic()), what it was and how it ended."""

    began: float
    ended: float
    verb: str
    network: str
    target: str
    status: int
    address: str
    stderr: str


class Plan(NamedTuple):
    """``networks``: name to the words of its create."""

    networks: dict[str, tuple[str, ...]]
    targets: list[list[Named]]


def prepare(lab: Lab, workers: int, targets: int) -> Plan:
    """Networks on shared parents, two of them in one segment with one subnet; targets by worker."""
    networks = {}
    for number in range(6):
        words = ["-o", f"parent={PARENTS[number % 3]}", "-o", "share_parent=true"]
        if number in (0, 3):
            # One subnet for both: addresses must be unique between them.
            first = 16 if number else 48
            words += ["--subnet=10.9.0.0/24", "--gateway=10.9.0.1"]
            words += [f"--ip-range=10.9.0.{first}-10.9.0.{first + 40}"]
        else:
            words += [f"--subnet=10.{number}.0.0/26", f"--subnet=fd00:{number}::/64"]
        networks[f"n{number}"] = (*words, "-o", "com.docker.network.advertise_addr_nmsgs=0")
    owned = [[lab.named(f"w{w}t{t}") for t in range(targets)] for w in range(workers)]
    return Plan(networks, owned)


def play(lab: Lab, plan: Plan, acts: int, seed: int) -> list[list[Act]]:
    """Let all workers act, ``acts`` in all; the history of each."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    share = acts // len(plan.targets)
    processes = [
        context.Process(target=_work, args=(queue, lab, plan, number, share, seed))
        for number in range(len(plan.targets))
    ]
    for process in processes:
        process.start()
    histories: dict[int, list[Act]] = {}
    while len(histories) < len(processes):
        number, text = queue.get()
        histories[number] = [Act(*item) for item in json.loads(text)]
    for process in processes:
        process.join()
    return [histories[number] for number in range(len(processes))]


def _work(queue: Any, lab: Lab, plan: Plan, number: int, acts: int, seed: int) -> None:
    history: list[Act] = []
    try:
        chance = random.Random(f"{seed} {number}")
        for _ in range(acts):
            history.append(_act(lab, plan, number, chance))
    finally:
        queue.put((number, json.dumps(history)))


def _act(lab: Lab, plan: Plan, number: int, chance: random.Random) -> Act:
    (verb,) = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
    network = chance.choice(list(plan.networks))
    target = chance.choice(plan.targets[number])
    words = {
        "create": ["create", *plan.networks[network], network],
        "rm": ["rm", network],
        "connect": ["attach", "--format=json", "--network", network, target.target],
        "disconnect": ["disconnect", network, target.target],
    }.get(verb, [verb])
    life = chance.uniform(0, LONGEST_LIFE) if chance.random() < KILL_SHARE else None
    began = time.monotonic()
    done = lab.host.macvnet(*words, fork=True, kill_after=life)
    ended = time.monotonic()
    address = ""
    if verb == "connect" and done.ok:
        address = str(done.json()[0]["addresses"][0])
    return Act(began, ended, verb, network, target.name, done.status, address, done.stderr)


class Verdict:
    """What is wrong with the histories, sentence by sentence."""

    def __init__(self, plan: Plan, histories: Sequence[Sequence[Act]]) -> None:
        self.plan = plan
        self.histories = histories
        self.wrong: list[str] = []
        # (target, network) to the address it has at the end; "" none, "?" not known.
        self.connected: dict[tuple[str, str], str] = {}
        self._check_results()
        for history in histories:
            self._check_endpoints(history)
        self._check_networks()
        self._check_addresses()

    @property
    def kills(self) -> int:
        return sum(act.status == KILLED for history in self.histories for act in history)

    def _check_results(self) -> None:
        for history in self.histories:
            for act in history:
                if act.status not in EXPECTED[act.verb] | {KILLED}:
                    self.wrong.append(f"unexpected result: {act}")
                refused = act.status not in (FINE, KILLED) and act.verb not in ("check", "repair")
                if refused and "hint: " not in act.stderr:
                    self.wrong.append(f"no hint: {act}")

    def _check_endpoints(self, history: Iterable[Act]) -> None:
        """A worker's own targets see its own commands alone, in their order."""
        for act in history:
            key = (act.target, act.network)
            now = self.connected.get(key, "")
            if act.verb == "connect":
                already = act.status == CONFLICT and "connected to network" in act.stderr
                if act.status == FINE and now not in ("", "?"):
                    self.wrong.append(f"connected twice: {act}")
                if already and now == "":
                    self.wrong.append(f"said to be connected, and was not: {act}")
                if act.status == NOT_FOUND and now not in ("", "?"):
                    self.wrong.append(f"the network went away under an endpoint: {act}")
                if act.status == FINE:
                    self.connected[key] = act.address
                elif act.status == KILLED and now == "":
                    self.connected[key] = "?"
                elif act.status == NOT_FOUND:
                    self.connected[key] = ""
            elif act.verb == "disconnect":
                if act.status == FINE and now == "":
                    self.wrong.append(f"disconnected what was not connected: {act}")
                if act.status == NOT_FOUND and now not in ("", "?"):
                    self.wrong.append(f"an endpoint was lost: {act}")
                self.connected[key] = "?" if act.status == KILLED and now else ""

    def _check_networks(self) -> None:
        """Between two creations that succeeded the network was removed, and the other way round."""
        every = [act for history in self.histories for act in history]
        for name in self.plan.networks:
            acts = [a for a in every if a.network == name and a.verb in ("create", "rm")]
            done = sorted((a for a in acts if a.status == FINE), key=lambda a: a.ended)
            for one, two in pairwise(done):
                if one.verb != two.verb or two.began <= one.ended:
                    continue
                undone = [
                    a
                    for a in every
                    if a is not one and a is not two and a.began < two.ended and a.ended > one.began
                    and (a.status == KILLED or a.verb in ("repair", "restore", "rm", "create"))
                    and (a.verb in ("repair", "restore") or a.network == name)
                ]  # fmt: skip
                if not undone:
                    self.wrong.append(f"{one.verb} twice without anything between: {one} {two}")

    def _check_addresses(self) -> None:
        """Nobody has an address from the moment another was told it is his until he gave it up."""
        held: list[tuple[float, float, str, str]] = []
        for history in self.histories:
            since: dict[tuple[str, str], tuple[float, str]] = {}
            for act in history:
                key = (act.target, act.network)
                if act.verb == "connect" and act.status == FINE:
                    since[key] = (act.ended, act.address)
                elif act.verb == "disconnect" and key in since:
                    begin, address = since.pop(key)
                    held.append((begin, act.began, address, act.target))
            held += [(begin, float("inf"), a, key[0]) for key, (begin, a) in since.items()]
        held.sort()
        last: dict[str, tuple[float, str]] = {}
        for begin, end, address, target in held:
            until, other = last.get(address, (0.0, ""))
            if begin < until:
                self.wrong.append(f"{address} was given to {other} and to {target} at once")
            if end > until:
                last[address] = (end, target)

    def final(self, kernel: dict[str, list[str]]) -> None:
        """What the targets have at the end (target to addresses) is what the histories say."""
        for (target, network), address in self.connected.items():
            if address not in ("", "?") and address not in kernel[target]:
                self.wrong.append(f"{target} has lost {address} of {network}: {kernel[target]}")
        for target, addresses in kernel.items():
            known = [a for (t, _), a in self.connected.items() if t == target]
            surplus = len(addresses) - len([a for a in known if a])
            if surplus > 0:
                self.wrong.append(f"{target} has more than it was given: {addresses} {known}")


def ipv4(target: Named) -> list[str]:
    """The IPv4 addresses of a target, of all its links but lo."""
    text = target.ip("-4", "-oneline", "address", "show")
    return [a for link, a in re.findall(r"\d+: (\S+)\s+inet (\S+)", text) if link != "lo"]


def rush(lab: Lab, workers: int, acts: int, seed: int) -> str:
    """Let a crowd act and judge it; a line of figures. AssertionError, naming the seed."""
    plan = prepare(lab, workers, 3)
    foreign = lab.named("foreign")
    foreign.batch("link add dm0 type veth peer name dm1", "addr add 10.9.0.20/24 dev dm0")
    before = (lab.host.snapshot(), foreign.snapshot())
    histories = play(lab, plan, acts, seed)
    verdict = Verdict(plan, histories)
    assert not verdict.wrong, "\n".join([f"seed {seed}", *verdict.wrong])
    assert verdict.kills > acts // 100
    _agree_and_go(lab, plan, verdict)
    with open_store(str(lab.state_dir), read_only=True) as store:
        left = [key for key, _ in store.scan("")]
        assert [key for key in left if not key.startswith(("meta/", "segment/"))] == []
    now = (lab.host.snapshot(), foreign.snapshot())
    assert [old.changes(new) for old, new in zip(before, now, strict=True)] == [[], []]
    return f"{sum(map(len, histories))} acts, {verdict.kills} killed, seed {seed}"


def _agree_and_go(lab: Lab, plan: Plan, verdict: Verdict) -> None:
    """State and kernel agree after one repair; then everything goes."""
    # What was killed last is finished or undone.
    lab.host.macvnet("repair").checked()
    lab.host.macvnet("check").checked()
    with open_store(str(lab.state_dir), read_only=True) as store:
        assert books.complaints(store) == []
    verdict.final({t.name: ipv4(t) for owned in plan.targets for t in owned})
    assert not verdict.wrong, "\n".join(verdict.wrong)
    for owned in plan.targets:
        for target in owned:
            if len(target.links()) > 1:
                lab.host.macvnet("detach", target.target).checked()
            assert target.links() == ["lo"]
    left = lab.host.macvnet("ls", "--format", "{{.Name}}").checked().lines
    if left:
        lab.host.macvnet("rm", *left).checked()
