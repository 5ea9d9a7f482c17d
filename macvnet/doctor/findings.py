"""What a look finds: a cause that is known, what of it was seen, and what to type."""

from __future__ import annotations

from macvnet.records import NamedTuple


class Cause(NamedTuple):
    """A row of the table of causes. ``id`` is stable, for scripts and for search engines.

    ``meaning`` is what it does to people, ``evidence`` where it is seen, ``remedy``
    what mends it: sentences for the reference.
    """

    id: str
    meaning: str
    evidence: str
    remedy: str


class Finding(NamedTuple):
    """One cause that was found. ``cause`` is its ID.

    ``subject`` is what it is about (``parent eth0``, ``network lan``), ``evidence``
    one sentence that names the values, ``fix`` something to type.
    """

    cause: str
    subject: str
    evidence: str
    fix: str

    def to_json(self) -> dict[str, str]:
        return {
            "id": self.cause,
            "subject": self.subject,
            "evidence": self.evidence,
            "fix": self.fix,
        }
