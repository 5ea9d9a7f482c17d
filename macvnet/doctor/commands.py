"""Commands that make a network again, otherwise than it is: what many causes are mended by.

Pure words, for people to type; must not know which cause they are for.
"""

from __future__ import annotations

from macvnet.addresses import Address, Subnet
from macvnet.doctor.facts import Use

DEFAULT_MODES = ("bridge", "l2", "")


def ipvlan_for(use: Use) -> str:
    """The same network with ipvlan."""
    return again(use, driver="ipvlan")


def again(
    use: Use,
    *,
    driver: str = "",
    parent: str = "",
    options: str = "",
    subnets: tuple[tuple[Subnet, Address | None], ...] = (),
) -> str:
    """The same network, but for what is given; one that is there is taken away first.

    ``options`` stands for mode and flag; ``subnets``, each with its gateway, for the
    network's own.
    """
    words = [f"macvnet create -d {driver or use.driver}"]
    if use.network:
        before = f"macvnet disconnect --all {use.network} && macvnet rm {use.network}"
        words.insert(0, f"{before} &&")
    if use.pools and not subnets:
        for pool in use.pools:
            words.append(f"--subnet {pool.subnet}")
            words += [f"--ip-range {text}" for text in pool.range_texts]
            words += [f"--gateway {pool.gateway}"] if pool.gateway else []
    for subnet, gateway in subnets or (() if use.pools else use.parent.subnets):
        words.append(f"--subnet {subnet}")
        words += [f"--gateway {gateway}"] if gateway else []
    if not options and not driver and use.options.mode not in DEFAULT_MODES:
        options = f"-o {use.driver}_mode={use.options.mode}"
    words += [options] if options else []
    words.append(f"-o parent={parent or use.parent.name} {use.network or 'NAME'}")
    return " ".join(words)
