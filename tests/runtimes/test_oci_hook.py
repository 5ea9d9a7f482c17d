"""The OCI hook, called by a real runc and a real podman."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kernel.steps import CONFLICT, NOT_FOUND, create
from tests.lab import Result
from tests.lab.command import executable
from tests.runtimes.containers import IMAGE, SLEEP, Podman, Runc
from tests.runtimes.ground import Ground, wait_until
from tests.runtimes.test_every_runtime import ROUTER

HOOK = str(Path(executable()).parent / "macvnet-oci-hook")
KEY = "macvnet.network"
INVALID = 3
HOOKS_OF_ITS_OWN = """
rm -rf /run/containers.own
cp -a /usr/share/containers /run/containers.own
mount -t tmpfs hooks /usr/share/containers
cp -a /run/containers.own/. /usr/share/containers
"""
SECOND = (
    "--subnet=172.16.99.0/24",
    "--gateway=172.16.99.1",
    "-o",
    "parent=eth0",
    "-o",
    "share_parent=true",
)


@contextmanager
def hooks_of_its_own(ground: Ground) -> Iterator[None]:
    """Podman's directory of hooks, which can be written and is gone in the end."""
    ground.run("sh", "-ec", HOOKS_OF_ITS_OWN).checked()
    try:
        yield
    finally:
        ground.run("umount", "/usr/share/containers").checked()


def hooked(runc: Runc, name: str, text: str, *flags: str) -> None:
    """A bundle whose config.json has the hook and the annotation."""
    runc.pack(name)
    path = runc.ground.file(runc.bundle(name)) / "config.json"
    config = json.loads(path.read_text())
    call = [{"path": HOOK, "args": ["macvnet-oci-hook", *flags]}]
    config["hooks"] = {"createRuntime": call, "poststop": call}
    config["annotations"] = {KEY: text}
    path.write_text(json.dumps(config))


def started(runc: Runc, name: str) -> Result:
    words = " ".join((*runc.runc, "run", "--detach", "--bundle", runc.bundle(name), name))
    done = runc.ground.run("sh", "-c", f"{words} </dev/null >/run/runc.log 2>&1")
    return done._replace(stderr=runc.ground.file("/run/runc.log").read_text())


def endpoints(ground: Ground, network: str = "net") -> list[dict[str, Any]]:
    (document,) = ground.macvnet("inspect", network).checked().json()
    found: list[dict[str, Any]] = document["Macvnet"]["Endpoints"]
    return found


def targets(ground: Ground, network: str = "net") -> list[str]:
    return [one["Target"] for one in endpoints(ground, network)]


def log(ground: Ground) -> str:
    return ground.macvnet("log").checked().stdout


def test_container_of_runc_finds_its_interface_and_leaves_nothing(
    ground: Ground, runc: Runc
) -> None:
    hooked(runc, "web", "net,ip=172.16.86.140,ifname=lan0")
    try:
        assert started(runc, "web").ok
        mac, addresses = runc.link("web", "lan0")
        assert addresses == ["172.16.86.140/24"] and runc.pings("web", ROUTER)
        [one] = endpoints(ground)
        assert (one["Target"], one["MacAddress"]) == ("runc:web", mac)
        assert ground.macvnet("check").checked().lines == []
        # The same endpoint is the user's to take away, and to make again.
        ground.macvnet("disconnect", "net", "runc:web").checked()
        assert runc.links("web") == ["lo"]
        ground.macvnet("connect", "net", "runc:web").checked()
        runc.stop("web")
        assert targets(ground) == ["runc:web"]
        ground.run("runc", "delete", "web").checked()
        assert targets(ground) == []
        ground.macvnet("rm", "net").checked()
        said = log(ground)
        assert "attach --network=net,ip=172.16.86.140,ifname=lan0 runc:web" in said
        assert "detach --network=net runc:web" in said
    finally:
        runc.remove("web")


