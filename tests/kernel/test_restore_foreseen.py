"""restore --dry-run says what restore would make, and changes nothing."""

from __future__ import annotations

from tests.kernel.steps import LAN, create, join
from tests.lab import Lab


def test_a_missing_link_is_foreseen_and_then_made(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    target = lab.named("web")
    joined = join(lab.host, target, "net")
    assert lab.host.macvnet("restore", "--dry-run").checked().lines == []
    target.ip("link", "del", "eth0")
    before = (lab.host.snapshot(), target.snapshot(), (lab.state_dir / "state.db-wal").stat())
    foreseen = lab.host.macvnet("restore", "--dry-run").checked()
    assert foreseen.lines == [
        "create endpoint of netns:web in network net",
        "create link eth0 type macvlan in netns:web",
        f"create address {joined.addresses[0]} dev eth0 in netns:web",
    ]
    after = (lab.host.snapshot(), target.snapshot(), (lab.state_dir / "state.db-wal").stat())
    assert [old.changes(new) for old, new in zip(before[:2], after[:2], strict=True)] == [[], []]
    assert before[2].st_size == after[2].st_size
    lab.host.macvnet("restore").checked()
    assert target.mac() == joined.mac
    assert lab.host.macvnet("restore", "--dry-run").checked().lines == []


def test_a_missing_parent_is_named_and_nothing_on_it_is_foreseen(lab: Lab) -> None:
    create(lab.host, "net", *LAN)
    target = lab.named("web")
    join(lab.host, target, "net")
    lab.host.ip("link", "set", "eth0", "down")
    lab.host.ip("link", "del", "eth0")
    done = lab.host.macvnet("restore", "--dry-run")
    assert (done.status, done.stdout) == (12, "")
    assert "the parent eth0 is missing" in done.stderr
