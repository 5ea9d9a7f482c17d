"""``--format`` with a Go template: what docker does around the template itself.

Loaded only when a template is given. Source: docker-cli, its formatter and its
inspector, of Docker 29.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from macvnet.cli import docker_types, tables
from macvnet.errors import InvalidRequest
from macvnet.gotemplate import Template, TemplateError
from macvnet.gotemplate.dockerfunctions import HEADINGS
from macvnet.text import nearest, printable, quoted

TABLE = "table"
NEW_LINE = r"{{println}} within an action, where \n is a real line end by then"
PLAIN = "\n\t"
"""Of the characters that a terminal obeys, those that data may bring into the output."""


def note(given: str) -> str | None:
    """What is worth knowing of a format that asks for nothing, and is printed as it is."""
    if "{{" in given:
        return None
    close = nearest(given, ("json", "raw", "table"))
    meant = f": did you mean {close}?" if close else ""
    return f"format {quoted(given)} is no template, and is printed as it is{meant}"


def _parsed(text: str) -> Template:
    try:
        return Template(text)
    except TemplateError as error:
        raise _refusal(error, error.known) from error


def _refusal(error: TemplateError, known: Sequence[str]) -> InvalidRequest:
    close = nearest(error.word, known) if error.word else None
    hint = f"did you mean {close}?" if close else "--format json shows every field"
    return InvalidRequest(f"template parsing error: {error}", hint)


def _fit(template: Template, text: str) -> str:
    """What came out, fit to be printed; what stands in the template itself is meant."""
    return printable(text, keep=template.characters.union(PLAIN))


class Listing:
    """``ls --format``: a template for each network, and one line for all in a table."""

    def __init__(self, given: str) -> None:
        """Raises InvalidRequest."""
        self._table = given.startswith(TABLE)
        text = given.removeprefix(TABLE).strip(" ").replace(r"\t", "\t").replace(r"\n", "\n")
        try:
            self._template = _parsed(text)
        except InvalidRequest as error:
            torn = r"\n" in given and "unterminated quoted string" in error.message
            raise InvalidRequest(error.message, NEW_LINE if torn else error.hint) from error
        self._lines: list[str] = []

    def add(self, cells: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Raises InvalidRequest."""
        try:
            self._lines.append(self._template.execute(docker_types.row(cells, labels)) + "\n")
        except TemplateError as error:
            raise _refusal(error, error.known) from error

    def text(self) -> str:
        """What is printed of all networks."""
        rows = _fit(self._template, "".join(self._lines))
        return tables.aligned(self._header() + rows) if self._table else rows

    def _header(self) -> str:
        try:
            shown = self._template.execute(docker_types.header(), HEADINGS)
        except TemplateError as error:
            # What suits a row need not suit the headings, and is not worth a failure.
            shown = error.written
        return _fit(self._template, shown) + "\n"


class Inspection:
    """``inspect --format``: a template for each network."""

    def __init__(self, given: str) -> None:
        """Raises InvalidRequest."""
        self._template = _parsed(given)
        self._lines: list[str] = []

    def add(self, document: Mapping[str, Any]) -> None:
        """On docker's typed value; where that fails, on the document. Raises InvalidRequest."""
        try:
            shown = self._template.execute(docker_types.inspected(document))
        except TemplateError as first:
            # As docker does it, for this network and for those after it.
            self._template.missing_key_is_error = True
            try:
                shown = self._template.execute(docker_types.raw(document))
            except TemplateError as error:
                raise _refusal(error, (*first.known, *error.known)) from error
        self._lines.append(shown + "\n")

    def text(self) -> str:
        """What is printed of all networks; an empty line where there is none."""
        return _fit(self._template, "".join(self._lines) or "\n")
