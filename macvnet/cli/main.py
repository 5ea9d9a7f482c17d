"""The command line as click reads it: global options and the table of commands."""

from __future__ import annotations

from collections.abc import Iterator

import click

from macvnet import __version__
from macvnet.cli.invocation import Invocation
from macvnet.cli.parameters import Command, Group, global_options

COMMANDS = {
    "create": ("macvnet.cli.create", "Create a network."),
    "ls": ("macvnet.cli.listing", "List networks."),
    "inspect": ("macvnet.cli.inspecting", "Show everything about networks, as JSON."),
    "rm": ("macvnet.cli.removing", "Remove networks."),
    "prune": ("macvnet.cli.removing", "Remove all networks that nothing is connected to."),
    "connect": ("macvnet.cli.connecting", "Connect a container to a network."),
    "disconnect": ("macvnet.cli.connecting", "Disconnect a container from a network."),
    "attach": ("macvnet.cli.attaching", "Attach a process's namespace to networks."),
    "detach": ("macvnet.cli.attaching", "Detach a process's namespace from networks."),
    "reserve": ("macvnet.cli.reserving", "Keep an address for a container by its name."),
    "unreserve": ("macvnet.cli.reserving", "Keep an address for a container no longer."),
    "apply": ("macvnet.cli.declaring", "Make the networks and endpoints that a file declares."),
    "diff": ("macvnet.cli.declaring", "Show what apply would do with a file."),
    "export": ("macvnet.cli.declaring", "Print networks and endpoints as a file for apply."),
    "import": ("macvnet.cli.importing", "Print Docker's or Podman's networks as such a file."),
    "host-access": ("macvnet.cli.host_access", "Let host and containers reach each other, or not."),
    "announce": ("macvnet.cli.announcing", "Tell the neighbours again where addresses are."),
    "check": ("macvnet.cli.checking", "Compare what is recorded with what the kernel has."),
    "repair": ("macvnet.cli.checking", "Mend what check finds, where that is safe."),
    "doctor": ("macvnet.cli.doctoring", "Name what stands in a network's way, and what helps."),
    "restore": ("macvnet.cli.restoring", "Make again what is missing, after a reboot."),
    "watch": ("macvnet.cli.watch", "Follow containers and parents as they come and go."),
    "gc": ("macvnet.cli.restoring", "Free what containers that are gone still hold."),
    "state": ("macvnet.cli.state", "Save the state to a file, or make one from a file."),
    "integrate": ("macvnet.cli.integrate", "Make macvnet part of the host (systemd, podman)."),
    "tree": ("macvnet.cli.tree", "Draw links, networks and endpoints as a tree."),
    "top": ("macvnet.cli.top", "Show what each endpoint receives and sends."),
    "ipam": ("macvnet.cli.ipam", "Show where the addresses are."),
    "hosts": ("macvnet.cli.hosts", "Print names and addresses in the form of hosts(5)."),
    "log": ("macvnet.cli.recounting", "Show what was done, when and by whom."),
    "completion": ("macvnet.cli.completion", "Print the completion script for a shell."),
    "run": ("macvnet.cli.running", "Run a command in a new namespace on a network."),
}
ALIASES = {"remove": "rm", "list": "ls"}
HELP = "macvlan and ipvlan networks for every process on this host, in docker network's words."
EXAMPLES = """
Examples:
  macvnet create --subnet 192.0.2.0/24 --gateway 192.0.2.1 -o parent=eth0 lan
  macvnet attach 4242
  macvnet run --net lan --ip 192.0.2.10 -it -- /bin/sh

A container is a PID, a name, docker:NAME, podman:NAME, nspawn:NAME, lxc:NAME,
containerd:ID, runc:ID, netns:NAME, run:NAME, or the path of a namespace.
'macvnet COMMAND --help' explains a command.
"""


def _version(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.obj.out(f"macvnet {__version__}")
        ctx.exit()


cli = Group(
    "macvnet",
    table=COMMANDS,
    aliases=ALIASES,
    help=HELP,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    params=[
        *global_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Print the version and leave.",
        ),
    ],
)


def walk() -> Iterator[tuple[str, click.Context, Group | Command]]:
    """Every group and command below the top with its words ("state export") and a context.

    For what is made from all of them: pages, manuals, completions, tests.
    """
    with cli.make_context("macvnet", [], obj=Invocation(), resilient_parsing=True) as top:
        yield from _below(top, cli, "")


def _below(
    above: click.Context, group: Group, words: str
) -> Iterator[tuple[str, click.Context, Group | Command]]:
    for name in group.list_commands(above):
        found = group.get_command(above, name)
        assert isinstance(found, (Group, Command))
        context = click.Context(found, info_name=name, parent=above)
        yield f"{words}{name}", context, found
        if isinstance(found, Group):
            yield from _below(context, found, f"{words}{name} ")
