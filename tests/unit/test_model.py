"""What is recorded comes back as it was, by either way of writing it."""

from __future__ import annotations

from macvnet import jsontext
from macvnet.addresses import Address
from macvnet.model import JOINED, Assigned, Endpoint, Owner, Routing, SandboxId

LEAST = Endpoint(
    *("id", "network", "host", JOINED, Owner("netns", "web"), SandboxId("boot", 7)),
    *(None, "", 0, "02:00:00:00:00:01", (), 12),
)
MOST = Endpoint(
    id="id",
    network="network",
    host_id="host",
    state=JOINED,
    owner=Owner("docker", "web", "4f5e", False),
    sandbox=SandboxId("boot", 1 << 60, 70_000),
    pid=4242,
    ifname="eth1",
    ifindex=3,
    mac="02:00:00:00:00:02",
    addresses=(
        Assigned("p", Address.parse("10.0.0.2"), 24, Address.parse("10.0.0.1"), False, True),
        Assigned("q", Address.parse("2001:db8::2"), 64, None, True, False),
    ),
    sequence=1 << 62,
    gw_priority=-5,
    aliases=("a", "b"),
    driver_options={"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.forwarding=1"},
    link_local=("169.254.1.1",),
    explicit_mac=True,
    parent_mac="02:00:00:00:00:03",
    mac_scope="eth0",
    dead_since=12.5,
    routing=Routing(True, 100, ("10.1.0.0/16=10.0.0.9",), True, 1000),
    ip6_token="::7",
    rate=1_000_000,
)


def test_an_endpoint_comes_back_from_its_record_and_from_lists() -> None:
    for one in (LEAST, MOST):
        recorded = jsontext.read(jsontext.written(one.to_json()))
        listed = jsontext.read(jsontext.written(one))
        for back in (Endpoint.from_json(recorded), Endpoint.from_lists(listed)):
            assert back == one and repr(back) == repr(one)
