"""A parsed template is carried out on a value.

Knows control structures and what is written; must not know syntax, nor how an
expression is evaluated. Source: the documentation of Go's text/template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from macvnet.gotemplate import nodes
from macvnet.gotemplate.errors import FunctionError
from macvnet.gotemplate.expressions import Expressions
from macvnet.gotemplate.literals import quote
from macvnet.gotemplate.parser import Templates
from macvnet.gotemplate.printing import formatted
from macvnet.gotemplate.values import Function, Kind, Value, indirect, integer, pairs, truth

LONGEST_OUTPUT = 64 << 20
"""Characters."""
LONGEST_SHOWN = 200
NO_VALUE = "<no value>"


def shown(value: Value) -> str:
    """The value in an error, where a long one is of no use."""
    try:
        text = formatted(value)
    except FunctionError:
        return f"a long {value.type}"
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


class Execution(Expressions):
    """One run of a template. ``out`` has what was written, also after a failure."""

    def __init__(
        self,
        text: str,
        templates: Templates,
        functions: Mapping[str, Function],
        *,
        missing_key_is_error: bool,
    ) -> None:
        super().__init__(text, functions, missing_key_is_error=missing_key_is_error)
        self.templates = templates
        self.out: list[str] = []
        self._size = 0

    def run(self, dot: Value | None) -> None:
        """Carry out the template outside every ``define``; raises TemplateError."""
        self.variables = [("$", dot)]
        self.block(dot, self.templates[""])

    def write(self, text: str) -> None:
        self._size += len(text)
        if self._size > LONGEST_OUTPUT:
            raise self.error(f"output is longer than {LONGEST_OUTPUT} characters")
        self.out.append(text)

    def block(self, dot: Value | None, block: nodes.Block) -> str:
        """The word that leaves the loop around, or ""."""
        self.node = block
        for node in block.nodes:
            self.node = node
            self.step()
            leaving = ""
            match node:
                case nodes.Text():
                    self.write(node.text)
                case nodes.Action():
                    value = self.pipe(dot, node.pipe)
                    if not node.pipe.variables:
                        self.print(node, value)
                case nodes.Branch():
                    outer = len(self.variables)
                    with self.deeper():
                        leaving = self.branch(dot, node)
                    del self.variables[outer:]
                case nodes.Call():
                    with self.deeper():
                        self.template(dot, node)
                case nodes.Leave():
                    leaving = node.word
            if leaving:
                return leaving
        return ""

    def print(self, node: nodes.Action, value: Value | None) -> None:
        self.node = node
        if value is not None and value.kind is Kind.POINTER:
            value, _ = indirect(value)
        try:
            self.write(NO_VALUE if value is None else formatted(value))
        except FunctionError as refusal:
            raise self.error(str(refusal)) from refusal

    def branch(self, dot: Value | None, node: nodes.Branch) -> str:
        if node.word == "range":
            return self.loop(dot, node)
        value = self.pipe(dot, node.pipe)
        if truth(value):
            return self.block(value if node.word == "with" else dot, node.body)
        return self.block(dot, node.otherwise) if node.otherwise is not None else ""

    def loop(self, dot: Value | None, node: nodes.Branch) -> str:
        value, _ = indirect(self.pipe(dot, node.pipe))
        none = True
        for index, element in self.elements(node, value):
            none = False
            inner = len(self.variables)
            self.set_loop_variables(node.pipe, index, element)
            leaving = self.block(element, node.body)
            del self.variables[inner:]
            if leaving == "break":
                break
        if none and node.otherwise is not None:
            return self.block(dot, node.otherwise)
        return ""

    def elements(
        self, node: nodes.Branch, value: Value | None
    ) -> Iterator[tuple[Value | None, Value | None]]:
        if value is None:
            return
        match value.kind:
            case Kind.SLICE:
                for number, element in enumerate(value.data or ()):
                    yield integer(number), element
            case Kind.MAP:
                yield from pairs(value)
            case Kind.INT | Kind.UINT:
                if len(node.pipe.variables) > 1:
                    message = f"can't use {shown(value)} to iterate over more than one variable"
                    raise self.error(message)
                for number in range(value.data):
                    self.step()
                    yield None, Value(value.type, number)
            case _:
                raise self.error(f"range can't iterate over {shown(value)}")

    def set_loop_variables(
        self, pipe: nodes.Pipe, index: Value | None, element: Value | None
    ) -> None:
        names = [variable.names[0] for variable in pipe.variables]
        values = [index, element][-len(names) :] if names else []
        for number, (name, value) in enumerate(zip(names, values, strict=True), -len(names)):
            if pipe.assigns:
                self.assign(name, value)
            else:
                self.variables[number] = (name, value)

    def template(self, dot: Value | None, node: nodes.Call) -> None:
        block = self.templates.get(node.name)
        if block is None:
            message = f"template {quote(node.name)} not defined"
            raise self.error(message, node.name, [*self.templates])
        argument = self.pipe(dot, node.pipe) if node.pipe is not None else None
        outer = self.name, self.variables
        self.name, self.variables = node.name, [("$", argument)]
        self.block(argument, block)
        self.name, self.variables = outer
