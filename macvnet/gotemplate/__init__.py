"""Go's text/template in Python, with docker's functions, as far as data can be asked for.

The package is by itself: it knows Go's values, syntax, evaluation and fmt, and
nothing of macvnet. It follows Go 1.25; what would need pointers, channels or
functions as data does not occur in documents, and is not here. Whatever a
template asks for, it ends with text or a TemplateError: depth, steps and sizes
are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping

from macvnet.gotemplate.builtins import BUILTINS
from macvnet.gotemplate.dockerfunctions import DOCKER
from macvnet.gotemplate.errors import TemplateError
from macvnet.gotemplate.evaluator import Execution
from macvnet.gotemplate.lexer import Token, scan
from macvnet.gotemplate.literals import unquote
from macvnet.gotemplate.parser import parse
from macvnet.gotemplate.values import Function, Value

__all__ = ["Template", "TemplateError", "Value"]


class Template:
    """A template that has been parsed.

    ``missing_key_is_error``: a key that a map lacks, or a field of nothing,
    ends the execution; otherwise it gives ``<no value>``. ``characters``: those
    that stand in the template itself, in its text and in its string constants.
    """

    def __init__(self, text: str) -> None:
        """Raises TemplateError."""
        self.text = text
        self.functions: dict[str, Function] = {**BUILTINS, **DOCKER}
        self.templates = parse(text, self.functions)
        self.missing_key_is_error = False

    @property
    def characters(self) -> frozenset[str]:
        found: set[str] = set()
        for item in scan(self.text):
            if item.kind in (Token.STRING, Token.RAW_STRING):
                found.update(unquote(item.text))
            elif item.kind is Token.TEXT:
                found.update(item.text)
        return frozenset(found)

    def execute(self, dot: Value | None, functions: Mapping[str, Function] | None = None) -> str:
        """What the template makes of ``dot``; raises TemplateError.

        ``functions`` take the place of those with their names.
        """
        execution = Execution(
            self.text,
            self.templates,
            {**self.functions, **(functions or {})},
            missing_key_is_error=self.missing_key_is_error,
        )
        try:
            execution.run(dot)
        except RecursionError as error:
            # The bounds keep away from it, unless whoever calls is deep in calls already.
            raise TemplateError("template: too many levels inside each other") from error
        except TemplateError as error:
            error.written = "".join(execution.out)
            raise
        return "".join(execution.out)
