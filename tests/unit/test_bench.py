"""The bench's own arithmetic: a figure that is computed wrongly is worse than none."""

from __future__ import annotations

import copy
import importlib
import json
import pkgutil
import struct
import subprocess
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import tests.bench
from macvnet import keys
from macvnet.ipam import allocation
from macvnet.ipam.installing import install_pools
from macvnet.kernel.classes import ifaddrmsg, ifinfmsg, rtmsg
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend
from tests.bench import chart, filling, netlink, page, tables
from tests.bench.__main__ import PARTS
from tests.bench.figures import Spread, number, ratio
from tests.bench.profiling import Import, by_package, imported, system_calls
from tests.bench.targets import AIM_MET, MET, MISSED, UNMEASURED, Target, targets
from tests.cli import fakes

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).with_name("bench_results.json")
MODULES = [module.name for module in pkgutil.iter_modules(tests.bench.__path__)]


@pytest.fixture
def results() -> dict[str, Any]:
    """Those of a real run, a quick one."""
    loaded: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name: str) -> None:
    assert importlib.import_module(f"tests.bench.{name}").__doc__


# -- figures --------------------------------------------------------------


def test_a_spread_has_quartiles_and_ends() -> None:
    assert Spread.of([5, 1, 2, 4, 3]) == (5, 1, 2, 3, 4, 5)
    assert Spread.of([7.5]) == (1, 7.5, 7.5, 7.5, 7.5, 7.5)
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


def test_a_spread_is_stored_with_the_digits_that_can_be_believed() -> None:
    stored = Spread.of([0.123456789]).to_json()
    assert stored["n"] == 1
    assert stored["median"] == 0.1235


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (0.5678, "0.568"),
        (1.644, "1.64"),
        (41.23, "41.2"),
        (12345, "12,300"),
        (99.96, "100.0"),
    ],
)
def test_a_number_has_three_digits_that_matter(value: float, shown: str) -> None:
    assert number(value) == shown


def test_nothing_is_divided_by_nothing() -> None:
    assert ratio(3, 2) == 1.5
    assert ratio(3, 0) is None


# -- what is measured -----------------------------------------------------

MEASURED = """
import json, os, sys
from tests.bench.measure import Call, CallFailed, Samples
samples = Samples()
burn = "import time\\nwhile time.process_time() < 0.3: pass"
left = f"import os\\nif os.fork() == 0:\\n os.setsid()\\n exec({burn!r})"
samples.call("left", Call((sys.executable, "-c", left), os.environ))
samples.call("idle", Call((sys.executable, "-c", ""), os.environ))
try:
    samples.call("bad", Call(("/bin/sh", "-c", "echo no >&2; exit 3"), os.environ))
except CallFailed as error:
    samples.results()["error"] = None
    print(json.dumps([samples.results(), str(error)]))
"""


def test_cpu_of_what_a_call_leaves_behind_is_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    measured, error = json.loads(done.stdout)
    assert measured["left"]["cpu_ms"]["median"] >= 300
    assert measured["idle"]["cpu_ms"]["median"] < 300
    assert set(measured) == {"left", "idle"}
    assert "status 3" in error
    assert "no" in error.splitlines()


def decoded(kind: Callable[[bytes], Any], data: bytes) -> Any:
    message = kind(data)
    message.decode()
    return message


def test_the_floor_sends_what_makes_a_macvlan() -> None:
    made = netlink.endpoint(4242, 7, 3, IPv4Address("10.0.0.1"), 16)
    link = decoded(ifinfmsg, made.host)
    assert link.get_attr("IFLA_LINK") == 7
    # pyroute2's class leaves this one undecoded.
    assert struct.pack("=HHi", 8, netlink.IFLA_NET_NS_PID, 4242) in made.host
    info = link.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == "macvlan"
    assert info.get_attr("IFLA_INFO_DATA").get_attr("IFLA_MACVLAN_MODE") == "bridge"
    address, up, route = made.inside
    assert decoded(ifaddrmsg, address).get_attr("IFA_LOCAL") == "10.0.0.4"
    assert decoded(ifinfmsg, up)["flags"] & netlink.IFF_UP
    assert decoded(rtmsg, route).get_attr("RTA_GATEWAY") == "10.0.0.1"
    assert decoded(ifinfmsg, made.delete)["index"] == netlink.IFINDEX


