"""Every parser takes whatever it is given: a value comes out, or a refusal fit to be read.

Never anything else: no traceback, no raw control character, no endless work.
The number of inputs tried is printed; ``MACVNET_TEST_INPUTS`` multiplies it.
"""

from __future__ import annotations

import json
import os
import string
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from macvnet import journal, rules, runtimes, shapes
from macvnet import settings as settings_module
from macvnet.addresses import Address, Subnet
from macvnet.cli import filters, many, syntax, wanted
from macvnet.cli.durations import seconds
from macvnet.drivers import driver
from macvnet.engine import importing, lookup, requests
from macvnet.errors import MacvnetError
from macvnet.ipam import parsing
from macvnet.model import EndpointRequest
from macvnet.runner import sandbox
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend
from macvnet.text import LONGEST, printable, quoted
from macvnet.toml_lines import line_of
from tests.cli.fakes import network

TIMES = int(os.environ.get("MACVNET_TEST_INPUTS", "1"))
EXAMPLES = 250 * TIMES

junk = st.one_of(
    st.text(max_size=40),
    st.text(string.printable, max_size=40),
    st.text(string.hexdigits + ".:/-=%,[]", max_size=40),
    st.sampled_from(["", "\0", "\ud800", "\x1b[31mred", "a" * 5000, "9" * 5000, "[bold]x[/bold]"]),
    st.sampled_from(["../../etc/passwd", "$(reboot)", "`id`", "; rm -rf /", "%s%n", "\u202egpj"]),
)
words = st.one_of(
    junk,
    st.sampled_from(["eth0", "eth0.50", "10.0.0.0/24", "10.0.0.1", "2001:db8::/64", "fe80::1"]),
    st.sampled_from(
        ["true", "false", "l2", "bridge", "lan", "netns:web", "run:a", "pid:1", "4242"]
    ),
)
pairs = st.builds("{}={}".format, words, words)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)

STORE = Store(MemoryBackend())
NETWORK = network("lan", 1)


def options(text: str) -> object:
    name = "macvlan" if len(text) % 2 else "ipvlan"
    key, _, value = text.partition("=")
    return driver(name).parse({key: value})


def endpoint_request(text: str) -> object:
    asked = EndpointRequest(
        text, text, text, text, 0, (text,), (text,), (text,), routes=(text, f"{text}=192.0.2.1")
    )
    refusals = []
    for field in EndpointRequest._fields:
        if field != "gw_priority":
            only = EndpointRequest()._replace(**{field: getattr(asked, field)})
            try:
                requests.judge(NETWORK, driver("macvlan"), only)
            except MacvnetError as error:
                refusals.append(fit(error))
    return refusals


def document(value: object) -> object:
    text = json.dumps(value) if not isinstance(value, str) else value
    parsed = importing._parsed(text)
    return [importing._network(Store(MemoryBackend()), item) for item in parsed["networks"]]


def shaped(value: object) -> None:
    shapes.check(value, importing.SHAPE, "")


def in_order(text: str) -> object:
    return [filters.for_ls([text], lambda _: True), filters.for_prune([text])]


TEXTS: dict[str, Callable[[str], object]] = {
    "address": lambda text: parsing.parse_address(text, "gateway", "--gateway"),
    "subnet": parsing.parse_subnet,
    "range": lambda text: parsing.parse_block(text, "ip range", "--ip-range"),
    "exclusion": lambda text: parsing.parse_block(text, "x", "--exclude", single=True),
    "name": rules.check_name,
    "interface name": rules.check_interface_name,
    "MAC": rules.check_mac,
    "pairs": lambda text: rules.split_pairs((text,), "--opt"),
    "labels": lambda text: rules.check_labels({text: text}),
    "driver option": options,
    "endpoint": endpoint_request,
    "sysctls": requests.endpoint_sysctls,
    "--network": lambda text: wanted.wanted([text], {}) if text else None,
    "list": lambda text: syntax.split_list("--subnet", text),
    "boolean": lambda text: syntax.boolean("--internal", text),
    "integer": lambda text: syntax.integer("--gw-priority", text),
    "filter": in_order,
    "duration": lambda text: seconds("--grace", text),
    "target": lambda text: runtimes.owner_of(text, STORE),
    "network term": lambda text: lookup.network(STORE, text),
    "line of a batch": many.words_of,
    "resolv.conf": sandbox.loopback_resolver,
    "document": document,
}
tried: dict[str, int] = {}


