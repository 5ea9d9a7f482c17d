"""``macvnet completion``: the script that makes a shell complete macvnet's words."""

from __future__ import annotations

import click

from macvnet.cli import suggest
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import command
from macvnet.errors import InvalidRequest
from macvnet.text import nearest, quoted

NAMES = ("bash", "zsh", "fish")


@command(
    "completion",
    click.Argument(["shell"], metavar="SHELL", shell_complete=suggest.words(*NAMES)),
    epilog="""
Examples:
  # bash: once, or for good with the package bash-completion
  source <(macvnet completion bash)
  macvnet completion bash >/etc/bash_completion.d/macvnet

  # zsh: before compinit runs
  macvnet completion zsh >/usr/local/share/zsh/site-functions/_macvnet

  # fish
  macvnet completion fish >/etc/fish/completions/macvnet.fish
""",
)
@click.pass_obj
def completion(invocation: Invocation, /, shell: str) -> None:
    """Print the completion script for bash, zsh or fish.

    The Tab key then completes commands, flags and their values: networks,
    containers, parents, and the next free addresses for --ip.
    """
    if shell not in NAMES:
        guess = nearest(shell, NAMES) or NAMES[0]
        raise InvalidRequest(
            f"there is no completion for the shell {quoted(shell)}, only for " + ", ".join(NAMES),
            f"macvnet completion {guess}",
        )
    from macvnet.cli.shells import SHELLS

    invocation.out(SHELLS[shell].script.rstrip("\n"))
