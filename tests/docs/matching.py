"""Whether an output is the one that a page shows, but for what differs at each run.

IDs, MACs and PIDs of a page stand for those of the run: the first time one is
seen it is bound, from then on the same must appear in its place, in commands
too. Interface numbers, round-trip times and dates may be any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

VOLATILE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^\d+: (?=\S+: <)", "N: "),
        (r"@if\d+", "@ifN"),
        # The kernel takes a moment to find out that a new link is up.
        (r"\bstate (UP|UNKNOWN)\b", "state UP"),
        (r"^(\S+@\S+) +(UP|UNKNOWN) +", r"\1 UP "),
        (r"time[= ][\d.]+ ?ms", "time=T"),
        (r"^rtt min/avg/max/mdev = .*", "rtt"),
        (r"link-netnsid \d+", "link-netnsid N"),
        (r"_lft \d+sec", "_lft Nsec"),
        (r"nsid \d{5,}", "nsid N"),
        # A byte of zero in the MAC is not written.
        (r"[0-9a-f]{1,4}:[0-9a-f]{0,2}ff:fe[0-9a-f]{2}:[0-9a-f]{1,4}", "EUI64"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "DATE"),
        (r"mv[0-9a-f]{12}\b", "TEMPORARY"),
        (r"\bgroup \d{3,}\b", "group N"),
    )
)
KINDS = {
    "id": r"\b[0-9a-f]{64}\b",
    "short": r"\b[0-9a-f]{12}\b",
    "mac": r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b",
    "pid": r'(?:(?<=pid:)|(?<=^\[1\] )|(?<="PID": )|(?<=/proc/))\d+',
}
TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in KINDS.items()))
SHAPES = {
    "id": r"([0-9a-f]{64})",
    "short": r"([0-9a-f]{12})",
    "mac": r"((?:[0-9a-f]{2}:){5}[0-9a-f]{2})",
    "pid": r"(\d+)",
}
ANYTHING = "..."


class Bindings:
    """What the IDs, MACs and PIDs of a page are in this run."""

    def __init__(self) -> None:
        self._actual: dict[str, str] = {}

    def bind(self, shown: str, actual: str) -> bool:
        """Remember it; False if the page's value stands for another one already."""
        known = self._actual.setdefault(shown, actual)
        if len(shown) == 64:
            self._actual.setdefault(shown[:12], actual[:12])
        return known == actual

    def copy(self) -> dict[str, str]:
        """What is bound now, for ``take_back``."""
        return dict(self._actual)

    def take_back(self, before: dict[str, str]) -> None:
        """Forget what was bound since."""
        self._actual = before

    def known(self, shown: str) -> str | None:
        return self._actual.get(shown)

    def substituted(self, command: str) -> str:
        """A command of the page as it has to be typed in this run."""
        for shown, actual in self._actual.items():
            command = re.sub(rf"(?<![\w.]){re.escape(shown)}(?![\w.])", actual, command)
        return command


def matches(expected: Sequence[str], actual: Sequence[str], bindings: Bindings) -> bool:
    """Whether the lines are as shown; binds what was not bound yet."""
    return _match(
        [_steady(line) for line in expected], [_steady(line) for line in actual], bindings
    )


def _steady(line: str) -> str:
    for pattern, replacement in VOLATILE:
        line = pattern.sub(replacement, line)
    return line.rstrip()


def _match(expected: Sequence[str], actual: Sequence[str], bindings: Bindings) -> bool:
    if not expected:
        return not actual
    if expected[0].strip() == ANYTHING:
        return any(_tried(expected[1:], actual[skip:], bindings) for skip in range(len(actual) + 1))
    if not actual or not _line_matches(expected[0], actual[0], bindings):
        return False
    return _match(expected[1:], actual[1:], bindings)


def _tried(expected: Sequence[str], actual: Sequence[str], bindings: Bindings) -> bool:
    before = bindings.copy()
    if _match(expected, actual, bindings):
        return True
    bindings.take_back(before)
    return False


def _line_matches(expected: str, actual: str, bindings: Bindings) -> bool:
    pattern, unbound, position = "", list[str](), 0
    for token in TOKEN.finditer(expected):
        pattern += _literal(expected[position : token.start()])
        known = bindings.known(token[0])
        if known is None:
            assert token.lastgroup is not None
            pattern += SHAPES[token.lastgroup]
            unbound.append(token[0])
        else:
            pattern += re.escape(known)
        position = token.end()
    pattern += _literal(expected[position:])
    found = re.fullmatch(pattern, actual)
    if found is None:
        return False
    return all(
        bindings.bind(shown, value) for shown, value in zip(unbound, found.groups(), strict=True)
    )


def _literal(text: str) -> str:
    return ".*?".join(re.escape(piece) for piece in text.split(ANYTHING))
