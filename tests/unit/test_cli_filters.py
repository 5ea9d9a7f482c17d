"""--filter of ls and prune, and the order of names."""

from __future__ import annotations

import datetime

import pytest

from macvnet.cli import filters
from macvnet.errors import InvalidRequest
from macvnet.model import Network
from tests.cli.fakes import network

ALL = [
    network("net1", 0xA1, labels={"env": "test", "tier": ""}),
    network("net10", 0xB2, labels={"env": "prod"}),
    network("web", 0xC3, driver="ipvlan", labels={}),
    network("conf", 0xD4, config_only=True, labels={}),
]


def listed(*given: str) -> list[str]:
    tests = filters.for_ls(given, lambda one: one.name == "web")
    return [one.name for one in ALL if filters.keeps(tests, one)]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([], ["net1", "net10", "web", "conf"]),
        ([""], ["net1", "net10", "web", "conf"]),
        (["name=net"], ["net1", "net10"]),
        (["name=^net1$"], ["net1"]),
        (["name=NET"], []),
        (["name=(["], []),
        (["name=net1$", "name=we"], ["net1", "web"]),
        (["NAME = web "], ["web"]),
        (["driver=ipvlan"], ["web"]),
        (["driver=null"], ["conf"]),
        (["driver=ipv"], []),
        (["id=b2b2"], ["net10"]),
        (["id=^a1"], ["net1"]),
        (["label=env"], ["net1", "net10"]),
        (["label=env=prod"], ["net10"]),
        (["label=env", "label=tier"], ["net1"]),
        (["label=env", "name=10"], ["net10"]),
        (["scope=local", "name=web"], ["web"]),
        (["scope=swarm"], []),
        (["type=custom", "name=web"], ["web"]),
        (["type=builtin"], []),
        (["dangling=false"], ["web"]),
        (["dangling=1"], ["net1", "net10", "conf"]),
    ],
)
def test_ls_filters_as_docker_does(given: list[str], names: list[str]) -> None:
    assert listed(*given) == names


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("nme=x", "invalid filter 'nme'", "--filter name=VALUE"),
        ("zzzz=x", "invalid filter 'zzzz'", "one of dangling, "),
        ("foo", "filter 'foo' is not of the form NAME=VALUE", "--filter"),
        ("drivr", "filter 'drivr' is not of the form NAME=VALUE", "--filter driver=VALUE"),
        ("type=foo", "invalid filter 'type'='foo'", "--filter type=custom"),
        ("dangling=maybe", "filter dangling takes true or false, not 'maybe'", "--filter"),
    ],
)
def test_a_wrong_filter_is_named(given: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        listed(given)
    assert caught.value.message == message
    assert (caught.value.hint or "").startswith(hint)


def _pruned(*given: str, of: list[Network] = ALL) -> list[str]:
    tests = filters.for_prune(given)
    return [one.name for one in of if filters.keeps(tests, one)]


def test_prune_filters_by_label_and_by_its_absence() -> None:
    assert _pruned("label=env") == ["net1", "net10"]
    assert _pruned("label!=env=prod") == ["net1", "web", "conf"]
    assert _pruned("label!=env", "label!=tier") == ["web", "conf"]


def test_until_keeps_what_is_younger() -> None:
    now = datetime.datetime.now(datetime.UTC)
    ages = [network(f"h{hours}", created=_text(now, hours)) for hours in (1, 5, 48)]
    assert _pruned("until=2h", of=ages) == ["h5", "h48"]
    assert _pruned("until=4h90m", of=ages) == ["h48"]
    assert _pruned("until=1.5h", of=ages) == ["h5", "h48"]
    day_ago = now - datetime.timedelta(days=1)
    for moment in (
        day_ago.isoformat(),
        day_ago.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"),
        day_ago.astimezone().strftime("%Y-%m-%d"),
        str(day_ago.timestamp()),
    ):
        assert _pruned(f"until={moment}", of=ages) == ["h48"]


def _text(now: datetime.datetime, hours: int) -> str:
    moment = now - datetime.timedelta(hours=hours)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + "123456789Z"


@pytest.mark.parametrize(
    "value", ["bogus", "", "10", "5x", "1h-", "99999999h" * 9, "2026-13-01", "999999999999"]
)
def test_a_time_is_understood_or_refused(value: str) -> None:
    if value == "10":
        assert _pruned("until=10") == []
        return
    with pytest.raises(InvalidRequest, match="does not understand the time"):
        _pruned(f"until={value}")


def test_two_until_filters_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="more than one until"):
        _pruned("until=1h", "until=2h")


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["net10", "net2", "Net3", "net02", "net-1", "net", "a" + "9" * 5000, "a1b10", "a1b9"]
    ordered = sorted(map(network, names), key=filters.natural_order)
    assert [one.name for one in ordered] == [
        "Net3",
        "a1b9",
        "a1b10",
        "a" + "9" * 5000,
        "net",
        "net-1",
        "net02",
        "net2",
        "net10",
    ]
