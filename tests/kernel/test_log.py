"""The log on the real kernel: each change is in it, in the order in which it was made."""

from __future__ import annotations

import json
import stat

from tests.kernel.steps import LAN, create
from tests.lab import Lab


def test_the_log_has_what_verbose_prints(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    target = lab.named("web")
    shown = lab.host.macvnet("--verbose", "connect", "net", "netns:web").checked()
    lab.host.macvnet("connect", "net", "netns:nosuch")
    lab.host.macvnet("ls").checked()
    lab.host.macvnet("disconnect", "--dry-run", "net", "netns:web").checked()
    lab.host.macvnet("disconnect", "net", "netns:web").checked()
    entries = [json.loads(line) for line in lab.host.macvnet("log", "--format=json").lines]
    assert [(one["arguments"][0], one["status"]) for one in entries] == [
        ("create", 0),
        ("--verbose", 0),
        ("connect", 4),
        ("disconnect", 0),
    ]
    printed = [line[2:] for line in shown.stderr.splitlines() if line.startswith("+ ")]
    assert entries[1]["operations"] == printed
    assert any("link add" in command for command in printed)
    assert any("link del" in command for command in entries[3]["operations"])
    assert "netns:nosuch" in entries[2]["errors"][0] or "nosuch" in entries[2]["errors"][0]
    assert target.links() == ["lo"]
    assert stat.S_IMODE((lab.state_dir / "commands.log").stat().st_mode) == 0o600


def test_a_command_run_has_its_entry_when_it_ends(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    done = lab.host.macvnet("run", "--net", "net", "--", "sh", "-c", "exit 7")
    assert done.status == 7
    assert lab.host.macvnet("run", "-d", "--net", "net", "--", "true").checked()
    attended, detached = lab.host.macvnet("log", "-n", "2", "--format=json").lines
    assert json.loads(attended)["status"] == 7
    assert json.loads(detached)["status"] == 0