def test_the_floor_is_written_as_the_c_program_reads_it(tmp_path: Path) -> None:
    made = netlink.endpoint(4242, 7, 3, IPv4Address("10.0.0.1"), 16)
    netlink.write(tmp_path / "floor", [made, made])
    data = (tmp_path / "floor").read_bytes()
    parts = []
    while data:
        length = int.from_bytes(data[:4], sys.byteorder)
        parts.append(data[4 : 4 + length])
        data = data[4 + length :]
    one = [made.path.encode(), made.host, b"".join(made.inside), made.delete]
    assert parts == one + one


# -- a filled state -------------------------------------------------------


@pytest.mark.parametrize("whole", [True, False])
def test_filled_leases_are_those_that_macvnet_would_have_given_out(whole: bool) -> None:
    words = {"subnets": ("10.0.0.0/24",), "excludes": ("10.0.0.3", "10.0.0.9-10.0.0.11")}
    plans = filling.plans_of(words, "net")
    network = fakes.network("net", pools=tuple(plan.pool for plan in plans))
    pool = network.pools[0]
    filled, given = Store(MemoryBackend()), Store(MemoryBackend())
    for store in (filled, given):
        install_pools(store, network.segment, network.id, "net", plans)
    assert filling.leases(filled, network, pool, 20, whole=whole) == 20
    for _ in range(20):
        given.transact(
            lambda tx: allocation.acquire(tx, network.segment, "net", pool, None, "e" * 64)
        )
    for prefix in ("free/", "allow/"):
        assert filled.scan(prefix) == given.scan(prefix)
    assert [key for key, _ in filled.scan("lease/")] == [key for key, _ in given.scan("lease/")]
    assert len(filled.scan(keys.ENDPOINTS)) == (20 if whole else 0)


def test_a_pool_gives_no_more_leases_than_it_has() -> None:
    plans = filling.plans_of({"subnets": ("10.0.0.0/29",)}, "net")
    network = fakes.network("net", pools=tuple(plan.pool for plan in plans))
    store = Store(MemoryBackend())
    install_pools(store, network.segment, network.id, "net", plans)
    assert filling.leases(store, network, network.pools[0], 100) == len(store.scan("lease/")) == 5
    assert allocation.next_free(store, network.pools[0]) is None


# -- verdicts -------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (Target("x", 1.4, most=2, aim=1.5), AIM_MET),
        (Target("x", 1.64, most=2, aim=1.5), MET),
        (Target("x", 2.1, most=2, aim=1.5), MISSED),
        (Target("x", 3.5, least=3), MET),
        (Target("x", 2.9, least=3), MISSED),
        (Target("x", None, least=3), UNMEASURED),
    ],
)
def test_a_verdict_is_what_the_promise_says(target: Target, verdict: str) -> None:
    assert target.verdict == verdict


def test_a_target_reads_as_a_sentence() -> None:
    target = Target("attach / bare click", 1.6449, most=2, aim=1.5)
    assert str(target) == "attach / bare click = 1.64 (at most 2, aim 1.5): met"
    assert str(Target("a Tab", 41.2, most=150, unit=" ms")) == (
        "a Tab = 41.2 ms (at most 150 ms): met"
    )


def test_ratios_are_those_of_the_medians(results: dict[str, Any]) -> None:
    calls = results["single"]["calls"]
    for name, wall in (("bare click program", 40.0), ("macvnet attach", 60.0)):
        calls[name]["wall_ms"]["median"] = wall
    found = {target.what: target for target in targets(results)}
    assert found["macvnet attach / bare click program"].value == 1.5
    results["single"]["calls"]["macvnet attach"]["wall_ms"]["median"] = 100.0
    found = {target.what: target for target in targets(results)}
    assert found["macvnet attach / bare click program"].verdict == MISSED


def test_of_a_part_that_was_not_measured_nothing_is_said() -> None:
    found = targets({})
    assert found
    assert {target.verdict for target in found} == {UNMEASURED}


def test_many_at_once_is_held_against_the_peers(results: dict[str, Any]) -> None:
    def cost(attach: float, detach: float) -> dict[str, Any]:
        return {"attach_ms": {"median": attach}, "detach_ms": {"median": detach}}

    results["many"]["sizes"]["1000"] = {
        "connect --batch, disconnect --batch": cost(1, 1),
        "netavark in a loop": cost(5, 25),
        "CNI macvlan + host-local in a loop": cost(5, 10),
        "floor (Python)": cost(0.25, 0.75),
    }
    batch = "1,000 endpoints, connect --batch, disconnect --batch: "
    found = {
        target.what.removeprefix(batch): (target.value, target.verdict)
        for target in targets(results)
        if target.what.startswith(batch)
    }
    assert found == {
        "attach, netavark in a loop / macvnet": (5, MET),
        "both, netavark in a loop / macvnet": (15, MET),
        "attach, CNI macvlan + host-local in a loop / macvnet": (5, MISSED),
        "both, CNI macvlan + host-local in a loop / macvnet": (7.5, MISSED),
        "both, macvnet / floor (Python)": (2, MET),
    }


