"""Our records behave as typing's named tuples do."""

from __future__ import annotations

import copy
import pickle
import typing
from typing import Any

import pytest

from macvnet.records import NamedTuple


class Ours(NamedTuple):
    """A point."""

    x: int
    y: int = 2
    names: tuple[str, ...] = ()

    @property
    def sum(self) -> int:
        return self.x + self.y


class Theirs(typing.NamedTuple):
    """A point."""

    x: int
    y: int = 2
    names: tuple[str, ...] = ()

    @property
    def sum(self) -> int:
        return self.x + self.y


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, 3), {}),
    ((1, 3, ("a",)), {}),
    ((), {"x": 1}),
    ((1,), {"names": ("b",)}),
    ((), {}),
    ((1, 2, (), 4), {}),
    ((1,), {"x": 2}),
    ((1,), {"z": 2}),
]


@pytest.mark.parametrize(("values", "named"), CALLS)
def test_they_are_made_and_refused_alike(values: Any, named: Any) -> None:
    try:
        theirs = Theirs(*values, **named)
    except TypeError:
        with pytest.raises(TypeError):
            Ours(*values, **named)
        return
    ours: Any = Ours(*values, **named)
    assert ours == theirs and hash(ours) == hash(theirs)
    assert (ours.x, ours.y, ours.names, ours.sum) == (theirs.x, theirs.y, theirs.names, theirs.sum)
    assert ours._asdict() == theirs._asdict()
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours._replace(y=9) == theirs._replace(y=9) and type(ours._replace(y=9)) is Ours
    assert Ours._make(theirs) == ours


def test_they_are_described_alike() -> None:
    assert (Ours._fields, Ours._field_defaults) == (Theirs._fields, Theirs._field_defaults)
    assert Ours.__match_args__ == Theirs.__match_args__
    assert Ours.__doc__ == Theirs.__doc__


def test_they_cannot_be_changed() -> None:
    ours: Any = Ours(1)
    with pytest.raises(AttributeError):
        ours.x = 2
    with pytest.raises(AttributeError):
        ours.other = 2
    with pytest.raises(ValueError, match="z"):
        ours._replace(z=1)


def test_they_are_copied_and_pickled() -> None:
    ours = Ours(1, 2, ("a",))
    assert copy.deepcopy(ours) == ours and type(copy.copy(ours)) is Ours
    assert pickle.loads(pickle.dumps(ours)) == ours


def test_default_before_a_field_without_one_is_refused() -> None:
    with pytest.raises(TypeError, match="without a default"):
        type(NamedTuple)("Wrong", (NamedTuple,), {"__annotations__": {"a": 1, "b": 2}, "a": 1})  # type: ignore[misc]
