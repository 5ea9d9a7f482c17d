"""Tokens become the parts of a template.

Knows the grammar and which names are defined; must not know values. Source:
the documentation of Go's text/template; errors have Go's texts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from macvnet.gotemplate import literals, nodes
from macvnet.gotemplate.errors import TemplateError
from macvnet.gotemplate.lexer import Item, Token, scan
from macvnet.gotemplate.literals import quote

DEEPEST = 80
"""Of parentheses and control structures inside each other: far beyond use, and before Python's."""

_OPERANDS = frozenset(
    (
        Token.BOOL, Token.CHARACTER, Token.COMPLEX, Token.DOT, Token.FIELD, Token.IDENTIFIER,
        Token.NUMBER, Token.NIL, Token.RAW_STRING, Token.STRING, Token.VARIABLE, Token.LEFT_PAREN,
    )
)  # fmt: skip
_PLAIN = (nodes.Boolean, nodes.Dot, nodes.Nil, nodes.Constant, nodes.Quoted)
_UNCHAINED = (nodes.Boolean, nodes.Quoted, nodes.Constant, nodes.Nil, nodes.Dot)

Templates = dict[str, nodes.Block]


class _End:
    """What closes a block: ``end`` or ``else``, and where."""

    def __init__(self, pos: int, word: str) -> None:
        self.pos, self.word = pos, word

    def __str__(self) -> str:
        return f"{{{{{self.word}}}}}"


