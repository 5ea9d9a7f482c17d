"""A parent under another name after a boot: found by its permanent MAC, or not at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from macvnet.engine import parent_search
from macvnet.engine.context import Context
from macvnet.kernel import links
from macvnet.kernel.links import LinkInfo
from macvnet.model import Network, Parent
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend

MAC = "02:00:5e:00:53:01"
NETWORK = cast(Network, SimpleNamespace(parent=Parent("eth0", "eth0", 2, MAC, "a boot ago", MAC)))


def link(ifindex: int, name: str, permanent_mac: str = MAC) -> LinkInfo:
    rest: dict[str, Any] = dict.fromkeys(LinkInfo._fields[5:], 0)
    return LinkInfo(ifindex, name, "", MAC, permanent_mac, **rest)


@pytest.mark.parametrize(
    ("present", "found", "renamed"),
    [
        ([link(2, "lan0")], "lan0", True),
        ([link(2, "lan0"), link(3, "eth0", "")], "eth0", False),
        ([link(2, "lan0"), link(3, "lan1")], None, False),
        ([link(2, "lan0", "")], None, False),
    ],
    ids=["one has it", "the old name is taken", "two have it", "none has it"],
)
def test_it_is_the_only_link_with_its_permanent_mac(
    monkeypatch: pytest.MonkeyPatch, present: list[LinkInfo], found: str | None, renamed: bool
) -> None:
    by_name = {one.name: one for one in present}
    monkeypatch.setattr(links, "all_links", lambda netlink: present)
    monkeypatch.setattr(links, "by_name", lambda netlink, name: by_name.get(name))
    ctx = SimpleNamespace(reader=Store(MemoryBackend()), netlink=None, boot_id="this boot")
    seen = parent_search.search(cast(Context, ctx), NETWORK)
    assert (seen.link.name if seen.link else None, seen.renamed) == (found, renamed)
