"""Whatever errno the kernel answers with, whenever: a sentence with the value, and a hint.

The errnos take turns, so that each of them comes at several points, and each point
of a command meets one that nobody has foreseen there.
"""

from __future__ import annotations

import os
import re

import pytest

from macvnet import errors
from tests.kernel.steps import CONFLICT, NOT_FOUND, REQUEST, struck
from tests.lab import Lab, Result
from tests.lab.faults import BEYOND, NUMBERS

CREATE = (
    "create --subnet=172.16.86.0/24 --gateway=172.16.86.1 --subnet=fd00:9::/64 "
    "--gateway=fd00:9::1 -o parent=eth0 -o com.docker.network.advertise_addr_nmsgs=1 lan"
)
ACCESS = CREATE.replace("create", "create --host-access")
CONNECT = "connect lan TARGET"
STATUSES = {
    *(REQUEST, NOT_FOUND, CONFLICT, errors.PermissionDenied.exit_status),
    *(errors.KernelRefused.exit_status, errors.DifferencesFound.exit_status),
    errors.PartlyDone.exit_status,
}
STEP = 29
"""Has no divisor in common with the number of errnos, so that the turns reach all of them."""
NAMED = re.compile(r"'|TARGET|eth0|\bnet\.|network (configuration|namespace)|links|\bip ")


# `make soak` goes through all of them at each point.
ROUNDS = len(NUMBERS) if os.environ.get("MACVNET_TEST_FAULTS") else 2


def wording(result: Result, target: str) -> str:
    """What is wrong with the words on stderr; "" if nothing is."""
    lines = [line for line in result.stderr.splitlines() if "macvnet: note: " not in line]
    if "[Errno" in result.stderr or "Traceback" in result.stderr or "a bug in" in result.stderr:
        return "a person cannot read that"
    if result.status == 0:
        return "" if not lines else "an error, and exit status 0"
    if result.status not in STATUSES:
        return "this is no exit status for it"
    if result.status == errors.DifferencesFound.exit_status and not lines:
        return ""
    if len(lines) != 2 or not lines[0].startswith("macvnet: ") or len(lines[1]) <= len("hint: "):
        return "not a sentence and a hint"
    return "" if NAMED.search(lines[0].replace(target, "TARGET")) else "it names nothing"


@pytest.mark.parametrize(
    ("setup", "command", "again"),
    [
        ((), CREATE, "rm lan"),
        ((CREATE,), CONNECT, "disconnect lan TARGET"),
        ((CREATE, CONNECT), "disconnect lan TARGET", CONNECT),
        ((CREATE, CONNECT), "doctor", ""),
        ((CREATE, CONNECT), "repair", ""),
        ((CREATE, CONNECT, "target ip link del eth0"), "restore", "target ip link del eth0"),
        ((ACCESS,), "rm lan", ACCESS),
    ],
    ids=lambda value: value.partition(" ")[0] if isinstance(value, str) else None,
)
def test_every_errno_at_every_message(
    lab: Lab, setup: tuple[str, ...], command: str, again: str
) -> None:
    host, target = lab.host, lab.container()

    def words(line: str) -> list[str]:
        return line.replace("TARGET", target.target).split()

    def play(line: str) -> None:
        if line.startswith("target "):
            target.run(*line.split()[1:])
        elif line:
            # A step that failed may have been the last one, or none may have been undone.
            done = host.macvnet(*words(line), fork=True)
            assert done.status in (0, NOT_FOUND, CONFLICT), done

    for line in setup:
        play(line)
    turn, rounds = 0, 0
    point = 0
    while rounds < ROUNDS:
        point, turn = point + 1, turn + STEP
        number = NUMBERS[turn % len(NUMBERS)]
        done = struck(host, str(number), point, *words(command))
        if done.status == BEYOND:
            assert point > 1
            rounds, point = rounds + 1, 0
        wrong = wording(done._replace(status=done.status % BEYOND), target.target)
        assert not wrong, f"{wrong}: {os.strerror(number)} at point {point}: {done}"
        play(again)


def test_the_turns_reach_every_errno() -> None:
    assert len({(point * STEP) % len(NUMBERS) for point in range(len(NUMBERS))}) == len(NUMBERS)
