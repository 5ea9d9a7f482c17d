"""What may stand where a command takes a value: click's ``shell_complete`` of each parameter.

Imported with every command, so it costs nothing before Tab is pressed. Each
function takes click's context, whose ``params`` are the other words on the line
by parameter, and whose ``obj`` is completing's ``Situation``. It may offer too
much: who asks keeps what begins with the word that is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from macvnet.model import Network
    from macvnet.runtimes import Listed

Items = list["CompletionItem"]
Source = Callable[[click.Context, click.Parameter, str], Items]

SECONDS = 1.0
FILE, DIRECTORY, COMMAND = "file", "dir", "command"
"""Types of item that stand for what the shell completes by itself."""


def item(value: str, about: str = "", kind: str = "plain") -> CompletionItem:
    """A candidate. One that ends in '=' is the beginning of a word only."""
    from click.shell_completion import CompletionItem

    return CompletionItem(value, kind, about)


def _items(found: Iterable[Listed], before: str = "") -> Items:
    return [item(before + one.name, one.about) for one in found]


def _values(before: str, values: Iterable[str]) -> Items:
    return [item(before + value) for value in values]


def words(*offered: str) -> Source:
    """These words."""
    return lambda ctx, param, typed: _values("", offered)


def files(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Paths."""
    return [item("", kind=FILE)]