def fit(error: MacvnetError) -> MacvnetError:
    """Fit to be read: one line each when printed, and not endless."""
    for text in (error.message, error.hint or "-"):
        shown = printable(text)
        assert shown.strip() and "\n" not in shown and len(shown) < 40 * LONGEST
    assert 2 <= error.exit_status <= 13
    return error


def try_one(kind: str, parse: Callable[[Any], object], value: object) -> None:
    tried[kind] = tried.get(kind, 0) + 1
    try:
        parse(value)
    except MacvnetError as error:
        fit(error)


@pytest.mark.parametrize("kind", TEXTS)
def test_any_text_gives_a_value_or_a_refusal(kind: str) -> None:
    parse = TEXTS[kind]

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(words | pairs | st.lists(pairs, max_size=3).map(",".join))
    @example("[" * 20_000)
    @example("=" + "a" * 20_000 + " ")
    def body(text: str) -> None:
        if kind == "--network":
            texts = dict.fromkeys(("ip", "ip6", "mac_address", "ifname"), "")
            others = {"gw_priority": 0, "metric": 0, "route": ()}
            switches = dict.fromkeys(("no_default_route", "policy_routes"))
            given_flags = {**texts, **others, **switches}
            try_one(kind, lambda t: wanted.wanted([t], given_flags), text)
        else:
            try_one(kind, parse, text)

    body()


@settings(max_examples=EXAMPLES, deadline=None)
@given(values)
def test_any_json_is_a_document_or_is_refused(value: object) -> None:
    try_one("JSON", document, value)
    try_one("JSON", shaped, value)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(junk | st.lists(pairs, max_size=5).map("\n".join) | values.map(lambda v: f"options = {v!r}"))
@example("a=" * 100_000)
@example("x = " + "[" * 100_000)
@example("x = " + "1" * 100_000)
def test_any_configuration_is_read_or_refused(tmp_path: Path, text: str) -> None:
    tmp_path.chmod(0o700)
    file = tmp_path / "config.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    file.chmod(0o600)
    try_one("TOML", lambda path: settings_module.load(config=path, environ={}), str(file))
    try:
        tomli.loads(text)
    except (ValueError, RecursionError):
        return
    # It reads what has been parsed already.
    line_of(text, ("options", "x"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
@example(b'{"time":' * 1000)
def test_any_line_of_the_log_is_an_entry_or_damaged(line: bytes) -> None:
    tried["log"] = tried.get("log", 0) + 1
    journal._parsed(line)


@settings(max_examples=EXAMPLES, deadline=None)
@given(words)
def test_any_text_is_printed_without_a_raw_control_character(text: str) -> None:
    tried["text"] = tried.get("text", 0) + 1
    for shown in (printable(text), quoted(text)):
        assert shown.isprintable() and isinstance(shown.encode("utf-8"), bytes)


@settings(max_examples=EXAMPLES, deadline=None)
@given(words)
def test_what_reads_canonical_text_takes_no_other(text: str) -> None:
    """Address.parse and Subnet.parse read what they have written themselves, else ValueError."""
    tried["canonical"] = tried.get("canonical", 0) + 1
    for kind in (Address, Subnet):
        try:
            value = kind.parse(text)
        except ValueError:
            continue
        assert kind.parse(str(value)) == value


def test_all_inputs_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Last in the file: what was tried, and that no parser was passed over."""
    assert set(TEXTS) <= set(tried)
    with capsys.disabled():
        print(f" {sum(tried.values())} inputs to {len(tried)} parsers", end="")


def test_refusals_take_no_time_however_long_the_text() -> None:
    for kind, parse in TEXTS.items():
        if kind in ("--network",):
            continue
        began = time.process_time()
        for text in ("a" * 100_000, "1" * 100_000, "a," * 50_000, "10.0.0.0/24," * 10_000):
            try:
                parse(text)
            except MacvnetError:
                pass
        assert time.process_time() - began < 2, kind
