"""The standard library's SQLite module, without what it loads for dates: 3 ms of every command.

``sqlite3`` is ``_sqlite3`` and adapters for the classes of datetime, which the
store never uses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
else:
    try:
        import _sqlite3 as sqlite3
    except ImportError:
        import sqlite3

__all__ = ["sqlite3"]
