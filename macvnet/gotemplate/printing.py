"""Go's fmt: Sprint, Sprintln and Sprintf.

Knows verbs, flags and how values of every kind look; must not know templates.
Source: the documentation of Go's fmt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from macvnet.gotemplate import numerals
from macvnet.gotemplate.errors import FunctionError
from macvnet.gotemplate.literals import escaped, quote
from macvnet.gotemplate.numerals import Flags
from macvnet.gotemplate.values import Kind, Value, octets, pairs

LONGEST = 16 << 20
"""Characters: what a function may return at most, so that no template fills the memory."""
TOO_LONG = f"result is longer than {LONGEST} characters"
TOO_MANY = 1_000_000
"""Elements of a list that a function makes."""
WIDEST = 1_000_000
PLAIN = Flags()
NO_VERB = "%!(NOVERB)"
_STRINGABLE = "vsxXq"
_FLOATING = "vbgGxXfFeE"
_DIRECTIVE = re.compile(
    r"%([#0+\- ]*)"
    r"((?:\[[^\]]*\])?)(\*|[0-9]+)?"
    r"(?:(\.)((?:\[[^\]]*\])?)(\*|[0-9]+)?)?"
    r"((?:\[[^\]]*\])?)(.?)",
    re.S,
)


def sprint(values: Sequence[Value | None]) -> str:
    """Spaces between two values of which neither is a string."""
    return _gathered(_printed(values), "")


def _printed(values: Sequence[Value | None]) -> Iterator[str]:
    text_before = True
    for value in values:
        is_text = value is not None and value.kind is Kind.STRING
        yield formatted(value) if is_text or text_before else " " + formatted(value)
        text_before = is_text


def sprintln(values: Sequence[Value | None]) -> str:
    return _gathered((formatted(value) for value in values), " ") + "\n"


def _gathered(parts: Iterable[str], separator: str) -> str:
    """All together; FunctionError as soon as it becomes too long."""
    found: list[str] = []
    size = 0
    for part in parts:
        found.append(part)
        size += len(part)
        if size > LONGEST:
            raise FunctionError(TOO_LONG)
    return separator.join(found)


def bounded(text: str) -> str:
    """``text``, unless it is so long that only a mistake can have made it."""
    if len(text) > LONGEST:
        raise FunctionError(TOO_LONG)
    return text


# -- one value --------------------------------------------------------------


def formatted(value: Value | None, verb: str = "v", flags: Flags = PLAIN) -> str:
    """A value by itself, as an argument of Print or of a verb of Printf."""
    if value is None:
        return flags.padded("<nil>") if verb in "Tv" else f"%!{verb}(<nil>)"
    if verb == "T":
        return _text(str(value.type), "s", flags)
    if verb in "pw":
        return _bad_verb(value, verb, flags)
    return _Printer(verb, flags).show(value, 0)


def _bad_verb(value: Value, verb: str, flags: Flags) -> str:
    return f"%!{verb}({value.type}={_Printer('v', flags, methods=False).show(value, 0)})"


def _text(text: str, verb: str, flags: Flags) -> str:
    if verb in "xX":
        return _hexadecimal(text, verb, flags)
    shown = text if flags.precision is None else text[: flags.precision]
    if verb == "q":
        backquoted = flags.sharp and not re.search("[`\x00-\x08\x0a-\x1f\x7f\ufeff]", shown)
        shown = f"`{shown}`" if backquoted else quote(shown, ascii_only=flags.plus)
    return flags.padded(shown)


def _hexadecimal(text: str, verb: str, flags: Flags) -> str:
    data = octets(text)[: flags.precision]
    prefix = f"0{verb}" if flags.sharp else ""
    written = [f"{byte:02{verb}}" for byte in data]
    shown = f" {prefix}".join(written) if flags.space else "".join(written)
    return flags.padded(prefix + shown if data else "")


class _Printer:
    """One verb with its flags; ``methods``: whether String methods are called."""

    def __init__(self, verb: str, flags: Flags, *, methods: bool = True) -> None:
        self.verb, self.flags, self.methods = verb, flags, methods
        self.size = 0

    def show(self, value: Value, depth: int) -> str:
        by_method = self._by_method(value) if self.methods else None
        if by_method is not None:
            return self._counted(by_method)
        kinds: dict[Kind, Callable[[Value, int], str]] = {
            Kind.SLICE: self._slice,
            Kind.MAP: self._map,
            Kind.STRUCT: self._struct,
            Kind.POINTER: self._pointer,
            Kind.INTERFACE: self._interface,
        }
        if value.kind in kinds:
            return kinds[value.kind](value, depth)
        return self._counted(self._basic(value))

    def _counted(self, shown: str) -> str:
        # A wide verb makes every element of a list wide.
        self.size += len(shown)
        if self.size > LONGEST:
            raise FunctionError(TOO_LONG)
        return shown

    def _by_method(self, value: Value) -> str | None:
        if self.flags.sharp_v:
            return value.type.syntax(value.data) if value.type.syntax else None
        if value.type.text is not None and self.verb in _STRINGABLE:
            return _text(value.type.text(value.data), self.verb, self.flags)
        return None

    # -- simple kinds -----------------------------------------------------

    def _basic(self, value: Value) -> str:
        verb, flags = self.verb, self.flags
        match value.kind:
            case Kind.STRING if verb in _STRINGABLE:
                quoted = verb == "v" and flags.sharp_v
                return _text(value.data, "q" if quoted else verb, flags)
            case Kind.BOOL if verb in "tv":
                return flags.padded("true" if value.data else "false")
            case Kind.INT | Kind.UINT:
                return self._whole(value)
            case Kind.FLOAT if verb in _FLOATING:
                return numerals.floating(value.data, verb, flags)
            case Kind.COMPLEX if verb in _FLOATING:
                signed = flags._replace(plus=True)
                real = numerals.floating(value.data.real, verb, flags)
                return f"({real}{numerals.floating(value.data.imag, verb, signed)}i)"
        return _bad_verb(value, verb, flags)

    def _whole(self, value: Value) -> str:
        verb, flags, number = self.verb, self.flags, value.data
        if verb == "v" and flags.sharp_v and value.kind is Kind.UINT:
            return numerals.whole(number, "x", flags._replace(sharp=True))
        if verb in "vdboOxX":
            return numerals.whole(number, verb, flags)
        if verb == "U":
            return numerals.code(number, flags)
        if verb not in "cq":
            return _bad_verb(value, verb, flags)
        valid = 0 <= number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF
        character = chr(number) if valid else "\ufffd"
        if verb == "c":
            return flags.padded(character)
        return flags.padded(f"'{escaped(character, chr(39), ascii_only=flags.plus)}'")

    # -- kinds that hold others -------------------------------------------

    def _list(self, shown: Sequence[str], left: str, right: str) -> str:
        return left + (", " if self.flags.sharp_v else " ").join(shown) + right

    def _slice(self, value: Value, depth: int) -> str:
        shown = [self.show(one, depth + 1) for one in value.data or ()]
        if not self.flags.sharp_v:
            return self._list(shown, "[", "]")
        return f"{value.type}(nil)" if value.nil else self._list(shown, f"{value.type}{{", "}")

    def _map(self, value: Value, depth: int) -> str:
        shown = [
            f"{self.show(key, depth + 1)}:{self.show(one, depth + 1)}" for key, one in pairs(value)
        ]
        if not self.flags.sharp_v:
            return self._list(shown, "map[", "]")
        return f"{value.type}(nil)" if value.nil else self._list(shown, f"{value.type}{{", "}")

    def _struct(self, value: Value, depth: int) -> str:
        named = self.flags.plus_v or self.flags.sharp_v
        shown = [
            (f"{name}:" if named else "") + self.show(value.data[name], depth + 1)
            for name in value.type.fields
        ]
        return self._list(shown, f"{value.type}{{" if self.flags.sharp_v else "{", "}")

    def _pointer(self, value: Value, depth: int) -> str:
        # Where Go shows an address, which says nothing, what is there is shown.
        if value.data is None:
            return self.flags.padded("<nil>")
        return ("&" if depth == 0 else "") + self.show(value.data, depth + 1)

    def _interface(self, value: Value, depth: int) -> str:
        if value.data is not None:
            return self.show(value.data, depth + 1)
        return f"{value.type}(nil)" if self.flags.sharp_v else "<nil>"


# -- a format ---------------------------------------------------------------


class _Arguments:
    """The operands of Printf, in order or by number."""

    def __init__(self, values: Sequence[Value | None]) -> None:
        self.values = values
        self.next = 0
        self.reordered = False
        self.good = True

    def move(self, index: str) -> None:
        """``[3]``: the third operand is the next."""
        if not index:
            return
        self.reordered = True
        number = index[1:-1]
        if re.fullmatch("[0-9]{1,6}", number) and 1 <= int(number) <= len(self.values):
            self.next = int(number) - 1
        else:
            self.good = False

    def whole(self) -> int | None:
        """A width or precision that is an operand; None where it is not fit."""
        if self.next >= len(self.values):
            return None
        value = self.values[self.next]
        self.next += 1
        if value is None or value.kind not in (Kind.INT, Kind.UINT):
            return None
        return value.data if abs(value.data) <= WIDEST else None


def sprintf(layout: str, values: Sequence[Value | None]) -> str:
    """Printf. Mistakes in the layout show in the result, as Go's do."""
    arguments = _Arguments(values)
    out: list[str] = []
    size = pos = 0
    while pos < len(layout) and size <= LONGEST:
        percent = layout.find("%", pos)
        if percent < 0:
            out.append(layout[pos:])
            break
        found = _DIRECTIVE.match(layout, percent)
        assert found is not None, "the pattern matches a percent sign alone"
        shown = _directive(found, arguments)
        out += (layout[pos:percent], NO_VERB if shown is None else shown)
        pos = len(layout) if shown is None else found.end()
        size += len(out[-1])
    if not arguments.reordered and arguments.next < len(values):
        out.append(_extra(values[arguments.next :]))
    return "".join(out)


