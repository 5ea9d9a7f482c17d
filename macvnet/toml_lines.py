"""Where a key stands in TOML text that has been parsed already.

Knows only TOML's lexical grammar (toml.io, v1.0.0); must not judge anything.
Parsers give values without positions; this reads the source once more, and
only when there is an error to report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Path = tuple[str | int, ...]

_TOKEN = re.compile(
    r'"""(?:[^\\"]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*|\n|[ \t\r]+|[\[\]{}=,.]|[^\s\"'\#\[\]{}=,.]+",
    re.DOTALL,
)


def line_of(source: str, wanted: Path) -> int | None:
    """The line (from 1) on which the key ``wanted`` is first set, or None.

    A number in the path is the place in an array of tables.
    """
    for path, line in _keys(source):
        if path[: len(wanted)] == wanted:
            return line
    return None


def _tokens(source: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(source):
        text = match.group()
        if text[0] not in " \t\r#":
            yield text, line
        line += text.count("\n")


def _key_part(token: str) -> str:
    if token[0] == '"':
        import tomli

        return str(tomli.loads(f"k = {token}")["k"])
    return token[1:-1] if token[0] == "'" else token


def _resolved(parts: list[str], tables: dict[Path, int]) -> Path:
    """The path of a header, with the places of the arrays of tables that it goes through."""
    path: Path = ()
    for part in parts:
        path = (*path, part)
        if path in tables:
            path = (*path, tables[path])
    return path


def _keys(source: str) -> Iterator[tuple[Path, int]]:
    """Every key that is set and every table that is opened, in order, with its line."""
    tables: dict[Path, int] = {}
    table: Path = ()
    # What encloses the next key: (prefix of its path, place in the array or None for a table).
    open_values: list[tuple[Path, int | None]] = []
    parts: list[str] = []
    header = ""
    in_value = False
    before = "\n"
    for token, line in _tokens(source):
        expects_key = not in_value
        if token == "\n":
            if not open_values:
                in_value, parts, header = False, [], ""
        elif expects_key and token == "[" and before == "\n":
            header = "["
        elif expects_key and header and token == "[":
            header = "[["
        elif expects_key and header and token == "]":
            if parts:
                table = (*_resolved(parts[:-1], tables), parts[-1])
                if header == "[[":
                    number = tables[table] = tables.get(table, -1) + 1
                    table = (*table, number)
                elif table in tables:
                    table = (*table, tables[table])
                yield table, line
                parts = []
        elif expects_key and token == "=":
            prefix = open_values[-1][0] if open_values else table
            path: Path = (*prefix, *parts)
            yield path, line
            in_value, parts = True, []
            current = path
        elif expects_key and token == "}":
            open_values.pop()
            in_value = True
        elif expects_key and token not in ".,":
            parts.append(_key_part(token))
        elif in_value and token in "[{":
            outer, place = open_values[-1] if open_values else (current, None)
            prefix = (*outer, place) if place is not None else current
            open_values.append((prefix, 0 if token == "[" else None))
            in_value = token == "["
        elif in_value and token in "]}" and open_values:
            open_values.pop()
        elif in_value and token == "," and open_values:
            prefix, place = open_values[-1]
            if place is None:
                in_value = False
            else:
                open_values[-1] = (prefix, place + 1)
        if token != "\n" or not open_values:
            before = token
