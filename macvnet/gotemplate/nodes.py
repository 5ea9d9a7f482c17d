"""The parts of a parsed template.

``str()`` of a part is its text in Go's canonical spelling, as it stands in
errors. ``pos`` counts characters from the beginning of the template.
"""

from __future__ import annotations

from typing import NamedTuple

from macvnet.gotemplate.literals import Number, quote


class Text(NamedTuple):
    pos: int
    text: str

    def __str__(self) -> str:
        return self.text


class Dot(NamedTuple):
    pos: int

    def __str__(self) -> str:
        return "."


class Nil(NamedTuple):
    pos: int

    def __str__(self) -> str:
        return "nil"


class Boolean(NamedTuple):
    pos: int
    true: bool

    def __str__(self) -> str:
        return "true" if self.true else "false"


class Constant(NamedTuple):
    """A number, or a character, which is one too."""

    pos: int
    text: str
    number: Number

    def __str__(self) -> str:
        return self.text


class Quoted(NamedTuple):
    """A string constant: as it was written, and what it means."""

    pos: int
    literal: str
    text: str

    def __str__(self) -> str:
        return self.literal


class Identifier(NamedTuple):
    """The name of a function."""

    pos: int
    name: str

    def __str__(self) -> str:
        return self.name


class Fields(NamedTuple):
    """``.A.B``, from dot on."""

    pos: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


class Variable(NamedTuple):
    """``$x``, or ``$x.A.B``: the first name has its dollar sign."""

    pos: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


class Chain(NamedTuple):
    """Fields of something else than dot or a variable: ``(index .A 1).B``."""

    pos: int
    of: Operand
    names: tuple[str, ...]

    def __str__(self) -> str:
        return _operand(self.of) + "".join(f".{name}" for name in self.names)


class Command(NamedTuple):
    """Words: the first may be a function, the others are its arguments."""

    pos: int
    words: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join([_operand(word) for word in self.words])


class Pipe(NamedTuple):
    """Commands, each fed with what the one before it gave; variables that get the last."""

    pos: int
    variables: tuple[Variable, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        sign = "=" if self.assigns else ":="
        names = ", ".join([str(one) for one in self.variables])
        return (f"{names} {sign} " if names else "") + " | ".join([str(c) for c in self.commands])


class Action(NamedTuple):
    pos: int
    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


class Branch(NamedTuple):
    """``if``, ``with`` or ``range``: ``word``. ``otherwise`` is None without an else."""

    pos: int
    word: str
    pipe: Pipe
    body: Block
    otherwise: Block | None

    def __str__(self) -> str:
        other = f"{{{{else}}}}{self.otherwise}" if self.otherwise is not None else ""
        return f"{{{{{self.word} {self.pipe}}}}}{self.body}{other}{{{{end}}}}"


class Call(NamedTuple):
    """``template``: the other template's name, and what its dot is."""

    pos: int
    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        argument = f" {self.pipe}" if self.pipe is not None else ""
        return f"{{{{template {quote(self.name)}{argument}}}}}"


class Leave(NamedTuple):
    """``break`` or ``continue``: ``word``."""

    pos: int
    word: str

    def __str__(self) -> str:
        return f"{{{{{self.word}}}}}"


class Block(NamedTuple):
    """What is carried out one after the other."""

    pos: int
    nodes: tuple[Node, ...]

    def __str__(self) -> str:
        return "".join([str(node) for node in self.nodes])

    @property
    def empty(self) -> bool:
        """Whether it is white space only."""
        return all(isinstance(node, Text) and not node.text.strip() for node in self.nodes)


Operand = (
    Dot | Nil | Boolean | Constant | Quoted | Identifier | Fields | Variable | Chain | Pipe
)  # fmt: skip
Node = Text | Action | Branch | Call | Leave
Any = Operand | Node | Command | Block


def _operand(node: Operand) -> str:
    return f"({node})" if isinstance(node, Pipe) else str(node)
