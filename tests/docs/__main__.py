"""Play a page and print it with the real outputs where they are not as shown.

    python -m tests.docs docs/tutorial.md [PART...] >new.md

For parts whose kinds of link this kernel lacks:

    python -m tests.lab.uml --command .venv/bin/python -m tests.docs PAGE PART >new.md

Parts with a runtime are left as they are: tests/runtimes/test_pages.py says what they print.
"""

from __future__ import annotations

import sys
from typing import Any

from tests.docs import pages
from tests.docs.session import play, session_for
from tests.lab import Lab


def main(argv: list[str]) -> int:
    page, *names = argv
    lines = (pages.ROOT / page).read_text(encoding="utf-8").splitlines()
    changes: list[tuple[int, int, list[str]]] = []
    for part in pages.parts(page):
        if part.plan.runtime or (names and part.name not in names):
            continue
        labs: list[Lab] = []

        def make(made: list[Lab] = labs, **wanted: Any) -> Lab:
            made.append(Lab(**wanted))
            return made[-1]

        try:
            with session_for(part.plan, make) as session:
                for step, output, as_shown in play(part, session):
                    if not as_shown:
                        changes.append((step.body, step.end, output))
        finally:
            for lab in labs:
                lab.close()
    for body, end, output in reversed(changes):
        lines[body:end] = [line.rstrip() for line in output]
    print("\n".join(lines))
    print(f"{page}: {len(changes)} outputs are new", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
