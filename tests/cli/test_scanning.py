"""``ipam scan``: what is printed of who answers, also where it ends early."""

from __future__ import annotations

import json

from macvnet.addresses import Address
from macvnet.engine.scanning import Stranger, duration
from macvnet.errors import KernelRefused
from tests.cli.conftest import Macvnet
from tests.cli.fakes import FakeEngine, endpoint, network

HOSTILE = "docker:\x1b[31m[bold]web\u202e"
TV = "02:00:5e:00:53:77"
FREE = Stranger(Address.parse("192.0.2.7"), TV, "free", True, "lan")
NAS = Stranger(Address.parse("192.0.2.9"), TV, "auxiliary", False, "lan", label="nas")


def held() -> Stranger:
    one = endpoint(network("lan"))
    address = Address.parse("2001:db8::2")
    return Stranger(address, TV, "used", True, "lan", HOSTILE, one)


def test_a_table_for_people(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.strangers = [FREE, NAS, held()]
    said = macvnet("ipam", "scan", "lan")
    assert (said.status, said.err) == (11, "")
    assert "\x1b" not in said.out and "\u202e" not in said.out and "[bold]web" in said.out
    head, *rows = [line.split() for line in said.out.splitlines()]
    assert head == ["ADDRESS", "MAC", "KIND", "CONTAINER", "CONFLICT"]
    assert rows[:2] == [
        ["192.0.2.7", TV, "free", "-", "yes"],
        ["192.0.2.9", TV, "auxiliary", "nas", "-", "no"],
    ]
    assert engine.asked == [("scan", "lan", ())]


def test_json_for_programs(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.strangers = [NAS, held()]
    said = macvnet("ipam", "scan", "--format=json", "--range=192.0.2.0/26,192.0.2.99", "lan")
    nas, used = json.loads(said.out)
    assert nas == {
        "address": "192.0.2.9",
        "mac": TV,
        "kind": "auxiliary",
        "conflict": False,
        "network": "lan",
        "container": None,
        "endpoint_id": None,
        "label": "nas",
    }
    assert (used["container"], used["endpoint_id"]) == (HOSTILE, "e1" * 32)
    assert engine.asked == [("scan", "lan", ("192.0.2.0/26", "192.0.2.99"))]


def test_what_is_known_is_no_failure_and_nobody_is_a_note(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    note = "macvnet: note: no other machine answers for any of the addresses\n"
    assert macvnet("ipam", "scan", "lan") == (0, "", note)
    assert macvnet("ipam", "scan", "--format=json", "lan") == (0, "[]\n", note)
    engine.strangers = [NAS]
    assert macvnet("ipam", "scan", "lan").status == 0


def test_what_was_found_is_printed_where_it_ends_early(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    engine.strangers = [FREE]
    note = "macvnet: note: the scan ended after 3 of 7 frames\n"
    engine.ended_by = KeyboardInterrupt()
    said = macvnet("ipam", "scan", "lan")
    assert said.status == 130 and "192.0.2.7" in said.out
    assert said.err.startswith(note) and "interrupted" in said.err
    engine.ended_by = KernelRefused("", 19).during("ask the LAN for addresses")
    said = macvnet("ipam", "scan", "--format=json", "lan")
    assert said.status == 8 and [one["address"] for one in json.loads(said.out)] == ["192.0.2.7"]
    assert said.err.startswith(f"{note}macvnet: cannot ask the LAN for addresses: ")


def test_a_dry_run_asks_nobody(macvnet: Macvnet) -> None:
    said = macvnet("ipam", "scan", "--dry-run", "lan")
    assert said == (0, "ask address 192.0.2.1-192.0.2.7 on eth0\n", "")


def test_lengths_of_time_are_in_a_unit_that_suits_them() -> None:
    told = {
        0.0: "1 s",
        26.6: "27 s",
        119.0: "119 s",
        120.0: "2 min",
        7200.0: "2 h",
        40 * 3600.0: "40 h",
        48 * 3600.0: "2 days",
        700 * 86400.0: "700 days",
        800 * 86400.0: "2 years",
        1e6 * 365 * 86400.0: "1000000 years",
        2.0**128: "millions of years",
    }
    assert {seconds: duration(seconds) for seconds in told} == told
