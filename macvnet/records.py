"""Typed tuples, and protocols, that cost next to nothing to define.

``typing.NamedTuple`` compiles a constructor for each class when it is defined:
about 0.2 ms, and a command loads some sixty of them. This is the same for the
reader and for mypy, who see ``typing.NamedTuple``; at run time one constructor
serves all classes. Fields, defaults and methods work as there;
``tests/unit/test_records.py`` holds the two against each other.

Loading ``typing`` alone takes an eighth of what a call may: modules that the
short commands load take from it what mypy reads, and nothing at run time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple, Protocol
else:
    from _collections import _tuplegetter

    class _Definition(type):
        """Turns the annotations of a class body into fields."""

        def __new__(mcs, name, bases, body):
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body.pop(field) for field in fields if field in body}
            late = [field for field in fields if field not in defaults]
            if any(field in defaults for field in fields[: len(late)]):
                raise TypeError(f"{name}: a field without a default follows one with a default")
            body.update({field: _tuplegetter(at, None) for at, field in enumerate(fields)})
            body.update(_fields=fields, _field_defaults=defaults, __match_args__=fields)
            body.setdefault("__slots__", ())
            return type.__new__(mcs, name, bases, body)

    class NamedTuple(tuple, metaclass=_Definition):
        """Base of all records; see the module."""

        def __new__(cls, *values, **named):
            if named or len(values) != len(cls._fields):
                values = cls._filled(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _filled(cls, values, named):
            fields = cls._fields
            if not values and len(named) == len(fields):
                # What is read from the state names them all.
                try:
                    return tuple(map(named.__getitem__, fields))
                except KeyError:
                    pass
            if len(values) > len(fields):
                raise TypeError(f"{cls.__name__} takes {len(fields)} values, not {len(values)}")
            found = dict(zip(fields, values, strict=False))
            for name, value in named.items():
                if name not in fields or name in found:
                    raise TypeError(f"{cls.__name__} has no field {name!r} left to set")
                found[name] = value
            for field, default in cls._field_defaults.items():
                found.setdefault(field, default)
            try:
                return tuple(map(found.__getitem__, fields))
            except KeyError as missing:
                raise TypeError(f"{cls.__name__} lacks a value for {missing}") from None

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"{cls.__name__} takes {len(cls._fields)} values, not {len(made)}")
            return made

        def _replace(self, **named):
            for name in named:
                if name not in self._fields:
                    raise ValueError(f"{type(self).__name__} has no field {name!r}")
            return tuple.__new__(type(self), map(named.pop, self._fields, self))

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            fields = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({fields})"

    class Protocol:
        """Base of what only mypy compares."""


__all__ = ["NamedTuple", "Protocol"]