# -- page and charts ------------------------------------------------------


def test_every_table_has_its_part() -> None:
    assert {part for part, _ in tables.TABLES.values()} == {"run", *PARTS}


def test_the_page_is_made_of_results_and_keeps_what_people_wrote(results: dict[str, Any]) -> None:
    old = page.PAGE.read_text(encoding="utf-8")
    new = page.filled(old, results)
    assert page.filled(new, results) == new
    assert page.BLOCK.sub("", new) == page.BLOCK.sub("", old)
    attach = results["single"]["calls"]["macvnet attach"]["wall_ms"]["median"]
    rows = [[cell.strip() for cell in line.split("|")] for line in new.splitlines()]
    assert [row[2] for row in rows if row[1:2] == ["macvnet attach"]] == [number(attach)]


@pytest.mark.parametrize("part", PARTS)
def test_no_page_is_made_of_half_a_run(results: dict[str, Any], part: str) -> None:
    del results[part]
    with pytest.raises(page.Incomplete, match=part):
        page.filled(page.PAGE.read_text(encoding="utf-8"), results)


def test_no_table_is_forgotten_on_the_page(results: dict[str, Any]) -> None:
    text = page.PAGE.read_text(encoding="utf-8").replace("<!-- bench: path -->", "")
    with pytest.raises(page.Incomplete, match="path"):
        page.filled(text, results)


def test_results_of_another_format_are_refused(results: dict[str, Any]) -> None:
    with pytest.raises(page.Incomplete, match="no results"):
        page.filled("", {**results, "format": "other"})


def test_writing_makes_page_and_charts(results: dict[str, Any], tmp_path: Path) -> None:
    copied = tmp_path / "performance.md"
    copied.write_text(page.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    page.write(copy.deepcopy(results), copied)
    assert {path.name for path in tmp_path.iterdir()} == {
        copied.name,
        page.ENDPOINTS,
        page.LEASES,
    }
    for name in (page.ENDPOINTS, page.LEASES):
        assert f"]({name})" in copied.read_text(encoding="utf-8")
        assert (page.PAGE.parent / name).exists()
        ElementTree.fromstring((tmp_path / name).read_text(encoding="utf-8"))


def test_a_chart_has_each_line_at_its_place() -> None:
    drawn = chart.lines("A <title>", "n", "ms", {"one": [(10, 1.0), (1000, 100.0)], "two": []})
    root = ElementTree.fromstring(drawn)
    circles = [node for node in root.iter() if node.tag.endswith("circle")]
    assert [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in circles] == [
        (chart.LEFT, chart.HEIGHT - chart.BOTTOM),
        (chart.WIDTH - chart.RIGHT, chart.TOP),
    ]
    assert {"one", "A <title>"} <= {node.text for node in root.iter()}
    with pytest.raises(ValueError, match="nothing to draw"):
        chart.lines("", "", "", {})


# -- profiles -------------------------------------------------------------


def test_imports_are_read_as_python_prints_them() -> None:
    text = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       120 |        300 |   click.types\n"
        "eth0 4a:11:6b:03:9e:42 192.0.2.10/24\n"
        "import time:      2000 |       2120 | click\n"
    )
    assert imported(text) == [("click.types", 120, 300), ("click", 2000, 2120)]


def test_imports_are_summed_by_package() -> None:
    imports = [Import("click.types", 120, 300), Import("click", 2000, 2120), Import("re", 5000, 1)]
    assert by_package(imports) == {
        "Python and its library": {"modules": 1, "ms": 5.0},
        "click": {"modules": 2, "ms": 2.12},
    }


def test_system_calls_are_read_as_strace_prints_them() -> None:
    text = (
        "% time     seconds  usecs/call     calls    errors syscall\n"
        "------ ----------- ----------- --------- --------- ----------------\n"
        " 60.00    0.003697           3      1106        92 newfstatat\n"
        " 40.00    0.001642           5       327           read\n"
        "------ ----------- ----------- --------- --------- ----------------\n"
        "100.00    0.005339           3      1433        92 total\n"
    )
    assert system_calls(text) == [("newfstatat", 1106, 92, 3697), ("read", 327, 0, 1642)]
