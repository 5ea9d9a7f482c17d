"""``macvnet integrate``: files that make macvnet part of the host."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

from macvnet.cli.invocation import Invocation, write
from macvnet.cli.parameters import Flag, Group, command, dry_run, global_options
from macvnet.errors import UsageError
from macvnet.model import Change
from macvnet.text import printable

if TYPE_CHECKING:
    from macvnet.integration.systemd_units import Place

integrate = Group(
    "integrate",
    table={"systemd": (__name__, "Units that restore networks at boot.")},
    aliases={},
    params=global_options(),
    help="Make macvnet part of the host.",
    epilog="""
Examples:
  macvnet integrate systemd --install
""",
)


@command(
    "systemd",
    Flag(["--print"], help="Print the units (the default)."),
    Flag(["--install"], help="Write them to /etc/systemd/system, and enable them."),
    Flag(["--remove"], help="Take away what --install wrote."),
    dry_run(),
    epilog="""
Examples:
  macvnet integrate systemd
  macvnet integrate systemd --install
  systemctl daemon-reload
  systemctl start macvnet-restore

macvnet-restore.service runs 'macvnet restore --wait 300' at boot. It waits
itself for parents that come late; nothing waits for it.
""",
)
@click.pass_obj
def systemd(
    invocation: Invocation,
    /,
    print: bool | None,
    install: bool | None,
    remove: bool | None,
    dry_run: bool | None,
) -> None:
    """Print, install or remove systemd's units.

    They call this macvnet, with the state directory and settings of this call. A
    unit of somebody else is never replaced. No program is called: systemd reads
    them at the next boot, or after 'systemctl daemon-reload'.
    """
    from macvnet.integration import systemd_units as units

    if sum(map(bool, (print, install, remove))) > 1:
        raise UsageError("--print, --install and --remove exclude each other", "one of them")
    place = _place(invocation)
    if dry_run and (install or remove):
        action = "create" if install else "remove"
        found = units.UNITS if install else units.installed()
        paths = [os.path.join(units.DIRECTORY, unit) for unit in found]
        invocation.changes(Change(action, "unit", path) for path in paths)
    elif install:
        for path in units.install(place):
            invocation.out(printable(path))
        invocation.note("systemd reads the units after: systemctl daemon-reload")
    elif remove:
        for path in units.remove():
            invocation.out(printable(path))
    else:
        for unit in units.UNITS:
            write(units.filled(unit, place))


def _place(invocation: Invocation) -> Place:
    from macvnet.integration.systemd_units import Place

    settings = invocation.settings
    options: list[str] = []
    for flag, value in (("--state-dir", settings.state_dir), ("--config", settings.config_path)):
        given = invocation.given.get(flag[2:].replace("-", "_"))
        if given is not None or os.environ.get(f"MACVNET_{flag[2:].replace('-', '_').upper()}"):
            options += (flag, value)
    return Place(_executable(), settings.state_dir, tuple(options))


def _executable() -> str:
    """The absolute path of what is running, so that the unit runs the same."""
    called = sys.argv[0]
    found = called if "/" in called else shutil.which(called) or shutil.which("macvnet") or called
    return os.path.abspath(found)
