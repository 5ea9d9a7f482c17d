"""A machine in distress: macvnet says so, in a sentence with a hint, and leaves nothing behind."""

from __future__ import annotations

import pytest

from tests.kernel.steps import LAN, create, refused
from tests.lab import Lab, Result, executable

KERNEL, STORE = 8, 9
FEWEST = 5
"""Below, Python itself does not start."""
OTHER = ("create", "--subnet=10.1.0.0/24", "-o", "parent=eth0", "-o", "share_parent=1", "other")


def test_process_that_may_open_no_more_files(lab: Lab) -> None:
    """One more each time, until it is enough: at every point that opens something."""
    host, target = lab.host, lab.container()
    create(host, "lan", *LAN)
    for command in (("connect", "lan", target.target), ("doctor", "lan"), OTHER):
        before = (host.snapshot(), target.snapshot())
        statuses = []
        for limit in range(FEWEST, 40):
            done = host.run("prlimit", f"--nofile={limit}", executable(), *command)
            statuses.append(done.status)
            if done.ok:
                break
            assert refused(done, done.status, "may open no more") == "ulimit -n 1024"
            left = [s.changes(m.snapshot()) for s, m in zip(before, (host, target), strict=True)]
            assert left == [[], []], done
        assert statuses.pop() == 0 and len(statuses) > 1
        assert set(statuses) <= {KERNEL, STORE}, statuses
    assert host.macvnet("check").checked().lines == []


def without(lab: Lab, spoil: str, *words: str) -> Result:
    """macvnet where a shell has spoilt the mounts, or the limits, of its own."""
    script = f'{spoil}; exec "$@"'
    return lab.host.run("unshare", "--mount", "sh", "-c", script, "sh", executable(), *words)


@pytest.mark.parametrize(
    ("spoil", "word", "hint"),
    [
        ("umount -l /proc", "/proc is not mounted here", "findmnt -R /proc"),
        ("mount -t tmpfs none /proc/sys", "/proc is not mounted here", "findmnt -R /proc"),
        (
            "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
            "read-only here",
            "mount -o remount,rw /proc/sys",
        ),
    ],
    ids=["no-proc", "no-sysctls", "read-only-sysctls"],
)
def test_kernel_s_folders_that_are_not_there(lab: Lab, spoil: str, word: str, hint: str) -> None:
    host, target = lab.host, lab.container()
    create(host, "lan", *LAN)
    before = target.snapshot()
    done = without(lab, spoil, "connect", "lan", target.target)
    assert refused(done, KERNEL, word) == hint
    assert before.changes(target.snapshot()) == []
    assert host.macvnet("check").checked().lines == []


FULL = "mount -t tmpfs -o size=4k none /mnt; mkdir -m 700 /mnt/s; cat /dev/zero >/mnt/f"


@pytest.mark.parametrize(
    ("spoil", "word", "hint"),
    [
        (f"({FULL}) 2>/dev/null", "no space is left", "df -h /mnt/s"),
        (
            "mount -t tmpfs -o nr_inodes=1 none /mnt",
            "no space is left there (No space left on device)",
            "df -h /mnt; df -i /mnt",
        ),
        ("mount -t tmpfs -o ro none /mnt", "it is read-only there", "findmnt -T /mnt"),
        ("mount -t tmpfs none /mnt; touch /mnt/s", "is not a directory", "--state-dir DIR"),
        ("mount -t tmpfs none /mnt; ln -s s /mnt/s", "lead in a circle", "namei -l /mnt/s"),
    ],
    ids=["full", "no-inode", "read-only", "file", "circle"],
)
def test_state_that_cannot_be_kept(lab: Lab, spoil: str, word: str, hint: str) -> None:
    before = lab.host.snapshot()
    done = without(lab, f"{spoil}; export MACVNET_STATE_DIR=/mnt/s", *OTHER)
    assert refused(done, STORE, word, "'/mnt/s") == hint
    assert before.changes(lab.host.snapshot()) == []


def test_output_that_cannot_be_written(lab: Lab) -> None:
    done = lab.host.run("sh", "-c", f"{executable()} ls >/dev/full")
    word = "cannot write to the standard output: no space is left there"
    assert refused(done, KERNEL, word) == "df -h /dev/full; df -i /dev/full"