def test_container_that_is_refused_does_not_start_and_leaves_nothing(
    ground: Ground, runc: Runc
) -> None:
    """All networks or none; the runtime says why."""
    create(ground, "more", *SECOND)
    for text, status, reason in (
        ("net;nope", NOT_FOUND, "network 'nope' not found"),
        ("net;more,ip=172.16.86.9", INVALID, "172.16.86.9"),
        ("net,ipp=1", INVALID, "unknown key 'ipp' of annotation macvnet.network"),
        ("net,ip=172.16.86.1", CONFLICT, "172.16.86.1"),
    ):
        hooked(runc, "web", text)
        try:
            done = started(runc, "web")
            assert done.status and reason in done.stderr and f"exit status {status}" in done.stderr
            assert not ground.run("runc", "state", "web").ok
            assert targets(ground) == targets(ground, "more") == []
        finally:
            runc.remove("web")
    assert ground.macvnet("check").checked().lines == []


def test_container_in_the_network_of_the_host_is_refused(ground: Ground, runc: Runc) -> None:
    before = ground.lab.host.snapshot()
    hooked(runc, "web", "net")
    config = ground.file(runc.bundle("web")) / "config.json"
    spec = json.loads(config.read_text())
    spaces = spec["linux"]["namespaces"]
    spec["linux"]["namespaces"] = [each for each in spaces if each["type"] != "network"]
    spec["mounts"] = [each for each in spec["mounts"] if each["type"] != "sysfs"]
    config.write_text(json.dumps(spec))
    try:
        assert "shares the network of the host" in started(runc, "web").stderr
        assert before.changes(ground.lab.host.snapshot()) == []
    finally:
        runc.remove("web")


def test_several_networks_and_a_root_of_its_own(ground: Ground, runc: Runc) -> None:
    create(ground, "more", *SECOND)
    other = type("Second", (Runc,), {"root": "/run/second"})(ground)
    hooked(other, "web", "net; more,ifname=two,gw-priority=5", "--root", other.root)
    try:
        assert started(other, "web").ok
        assert other.links("web") == ["lo", "eth0", "two"]
        assert targets(ground) == targets(ground, "more") == ["runc:/run/second/web"]
        # Whoever was connected by hand is not the hook's to free.
        ground.macvnet("disconnect", "more", "runc:/run/second/web").checked()
        create(
            ground,
            "third",
            "--subnet=172.16.98.0/24",
            "-o",
            "parent=eth0",
            "-o",
            "share_parent=true",
        )
        ground.macvnet("connect", "third", "runc:/run/second/web").checked()
        other.stop("web")
        ground.run(*other.runc, "delete", "web").checked()
        assert targets(ground) == []
        assert targets(ground, "third") == ["runc:/run/second/web"]
    finally:
        other.remove("web")


def call(ground: Ground, state: object, *flags: str) -> Result:
    text = state if isinstance(state, str) else json.dumps(state)
    return ground.run(HOOK, *flags, stdin=text)


def told(status: str, pid: int = 0, **more: Any) -> dict[str, Any]:
    state = {"ociVersion": "1.0.2", "id": "web", "status": status, "bundle": "/run/web", **more}
    return {"annotations": {KEY: "net"}, **state, **({"pid": pid} if pid else {})}


def test_end_of_a_former_container_takes_nothing_from_the_one_that_has_its_id_now(
    ground: Ground, runc: Runc
) -> None:
    """runc tells of the end when the ID may be another's already; podman may tell it twice."""
    hooked(runc, "web", "net")
    try:
        assert started(runc, "web").ok
        before = runc.link("web")
        call(ground, told("stopped")).checked()
        assert runc.link("web") == before and targets(ground) == ["runc:web"]
        assert "detach" not in log(ground)
    finally:
        runc.remove("web")
    assert call(ground, told("stopped")).checked().stderr == ""


def test_address_whose_end_nobody_told_goes_to_the_next_container_of_that_name(
    ground: Ground, runc: Runc
) -> None:
    """As after a loss of power; and gc frees it where none comes."""
    hooked(runc, "web", "net")
    path = ground.file(runc.bundle("web")) / "config.json"
    config = json.loads(path.read_text())
    del config["hooks"]["poststop"]
    path.write_text(json.dumps(config))
    try:
        assert started(runc, "web").ok
        before = runc.link("web")
        ground.run("runc", "delete", "--force", "web").checked()
        assert targets(ground) == ["runc:web"]
        assert started(runc, "web").ok
        assert runc.link("web") == before and targets(ground) == ["runc:web"]
        ground.run("runc", "delete", "--force", "web").checked()
        ground.macvnet("gc", "--grace", "0").checked()
        assert targets(ground) == []
    finally:
        runc.remove("web")


