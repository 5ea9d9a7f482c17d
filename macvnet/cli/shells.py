"""bash, zsh and fish: the script for each, what it hands over at a Tab, what it wants back.

``macvnet __complete SHELL ...`` stands between a script and ``complete``. The
first line of an answer is its kind, with what belongs to that after a tab; each
further line is a candidate. A script evaluates nothing of it. Must not know a
command, nor what can be typed.
"""

from __future__ import annotations

import _thread
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from macvnet.cli import completing
from macvnet.cli.completing import COMMAND, DIRECTORIES, FILES, NOTHING, Answer
from macvnet.records import NamedTuple

PATIENCE = 2.0
"""Seconds after which a Tab has no answer, whatever it waits for."""


class Shell(NamedTuple):
    """``file`` is what its script is called where the shell looks for it."""

    file: str
    script: str
    respond: Callable[[Sequence[str]], str]


class Token(NamedTuple):
    """A word of a command line without its quotes, and where it begins."""

    text: str
    start: int


def complete(arguments: Sequence[str]) -> NoReturn:
    """Answer a script and end the process: with status 0 and without a word on stderr, always."""
    try:
        _thread.start_new_thread(_give_up, ())
        text = SHELLS[arguments[0]].respond(arguments[1:])
        sys.stdout.write(text)
        sys.stdout.flush()
    except BaseException:  # a broken state, no permission, nonsense, a key: nothing to offer
        os._exit(0)
    os._exit(0)


def _give_up() -> None:
    # A thread, since a signal waits until SQLite or the kernel has come back.
    time.sleep(PATIENCE)
    os._exit(0)


def tokens(line: str) -> tuple[list[Token], bool]:
    """The words of a line as a shell splits it, and whether its end still belongs to the last.

    Quotes go, nothing is expanded; a quote that is never closed goes on to the end.
    """
    found: list[Token] = []
    text: str | None = None
    start = 0
    quote = ""
    characters = enumerate(line)
    for place, character in characters:
        if not quote and character in " \t\n":
            if text is not None:
                found.append(Token(text, start))
            text = None
            continue
        if text is None:
            text, start = "", place
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character == "\\" and quote != "'":
            following = next(characters, (0, ""))[1]
            text += following if not quote or following in '"\\$`' else character + following
        else:
            text += character
    if text is not None:
        found.append(Token(text, start))
    return found, text is not None


def _plain(text: str) -> str:
    """One word without its quotes."""
    found, _ = tokens(text)
    return found[0].text if found else ""


# -- bash hands over the line, cut at the cursor, and what of the word it will replace: it ends
# words at '=' and ':', too, and its own splitting has lost where the words were.


def _bash(arguments: Sequence[str]) -> str:
    before, after, replaced = arguments
    head, inside = tokens(before)
    words = [token.text for token in head[1:]]
    if not inside:
        words.append("")
    cursor = len(words) - 1
    rest, _ = tokens(before + after)
    tail = [token for token in rest[len(head) :] if token.start > len(before)]
    words += [token.text for token in tail]
    found = completing.answer(words, cursor)
    if found.kind == COMMAND:
        place = found.skip + 1
        offset = head[place].start if place < len(head) else len(before)
        return f"{COMMAND}\t{offset}\n"
    # Behind another command (sudo), the sign itself comes for the nothing that follows it.
    typed, kept = words[cursor], "" if set(replaced) <= set(":=") else _plain(replaced)
    if not typed.endswith(kept):
        return _lines(NOTHING.kind, ())
    cut = len(typed) - len(kept)
    return _lines(found.kind, (one.word[cut:] for one in found.candidates))


BASH = r"""# bash completion for macvnet: printed by 'macvnet completion bash'.

_macvnet() {
    local program=$1 kind
    [[ $program != "~/"* ]] || program=$HOME/${program:2}
    type -P -- "$program" >/dev/null || program=macvnet
    mapfile -t COMPREPLY < <("$program" __complete bash \
        "${COMP_LINE:0:COMP_POINT}" "${COMP_LINE:COMP_POINT}" "$2" 2>/dev/null)
    kind=${COMPREPLY[0]-}
    COMPREPLY=("${COMPREPLY[@]:1}")
    case $kind in
        open) compopt -o nospace ;;
        files) compopt -o default ;;
        directories) compopt -o dirnames ;;
        command*) _macvnet_command "${kind#*$'\t'}" "$2" ;;
    esac
}

# The words of another command, which begins at this place of the line.
_macvnet_command() {
    local at=0 word
    for ((word = 0; word < COMP_CWORD; word++)); do
        while [[ ${COMP_LINE:at:1} == [[:space:]] ]]; do ((at++)); done
        ((at < $1)) || break
        ((at += ${#COMP_WORDS[word]}))
    done
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$word"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$word"
    elif ((word == COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$2")
    else
        compopt -o default
    fi
}

complete -F _macvnet macvnet
"""