class _Parser:
    def __init__(self, text: str, functions: Collection[str]) -> None:
        self.items = scan(text)
        self.functions = functions
        self.at = 0
        self.seen = 0
        self.depth = 0
        self.ranges = 0
        self.action_line = 0
        self.variables = ["$"]
        self.templates: Templates = {}

    # -- tokens -----------------------------------------------------------

    def peek(self) -> Item:
        self.seen = max(self.seen, self.at)
        return self.items[min(self.at, len(self.items) - 1)]

    def next(self) -> Item:
        item = self.peek()
        self.at += 1
        return item

    def peek_word(self) -> Item:
        """The next token that is no space, which is passed over."""
        while self.peek().kind is Token.SPACE:
            self.at += 1
        return self.peek()

    def next_word(self) -> Item:
        self.peek_word()
        return self.next()

    def expect(self, context: str, *kinds: Token) -> Item:
        item = self.next_word()
        if item.kind not in kinds:
            raise self.unexpected(item, context)
        return item

    # -- errors -----------------------------------------------------------

    def error(self, message: str, word: str = "", known: Collection[str] = ()) -> TemplateError:
        line = self.items[min(self.seen, len(self.items) - 1)].line
        return TemplateError(f"template: :{line}: {message}", word, known)

    def unexpected(self, item: object, context: str) -> TemplateError:
        if not isinstance(item, Item) or item.kind is not Token.ERROR:
            return self.error(f"unexpected {item} in {context}")
        if not self.action_line or self.action_line == item.line:
            return self.error(item.text)
        where = f"in action started at :{self.action_line}"
        if item.text.endswith(" action"):
            where = where.removeprefix("in action ")
        return self.error(f"{item.text} {where}")

    @contextmanager
    def deeper(self) -> Iterator[None]:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error("max expression depth exceeded")
        yield
        self.depth -= 1

    # -- blocks -----------------------------------------------------------

    def parse(self) -> Templates:
        root: list[nodes.Node] = []
        start = self.peek().pos
        while self.peek().kind is not Token.EOF:
            if self.peek().kind is Token.LEFT:
                delimiter = self.at
                self.next()
                item = self.next_word()
                if item.kind is Token.KEYWORD and item.text == "define":
                    self.define()
                    continue
                self.at = delimiter
            found = self.text_or_action()
            if isinstance(found, _End):
                raise self.error(f"unexpected {found}")
            root.append(found)
        self.add("", nodes.Block(start, tuple(root)))
        return self.templates

    def add(self, name: str, block: nodes.Block) -> None:
        known = self.templates.get(name)
        if known is None or known.empty:
            self.templates[name] = block
        elif not block.empty:
            raise self.error(f"template: multiple definition of template {quote(name)}")

    def block(self) -> tuple[nodes.Block, _End]:
        """Up to an end or an else."""
        found: list[nodes.Node] = []
        start = self.peek_word().pos
        while self.peek_word().kind is not Token.EOF:
            node = self.text_or_action()
            if isinstance(node, _End):
                return nodes.Block(start, tuple(found)), node
            found.append(node)
        raise self.error("unexpected EOF")

    def text_or_action(self) -> nodes.Node | _End:
        item = self.next_word()
        if item.kind is Token.TEXT:
            return nodes.Text(item.pos, item.text)
        if item.kind is not Token.LEFT:
            raise self.unexpected(item, "input")
        self.action_line = item.line
        node = self.action()
        self.action_line = 0
        return node

    def action(self) -> nodes.Node | _End:
        item = self.peek_word()
        if item.kind is Token.KEYWORD and item.text != "define":
            self.next()
            if item.text in ("if", "with", "range"):
                return self.branch(item.text)
            if item.text in ("break", "continue"):
                return self.leave(item)
            others: dict[str, Callable[[], nodes.Node | _End]] = {
                "block": self.inline_block,
                "else": self.otherwise,
                "end": self.end,
                "template": self.call,
            }
            return others[item.text]()
        return nodes.Action(item.pos, self.pipe("command", Token.RIGHT))

    def end(self) -> _End:
        return _End(self.expect("end", Token.RIGHT).pos, "end")

    def otherwise(self) -> _End:
        item = self.peek_word()
        if item.kind is not Token.KEYWORD or item.text not in ("if", "with"):
            item = self.expect("else", Token.RIGHT)
        return _End(item.pos, "else")

    def leave(self, item: Item) -> nodes.Leave:
        self.expect(f"{{{{{item.text}}}}}", Token.RIGHT)
        if not self.ranges:
            raise self.error(f"{{{{{item.text}}}}} outside {{{{range}}}}")
        return nodes.Leave(item.pos, item.text)

    def branch(self, word: str) -> nodes.Branch:
        with self.deeper():
            outer = len(self.variables)
            pipe = self.pipe(word, Token.RIGHT)
            self.ranges += word == "range"
            body, end = self.block()
            self.ranges -= word == "range"
            other = None
            if end.word == "else":
                other = self.other_branch(word, end)
            del self.variables[outer:]
        return nodes.Branch(pipe.pos, word, pipe, body, other)

    def other_branch(self, word: str, end: _End) -> nodes.Block:
        item = self.peek()
        if item.kind is Token.KEYWORD and item.text == word:
            # {{else if}}: one {{end}} closes both.
            self.next()
            return nodes.Block(end.pos, (self.branch(word),))
        other, last = self.block()
        if last.word != "end":
            raise self.error(f"expected end; found {last}")
        return other

    # -- other templates --------------------------------------------------

    def own(self, clause: str) -> nodes.Block:
        """The body of another template, which sees no variables of this one."""
        outer = self.variables, self.ranges
        self.variables, self.ranges = ["$"], 0
        with self.deeper():
            body, end = self.block()
        self.variables, self.ranges = outer
        if end.word != "end":
            raise self.unexpected(end, clause)
        return body

    def define(self) -> None:
        clause = "define clause"
        name = self.name(self.expect(clause, Token.STRING, Token.RAW_STRING))
        self.expect(clause, Token.RIGHT)
        self.add(name, self.own(clause))

    def inline_block(self) -> nodes.Call:
        clause = "block clause"
        item = self.expect(clause, Token.STRING, Token.RAW_STRING)
        name = self.name(item)
        pipe = self.pipe(clause, Token.RIGHT)
        self.add(name, self.own(clause))
        return nodes.Call(item.pos, name, pipe)

    def call(self) -> nodes.Call:
        context = "template clause"
        item = self.expect(context, Token.STRING, Token.RAW_STRING)
        name = self.name(item)
        if self.peek_word().kind is Token.RIGHT:
            self.next()
            return nodes.Call(item.pos, name, None)
        return nodes.Call(item.pos, name, self.pipe(context, Token.RIGHT))

    def name(self, item: Item) -> str:
        try:
            return literals.unquote(item.text)
        except ValueError as error:
            raise self.error(str(error)) from error

    # -- pipelines --------------------------------------------------------

    def pipe(self, context: str, end: Token) -> nodes.Pipe:
        start = self.peek_word().pos
        variables, assigns = self.declarations(context)
        commands: list[nodes.Command] = []
        while True:
            item = self.peek_word()
            if item.kind is end:
                self.next()
                break
            if item.kind not in _OPERANDS:
                self.next()
                raise self.unexpected(item, context)
            commands.append(self.command())
        if not commands:
            raise self.error(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.words[0], _PLAIN):
                raise self.error(f"non executable command in pipeline stage {stage}")
        return nodes.Pipe(start, variables, assigns, tuple(commands))

    def declarations(self, context: str) -> tuple[tuple[nodes.Variable, ...], bool]:
        """``$x :=``, ``$x =``, and in a range ``$i, $x :=`` or ``=``."""
        found: list[nodes.Variable] = []
        while self.peek_word().kind is Token.VARIABLE:
            before = self.at
            item = self.next()
            sign = self.peek_word()
            comma = sign.kind is Token.CHAR and sign.text == ","
            if not comma and sign.kind not in (Token.ASSIGN, Token.DECLARE):
                self.at = before
                break
            self.next()
            found.append(nodes.Variable(item.pos, (item.text,)))
            self.variables.append(item.text)
            if not comma:
                return tuple(found), sign.kind is Token.ASSIGN
            if context != "range" or len(found) > 1:
                raise self.error(f"too many declarations in {context}")
            follows = self.peek_word().kind
            if follows not in (Token.VARIABLE, Token.RIGHT, Token.RIGHT_PAREN):
                raise self.error("range can only initialize variables")
        return tuple(found), False

    def command(self) -> nodes.Command:
        start = self.peek_word().pos
        words: list[nodes.Operand] = []
        while True:
            self.peek_word()
            operand = self.operand()
            if operand is not None:
                words.append(operand)
            item = self.next()
            if item.kind is Token.SPACE:
                continue
            if item.kind in (Token.RIGHT, Token.RIGHT_PAREN):
                self.at -= 1
            elif item.kind is not Token.PIPE:
                raise self.unexpected(item, "operand")
            break
        if not words:
            raise self.error("empty command")
        return nodes.Command(start, tuple(words))

    def operand(self) -> nodes.Operand | None:
        node = self.term()
        if node is None or self.peek().kind is not Token.FIELD:
            return node
        start = self.peek().pos
        names: list[str] = []
        while self.peek().kind is Token.FIELD:
            names.append(self.next().text[1:])
        if isinstance(node, nodes.Fields):
            return nodes.Fields(start, (*node.names, *names))
        if isinstance(node, nodes.Variable):
            return nodes.Variable(start, (*node.names, *names))
        if isinstance(node, _UNCHAINED):
            raise self.error(f"unexpected . after term {quote(str(node))}")
        return nodes.Chain(start, node, tuple(names))

    def term(self) -> nodes.Operand | None:
        item = self.peek_word()
        if item.kind not in _OPERANDS:
            return None
        self.next()
        match item.kind:
            case Token.IDENTIFIER:
                if item.text not in self.functions:
                    message = f"function {quote(item.text)} not defined"
                    raise self.error(message, item.text, self.functions)
                return nodes.Identifier(item.pos, item.text)
            case Token.DOT:
                return nodes.Dot(item.pos)
            case Token.NIL:
                return nodes.Nil(item.pos)
            case Token.VARIABLE:
                if item.text not in self.variables:
                    message = f"undefined variable {quote(item.text)}"
                    raise self.error(message, item.text, self.variables)
                return nodes.Variable(item.pos, (item.text,))
            case Token.FIELD:
                return nodes.Fields(item.pos, (item.text[1:],))
            case Token.BOOL:
                return nodes.Boolean(item.pos, item.text == "true")
            case Token.LEFT_PAREN:
                with self.deeper():
                    return self.pipe("parenthesized pipeline", Token.RIGHT_PAREN)
        return self.constant(item)

    def constant(self, item: Item) -> nodes.Constant | nodes.Quoted:
        if item.kind in (Token.STRING, Token.RAW_STRING):
            return nodes.Quoted(item.pos, item.text, self.name(item))
        try:
            if item.kind is Token.CHARACTER:
                code = literals.character(item.text)
                return nodes.Constant(item.pos, item.text, literals.Number(code, float(code)))
            number = literals.number(item.text, paired=item.kind is Token.COMPLEX)
        except ValueError as error:
            raise self.error(str(error)) from error
        return nodes.Constant(item.pos, item.text, number)


def parse(text: str, functions: Collection[str]) -> Templates:
    """The templates of ``text`` by name, the one outside every ``define`` as "".

    Raises TemplateError. ``functions``: the names that may be called.
    """
    return _Parser(text, functions).parse()
