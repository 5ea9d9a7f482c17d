"""macvnet, and what it asked of kernel and state: ``python -m tests.lab.costs ARGUMENT...``.

The last line on stderr is a JSON object of counts: no clock, so that they are
the same on every machine.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

counts: Counter[str] = Counter()


def counting(owner: Any, name: str, what: Callable[..., dict[str, int]]) -> None:
    """Count each call of a function by what it was given and what it gave."""
    real = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        counts.update(what(result, *args, **kwargs))
        return result

    setattr(owner, name, call)


def main() -> int:
    """Run macvnet's own entry point, and print the counts."""
    from macvnet.cli import boundary, calling
    from macvnet.kernel import rtnetlink
    from macvnet.store.sqlite import SqliteBackend

    counting(rtnetlink.Rtnetlink, "_send", lambda result, *args, **kwargs: {"messages": 1})
    counting(
        rtnetlink.Rtnetlink,
        "answered",
        lambda result, it, questions: {"pipelined messages": len(questions)},
    )
    counting(rtnetlink.Rtnetlink, "change_soon", lambda *args, **kwargs: {"messages": 1})
    counting(SqliteBackend, "get", lambda row, *args: {"rows asked for": 1, "rows read": bool(row)})
    counting(
        SqliteBackend,
        "scan",
        lambda rows, *args, **kwargs: {"scans": 1, "rows read": len(rows)},
    )
    counting(
        SqliteBackend,
        "commit",
        lambda result, it, operations, *args: {"commits": 1, "rows written": len(operations)},
    )
    counting(
        SqliteBackend,
        "session",
        lambda result, *args, write, durable=True: {"syncs": write and durable},
    )
    counting(os, "fork", lambda child: {"forks": 1})
    calling.standard_streams()
    boundary.listen()
    status = calling.run(sys.argv[1:])
    print(json.dumps(counts), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
