"""``macvnet integrate``: files that make macvnet part of the host."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

from macvnet.cli.invocation import Invocation, write
from macvnet.cli.parameters import Flag, Group, command, dry_run, global_options
from macvnet.errors import NotFound, UsageError
from macvnet.model import Change
from macvnet.text import printable, quoted

if TYPE_CHECKING:
    from macvnet.integration.systemd_units import Place

integrate = Group(
    "integrate",
    table={
        "systemd": (__name__, "Units that restore networks, and follow them."),
        "podman": (__name__, "Connect containers by their annotation."),
    },
    aliases={},
    params=global_options(),
    help="Make macvnet part of the host.",
    epilog="""
Examples:
  macvnet integrate systemd --install
  macvnet integrate podman --install
""",
)


@command(
    "systemd",
    Flag(["--print"], help="Print the units (the default)."),
    Flag(["--install"], help="Write them to /etc/systemd/system, and enable them."),
    Flag(["--remove"], help="Take away what --install wrote."),
    Flag(["--watch"], help="The unit of macvnet watch too, a process that stays."),
    dry_run(),
    epilog="""
Examples:
  macvnet integrate systemd
  macvnet integrate systemd --install
  systemctl daemon-reload
  systemctl start macvnet-restore

macvnet-restore.service runs 'macvnet restore --wait 300' at boot. It waits
itself for parents that come late; nothing waits for it. With --watch there is
also macvnet-watch.service, which runs 'macvnet watch' from boot on.
""",
)
@click.pass_obj
def systemd(
    invocation: Invocation,
    /,
    print: bool | None,
    install: bool | None,
    remove: bool | None,
    watch: bool | None,
    dry_run: bool | None,
) -> None:
    """Print, install or remove systemd's units.

    They call this macvnet, with the state directory and settings of this call. A
    unit of somebody else is never replaced. No program is called: systemd reads
    them at the next boot, or after 'systemctl daemon-reload'.
    """
    from macvnet.integration import systemd_units as units

    _one_of(print, install, remove)
    if remove and watch:
        raise UsageError("--remove takes away all units, so --watch has no use", "leave it out")
    wanted = units.UNITS if watch else (units.RESTORE,)
    place = _place(invocation)
    if dry_run and (install or remove):
        action = "create" if install else "remove"
        found = wanted if install else units.installed()
        paths = [os.path.join(units.DIRECTORY, unit) for unit in found]
        invocation.changes(Change(action, "unit", path) for path in paths)
    elif install:
        for path in units.install(place, wanted):
            invocation.out(printable(path))
        invocation.note("systemd reads the units after: systemctl daemon-reload")
    elif remove:
        for path in units.remove():
            invocation.out(printable(path))
    else:
        for unit in wanted:
            write(units.filled(unit, place))


@command(
    "podman",
    Flag(["--print"], help="Print the file (the default)."),
    Flag(["--install"], help="Write it to /usr/share/containers/oci/hooks.d."),
    Flag(["--remove"], help="Take away what --install wrote."),
    dry_run(),
    epilog="""
Examples:
  macvnet integrate podman
  macvnet integrate podman --install
  podman run --network none --annotation macvnet.network=lan IMAGE

Podman then calls macvnet-oci-hook for each container of root's that has an
annotation of macvnet's: it is connected before its program starts, or does not
start, and its addresses are free when it has ended.
""",
)
@click.pass_obj
def podman(
    invocation: Invocation,
    /,
    print: bool | None,
    install: bool | None,
    remove: bool | None,
    dry_run: bool | None,
) -> None:
    """Print, install or remove podman's hook file.

    It calls the macvnet-oci-hook beside this macvnet, with the state directory
    and settings of this call. A file of somebody else is never replaced.
    """
    from macvnet.integration import oci_hooks as hooks

    _one_of(print, install, remove)
    if remove:
        gone = hooks.installed() if dry_run else hooks.remove()
        if dry_run:
            invocation.changes(Change("remove", "hook", path) for path in gone)
        for path in () if dry_run else gone:
            invocation.out(printable(path))
        return
    program = os.path.join(os.path.dirname(_executable()), hooks.PROGRAM)
    if not os.access(program, os.X_OK):
        raise NotFound(
            f"there is no {quoted(program)} to be called",
            f"ln -s {printable(_executable())} {printable(program)}",
        )
    call = hooks.Call(program, _options(invocation))
    if install and dry_run:
        invocation.changes([Change("create", "hook", hooks.path())])
    elif install:
        for path in hooks.install(call):
            invocation.out(printable(path))
    else:
        write(hooks.filled(call))


def _one_of(*flags: bool | None) -> None:
    if sum(map(bool, flags)) > 1:
        raise UsageError("--print, --install and --remove exclude each other", "one of them")


def _place(invocation: Invocation) -> Place:
    from macvnet.integration.systemd_units import Place

    return Place(_executable(), invocation.settings.state_dir, _options(invocation))


def _options(invocation: Invocation) -> tuple[str, ...]:
    """State directory and settings, where this call names other ones than the usual."""
    settings = invocation.settings
    options: list[str] = []
    for flag, value in (("--state-dir", settings.state_dir), ("--config", settings.config_path)):
        given = invocation.given.get(flag[2:].replace("-", "_"))
        if given is not None or os.environ.get(f"MACVNET_{flag[2:].replace('-', '_').upper()}"):
            options += (flag, value)
    return tuple(options)


def _executable() -> str:
    """The absolute path of what is running, so that the unit runs the same."""
    called = sys.argv[0]
    found = called if "/" in called else shutil.which(called) or shutil.which("macvnet") or called
    return os.path.abspath(found)
