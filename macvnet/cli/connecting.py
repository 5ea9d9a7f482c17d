"""``macvnet connect`` and ``macvnet disconnect``: docker's verbs, silent on success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from macvnet.cli import acts, endpoint_flags, many, suggest, wanted
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Command, Flag, command, dry_run
from macvnet.errors import UsageError

if TYPE_CHECKING:
    from macvnet.engine import Engine


@command(
    "connect",
    *endpoint_flags.endpoint_options(),
    *endpoint_flags.list_options(),
    *many.options("CONTAINER [OPTIONS]"),
    dry_run(),
    click.Argument(["network"], shell_complete=suggest.usable_networks),
    click.Argument(["container"], required=False, shell_complete=suggest.containers),
    epilog="""
Examples:
  macvnet connect lan 4242
  macvnet connect lan docker:web
  macvnet connect --ip 192.0.2.10 lan netns:web
  macvnet connect --gw-priority 100 --ifname wan0 lan /run/netns/web
  macvnet connect --batch containers.txt lan

A line of a batch is a container and options for it, quoted as in a shell; what
follows a # is a comment:
  netns:web --ip 192.0.2.10
  4242
Options before the network are for all lines. A line that is refused leaves the
others alone: exit status 13. With --atomic it undoes them.
""",
)
@click.pass_context
def connect(
    context: click.Context,
    /,
    network: str,
    container: str | None,
    batch: str | None,
    atomic: bool | None,
    dry_run: bool | None,
    **given: Any,
) -> int:
    """Connect a container to a network, or many.

    A container is a PID (4242 or pid:4242), docker:NAME, podman:NAME,
    nspawn:NAME (or machine:NAME), lxc:NAME, containerd:ID, runc:ID, netns:NAME,
    run:NAME, or the path of a network namespace. A name alone is looked up in
    all of them. It has to run.
    """
    invocation: Invocation = context.obj
    _one_or_many(context, container, batch is not None, bool(atomic))
    if batch is not None:
        return _connect_batch(
            context, network, batch, given, atomic=bool(atomic), dry_run=bool(dry_run)
        )
    assert container is not None
    return acts.connect(invocation, network=network, container=container, dry_run=dry_run, **given)


def _one_or_many(context: click.Context, container: str | None, many: bool, atomic: bool) -> None:
    assert isinstance(context.command, Command)
    usage = context.command.usage_line(context)
    if not many and container is None:
        raise context.command.require(context, exactly=2)
    if not many and atomic:
        raise UsageError("--atomic is for many containers, and there is one", usage)
    if many and container is not None:
        raise UsageError("there are containers in a batch and one as an argument", usage)


def _connect_batch(
    context: click.Context,
    network: str,
    file: str,
    given: dict[str, Any],
    *,
    atomic: bool,
    dry_run: bool,
) -> int:
    common = wanted.request(given)
    wanted.refuse_for_many(given)
    form = many.Form(context, *endpoint_flags.endpoint_options(), *endpoint_flags.list_options())

    def ask(values: dict[str, Any]) -> tuple[str, Any]:
        return values["container"], ((network, wanted.over(common, wanted.request(values))),)

    invocation: Invocation = context.obj
    with invocation.engine() as engine:
        # A network that there is none of is not refused a thousand times.
        engine.network(network)
        return many.connect(
            invocation,
            engine,
            many.lines(file, form, ask),
            verb="connect",
            atomic=atomic,
            dry_run=dry_run,
        )


@command(
    "disconnect",
    Flag(["-f", "--force"], help="Also where the record and the kernel disagree."),
    *many.options("CONTAINER"),
    Flag(["--all"], help="All containers that are connected to the network."),
    dry_run(),
    click.Argument(["network"], shell_complete=suggest.usable_networks),
    click.Argument(["container"], required=False, shell_complete=suggest.connected),
    epilog="""
Examples:
  macvnet disconnect lan 4242
  macvnet disconnect -f lan netns:web
  macvnet disconnect --all lan
  macvnet disconnect --batch containers.txt lan

A line of a batch is a container, quoted as in a shell; what follows a # is a
comment. A line that is refused leaves the others alone: exit status 13. With
--atomic it leaves all connected.
""",
)
@click.pass_context
def disconnect(
    context: click.Context,
    /,
    network: str,
    container: str | None,
    batch: str | None,
    atomic: bool | None,
    all: bool | None,
    force: bool | None,
    dry_run: bool | None,
) -> int:
    """Disconnect a container from a network, or many.

    Its address is free at once. That the container is gone is no error.
    """
    invocation: Invocation = context.obj
    _one_or_many(context, container, batch is not None or bool(all), bool(atomic))
    if batch is not None and all:
        raise UsageError("--batch and --all both say which containers", "give one of them")
    if batch is not None or all:
        with invocation.engine() as engine:
            return _disconnect_many(
                context, engine, network, batch, bool(force), bool(atomic), bool(dry_run)
            )
    assert container is not None
    return acts.disconnect(
        invocation, network=network, container=container, force=force, dry_run=dry_run
    )


def _disconnect_many(
    context: click.Context,
    engine: Engine,
    network: str,
    file: str | None,
    force: bool,
    atomic: bool,
    dry_run: bool,
) -> int:
    found = engine.network(network)
    if file is None:
        ones = [many.One(str(e.owner), e) for e in engine.endpoints(found)]
    else:
        ones = many.lines(file, many.Form(context), lambda values: values["container"])
    return many.disconnect(
        context.obj,
        engine,
        [found.id],
        ones,
        verb="disconnect",
        force=force,
        atomic=atomic,
        dry_run=dry_run,
    )
