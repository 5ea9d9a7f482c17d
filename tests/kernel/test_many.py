"""Many containers in one command: --batch, --all, several PIDs; one refused, or all as one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.kernel.steps import CONFLICT, EXHAUSTED, LAN, NOT_FOUND, REQUEST, create, join
from tests.lab import Lab, Named, Result
from tests.lab.command import executable

PARTLY = 13
IN_PARTS_OF_64 = ("prlimit", f"--nofile={2 * 64 * 3 + 160}")
"""Two parts, one open while the other is at work, are as large as the open files allow."""


def several(lab: Lab, count: int) -> list[Named]:
    return [lab.named(f"c{number}") for number in range(count)]


def batch(lab: Lab, lines: Sequence[str]) -> str:
    file = lab.folder / "batch"
    file.write_text("".join(f"{line}\n" for line in lines))
    return str(file)


def complaints(done: Result) -> list[str]:
    """What is said on stderr, without notes and hints."""
    lines = done.stderr.splitlines()
    return [line for line in lines if not line.startswith(("macvnet: note: ", "hint: "))]


def agrees(lab: Lab) -> None:
    assert lab.host.macvnet("check").checked().lines == []


def has_joined(target: Named) -> bool:
    """Whether it has one endpoint, with its address."""
    links = target.links()
    if links == ["lo"]:
        return False
    assert links == ["lo", "eth0"] and len(target.addresses()) == 1
    return True


def recorded(lab: Lab) -> int:
    return len(lab.host.macvnet("state", "export").checked().json()["endpoints"])


def test_batch_connects_each_line_with_its_own_options(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    plain, fixed, quoted = several(lab, 3)
    lines = [
        "# three of them",
        "",
        f"  {plain.target}   # the next free address",
        f"{fixed.target} --ip 172.16.86.40 --ifname=lan0 --alias=db --alias=sql",
        f"'{quoted.target}' --mac-address \"02:00:00:00:00:07\"\r",
    ]
    done = lab.host.macvnet("connect", "--batch", batch(lab, lines), "net").checked()
    assert done.stdout == ""
    assert plain.addresses() == ["172.16.86.2/24"]
    assert fixed.addresses("lan0") == ["172.16.86.40/24"]
    assert quoted.mac() == "02:00:00:00:00:07"
    assert all(target.ping("172.16.86.1") for target in (plain, fixed, quoted))
    agrees(lab)
    shown = lab.host.macvnet("inspect", "net").checked().json()[0]
    assert len(shown["Containers"]) == 3
    lab.host.macvnet("disconnect", "--batch", "-", "net", stdin=f"{plain.target}\n").checked()
    assert plain.links() == ["lo"] and recorded(lab) == 2


def test_options_before_the_network_are_for_all_lines_that_do_not_say_otherwise(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    one, other = several(lab, 2)
    lines = [one.target, f"{other.target} --ifname own0"]
    file = batch(lab, lines)
    lab.host.macvnet("connect", "--ifname", "all0", "--batch", file, "net").checked()
    assert one.links() == ["lo", "all0"] and other.links() == ["lo", "own0"]
    for flag in ("--ip=172.16.86.9", "--mac-address=02:00:00:00:00:09", "--ip6-token=::9"):
        done = lab.host.macvnet("connect", flag, "--batch", file, "net")
        assert done.status == REQUEST and "is for one container" in done.stderr


def test_refused_lines_are_named_and_leave_the_others_done(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    first, second, third = several(lab, 3)
    lines = [
        first.target,
        "netns:nowhere",
        f"{second.target} --ip 10.0.0.1",
        f"{second.target} --ifnane lan0",
        "'unclosed",
        f"{first.target}",
        f"{third.target} extra",
        third.target,
    ]
    done = lab.host.macvnet("connect", "--batch", batch(lab, lines), "net")
    assert done.status == PARTLY
    told = complaints(done)
    assert sorted(line.split()[2].rstrip(":") for line in told[:-1]) == list("234567")
    assert all(line.startswith("macvnet: line ") for line in told[:-1])
    assert told[-1] == "macvnet: 6 of 8 containers were not connected, the other 2 were"
    assert first.addresses() and third.addresses() and second.links() == ["lo"]
    assert recorded(lab) == 2
    agrees(lab)
    gone = lab.host.macvnet("disconnect", "--batch", batch(lab, lines[:1] + lines[1:2]), "net")
    assert gone.status == PARTLY and first.links() == ["lo"] and recorded(lab) == 1


def test_where_nothing_could_be_done_the_status_is_that_of_the_first_refusal(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    file = batch(lab, ["netns:nowhere", "netns:neither"])
    done = lab.host.macvnet("connect", "--batch", file, "net")
    assert done.status == NOT_FOUND and "nothing was connected" in done.stderr
    done = lab.host.macvnet("disconnect", "--batch", file, "net")
    assert done.status == NOT_FOUND and "nothing was disconnected" in done.stderr
    assert lab.host.macvnet("connect", "--batch", file, "no-such-net").status == NOT_FOUND
    assert lab.host.macvnet("connect", "--batch", "/nonexistent", "net").status == NOT_FOUND


@pytest.mark.parametrize("bad", ["netns:nowhere", "TARGET --ip 172.16.86.2", "'open", "FIRST"])
def test_atomic_batch_with_one_bad_line_leaves_nothing(lab: Lab, bad: str) -> None:
    create(lab.host, "net", *LAN)
    targets = several(lab, 4)
    bad = bad.replace("TARGET", targets[3].target).replace("FIRST", targets[0].target)
    before = [machine.snapshot() for machine in (lab.host, *targets)]
    file = batch(lab, [*(target.target for target in targets[:3]), bad])
    done = lab.host.macvnet("connect", "--atomic", "--batch", file, "net")
    assert done.status in (REQUEST, NOT_FOUND, CONFLICT)
    assert [line.split()[:3] for line in complaints(done)] == [["macvnet:", "line", "4:"]]
    assert "nothing was connected" in done.stderr
    after = [machine.snapshot() for machine in (lab.host, *targets)]
    assert [old.changes(new) for old, new in zip(before, after, strict=True)] == [[]] * 5
    assert recorded(lab) == 0
    # The addresses are free again, and the same three go in at once.
    file = batch(lab, [target.target for target in targets[:3]])
    lab.host.macvnet("connect", "--atomic", "--batch", file, "net").checked()
    assert [t.addresses() for t in targets[:3]] == [[f"172.16.86.{n}/24"] for n in (2, 3, 4)]


def test_atomic_disconnect_with_one_bad_line_leaves_all_connected(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    targets = several(lab, 3)
    lab.host.macvnet("attach", *(target.target for target in targets)).checked()
    before = [machine.snapshot() for machine in (lab.host, *targets)]
    file = batch(lab, [*(target.target for target in targets), "netns:nowhere"])
    done = lab.host.macvnet("disconnect", "--atomic", "--batch", file, "net")
    assert done.status == NOT_FOUND and "nothing was disconnected" in done.stderr
    after = [machine.snapshot() for machine in (lab.host, *targets)]
    assert [old.changes(new) for old, new in zip(before, after, strict=True)] == [[]] * 4
    agrees(lab)
    lab.host.macvnet("disconnect", "--atomic", "--all", "net").checked()
    assert [target.links() for target in targets] == [["lo"]] * 3 and recorded(lab) == 0


def test_pool_that_ends_in_the_middle(lab: Lab) -> None:
    create(lab.host, "net", "--subnet=172.16.86.0/29", "--gateway=172.16.86.1", "-o", "parent=eth0")
    targets = several(lab, 7)
    words = [target.target for target in targets]
    done = lab.host.macvnet("attach", "--network", "net", "--atomic", *words)
    assert done.status == EXHAUSTED and done.stdout == "" and recorded(lab) == 0
    done = lab.host.macvnet("attach", "--network", "net", *words)
    assert done.status == PARTLY and len(done.lines) == 5
    assert sum(1 for target in targets if has_joined(target)) == 5
    agrees(lab)
    # What is dead makes room for the rest.
    for target in targets[:3]:
        target.close()
    done = lab.host.macvnet("attach", "--network", "net", *words[5:]).checked()
    assert done.stderr.count("was freed for another") == 2
    agrees(lab)


def test_attach_of_several_names_each_and_detach_takes_them_out(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    containers = [lab.container() for _ in range(3)]
    words = [container.target for container in containers]
    done = lab.host.macvnet("attach", *words).checked()
    assert done.lines == [
        f"{word} eth0 {container.mac()} 172.16.86.{number}/24 gateway 172.16.86.1"
        for number, (word, container) in enumerate(zip(words, containers, strict=True), 2)
    ]
    lab.host.macvnet("detach", *words).checked()
    done = lab.host.macvnet("attach", "--format=json", *words).checked()
    assert [item["container"] for item in done.json()] == [f"pid:{word}" for word in words]
    assert lab.host.macvnet("attach", "--ip=172.16.86.9", *words).status == REQUEST
    assert lab.host.macvnet("attach", "--network=net,ip=172.16.86.9", *words).status == REQUEST
    done = lab.host.macvnet("detach", words[0], "netns:nowhere", words[1])
    assert done.status == PARTLY
    assert [container.links() for container in containers] == [["lo"], ["lo"], ["lo", "eth0"]]
    agrees(lab)


def test_two_names_of_one_sandbox(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    target = lab.named("web")
    names = [target.target, "/run/netns/web"]
    done = lab.host.macvnet("connect", "--batch", batch(lab, names), "net")
    assert done.status == PARTLY and "line 2: " in done.stderr and "already" in done.stderr
    assert target.links() == ["lo", "eth0"] and recorded(lab) == 1
    done = lab.host.macvnet("disconnect", "--batch", batch(lab, names), "net")
    assert done.status == PARTLY and "line 2: " in done.stderr
    assert target.links() == ["lo"] and recorded(lab) == 0
    done = lab.host.macvnet("connect", "--atomic", "--batch", batch(lab, names), "net")
    assert done.status == CONFLICT and target.links() == ["lo"] and recorded(lab) == 0


def test_all_takes_out_the_living_and_the_dead(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    create(
        lab.host,
        "next",
        "--subnet=172.16.87.0/24",
        "--gateway=172.16.87.1",
        "-o",
        "parent=eth0",
        "-o",
        "share_parent=1",
    )
    living, dead, both = several(lab, 3)
    bare = lab.container()
    everybody = [each.target for each in (living, dead, both, bare)]
    lab.host.macvnet("attach", "--network", "net", *everybody).checked()
    join(lab.host, both, "next")
    assert (both.default_route() or {})["dev"] == "eth0"
    dead.close()
    bare.kill()
    lab.host.macvnet("disconnect", "--all", "net").checked()
    assert living.links() == ["lo"] and both.links() == ["lo", "eth1"]
    # The route goes to the heir, as when one is disconnected.
    assert (both.default_route() or {})["dev"] == "eth1"
    assert recorded(lab) == 1
    agrees(lab)
    done = lab.host.macvnet("disconnect", "--all", "net").checked()
    assert "nothing to do" in done.stderr
    lab.host.macvnet("rm", "net").checked()


def test_dry_run_foresees_different_addresses_and_changes_nothing(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    targets = several(lab, 3)
    file = batch(lab, [*(target.target for target in targets), "netns:nowhere"])
    done = lab.host.macvnet("connect", "--dry-run", "--batch", file, "net")
    assert done.status == PARTLY
    for number in (2, 3, 4):
        assert f"172.16.86.{number}/24" in done.stdout
    assert recorded(lab) == 0 and all(target.links() == ["lo"] for target in targets)
    lab.host.macvnet("attach", *(target.target for target in targets)).checked()
    done = lab.host.macvnet("disconnect", "--dry-run", "--all", "net").checked()
    assert done.stdout.count("remove link eth0") == 3 and recorded(lab) == 3


def test_usage(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    file = batch(lab, [])
    for words, message in (
        (("connect", "net"), "'connect' requires exactly 2 arguments"),
        (("disconnect", "net"), "'disconnect' requires exactly 2 arguments"),
        (("connect", "--batch", file, "net", "web"), "in a batch and one as an argument"),
        (("connect", "--atomic", "net", "web"), "--atomic is for many"),
        (("disconnect", "--all", "net", "web"), "one as an argument"),
        (("disconnect", "--all", "--batch", file, "net"), "both say which"),
    ):
        done = lab.host.macvnet(*words)
        assert done.status == 2 and message in done.stderr, done
    done = lab.host.macvnet("connect", "--batch", file, "net").checked()
    assert "nothing to do" in done.stderr


def test_one_sync_records_a_part_and_more_than_one_part_works(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    targets = several(lab, 70)
    file = batch(lab, [target.target for target in targets])
    lab.host.run(*IN_PARTS_OF_64, executable(), "connect", "--batch", file, "net").checked()
    held = [address for target in targets for address in target.addresses()]
    assert held == [f"172.16.86.{number}/24" for number in range(2, 72)]
    agrees(lab)
    lab.host.run(*IN_PARTS_OF_64, executable(), "disconnect", "--batch", file, "net").checked()
    assert {tuple(target.links()) for target in targets} == {("lo",)} and recorded(lab) == 0


def test_container_named_again_in_another_part_is_told_what_became_of_it(lab: Lab) -> None:
    """It is looked for while it is still connected, or not yet."""
    create(lab.host, "net", *LAN)
    targets = several(lab, 66)
    lines = [*(target.target for target in targets), targets[1].target, targets[0].target]
    file = batch(lab, lines)
    program = (*IN_PARTS_OF_64, executable())
    done = lab.host.run(*program, "connect", "--batch", file, "net")
    assert done.status == PARTLY
    told = complaints(done)[:-1]
    assert [line.split()[2] for line in told] == ["67:", "68:"]
    assert all("is connected to network 'net' already" in line for line in told)
    agrees(lab)
    done = lab.host.run(*program, "disconnect", "--batch", file, "net")
    assert done.status == PARTLY
    told = complaints(done)[:-1]
    assert [line.split()[2] for line in told] == ["67:", "68:"]
    assert all("is not connected to network 'net' any more" in line for line in told)
    assert {tuple(target.links()) for target in targets} == {("lo",)} and recorded(lab) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_interrupted_batch_leaves_nothing_half_made(lab: Lab, number: int) -> None:
    create(lab.host, "net", *LAN)
    targets = several(lab, 130)
    file = batch(lab, [target.target for target in targets])
    running = lab.host.start(
        *IN_PARTS_OF_64, executable(), "connect", "--batch", file, "net", stderr=subprocess.PIPE
    )
    while not any(target.links() != ["lo"] for target in targets[64:66]):
        time.sleep(0.005)
        assert running.poll() is None
    running.send_signal(number)
    running.wait()
    if number == signal.SIGKILL:
        lab.host.macvnet("repair").checked()
    agrees(lab)
    joined = [target for target in targets if has_joined(target)]
    assert recorded(lab) == len(joined)
    assert 64 <= len(joined) <= 128 or len(joined) == 130
    assert all(target.links() == ["lo"] for target in targets if target not in joined)
    lab.host.macvnet("disconnect", "--all", "net").checked()
    assert all(target.links() == ["lo"] for target in targets) and recorded(lab) == 0


def test_links_that_are_refused_leave_nothing_while_others_are_made(lab: Lab) -> None:
    """More than are reserved at once; what the kernel refuses is undone when the rest is done."""
    create(lab.host, "net", *LAN)
    targets = several(lab, 80)
    taken = targets[3::9]
    for target in taken:
        target.ip("link", "add", "lan0", "type", "veth", "peer", "name", "other")
    file = batch(lab, [target.target for target in targets])
    done = lab.host.macvnet("connect", "--ifname", "lan0", "--batch", file, "net")
    assert done.status == PARTLY
    assert [line.split(":")[1].strip() for line in complaints(done)[:-1]] == [
        f"line {number}" for number in range(4, 81, 9)
    ]
    for target in targets:
        assert sorted(target.links()) == sorted(
            ["lo", "lan0", "other"] if target in taken else ["lo", "lan0"]
        )
    assert recorded(lab) == len(targets) - len(taken)
    agrees(lab)


def hands_of(pid: int) -> list[int]:
    """The processes that work for a command."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(one) for one in children if _comm(one) == "macvnet-hand"]
    return []