def test_reserved_address_is_the_containers_at_each_start(ground: Ground, runc: Runc) -> None:
    ground.macvnet("reserve", "--ip", "172.16.86.150", "net", "runc:web").checked()
    hooked(runc, "web", "net")
    try:
        for _ in range(2):
            assert started(runc, "web").ok
            assert runc.link("web")[1] == ["172.16.86.150/24"]
            ground.run("runc", "delete", "--force", "web").checked()
            assert targets(ground) == []
    finally:
        runc.remove("web")


def test_what_is_no_call_of_a_runtime_is_refused(ground: Ground, runc: Runc) -> None:
    del runc
    for state, status, reason in (
        ("", INVALID, "not the state"),
        ("[" * 100_000, INVALID, "not the state"),
        ({"id": "web"}, INVALID, "not the state"),
        (told("creating", annotations={KEY: 1}), INVALID, "not the state"),
        (told("creating", id="../web", pid=1), INVALID, "'../web' is no ID"),
        (told("running"), INVALID, "'running'"),
        (told("creating"), CONFLICT, "no process"),
        (told("creating", 4_000_000), NOT_FOUND, "there is no process 4000000"),
        (told("creating", annotations={"macvnet.net": "net"}), INVALID, "'macvnet.net'"),
    ):
        done = call(ground, state)
        assert (done.status, done.stdout) == (status, "") and reason in done.stderr, done
    for flags, reason in ((("--nope",), "--nope"), (("x",), "'x'"), (("--root", "x"), "'x'")):
        done = call(ground, told("stopped"), *flags)
        assert done.status in (2, INVALID) and reason in done.stderr
    assert call(ground, told("creating", annotations=None)).checked().stderr == ""
    assert "createRuntime" in call(ground, "", "--help").checked().stdout
    assert targets(ground) == []


def test_rootless_container_is_refused_with_the_reason(ground: Ground) -> None:
    state = json.dumps(told("creating", 1))
    done = ground.run("unshare", "--user", "--map-root-user", HOOK, stdin=state)
    assert done.status == CONFLICT and "rootless" in done.stderr
    assert "macvnet attach PID" in done.stderr


def test_container_of_podman_is_connected_by_its_annotation_at_each_start(
    ground: Ground, podman: Podman
) -> None:
    """Through the file that integrate writes, where podman looks by itself."""
    with hooks_of_its_own(ground):
        try:
            [path] = ground.macvnet("integrate", "podman", "--install").checked().lines
            assert ground.file(path).is_file()
            words = ("--network", "none", "--annotation", f"{KEY}=net ip=172.16.86.141")
            run = (
                "run",
                "--detach",
                "--name",
                "web",
                "--cap-add",
                "NET_RAW",
                *words,
                IMAGE,
                *SLEEP,
            )
            podman.docker(*run).checked()
            assert podman.link("web")[1] == ["172.16.86.141/24"] and podman.pings("web", ROUTER)
            assert targets(ground) == ["podman:web"]
            podman.docker("restart", "--time", "0", "web").checked()
            assert podman.link("web")[1] == ["172.16.86.141/24"]
            podman.docker("rename", "web", "shop").checked()
            podman.docker("kill", "shop").checked()
            # Podman's own cleanup tells of the end, some time after it.
            wait_until(lambda: targets(ground) == [], "the address is not freed")
            podman.docker("rm", "--force", "shop").checked()
            words = ("--network", "none", "--annotation", f"{KEY}=nope")
            done = podman.docker("run", "--detach", "--name", "web", *words, IMAGE, *SLEEP)
            assert done.status and "network 'nope' not found" in done.stderr
            ground.macvnet("integrate", "podman", "--remove").checked()
            assert not ground.file(path).exists()
        finally:
            podman.remove("web")
            podman.remove("shop")
