"""The grammar that --network, annotations and labels have in common."""

from __future__ import annotations

import pytest

from macvnet.annotations import ANNOTATION, FLAG, KEY, LABEL, Place, network, wanted
from macvnet.errors import InvalidRequest, UsageError
from macvnet.model import EndpointRequest


def test_networks_are_separated_and_each_has_words_of_its_own() -> None:
    text = (
        "lan,ip=192.0.2.10,alias=a,alias=b; name=v50,gw-priority=-3,mac-address=02:00:00:00:00:01"
    )
    assert wanted({"other": "x", KEY: text}, ANNOTATION) == (
        ("lan", EndpointRequest(ip="192.0.2.10", aliases=("a", "b"))),
        ("v50", EndpointRequest(gw_priority=-3, mac="02:00:00:00:00:01")),
    )


def test_container_without_a_key_of_ours_asks_for_nothing() -> None:
    assert wanted({}, ANNOTATION) == wanted({"io.example": "x", "macvnet": "y"}, LABEL) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with a network"),
        ("lan;", "does not begin with a network"),
        ("ip=192.0.2.10", "does not begin with a network"),
        ("lan,ip", "has no value"),
        ("lan,nope=1", "unknown key 'nope'"),
        ("lan,gw-priority=much", "cannot be read"),
        ('lan,"ip=1', "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_by_the_name_of_its_place(text: str, message: str) -> None:
    for place in (ANNOTATION, LABEL):
        with pytest.raises(InvalidRequest, match=message) as caught:
            wanted({KEY: text}, place)
        assert caught.value.message.startswith(place.name) or place.name in caught.value.message
        assert caught.value.hint and "--network" not in caught.value.hint


@pytest.mark.parametrize("place", [ANNOTATION, LABEL])
def test_key_of_ours_that_nobody_knows_is_not_passed_over(place: Place) -> None:
    with pytest.raises(InvalidRequest, match=r"'macvnet\.networks'") as caught:
        wanted({"macvnet.networks": "lan"}, place)
    assert caught.value.hint == "'macvnet.network=NET ip=192.0.2.10 ifname=eth1'"


def test_blanks_do_for_commas_where_no_shell_has_split_them() -> None:
    want = (("lan", EndpointRequest(ip="192.0.2.10", ifname="x")), ("v50", EndpointRequest()))
    for text in ("lan ip=192.0.2.10  ifname=x ;v50", "lan, ip=192.0.2.10,ifname=x;  v50 "):
        assert wanted({KEY: text}, LABEL) == want
    options = wanted({KEY: 'lan,"driver-opt=a=b c"'}, LABEL)[0][1].driver_options
    assert options == ("a=b c",)


def test_annotation_that_was_cut_at_a_comma_is_not_taken_for_a_whole_one() -> None:
    """Podman 4.3 makes two of it, and the address would be any."""
    with pytest.raises(InvalidRequest, match="annotation 'ip' beside") as caught:
        wanted({KEY: "lan", "ip": "192.0.2.10"}, ANNOTATION)
    assert caught.value.hint == "'macvnet.network=NET ip=192.0.2.10'"
    assert wanted({KEY: "lan", "ip": "192.0.2.10"}, LABEL) == (("lan", EndpointRequest()),)


def test_words_of_the_flag_stay_errors_of_usage() -> None:
    with pytest.raises(UsageError, match="takes a number"):
        network("lan,gw-priority=much", FLAG)
    with pytest.raises(InvalidRequest, match="of --network") as caught:
        network("lan,ipp=1", FLAG)
    assert caught.value.hint == "--network NET,ip=VALUE"
