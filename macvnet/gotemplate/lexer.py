"""The text of a template becomes tokens.

Knows delimiters, trim markers, comments and what a word is made of; must not
know what words mean together. Source: the documentation of Go's text/template.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from macvnet.gotemplate.literals import quote

LEFT_DELIMITER, RIGHT_DELIMITER = "{{", "}}"
SPACES = " \t\r\n"


class Token(Enum):
    """The kind of a token."""

    ERROR = "error"
    BOOL = "bool"
    CHAR = "char"
    CHARACTER = "character constant"
    COMPLEX = "complex"
    ASSIGN = "="
    DECLARE = ":="
    EOF = "EOF"
    FIELD = "field"
    IDENTIFIER = "identifier"
    LEFT = "left delimiter"
    LEFT_PAREN = "("
    NUMBER = "number"
    PIPE = "|"
    RAW_STRING = "raw string"
    RIGHT = "right delimiter"
    RIGHT_PAREN = ")"
    SPACE = "space"
    STRING = "string"
    TEXT = "text"
    VARIABLE = "variable"
    KEYWORD = "keyword"
    DOT = "."
    NIL = "nil"


class Item(NamedTuple):
    """A token: where it begins, in characters, its text and its line."""

    kind: Token
    pos: int
    text: str
    line: int

    def __str__(self) -> str:
        """As Go names it in an error."""
        if self.kind is Token.EOF:
            return "EOF"
        if self.kind is Token.ERROR:
            return self.text
        if self.kind in (Token.KEYWORD, Token.DOT, Token.NIL):
            return f"<{self.text}>"
        if len(self.text.encode("utf-8", "surrogatepass")) > 10:
            return quote(self.text[:10]) + "..."
        return quote(self.text)


KEYWORDS = frozenset(
    ("block", "break", "continue", "define", "else", "end", "if", "range", "template", "with")
)
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_CHARACTER = re.compile(r"'(?:[^'\\\n]|\\[^\n])*'")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
    r"|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)
_SINGLE = {"=": Token.ASSIGN, "|": Token.PIPE}


def code_point(character: str) -> str:
    """``U+0021 '!'``, as Go shows a character that has no place."""
    shown = f" '{character}'" if character.isprintable() else ""
    return f"U+{ord(character):04X}{shown}"


def _alphanumeric(character: str) -> bool:
    return character == "_" or character.isalpha() or character.isdecimal()


class _Stop(Exception):
    """An error token was emitted: there is nothing after it."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.items: list[Item] = []
        self.pos = 0
        self._lines = [match.start() for match in re.finditer("\n", text)]
        self._line = 0
        self._parens = 0

    def run(self) -> list[Item]:
        try:
            while self._next():
                pass
        except _Stop:
            pass
        return self.items

    # -- emitting ---------------------------------------------------------

    def _emit(self, kind: Token, start: int, end: int) -> None:
        self.items.append(Item(kind, start, self.text[start:end], self._line_at(start)))
        self.pos = end

    def _fail(self, message: str, start: int) -> _Stop:
        self.items.append(Item(Token.ERROR, start, message, self._line_at(start)))
        return _Stop(message)

    def _line_at(self, pos: int) -> int:
        while self._line < len(self._lines) and self._lines[self._line] < pos:
            self._line += 1
        return self._line + 1

    # -- outside of actions -----------------------------------------------

    def _next(self) -> bool:
        """Text, and the action or comment after it; False at the end."""
        start = self.pos
        found = self.text.find(LEFT_DELIMITER, start)
        if found < 0:
            if start < len(self.text):
                self._emit(Token.TEXT, start, len(self.text))
            self._emit(Token.EOF, len(self.text), len(self.text))
            return False
        inside = found + len(LEFT_DELIMITER)
        trim = self.text[inside : inside + 1] == "-" and self._space_at(inside + 1)
        kept = self.text[start:found].rstrip(SPACES) if trim else self.text[start:found]
        if kept:
            self._emit(Token.TEXT, start, start + len(kept))
        inside_marker = inside + 2 if trim else inside
        if self.text.startswith("/*", inside_marker):
            self._comment(inside_marker)
            return True
        self._emit(Token.LEFT, found, inside)
        self.pos = inside_marker
        self._action()
        return True

    def _comment(self, start: int) -> None:
        end = self.text.find("*/", start)
        if end < 0:
            raise self._fail("unclosed comment", start)
        self.pos = end + 2
        if not self._at_right():
            raise self._fail("comment ends before closing delimiter", start)
        self._skip_right()

    def _space_at(self, pos: int) -> bool:
        return self.text[pos : pos + 1] in tuple(SPACES)

    def _at_right(self) -> bool:
        return self.text.startswith(RIGHT_DELIMITER, self.pos) or self._at_trim()

    def _at_trim(self) -> bool:
        return self._space_at(self.pos) and self.text.startswith(
            "-" + RIGHT_DELIMITER, self.pos + 1
        )

    def _skip_right(self) -> None:
        """Past a right delimiter, and past the white space that its marker trims."""
        trim = self._at_trim()
        self.pos += len(RIGHT_DELIMITER) + (2 if trim else 0)
        while trim and self._space_at(self.pos):
            self.pos += 1

    # -- inside of an action ----------------------------------------------

    def _action(self) -> None:
        self._parens = 0
        while not self._at_right():
            self._word(self.pos)
        if self._parens:
            raise self._fail("unclosed left paren", self.pos)
        start = self.pos + (2 if self._at_trim() else 0)
        item = Item(Token.RIGHT, start, RIGHT_DELIMITER, self._line_at(start))
        self.items.append(item)
        self._skip_right()

    def _word(self, start: int) -> None:
        first = self.text[start : start + 1]
        if not first:
            raise self._fail("unclosed action", start)
        if first in SPACES:
            self._spaces(start)
        elif first in _SINGLE:
            self._emit(_SINGLE[first], start, start + 1)
        elif first == ":":
            if not self.text.startswith(":=", start):
                raise self._fail("expected :=", start)
            self._emit(Token.DECLARE, start, start + 2)
        elif first in "\"`'":
            self._quoted(first, start)
        elif first in "()":
            self._paren(first, start)
        elif first in "$.":
            self._name(first, start)
        elif first in "+-" or "0" <= first <= "9":
            self._number(start)
        elif _alphanumeric(first):
            self._identifier(start)
        elif first < "\x7f" and first.isprintable():
            self._emit(Token.CHAR, start, start + 1)
        else:
            message = f"unrecognized character in action: {code_point(first)}"
            raise self._fail(message, start)

    def _spaces(self, start: int) -> None:
        self.pos = start
        # The last space may belong to a trim marker.
        while self._space_at(self.pos) and not self._at_trim():
            self.pos += 1
        self._emit(Token.SPACE, start, self.pos)

    def _quoted(self, mark: str, start: int) -> None:
        if mark == "`":
            end = self.text.find("`", start + 1)
            if end < 0:
                raise self._fail("unterminated raw quoted string", start)
            self._emit(Token.RAW_STRING, start, end + 1)
            return
        pattern, kind, what = (
            (_QUOTED, Token.STRING, "quoted string")
            if mark == '"'
            else (_CHARACTER, Token.CHARACTER, "character constant")
        )
        found = pattern.match(self.text, start)
        if found is None:
            raise self._fail(f"unterminated {what}", start)
        self._emit(kind, start, found.end())

    def _paren(self, first: str, start: int) -> None:
        self._parens += 1 if first == "(" else -1
        if self._parens < 0:
            raise self._fail("unexpected right paren", start)
        kind = Token.LEFT_PAREN if first == "(" else Token.RIGHT_PAREN
        self._emit(kind, start, start + 1)

    def _name(self, first: str, start: int) -> None:
        """A field, the dot or a variable."""
        if first == "." and "0" <= self.text[start + 1 : start + 2] <= "9":
            self._number(start)
            return
        end = self._word_end(start + 1)
        kind = Token.VARIABLE if first == "$" else Token.FIELD
        self._emit(Token.DOT if first == "." and end == start + 1 else kind, start, end)

    def _identifier(self, start: int) -> None:
        end = self._word_end(start)
        word = self.text[start:end]
        kind = Token.IDENTIFIER
        if word in KEYWORDS:
            kind = Token.KEYWORD
        elif word == "nil":
            kind = Token.NIL
        elif word in ("true", "false"):
            kind = Token.BOOL
        self._emit(kind, start, end)

    def _word_end(self, start: int) -> int:
        end = start
        while end < len(self.text) and _alphanumeric(self.text[end]):
            end += 1
        after = self.text[end : end + 1]
        if after and after not in SPACES + ".,|:)(" and not self._delimits(end):
            raise self._fail(f"bad character {code_point(after)}", start)
        return end

    def _delimits(self, pos: int) -> bool:
        return self.text.startswith(RIGHT_DELIMITER, pos)

    def _number(self, start: int) -> None:
        kind, end = Token.NUMBER, self._number_end(start, start)
        if self.text[end : end + 1] in ("+", "-"):
            kind, end = Token.COMPLEX, self._number_end(end, start)
            if self.text[end - 1] != "i":
                raise self._bad_number(start, end)
        self._emit(kind, start, end)

    def _number_end(self, pos: int, start: int) -> int:
        found = _NUMBER.match(self.text, pos)
        assert found is not None, "the pattern matches nothing as well"
        after = self.text[found.end() : found.end() + 1]
        if after and _alphanumeric(after):
            raise self._bad_number(start, found.end() + 1)
        return found.end()

    def _bad_number(self, start: int, end: int) -> _Stop:
        return self._fail(f"bad number syntax: {quote(self.text[start:end])}", start)


def scan(text: str) -> list[Item]:
    """All tokens; the last one is EOF or ERROR."""
    return _Scanner(text).run()