def _comm(pid: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def test_processes_that_help_may_be_killed_and_all_is_done_all_the_same(lab: Lab) -> None:
    create(lab.host, "net", *LAN, "--subnet=2001:db8:86::/64")
    targets = several(lab, 160)
    file = batch(lab, [target.target for target in targets])
    for words, links, endpoints in (
        (("connect", "--batch", file, "net"), ["lo", "eth0"], 160),
        (("disconnect", "--batch", file, "net"), ["lo"], 0),
    ):
        running = lab.host.start(
            executable(), *words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        killed: set[int] = set()
        while running.poll() is None:
            for hand in hands_of(running.pid):
                # Some at once, some when they have done a few.
                time.sleep(0.01 * (len(killed) % 3))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(hand, signal.SIGKILL)
                killed.add(hand)
        assert running.wait() == 0 and killed
        assert all(target.links() == links for target in targets) and recorded(lab) == endpoints
        agrees(lab)


def test_what_others_have_done_for_a_command_is_in_its_log(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    targets = several(lab, 70)
    file = batch(lab, [target.target for target in targets])
    done = lab.host.macvnet("connect", "--ifname", "lan0", "--batch", file, "net").checked()
    assert done.stdout == ""
    lab.host.macvnet("disconnect", "--batch", file, "net").checked()
    lines = lab.host.macvnet("log", "-n", "2", "--format=json").checked().lines
    made, taken = (json.loads(line) for line in lines)
    for word, entry in (("link add", made), ("address add", made), ("link delete", taken)):
        assert sum(word in text for text in entry["operations"]) == 70, entry["operations"][:9]


def test_two_batches_at_once_in_opposite_order(lab: Lab) -> None:
    """Each has locks that the other one wants; every container gets one endpoint."""
    create(lab.host, "net", *LAN)
    targets = several(lab, 40)
    words = [target.target for target in targets]
    started = [
        lab.host.start(
            executable(),
            "attach",
            "--network",
            "net",
            *order,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for order in (words, words[::-1])
    ]
    assert all(each.wait(60) in (0, CONFLICT, PARTLY) for each in started)
    held = [address for target in targets for address in target.addresses()]
    assert len(held) == len(set(held)) == 40 == recorded(lab)
    agrees(lab)
