"""What a user does with a container, the same with each runtime: real ones, all of them."""

from __future__ import annotations

from tests.kernel.steps import CONFLICT, LAN, NOT_FOUND, Joined, create, refused
from tests.lab import Result
from tests.lab.stranger import Stranger
from tests.runtimes.containers import Runtime
from tests.runtimes.ground import Ground

ROUTER, TAKEN = "172.16.86.1", "172.16.86.77"
TV = "02:00:5e:00:53:77"


def attach(ground: Ground, target: str, *words: str) -> Joined:
    """``macvnet attach`` to one network, its line decoded."""
    done = ground.macvnet("attach", "--format", "json", *words, target).checked()
    (item,) = done.json()
    return Joined(*(item[key] for key in Joined._fields))


def looked_up(ground: Ground, typed: str) -> list[str]:
    """What the Tab key offers for the container of ``connect net``."""
    words = ("connect", "net", typed)
    done = ground.macvnet("__complete", "fish", str(len(words) - 1), *words).checked()
    return [line.partition("\t")[0] for line in done.lines[1:]]


def test_container_is_connected_restarted_restored_and_disconnected(
    ground: Ground, runtime: Runtime
) -> None:
    """With the same address, MAC and interface name after the restart.

    And refused an address that another machine has.
    """
    target = runtime.make("web")
    before = attach(ground, target, "--ifname=lan0")
    assert runtime.link("web", "lan0") == (before.mac, before.addresses)
    assert runtime.pings("web", ROUTER)
    runtime.restart("web")
    assert runtime.links("web") == ["lo"]
    restored = ground.macvnet("restore").checked()
    assert restored.stdout.endswith(f"web in network net {before.addresses[0]}\n")
    assert restored.stderr == ""
    assert runtime.link("web", "lan0") == (before.mac, before.addresses)
    assert runtime.pings("web", ROUTER)
    assert ground.macvnet("check").checked().lines == []
    assert ground.macvnet("restore").checked().lines == []
    ground.macvnet("disconnect", "net", target).checked()
    assert runtime.links("web") == ["lo"]
    ground.macvnet("rm", "net").checked()
    create(ground, "asks", *LAN, "-o", "probe=on")
    with Stranger(ground.lab.router.fd, TAKEN, mac=TV):
        asked = ground.macvnet("connect", "--ip", TAKEN, "asks", target)
    assert "--ip" in refused(asked, CONFLICT, TAKEN, f"with the MAC {TV}")
    assert runtime.links("web") == ["lo"]
    ground.macvnet("rm", "asks").checked()


def test_unknown_container_is_not_found(ground: Ground, runtime: Runtime) -> None:
    hint = refused(ground.macvnet("connect", "net", runtime.target("nope")), NOT_FOUND, "'nope'")
    assert hint


def test_mistyped_container_has_the_nearest_one_as_hint(ground: Ground, runtime: Runtime) -> None:
    there = runtime.make("frontend")
    for typed in (runtime.target("frontent"), "frontent"):
        hint = refused(ground.macvnet("connect", "net", typed), NOT_FOUND, "'frontent'")
        # What makes containers by another one's means is known to both.
        assert hint.startswith("did you mean ") and hint.endswith(":frontend?")
        assert ":" not in typed or hint == f"did you mean {there}?"
    ground.macvnet("connect", "--dry-run", "net", there).checked()


def test_stopped_container_is_refused_and_what_is_recorded_of_it_can_be_freed(
    ground: Ground, runtime: Runtime
) -> None:
    target = runtime.make("web")
    attach(ground, target)
    runtime.stop("web")
    hint = refused(ground.macvnet("connect", "net", target), CONFLICT, "web", "does not run")
    assert "web" in hint and "macvnet reserve NETWORK" in hint
    ground.macvnet("disconnect", "net", target).checked()
    ground.macvnet("rm", "net").checked()


def test_container_in_the_network_of_the_host_is_refused(ground: Ground, runtime: Runtime) -> None:
    before = ground.lab.host.snapshot()
    target = runtime.make("web", host=True)
    hint = refused(ground.macvnet("connect", "net", target), CONFLICT, "the network of the host")
    assert "network" in hint or "net" in hint
    assert before.changes(ground.lab.host.snapshot()) == []


def test_containers_that_share_a_sandbox_are_one(ground: Ground, runtime: Runtime) -> None:
    """The second has the interface that was made for the first."""
    one = runtime.make("one")
    two = runtime.make("two", shares="one")
    joined = attach(ground, one)
    assert runtime.link("two") == (joined.mac, joined.addresses)
    refused(ground.macvnet("connect", "net", two), CONFLICT, "already")
    ground.macvnet("disconnect", "net", two).checked()
    assert runtime.links("one") == ["lo"]


def names(result: Result) -> list[str]:
    (document,) = result.checked().json()
    return [one["Name"] for one in document["Containers"].values()]


def test_bare_name_is_looked_up_in_every_runtime(ground: Ground, runtime: Runtime) -> None:
    """Where two have it, they are told apart by their runtime."""
    target = runtime.make("web")
    ground.macvnet("connect", "net", "web").checked()
    assert len(names(ground.macvnet("inspect", "net"))) == 1
    ground.macvnet("disconnect", "net", "web").checked()
    ground.run("ip", "netns", "add", "web").checked()
    try:
        hint = refused(ground.macvnet("connect", "net", "web"), CONFLICT, "several runtimes")
        assert hint == f"netns:web or {target}"
        assert names(ground.macvnet("inspect", "net")) == []
        ground.macvnet("connect", "net", target).checked()
        assert runtime.links("web") == ["lo", "eth0"]
    finally:
        ground.run("ip", "netns", "del", "web").checked()


def test_containers_that_run_are_offered_by_the_tab_key(ground: Ground, runtime: Runtime) -> None:
    runtime.make("web")
    runtime.make("wall")
    assert {runtime.target("web"), runtime.target("wall")} <= set(looked_up(ground, ""))
    assert looked_up(ground, f"{runtime.word}:we") == [runtime.target("web")]
    assert "wall" in looked_up(ground, "wa")


def test_presence_of_a_container_is_seen_by_inspect(ground: Ground, runtime: Runtime) -> None:
    """It runs, with its link; stopped, it is not shown as connected; nobody is asked."""
    target = runtime.make("web")
    attach(ground, target)
    assert len(names(ground.macvnet("inspect", "net"))) == 1
    runtime.stop("web")
    assert names(ground.macvnet("inspect", "net")) == []
    runtime.again("web")
    assert names(ground.macvnet("inspect", "net")) == []
    ground.macvnet("restore").checked()
    assert len(names(ground.macvnet("inspect", "net"))) == 1
