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
  # For this shell only (bash, or zsh after compinit)
  source <(macvnet completion bash)

  # For good: bash with the package bash-completion, zsh, fish
  cd /usr/local/share
  macvnet completion bash >bash-completion/completions/macvnet
  macvnet completion zsh >zsh/site-functions/_macvnet
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
