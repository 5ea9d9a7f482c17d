"""Every block with a prompt, in README and docs, does what the page shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.docs import pages
from tests.docs.matching import Bindings, matches
from tests.docs.session import check, session_for
from tests.lab import Lab

PARTS = [
    pytest.param(
        part,
        id=f"{part.page}:{part.name}",
        marks=[pytest.mark.needs(*part.plan.needs)] if part.plan.needs else [],
    )
    for page in pages.pages()
    for part in pages.parts(page)
    if not part.plan.runtime
]


@pytest.mark.parametrize("part", PARTS)
def test_examples_do_what_the_page_shows(part: pages.Part, make_lab: Callable[..., Lab]) -> None:
    with session_for(part.plan, make_lab) as session:
        check(part, session)


def test_pages_with_examples_are_found() -> None:
    found = {part.values[0].page for part in PARTS}  # type: ignore[union-attr]  # all are Parts
    assert {"README.md", "docs/tutorial.md"} <= found


PAGE = """
<!-- lab: one
host = []
-->
```console
$ echo a \\
    b
a b
laptop$ true
```
<!-- lab: two
needs = ["vlan"]
-->
```console
$ true
```
"""


def test_page_is_split_into_parts_and_steps() -> None:
    one, two = pages.parse("page", PAGE)
    assert (one.name, one.plan.host, one.plan.needs) == ("one", (), ())
    assert [(step.machine, step.output) for step in one.steps] == [("", ("a b",)), ("laptop", ())]
    assert (two.name, two.plan.needs) == ("two", ("vlan",))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("```console\n$ true\n```", "before any lab"),
        ("```text\n$ true\n```", "not console"),
        ("<!-- lab: a\n-->\n```console\nx\n```", "without a command"),
        ('<!-- lab: a\nneed = ["vlan"]\n-->', "no such key"),
    ],
)
def test_page_that_would_hide_an_example_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        pages.parse("page", text)


ID, OTHER = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("expected", "actual", "result"),
    [
        (["one"], ["one"], True),
        (["one"], ["two"], False),
        (["one"], [], False),
        ([], ["one"], False),
        (["a ... c"], ["a b c"], True),
        (["a", "...", "d"], ["a", "b", "c", "d"], True),
        (["a", "..."], ["a"], True),
        ([ID, ID[:12]], [OTHER, OTHER[:12]], True),
        ([ID, ID[:12]], [OTHER, "c" * 12], False),
        (["64 bytes: time=0.03 ms"], ["64 bytes: time=1.20 ms"], True),
        (["ttl=64"], ["ttl=63"], False),
        (["fe80::3c6b:a7ff:fe52:3b26/64"], ["fe80::4c1:ff:fe27:ed2d/64"], True),
        (["pid:4242"], ["pid:77"], True),
        (["pid:4242", "pid:4242"], ["pid:77", "pid:78"], False),
    ],
)
def test_output_matches_but_for_what_differs_at_each_run(
    expected: list[str], actual: list[str], result: bool
) -> None:
    assert matches(expected, actual, Bindings()) is result


def test_what_was_shown_is_what_is_typed_later() -> None:
    bindings = Bindings()
    assert matches(["[1] 4242", ID], ["[1] 77", OTHER], bindings)
    assert bindings.substituted("macvnet attach 4242") == "macvnet attach 77"
    assert bindings.substituted(f"macvnet rm {ID[:12]}") == f"macvnet rm {OTHER[:12]}"
    assert bindings.substituted("sleep 42420") == "sleep 42420"
