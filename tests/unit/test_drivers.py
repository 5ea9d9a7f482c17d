"""Both drivers' options: what each key takes, what is refused, and with which hint."""

from __future__ import annotations

import pytest

from macvnet import option_keys
from macvnet.drivers import MODULES, driver, ipvlan, macvlan, options
from macvnet.errors import InvalidRequest

GOOD = {
    "parent": ("eth0", "eth0"),
    "mtu": ("1400", 1400),
    "share_parent": ("true", True),
    "onlink": ("1", True),
    "segment": ("tenant-a", "tenant-a"),
    "passthru_force": ("t", True),
}


def test_list_of_keys_is_that_of_the_tables() -> None:
    assert set(options.COMMON) == set(option_keys.COMMON)
    assert set(macvlan._OWN) == set(option_keys.OF_DRIVER["macvlan"])
    assert set(ipvlan._OWN) == set(option_keys.OF_DRIVER["ipvlan"])
    assert set(MODULES) == set(option_keys.OF_DRIVER)


@pytest.mark.parametrize("key", GOOD)
def test_value_is_typed(key: str) -> None:
    text, value = GOOD[key]
    assert getattr(macvlan.parse({key: text}), key) == value


def test_modes_default_to_docker_s() -> None:
    assert macvlan.parse({}).mode == macvlan.parse({"macvlan_mode": ""}).mode == "bridge"
    assert ipvlan.parse({}).mode == "l2"
    assert ipvlan.parse({}).flag == "bridge"


def test_docker_s_keys_are_honoured() -> None:
    prefix = "com.docker.network."
    found = macvlan.parse(
        {
            f"{prefix}driver.mtu": "1300",
            f"{prefix}advertise_addr_nmsgs": "1",
            f"{prefix}advertise_addr_ms": "250",
        }
    )
    assert (found.mtu, found.announce_count, found.announce_interval) == (1300, 1, 0.25)


@pytest.mark.parametrize(
    ("name", "given", "message", "hint"),
    [
        (
            "macvlan",
            {"macvlan_mode": "Bridge"},
            "mode 'Bridge' is not valid",
            "macvlan_mode=bridge",
        ),
        ("macvlan", {"macvlan_mode": "source"}, "mode 'source'", "one of bridge, private"),
        ("macvlan", {"macvlan_mode ": "vepa"}, "no option 'macvlan_mode '", "-o macvlan_mode=..."),
        ("macvlan", {"ipvlan_mode": "l2"}, "no option 'ipvlan_mode'", "-o macvlan_mode=..."),
        ("macvlan", {"mtu": "9"}, "range 68 to 65535, not '9'", "-o mtu=68"),
        ("macvlan", {"mtu": "abc"}, "not 'abc'", "-o mtu=68"),
        ("macvlan", {"share_parent": "yes"}, "true or false, not 'yes'", "-o share_parent=true"),
        ("macvlan", {"segment": "a/b"}, "segment name 'a/b'", "-o segment=tenant-a"),
        ("macvlan", {"mtu": "1400", "com.docker.network.driver.mtu": "9000"}, "contradict", "1400"),
        ("ipvlan", {"ipvlan_mode": "l4"}, "ipvlan mode 'l4' is not valid", "ipvlan_mode=l"),
        ("ipvlan", {"ipvlan_flag": "x"}, "ipvlan flag 'x'", "one of bridge, private, vepa"),
        (
            "ipvlan",
            {"com.docker.network.advertise_addr_nmsgs": "4"},
            "must be in the range 0 to 3, not '4'",
            "advertise_addr_nmsgs=3",
        ),
        (
            "ipvlan",
            {"com.docker.network.advertise_addr_ms": "99"},
            "must be in the range 100 to 2000",
            "advertise_addr_ms=100",
        ),
        ("macvlan", {"com.docker.network.enable_ipv6": "maybe"}, "not 'maybe'", "=true"),
    ],
)
def test_bad_option_is_refused(name: str, given: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        driver(name).parse(given)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_unknown_driver_names_the_nearest() -> None:
    with pytest.raises(InvalidRequest) as caught:
        driver("MACVLAN")
    assert caught.value.message == "there is no driver 'MACVLAN'"
    assert caught.value.hint == "--driver macvlan"


def test_plan_carries_mode_mac_and_mtu() -> None:
    plan = macvlan.plan(macvlan.parse({"macvlan_mode": "vepa", "mtu": "1400"}), "02:00:00:00:00:01")
    assert (plan.kind, plan.mac, plan.mtu) == ("macvlan", "02:00:00:00:00:01", 1400)
    assert plan.data == (("IFLA_MACVLAN_MODE", "vepa"),)
    assert macvlan.plan(macvlan.parse({"macvlan_mode": "passthru"}), "02:00:00:00:00:01").mac == ""


def test_ipvlan_sharers_must_agree() -> None:
    one = ipvlan.parse({"ipvlan_mode": "l3"})
    assert ipvlan.sharing_conflict(one, one) == ""
    assert "l2 and bridge" in ipvlan.sharing_conflict(one, ipvlan.parse({}))


def test_passthru_shares_with_nobody() -> None:
    whole = macvlan.parse({"macvlan_mode": "passthru"})
    assert macvlan.exclusive(whole)
    assert "whole parent" in macvlan.sharing_conflict(macvlan.parse({}), whole)
