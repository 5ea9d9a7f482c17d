"""What stands between the delimiters is evaluated: pipelines, fields, calls.

Knows dot, variables, and which value fits which parameter; must not know
control structures, nor any single function. Source: the documentation of Go's
text/template; errors have Go's texts, and name the same places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from macvnet.gotemplate import nodes
from macvnet.gotemplate.errors import FunctionError, TemplateError
from macvnet.gotemplate.literals import quote
from macvnet.gotemplate.printing import bounded
from macvnet.gotemplate.values import (
    COMPLEX128,
    FLOAT64,
    INT,
    REFLECTED,
    STRING,
    Function,
    Kind,
    Type,
    Value,
    boolean,
    concrete,
    indirect,
    octets,
    string,
    truth,
)

DEEPEST = 100
"""Templates, branches and parentheses inside each other: before Python's own limit."""
MOST_STEPS = 10_000_000
MOST_TEXT = 256 << 20
"""Characters that all functions together may return; an element of a list counts as some."""
ELEMENT = 256


class _Missing:
    """Nothing came from the command before: not even a value that is none."""


MISSING = _Missing()
Final = Value | _Missing | None


class Expressions:
    """The state of an execution, and all that it evaluates."""

    def __init__(
        self, text: str, functions: Mapping[str, Function], *, missing_key_is_error: bool
    ) -> None:
        self.text, self.functions = text, functions
        self.missing_key_is_error = missing_key_is_error
        self.node: nodes.Any | None = None
        self.name = ""
        self.variables: list[tuple[str, Value | None]] = []
        self._steps = self._depth = self._text = 0

    # -- errors -----------------------------------------------------------

    def error(self, message: str, word: str = "", known: Sequence[str] = ()) -> TemplateError:
        assert self.node is not None, "nothing fails before a part is looked at"
        before = self.text[: self.node.pos]
        line = before.count("\n") + 1
        column = len(octets(before[before.rfind("\n") + 1 :]))
        where = f":{line}:{column}: executing {quote(self.name)} at <{self.node}>"
        return TemplateError(f"template: {where}: {message}", word, known)

    @contextmanager
    def deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self.error(f"exceeded maximum template depth ({DEEPEST})")
        yield
        self._depth -= 1

    def step(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise self.error(f"exceeded maximum number of steps ({MOST_STEPS})")

    # -- variables --------------------------------------------------------

    def assign(self, name: str, value: Value | None) -> None:
        for number in range(len(self.variables) - 1, -1, -1):
            if self.variables[number][0] == name:
                self.variables[number] = (name, value)
                return
        raise self.error(f"undefined variable: {name}")

    def variable(self, name: str) -> Value | None:
        for known, value in self.variables[::-1]:
            if known == name:
                return value
        raise self.error(f"undefined variable: {name}")

    # -- pipelines --------------------------------------------------------

    def pipe(self, dot: Value | None, pipe: nodes.Pipe) -> Value | None:
        self.node = pipe
        value: Final = MISSING
        for command in pipe.commands:
            value = concrete(self.command(dot, command, value))
        assert not isinstance(value, _Missing), "a pipeline has a command"
        for variable in pipe.variables:
            if pipe.assigns:
                self.assign(variable.names[0], value)
            else:
                self.variables.append((variable.names[0], value))
        return value

    def command(self, dot: Value | None, command: nodes.Command, final: Final) -> Value | None:
        self.step()
        first = command.words[0]
        match first:
            case nodes.Fields():
                self.node = first
                return self.chain(dot, dot, first, first.names, command.words, final)
            case nodes.Chain():
                return self.chained(dot, first, command.words, final)
            case nodes.Identifier():
                return self.function(dot, first, command, command.words, final)
            case nodes.Pipe():
                self.no_arguments(command.words, final)
                return self.nested(dot, first)
            case nodes.Variable():
                return self.from_variable(dot, first, command.words, final)
        self.node = first
        self.no_arguments(command.words, final)
        match first:
            case nodes.Dot():
                return dot
            case nodes.Nil():
                raise self.error("nil is not a command")
        return self.constant(first)

    def nested(self, dot: Value | None, pipe: nodes.Pipe) -> Value | None:
        with self.deeper():
            return self.pipe(dot, pipe)

    def no_arguments(self, words: Sequence[nodes.Operand], final: Final) -> None:
        if len(words) > 1 or final is not MISSING:
            raise self.error(f"can't give argument to non-function {words[0]}")

    def constant(self, node: nodes.Boolean | nodes.Constant | nodes.Quoted) -> Value:
        """What a constant is where nothing says of which type it has to be."""
        self.node = node
        if isinstance(node, nodes.Boolean):
            return boolean(node.true)
        if isinstance(node, nodes.Quoted):
            return string(node.text)
        number, text = node.number, node.text
        if number.complex is not None:
            return Value(COMPLEX128, number.complex)
        hexadecimal = text[:2].lower() == "0x" and "p" not in text.lower()
        if not hexadecimal and text[0] != "'" and set(text) & set(".eEpP"):
            return Value(FLOAT64, number.floating)
        if number.integer is None:
            raise self.error(f"{text} overflows int")
        return Value(INT, number.integer)

    # -- fields -----------------------------------------------------------

    def chained(
        self, dot: Value | None, node: nodes.Chain, words: Sequence[nodes.Operand], final: Final
    ) -> Value | None:
        self.node = node
        of = self.argument(dot, None, node.of)
        return self.chain(dot, of, node, node.names, words, final)

    def from_variable(
        self, dot: Value | None, node: nodes.Variable, words: Sequence[nodes.Operand], final: Final
    ) -> Value | None:
        self.node = node
        value = self.variable(node.names[0])
        if len(node.names) == 1:
            self.no_arguments(words, final)
            return value
        return self.chain(dot, value, node, node.names[1:], words, final)

    def chain(
        self,
        dot: Value | None,
        of: Value | None,
        node: nodes.Any,
        names: Sequence[str],
        words: Sequence[nodes.Operand],
        final: Final,
    ) -> Value | None:
        for name in names[:-1]:
            of = self.field(dot, of, node, name, (), MISSING)
        return self.field(dot, of, node, names[-1], words, final)

    def field(
        self,
        dot: Value | None,
        of: Value | None,
        node: nodes.Any,
        name: str,
        words: Sequence[nodes.Operand],
        final: Final,
    ) -> Value | None:
        """A method, a field of a struct or an entry of a map."""
        if of is None:
            if self.missing_key_is_error:
                raise self.error(f"nil data; no entry for key {quote(name)}", name)
            return None
        declared = of.type
        found, nil = indirect(of)
        assert found is not None
        if nil:
            raise self.error(f"nil pointer evaluating {declared}.{name}")
        if name in found.type.methods:
            return self.call(dot, found.type.methods[name], node, name, words, final, (found,))
        has_arguments = len(words) > 1 or final is not MISSING
        if found.kind is Kind.STRUCT and name in found.type.fields:
            if has_arguments:
                raise self.error(f"{name} has arguments but cannot be invoked as function")
            value: Value | None = found.data[name]
            return value
        if found.kind is Kind.MAP and found.type.key.takes(STRING):
            if has_arguments:
                raise self.error(f"{name} is not a method but has arguments")
            if self.missing_key_is_error and name not in (found.data or {}):
                message = f"map has no entry for key {quote(name)}"
                raise self.error(message, name, [*(found.data or {})])
            return (found.data or {}).get(name)
        known = [*found.type.fields, *found.type.methods]
        raise self.error(f"can't evaluate field {name} in type {declared}", name, known)

    # -- calls ------------------------------------------------------------

    def function(
        self,
        dot: Value | None,
        node: nodes.Identifier,
        command: nodes.Any,
        words: Sequence[nodes.Operand],
        final: Final,
    ) -> Value | None:
        self.node = node
        return self.call(dot, self.functions[node.name], command, node.name, words, final)

    def call(
        self,
        dot: Value | None,
        function: Function,
        node: nodes.Any,
        name: str,
        words: Sequence[nodes.Operand],
        final: Final,
        receiver: Sequence[Value] = (),
    ) -> Value | None:
        """``words``: the name itself, and the arguments after it."""
        given = words[1:]
        types = function.parameters
        count = len(given) + (final is not MISSING)
        fixed = len(types) - function.variadic
        if function.variadic and count < fixed:
            least = f"want at least {fixed} got {len(given)}"
            raise self.error(f"wrong number of args for {name}: {least}")
        if not function.variadic and count != fixed:
            raise self.error(f"wrong number of args for {name}: want {fixed} got {count}")
        types = (*types[:fixed], *types[-1:] * (count - fixed))
        values: list[Value | None] = []
        for of, word in zip(types, given, strict=False):
            values.append(self.argument(dot, of, word))
            if function.stops is not None and truth(values[-1]) is function.stops:
                return values[-1]
        if not isinstance(final, _Missing):
            values.append(self.fitting(final, types[-1]))
        if function.stops is not None:
            return values[-1]
        try:
            return self.counted(function.call(*receiver, *values))
        except FunctionError as refusal:
            self.node = node
            raise self.error(f"error calling {name}: {refusal}") from refusal

    def counted(self, result: Value | None) -> Value | None:
        """What a function returned; FunctionError where it is too much, by itself or in all."""
        if result is not None and result.kind is Kind.STRING:
            self._text += len(bounded(result.data))
        elif result is not None and result.kind is Kind.SLICE:
            self._text += ELEMENT * len(result.data or ())
        if self._text > MOST_TEXT:
            raise FunctionError(f"results are longer than {MOST_TEXT} characters altogether")
        return result

    def argument(self, dot: Value | None, of: Type | None, node: nodes.Operand) -> Value | None:
        """An argument, fit for a parameter of the type; None takes any."""
        self.node = node
        match node:
            case nodes.Dot():
                return self.fitting(dot, of)
            case nodes.Nil():
                if not self.takes_any(of):
                    raise self.error(f"cannot assign nil to {of}")
                return None
            case nodes.Fields():
                return self.fitting(self.chain(dot, dot, node, node.names, (), MISSING), of)
            case nodes.Variable():
                return self.fitting(self.from_variable(dot, node, (), MISSING), of)
            case nodes.Pipe():
                return self.fitting(self.nested(dot, node), of)
            case nodes.Identifier():
                return self.fitting(self.function(dot, node, node, (), MISSING), of)
            case nodes.Chain():
                return self.fitting(self.chained(dot, node, (), MISSING), of)
        return self.constant_of(of, node)

    def constant_of(
        self, of: Type | None, node: nodes.Boolean | nodes.Constant | nodes.Quoted
    ) -> Value:
        if of is None or self.takes_any(of):
            return self.constant(node)
        if of.kind is Kind.STRING and isinstance(node, nodes.Quoted):
            return Value(of, node.text)
        if of.kind is Kind.INT and isinstance(node, nodes.Constant):
            number = node.number.integer
            if number is not None:
                return Value(of, number)
        wanted = {Kind.INT: "integer"}.get(of.kind, of.kind.value)
        raise self.error(f"expected {wanted}; found {node}")

    @staticmethod
    def takes_any(of: Type | None) -> bool:
        return of is None or of is REFLECTED or of.kind is Kind.INTERFACE

    def fitting(self, value: Value | None, of: Type | None) -> Value | None:
        """The value as a parameter of the type gets it."""
        if of is None or of is REFLECTED:
            return value
        if of.kind is Kind.INTERFACE:
            return concrete(value)
        if value is None:
            raise self.error(f"invalid value; expected {of}")
        if of.takes(value.type):
            return value
        inner = value.data if value.kind is Kind.INTERFACE else None
        if isinstance(inner, Value) and of.takes(inner.type):
            return inner
        shown = inner if isinstance(inner, Value) else value
        raise self.error(f"wrong type for value; expected {of}; got {shown.type}")
