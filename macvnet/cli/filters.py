"""``--filter`` of ls and prune, and docker's order of names.

Source: docker-cli opts.FilterOpt, moby api/types/filters and api/types/time.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from macvnet.errors import InvalidRequest
from macvnet.text import nearest, quoted

if TYPE_CHECKING:
    from datetime import datetime

    from macvnet.model import Network

Test = Callable[["Network"], bool]

LS_KEYS = ("dangling", "driver", "id", "label", "name", "scope", "type")
PRUNE_KEYS = ("label", "label!", "until")
TRUE, FALSE = ("true", "1"), ("false", "0")

_DIGITS = re.compile(r"[0-9]+|[^0-9]")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip


def natural_order(network: Network) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key: numbers inside names count as numbers (net2 before net10)."""
    return [_place(part) for part in _DIGITS.findall(network.name)], network.name


def _place(part: str) -> tuple[int, int, str]:
    if part[0] in "0123456789":
        digits = part.lstrip("0")
        return (ord("0"), len(digits), digits)
    return (ord(part), 0, "")


def keeps(tests: Sequence[Test], network: Network) -> bool:
    return all(test(network) for test in tests)


def for_ls(given: Sequence[str], in_use: Callable[[Network], bool]) -> list[Test]:
    """The tests that a network must pass to be listed. ``in_use``: it has endpoints."""
    wanted = _parse(given, LS_KEYS)
    tests: list[Test] = []
    for key, values in wanted.items():
        tests.extend(_ls_tests(key, values, in_use))
    return tests


def for_prune(given: Sequence[str]) -> list[Test]:
    """The tests that an unused network must pass to be removed."""
    wanted = _parse(given, PRUNE_KEYS)
    tests = [_has_label(value) for value in wanted.get("label", ())]
    tests += [_not(_has_label(value)) for value in wanted.get("label!", ())]
    until = wanted.get("until", [])
    if len(until) > 1:
        raise InvalidRequest("more than one until filter was given", f"--filter until={until[0]}")
    tests += [_older_than(_moment(value)) for value in until]
    return tests


def _parse(given: Sequence[str], known: Sequence[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for text in given:
        if not text:
            continue
        key, equals, value = text.partition("=")
        key = key.strip().lower()
        if not equals:
            example = nearest(key, known) or known[0]
            raise InvalidRequest(
                f"filter {quoted(text)} is not of the form NAME=VALUE", f"--filter {example}=VALUE"
            )
        if key not in known:
            close = nearest(key, known)
            raise InvalidRequest(
                f"invalid filter {quoted(key)}",
                f"--filter {close}=VALUE" if close else "one of " + ", ".join(known),
            )
        wanted.setdefault(key, []).append(value.strip())
    return wanted


def _ls_tests(key: str, values: list[str], in_use: Callable[[Network], bool]) -> list[Test]:
    if key == "label":
        return [_has_label(value) for value in values]
    if key in ("name", "id"):
        patterns = [_pattern(value) for value in values]
        return [
            lambda network: any(found(network.name if key == "name" else network.id)
                                for found in patterns)
        ]  # fmt: skip
    if key == "driver":
        return [lambda network: shown_driver(network) in values]
    if key == "scope":
        return [lambda network: "local" in values]
    if key == "type":
        for value in values:
            if value not in ("custom", "builtin"):
                raise InvalidRequest(
                    f"invalid filter 'type'={quoted(value)}", "--filter type=custom"
                )
        return [lambda network: "custom" in values]
    for value in values:
        if value not in TRUE + FALSE:
            raise InvalidRequest(
                f"filter dangling takes true or false, not {quoted(value)}",
                f"--filter dangling={nearest(value.lower(), ('true', 'false')) or 'true'}",
            )
    return [lambda network: any((value in TRUE) is not in_use(network) for value in values)]


def shown_driver(network: Network) -> str:
    """Docker's word for the driver: a configuration has none."""
    return "null" if network.config_only else network.driver


def _pattern(value: str) -> Callable[[str], bool]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(value)
    except (re.error, RecursionError, OverflowError):
        return lambda text: value in text
    return lambda text: compiled.search(text) is not None


def _has_label(value: str) -> Test:
    key, equals, wanted = value.partition("=")

    def test(network: Network) -> bool:
        return key in network.labels and (not equals or network.labels[key] == wanted)

    return test


def _not(test: Test) -> Test:
    return lambda network: not test(network)


def _older_than(moment: datetime) -> Test:
    return lambda network: _created(network.created) < moment


def _created(text: str) -> datetime:
    from datetime import datetime

    return datetime.fromisoformat(text)


def _moment(value: str) -> datetime:
    """A duration before now, seconds since 1970, RFC 3339, or a date in local time."""
    from datetime import UTC, datetime, timedelta

    try:
        matches = list(_DURATION.finditer(value))
        if matches and "".join(match.group() for match in matches) == value:
            seconds = sum(float(number) * _SECONDS[unit] for number, unit in
                          (match.groups() for match in matches))  # fmt: skip
            return datetime.now(UTC) - timedelta(seconds=seconds)
        if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", value):
            return datetime.fromtimestamp(float(value), UTC)
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidRequest(
            f"filter until does not understand the time {quoted(value)}",
            "--filter until=24h or --filter until=2026-01-31T12:00:00Z",
        ) from error
