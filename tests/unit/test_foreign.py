"""The JSON of others: what fits becomes a declaration, what does not is named or refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from macvnet.engine.foreign import convert, decoded
from macvnet.errors import InvalidRequest
from macvnet.model import EndpointRequest

DOCKER: dict[str, Any] = {
    "Name": "lan", "Id": "ab", "Scope": "local", "Driver": "macvlan",
    "EnableIPv4": True, "EnableIPv6": False, "Internal": True, "Attachable": False,
    "IPAM": {"Driver": "default", "Options": {}, "Config": [
        {"Subnet": "192.0.2.0/24", "Gateway": "192.0.2.1",
         "AuxiliaryAddresses": {"a": "192.0.2.9"}},
        {"Subnet": "2001:db8::/64", "Gateway": "2001:db8::1"},
    ]},
    "ConfigFrom": {"Network": ""}, "ConfigOnly": False,
    "Containers": {"c": {"Name": "web", "IPv4Address": "192.0.2.7/24", "IPv6Address": ""}},
    "Options": {"parent": "eth0", "com.docker.odd": "x"}, "Labels": None,
}  # fmt: skip
PODMAN: dict[str, Any] = {
    "name": "lan", "id": "ab", "driver": "ipvlan", "network_interface": "eth0",
    "subnets": [{"subnet": "192.0.2.0/24", "lease_range": {"start_ip": "192.0.2.8"}}],
    "ipv6_enabled": False, "internal": False, "options": {"mode": "l3", "metric": "7"},
    "ipam_options": {"driver": "host-local"},
    "containers": {"c": {"name": "web", "interfaces": {"eth0": {"subnets": [
        {"ipnet": "192.0.2.9/24"}]}}}},
}  # fmt: skip


def changed(document: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**copy.deepcopy(document), **values}


def test_docker_without_ipv6_has_none_although_its_subnet_is_shown() -> None:
    found = convert("docker", [DOCKER])
    [request] = found.declared.networks
    assert request.subnets == ("192.0.2.0/24",) and request.gateways == ("192.0.2.1",)
    assert request.aux_addresses == ("a=192.0.2.9",) and request.internal
    assert request.options == ("parent=eth0",)
    assert found.notes == ("network 'lan': the option 'com.docker.odd' is left out",)
    [entry] = found.declared.reservations
    assert (entry.container, entry.request) == ("docker:web", EndpointRequest(ip="192.0.2.7"))
    [request] = convert("docker", [changed(DOCKER, EnableIPv6=True)]).declared.networks
    assert len(request.subnets) == 2 and request.ipv6


def test_podman_says_the_same_in_other_words() -> None:
    found = convert("podman", [PODMAN])
    [request] = found.declared.networks
    assert (request.driver, request.options) == ("ipvlan", ("ipvlan_mode=l3", "parent=eth0"))
    assert request.ip_ranges == ("192.0.2.8-192.0.2.254",)
    assert found.notes == ("network 'lan': the option 'metric' is left out",)
    assert found.declared.reservations[0].request.ip == "192.0.2.9"
    dhcp = changed(PODMAN, ipam_options={"driver": "dhcp"}, containers={})
    [request] = convert("podman", [dhcp]).declared.networks
    assert (request.ipam_driver, request.subnets) == ("null", ())


def test_networks_on_one_parent_share_it() -> None:
    both = [DOCKER, changed(DOCKER, Name="more"), changed(DOCKER, Name="else", Options={})]
    options = [request.options for request in convert("docker", both).declared.networks]
    assert options == [("parent=eth0", "share_parent=true")] * 2 + [()]


@pytest.mark.parametrize(
    ("runtime", "document", "why"),
    [
        ("docker", changed(DOCKER, Driver="bridge"), "its driver is 'bridge'"),
        ("docker", changed(DOCKER, Name="a\x1b[31m"), "'a\\\\x1b[31m'"),
        ("docker", changed(DOCKER, IPAM={"Driver": "own", "Config": []}), "given by 'own'"),
        ("docker", changed(DOCKER, ConfigOnly=True, Options={}), "for another driver"),
        ("podman", changed(PODMAN, driver="bridge"), "its driver is 'bridge'"),
        ("podman", {"name": "old", "cniVersion": "0.4.0", "plugins": []}, "Podman 3"),
    ],
)
def test_what_macvnet_has_none_like_is_named(runtime: str, document: Any, why: str) -> None:
    found = convert(runtime, [document])
    assert found.declared.networks == () and found.declared.reservations == ()
    assert "is left out" in found.notes[0]
    assert why.replace("\\\\", "\\") in found.notes[0]


def test_second_network_of_one_name_is_left_out() -> None:
    found = convert("docker", [DOCKER, DOCKER])
    assert len(found.declared.networks) == 1
    assert found.notes[-1] == "network 'lan' is left out: another one has its name"


@pytest.mark.parametrize("text", ["", "{", "[" * 100000, "nul"])
def test_no_json(text: str) -> None:
    with pytest.raises(InvalidRequest):
        decoded(text, "docker")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data(), st.sampled_from([("docker", DOCKER), ("podman", PODMAN)]), JSON)
@settings(max_examples=300, deadline=None)
def test_any_json_is_read_or_refused(
    data: st.DataObject, whose: tuple[str, dict[str, Any]], value: Any
) -> None:
    """Anything, in the place of anything."""
    runtime, document = whose
    place: Any = json.loads(json.dumps(document))
    whole = [place]
    while True:
        key = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
            place[key] = value
            break
        place = place[key]
    try:
        convert(runtime, whole)
    except InvalidRequest as error:
        assert "has not the shape" in error.message