def _extra(values: Sequence[Value | None]) -> str:
    shown = ("<nil>" if value is None else f"{value.type}={formatted(value)}" for value in values)
    return f"%!(EXTRA {_gathered(shown, ', ')})"


def _directive(found: re.Match[str], arguments: _Arguments) -> str | None:
    """What takes the place of a verb; None where a number is absurd: Go gives up there."""
    signs, index, width, dot, index2, precision, index3, verb = found.groups()
    arguments.good = True
    flags = Flags(
        minus="-" in signs,
        plus="+" in signs,
        sharp="#" in signs,
        space=" " in signs,
        zero="0" in signs and "-" not in signs,
    )
    complaint = ""
    arguments.move(index)
    if width == "*":
        wide = arguments.whole()
        complaint = "" if wide is not None else "%!(BADWIDTH)"
        if wide is not None and wide < 0:
            flags = flags._replace(minus=True, zero=False)
        flags = flags._replace(width=None if wide is None else abs(wide))
    elif width:
        arguments.good = arguments.good and not index
        if _absurd(width):
            return None
        flags = flags._replace(width=int(width))
    if dot:
        arguments.good = arguments.good and (not index or width == "*")
        arguments.move(index2)
        exact: int | None = 0
        if precision == "*":
            exact = arguments.whole()
            exact = exact if exact is not None and exact >= 0 else None
            complaint += "" if exact is not None else "%!(BADPREC)"
        elif precision:
            if _absurd(precision):
                return None
            exact = int(precision)
        flags = flags._replace(precision=exact)
    arguments.move(index3)
    return complaint + _operand(verb, flags, arguments)


def _absurd(number: str) -> bool:
    return len(number) > 8 or (int(number[:7]) > WIDEST and len(number) == 8)


def _operand(verb: str, flags: Flags, arguments: _Arguments) -> str:
    if not verb:
        return NO_VERB
    if verb == "%":
        return "%"
    if not arguments.good:
        return f"%!{verb}(BADINDEX)"
    if arguments.next >= len(arguments.values):
        return f"%!{verb}(MISSING)"
    value = arguments.values[arguments.next]
    arguments.next += 1
    if verb == "v":
        flags = flags._replace(sharp_v=flags.sharp, plus_v=flags.plus, sharp=False, plus=False)
    return formatted(value, verb, flags)