# -- zsh and fish hand over the words, and how many of them are before the one at the cursor.


def _counted(arguments: Sequence[str]) -> Answer:
    return completing.answer(arguments[1:], int(arguments[0]))


def _by_the_shell(found: Answer) -> str | None:
    if found.kind == COMMAND:
        return f"{found.kind}\t{found.skip}\n"
    return f"{found.kind}\t{found.before}\n" if found.kind in (FILES, DIRECTORIES) else None


def _zsh(arguments: Sequence[str]) -> str:
    found = _counted(arguments)
    described = (
        one.word.replace(":", "\\:") + (f":{one.about}" if one.about else "")
        for one in found.candidates
    )
    return _by_the_shell(found) or _lines(found.kind, described)


ZSH = r"""#compdef macvnet
# zsh completion for macvnet: printed by 'macvnet completion zsh'.

_macvnet() {
    local program=${(Q)words[1]} kind
    local -a answer
    program=${program/#\~\//$HOME/}
    whence -p -- $program >/dev/null || program=macvnet
    answer=("${(@f)$($program __complete zsh $((CURRENT - 2)) "${(@Q)words[2,CURRENT-1]}" \
        "${(Q)PREFIX}" "${(@Q)words[CURRENT+1,-1]}" 2>/dev/null)}")
    kind=$answer[1]
    shift answer
    case $kind in
        words) _describe -V -t values macvnet answer ;;
        open) _describe -V -t values macvnet answer -S '' ;;
        files*)
            compset -p ${#kind#*$'\t'}
            _files
            ;;
        directories*)
            compset -p ${#kind#*$'\t'}
            _files -/
            ;;
        command*)
            shift $((${kind#*$'\t'} + 1)) words
            ((CURRENT -= ${kind#*$'\t'} + 1))
            _normal
            ;;
    esac
}

if [[ $funcstack[1] == _macvnet ]]; then
    _macvnet "$@"
else
    compdef _macvnet macvnet
fi
"""


def _fish(arguments: Sequence[str]) -> str:
    # It tells what stands before the cursor only, the last word as it is written.
    count, *words = arguments
    words[int(count)] = _plain(words[int(count)])
    found = _counted((count, *words))
    described = (f"{one.word}\t{one.about}" for one in found.candidates)
    return _by_the_shell(found) or _lines(found.kind, described)


FISH = r"""# fish completion for macvnet: printed by 'macvnet completion fish'.

function __macvnet_complete
    set -l before (commandline -opc)
    set -l typed (commandline -ct)
    set -l program (string replace -r '^~/' $HOME/ -- $before[1])
    command -q -- $program; or set program macvnet
    command -q -- $program; or return
    set -l answer ($program __complete fish (math (count $before) - 1) $before[2..-1] "$typed" \
        2>/dev/null)
    set -l kind (string split \t -- $answer[1])
    set -l rest (string sub -s (math 1 + (string length -- "$kind[2]")) -- "$typed")
    switch "$kind[1]"
        case words open
            string join \n -- $answer[2..-1]
        case files
            printf '%s\n' $kind[2](__fish_complete_path $rest)
        case directories
            printf '%s\n' $kind[2](__fish_complete_directories $rest '')
        case command
            set -e before[1..(math $kind[2] + 1)]
            complete -C (string join ' ' -- (string escape -- $before) "$typed")
    end
end

complete -c macvnet -f -k -a '(__macvnet_complete)'
"""


def _lines(kind: str, candidates: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in (kind, *candidates))


SHELLS = {
    "bash": Shell("macvnet.bash", BASH, _bash),
    "zsh": Shell("_macvnet", ZSH, _zsh),
    "fish": Shell("macvnet.fish", FISH, _fish),
}
