"""``macvnet export``, ``diff`` and ``apply``: networks, reservations and endpoints as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from macvnet.cli import files, suggest
from macvnet.cli.invocation import Invocation, flush, write
from macvnet.cli.parameters import Flag, command, dry_run
from macvnet.errors import DifferencesFound, InvalidRequest, MacvnetError, PartlyDone
from macvnet.text import printable

if TYPE_CHECKING:
    from macvnet.declared import Declaration
    from macvnet.engine.declaring import Source

_FILE = click.Argument(["file"], metavar="FILE|-", shell_complete=suggest.files)


def _prune() -> Flag:
    return Flag(
        ["--prune"], help="Also remove what the same file has made, and does not declare any more."
    )


def _read(file: str, *, prune: bool) -> tuple[Source, Declaration]:
    from macvnet.engine import declaring

    text = files.content(file, declaring.LARGEST)
    source = declaring.Source("standard input" if file == "-" else file, text)
    declared = declaring.read(source)
    if prune and not declared.id:
        raise InvalidRequest(
            "--prune removes what the same file has made, and the file has no id to be known by",
            'id = "office", as the first line of the file',
        )
    return source, declared


@command(
    "export",
    click.Argument(["networks"], nargs=-1, metavar="[NETWORK...]", shell_complete=suggest.networks),
    epilog="""
Examples:
  macvnet export >networks.toml
  macvnet export lan v50
""",
)
@click.pass_obj
def export(invocation: Invocation, /, networks: tuple[str, ...]) -> None:
    """Print networks, reservations and endpoints as a file for apply.

    What macvnet chose is in it as if it had been asked for: subnets, addresses,
    names of interfaces. Endpoints of bare PIDs are left out, with a note.
    """
    from macvnet.declared import written

    with invocation.engine() as engine:
        described = engine.describe(networks)
    write(written(described.declared).lstrip("\n"))
    if described.left_out:
        invocation.note(
            f"{described.left_out} endpoints of bare PIDs are left out: no other process comes "
            "back under its number"
        )


@command(
    "diff",
    _prune(),
    _FILE,
    epilog="""
Examples:
  macvnet diff networks.toml
  macvnet diff --prune networks.toml

Exit status 11 if anything differs.
""",
)
@click.pass_obj
def diff(invocation: Invocation, /, file: str, prune: bool | None) -> int:
    """Show what apply would do with a file, a line each. Changes nothing.

    A network that is there with other settings is shown as well: apply refuses
    it.
    """
    source, declared = _read(file, prune=bool(prune))
    with invocation.engine() as engine:
        plan = engine.plan(source, declared, prune=bool(prune))
    found = [printable(str(change)) for change in plan.changes()]
    for line in found:
        invocation.out(line)
    return DifferencesFound.exit_status if found else 0


@command(
    "apply",
    _prune(),
    dry_run(),
    _FILE,
    epilog="""
Examples:
  macvnet apply --dry-run networks.toml
  macvnet apply networks.toml
  macvnet apply --prune networks.toml
  macvnet export | ssh other-host macvnet apply -

The file, in TOML:
  id = "office"

  [networks.lan]
  driver = "macvlan"
  subnet = "192.0.2.0/24"
  gateway = "192.0.2.1"
  opt = { parent = "eth0" }

  [[reservations]]
  network = "lan"
  container = "docker:web"
  ip = "192.0.2.10"

  [[endpoints]]
  network = "lan"
  container = "netns:db"
""",
)
@click.pass_obj
def apply(invocation: Invocation, /, file: str, prune: bool | None, dry_run: bool | None) -> int:
    """Make what a file declares: networks, reservations, endpoints.

    First prints what it is going to do, a line each. What is there already stays
    as it is, so a second call does nothing. What the file does not mention is
    left alone, unless --prune is given and the file (by its id) has made it.

    A network that is there with other settings is refused, and nothing is done:
    networks are not changed, and never removed to be made anew. An endpoint that
    shall be another one is disconnected and connected again. What fails leaves
    the others: exit status 13.
    """
    source, declared = _read(file, prune=bool(prune))
    with invocation.engine() as engine:
        plan = engine.plan(source, declared, prune=bool(prune))
        engine.refuse_changed(plan)
        changes = tuple(plan.changes())
        if dry_run:
            invocation.changes(changes)
            return 0
        invocation.changes(changes)
        flush()
        tally = _Tally(invocation, len(changes))
        engine.apply(declared.id, plan, tally.report)
        return tally.status()


class _Tally:
    """What becomes of each step."""

    def __init__(self, invocation: Invocation, total: int) -> None:
        from macvnet.cli.progress import Progress

        self._invocation = invocation
        self._refused: list[MacvnetError] = []
        self._done = 0
        self._progress = Progress("applying", total)

    def report(self, label: str, error: MacvnetError | None) -> None:
        self._progress.step()
        if error is None:
            self._done += 1
        else:
            self._refused.append(error)
            self._invocation.error(error, label)

    def status(self) -> int:
        """0, that of the first refusal where nothing was done, else 13."""
        self._progress.close()
        if not self._refused:
            return 0
        if not self._done:
            return self._refused[0].exit_status
        rest = PartlyDone(
            f"{len(self._refused)} of {len(self._refused) + self._done} steps failed, the others "
            "are done",
            "macvnet apply once more, when what is in the way is gone",
        )
        self._invocation.error(rest)
        return rest.exit_status
