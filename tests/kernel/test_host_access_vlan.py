"""Host access on a VLAN: on a sub-interface that macvnet makes, and removes."""

from __future__ import annotations

import pytest

from tests.kernel.steps import CONFLICT, create, join, notes, refused
from tests.kernel.test_host_access import kinds
from tests.kernel.trunk import after_reboot
from tests.lab import Lab

pytestmark = pytest.mark.needs("vlan")

PARENT, SHIM = "eth0.50", "mvh-eth0.50"
DUAL = (
    *("--subnet=192.168.50.0/24", "--gateway=192.168.50.1"),
    *("--subnet=fd00:50::/64", "--gateway=fd00:50::1", "-o", f"parent={PARENT}"),
)
HOST, HOST6 = "192.168.50.9", "fd00:50::2"


def test_host_and_containers_of_a_vlan_meet_also_after_a_reboot(lab: Lab) -> None:
    host = lab.host
    untouched = host.snapshot()
    hint = refused(
        host.macvnet("create", *DUAL, "--host-access", "lan", fork=True),
        CONFLICT,
        f"the parent {PARENT} has no address",
    )
    assert hint == f"ip address add ADDRESS/24 dev {PARENT}"
    assert untouched.changes(host.snapshot()) == []

    create(host, "lan", *DUAL)
    host.ip("addr", "add", f"{HOST}/24", "dev", PARENT)
    host.macvnet("host-access", "enable", "lan", fork=True).checked()
    web = lab.named("web")
    joined = join(host, web, "lan")
    for mine, theirs in ((HOST, joined.ip), (HOST6, joined.ip6)):
        assert host.ping(theirs) and web.ping(mine)
    assert kinds(host) == []

    web.close()
    with after_reboot(lab, "172.16.86.250/24") as later:
        web = lab.named("web")
        done = later.macvnet("restore", fork=True).checked()
        # Who gave the sub-interface its address has to do so again.
        assert f"the parent {PARENT} has no address in 192.168.50.0/24" in " ".join(notes(done))
        assert done.lines[:2] == [f"link {each} for network lan" for each in (PARENT, SHIM)]
        assert later.ping(joined.ip6) and web.ping(HOST6)
        later.ip("addr", "add", f"{HOST}/24", "dev", PARENT)
        later.macvnet("repair", fork=True).checked()
        assert kinds(later) == [] and later.ping(joined.ip) and web.ping(HOST)
        later.macvnet("detach", web.target, fork=True).checked()
        later.ip("addr", "del", f"{HOST}/24", "dev", PARENT)
        later.macvnet("rm", "lan", fork=True).checked()
        assert sorted(later.links()) == ["eth0", "lo"]