def directories(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Paths of directories."""
    return [item("", kind=DIRECTORY)]


def commands(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Any command of this machine, with its own words."""
    return [item("", kind=COMMAND)]


def networks(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Networks that are not on the line yet."""
    return _networks(ctx, param, typed, None)


def usable_networks(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """The same without those that are --config-only: they have no endpoints."""
    return _networks(ctx, param, typed, False)


def configurations(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Networks that are --config-only."""
    return _networks(ctx, param, typed, True)


def _networks(
    ctx: click.Context, param: click.Parameter, typed: str, configurations: bool | None
) -> Items:
    from macvnet.engine import suggesting

    found = suggesting.networks(ctx.obj.reader, typed, configurations=configurations)
    given = ctx.params.get(param.name or "", ())
    return _items(one for one in found if one.name not in given)


def containers(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Containers that are there; paths where one is begun."""
    if typed.startswith((".", "/")):
        return files(ctx, param, typed)
    from macvnet.engine import suggesting

    return _items(suggesting.containers(ctx.obj.reader, typed, SECONDS))


def lasting(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Containers whose name lasts, which a process has not."""
    return [one for one in containers(ctx, param, typed) if not _is_process(one.value)]


def _is_process(spelling: str) -> bool:
    return spelling.startswith("pid:") or spelling.isdecimal()


def subjects(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Networks, links of the host, and containers."""
    if typed.startswith((".", "/")):
        return files(ctx, param, typed)
    from macvnet.engine import suggesting

    found = networks(ctx, param, typed) + _items(suggesting.parents())
    known = {one.value for one in found}
    return found + [one for one in containers(ctx, param, typed) if one.value not in known]


def connected(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Whose endpoints are in the network on the line; in any, where a command takes none."""
    if typed.startswith((".", "/")):
        return files(ctx, param, typed)
    from macvnet.engine import suggesting

    network = None
    if terms := ctx.params.get("network"):
        network = suggesting.network(ctx.obj.reader, terms[0])
        if network is None:
            return []
    return _items(suggesting.connected(ctx.obj.reader, network, typed))


def reserved(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Who has a reservation in the network on the line."""
    from macvnet.engine import suggesting

    network = suggesting.network(ctx.obj.reader, (ctx.params.get("network") or ("",))[0])
    return _items(suggesting.reserved(ctx.obj.reader, network, typed)) if network else []


def addresses(family: int) -> Source:
    """The next few free addresses of the network on the line, or of the only one there is."""

    def found(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
        terms = ctx.params.get("network") or ctx.params.get("networks") or ("",)
        return _addresses(ctx, terms[0].partition(",")[0], family, "", typed)

    return found


def _addresses(ctx: click.Context, term: str, family: int, before: str, typed: str) -> Items:
    from macvnet.engine import suggesting

    network: Network | None = suggesting.network(ctx.obj.reader, term.removeprefix("name="))
    if network is None:
        return []
    return _values(before, suggesting.free_addresses(ctx.obj.reader, network, family, typed))


def held_addresses(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Addresses that somebody has."""
    from macvnet.engine import suggesting

    return _values("", suggesting.held_addresses(ctx.obj.reader, typed))


def network_and_keys(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """``NET[,KEY=VALUE...]``."""
    from macvnet import annotations

    before, comma, last = typed.rpartition(",")
    if not comma:
        return usable_networks(ctx, param, typed)
    key, equals, value = last.partition("=")
    if not equals:
        given = {each.partition("=")[0] for each in before.split(",")[1:]} - {*annotations.LISTS}
        return _values(f"{before},", (f"{key}=" for key in annotations.KEYS if key not in given))
    front = f"{before},{key}="
    if key in ("ip", "ip6"):
        return _addresses(ctx, before.split(",")[0], 6 if key == "ip6" else 4, front, value)
    if key == "driver-opt" and "=" not in value:
        return _values(front, endpoint_keys())
    return []


def endpoint_keys() -> list[str]:
    """The keys of ``--driver-opt``, each with its '='."""
    from macvnet.engine import requests

    return [f"{key}=" for key in (requests.IFNAME_OPTION, requests.SYSCTLS_OPTION)]


def endpoint_options(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """``--driver-opt``."""
    return _values("", endpoint_keys())


def drivers(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """The drivers."""
    from macvnet.drivers import MODULES

    return _values("", MODULES)


def ipam_drivers(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """What ``--ipam-driver`` takes."""
    from macvnet.model import IPAM_DRIVERS

    return _values("", IPAM_DRIVERS)


def driver_options(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """``-o KEY=VALUE`` of the driver on the line."""
    from macvnet import drivers, option_keys
    from macvnet.engine import suggesting

    key, equals, _ = typed.partition("=")
    driver = (ctx.params.get("driver") or ("macvlan",))[-1]
    if not equals:
        given = {text.partition("=")[0] for text in ctx.params.get(param.name or "", ())}
        known = (*option_keys.OF_DRIVER.get(driver, ()), *option_keys.COMMON)
        return _values("", (f"{key}=" for key in known if key not in given))
    before = f"{key}="
    if key == "parent":
        return _items(suggesting.parents(), before)
    if key == "segment":
        return _values(before, suggesting.segments(ctx.obj.reader))
    known = drivers.driver(driver).WORDS.get(key, ()) if driver in drivers.MODULES else ()
    return _values(before, known)


def ls_filters(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """``--filter`` of ls."""
    from macvnet.cli import filters

    return _filters(ctx, param, typed, filters.LS_KEYS)


def prune_filters(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """``--filter`` of prune."""
    from macvnet.cli import filters

    return _filters(ctx, param, typed, filters.PRUNE_KEYS)


def _filters(
    ctx: click.Context, param: click.Parameter, typed: str, known: tuple[str, ...]
) -> Items:
    from macvnet.cli import filters
    from macvnet.drivers import MODULES

    key, equals, value = typed.partition("=")
    if not equals:
        return _values("", (f"{key}=" for key in known))
    if key not in known:
        return []
    if key == "name":
        from macvnet.engine import suggesting

        return _items(suggesting.networks(ctx.obj.reader, value), "name=")
    choices = {
        "dangling": (filters.TRUE[0], filters.FALSE[0]),
        "driver": (*MODULES, "null"),
        "scope": ("local",),
        "type": ("custom", "builtin"),
    }
    return _values(f"{key}=", choices.get(key, ()))
