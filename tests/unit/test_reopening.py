"""A process leads to a sandbox only while that is provably the one that was recorded."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from macvnet.engine.reopening import by_pid
from macvnet.kernel.namespaces import Namespace
from macvnet.model import JOINED, Endpoint, Owner, SandboxId


@pytest.mark.parametrize(
    ("boot", "beyond", "leads"), [("this", 0, True), ("another", 0, False), ("this", 1, False)]
)
def test_the_number_leads_to_the_namespace_with_the_recorded_cookie_of_this_boot(
    boot: str, beyond: int, leads: bool
) -> None:
    """Cookies are counted from the same number in every boot."""
    with Namespace.current() as here:
        cookie = here.cookie
    one = Endpoint(
        *("id", "network", "host", JOINED, Owner("pid", "1"), SandboxId(boot, cookie + beyond)),
        *(os.getpid(), "eth0", 2, "02:00:00:00:00:01", (), 1),
    )
    ctx: Any = SimpleNamespace(boot_id="this")
    found = by_pid(ctx, one)
    assert (found is not None) is leads
    if found is not None:
        assert found.namespace.cookie == cookie
        found.namespace.close()
