"""Names and addresses by ioctl: what ``ip`` shows of the same namespace."""

from __future__ import annotations

from macvnet.kernel import interfaces
from tests.lab import Lab, Machine
from tests.lab.processes import inside


def shown(machine: Machine) -> tuple[list[tuple[str, bool]], set[str]]:
    """Links but loopback, and all addresses, as ``ip`` has them."""
    links = machine.query("link", "show")
    names = [
        (link["ifname"], "UP" in link["flags"]) for link in links if "LOOPBACK" not in link["flags"]
    ]
    every = machine.query("addr", "show")
    return names, {info["local"] for link in every for info in link["addr_info"]}


def asked(machine: Machine) -> tuple[list[tuple[str, bool]], set[str]]:
    with inside(machine.fd):
        return interfaces.names(), {str(address) for address in interfaces.addresses()}


def test_names_and_addresses_are_those_of_the_namespace(lab: Lab) -> None:
    lab.host.ip("link", "add", "name", "cable-to-nowher", "type", "veth", "peer", "name", "$a'b*")
    lab.host.ip("addr", "add", "192.0.2.7/24", "dev", "eth0")
    lab.host.ip("addr", "add", "192.0.2.8/24", "dev", "eth0")
    lab.host.ip("addr", "add", "198.51.100.9/32", "dev", "lo")
    lab.host.ip("addr", "add", "2001:db8::7/64", "dev", "eth0")
    names, addresses = shown(lab.host)
    assert asked(lab.host) == (names, addresses)
    assert ("$a'b*", False) in names
    assert ("eth0", True) in names
    assert {"192.0.2.8", "198.51.100.9", "2001:db8::7", "127.0.0.1"} <= addresses


def test_many_addresses_are_all_there(lab: Lab) -> None:
    many = [f"10.7.{third}.{last}" for third in range(2) for last in range(1, 251)]
    lab.host.batch(*(f"addr add {address}/32 dev eth0" for address in many))
    assert set(many) <= asked(lab.host)[1]


def test_a_namespace_with_nothing_in_it(lab: Lab) -> None:
    container = lab.container(lo=False)
    assert asked(container) == ([], set())
