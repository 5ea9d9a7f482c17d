"""Refusals that need nothing but the values themselves: pure functions, no facts looked up."""

from __future__ import annotations

from macvnet.addresses import Address
from macvnet.errors import InvalidRequest
from macvnet.kernel.constants import NAME_MAX
from macvnet.text import HEXADECIMAL, is_name, only, quoted

NAME_LONGEST = 253
PREDEFINED = ("bridge", "host", "none", "default")


def check_name(name: str, what: str = "network") -> None:
    """Names are those of docker containers: letters, digits, '_', '.', '-', not only digits."""
    if not name.strip():
        raise InvalidRequest(f"the {what} name is empty", f"give the {what} a name")
    if not is_name(name) or len(name) > NAME_LONGEST:
        raise InvalidRequest(
            f"{what} name {quoted(name)} is not made of letters, digits, '_', '.', '-' "
            f"with a letter or digit first and at most {NAME_LONGEST} characters",
            corrected_name(name),
        )
    if name.isdecimal():
        raise InvalidRequest(
            f"{what} name {quoted(name)} is only digits, which would be taken for a PID",
            f"net{name}"[:NAME_LONGEST],
        )
    if what == "network" and name in PREDEFINED:
        raise InvalidRequest(
            f"{quoted(name)} is the name of a network that docker predefines",
            f"my-{name}",
        )


def corrected_name(name: str) -> str:
    """The nearest valid name."""
    import re

    kept = re.sub(r"[^A-Za-z0-9_.-]+", "-", name[:NAME_LONGEST]).strip("-._")
    return kept if kept and not kept.isdecimal() else f"net{kept}"


def interface_name_problem(name: str) -> str:
    """Why the kernel would not take an interface name (dev_valid_name), or ""."""
    if not name:
        return "it is empty"
    if len(name.encode("utf-8", "surrogatepass")) > NAME_MAX:
        return f"it is longer than {NAME_MAX} bytes"
    if name in (".", ".."):
        return "it is a directory's name"
    if any(character in "/:%" or character.isspace() for character in name):
        return "it contains '/', ':', '%' or white space"
    if not name.isascii() or not name.isprintable():
        return "it contains characters that are not printable ASCII"
    return ""


def check_interface_name(name: str) -> None:
    """InvalidRequest where ``name`` cannot name a link in a target."""
    problem = interface_name_problem(name)
    if problem:
        raise InvalidRequest(f"interface name {quoted(name)}: {problem}", "--ifname eth0")


def check_mac(text: str) -> str:
    """A unicast MAC in canonical form; InvalidRequest otherwise."""
    canonical = text.strip().lower().replace("-", ":")
    pairs = canonical.split(":")
    if len(pairs) != 6 or not all(len(pair) == 2 and only(pair, HEXADECIMAL) for pair in pairs):
        raise InvalidRequest(
            f"MAC {quoted(text)} is not six pairs of hexadecimal digits",
            "--mac-address 02:00:5e:00:53:01",
        )
    first = int(canonical[:2], 16)
    if first & 1:
        raise InvalidRequest(
            f"MAC {canonical} is a multicast address, which no interface may have",
            f"--mac-address {first & 0xFE | 2:02x}{canonical[2:]}",
        )
    if canonical == "00:00:00:00:00:00":
        raise InvalidRequest(
            "MAC 00:00:00:00:00:00 is no address", "--mac-address 02:00:5e:00:53:01"
        )
    return canonical


def split_pairs(items: tuple[str, ...], flag: str, *, bare: bool = True) -> dict[str, str]:
    """``K=V`` texts as a dictionary; the last of a repeated key wins (as docker has it).

    ``bare`` allows a key without a value. InvalidRequest for an empty key.
    """
    pairs: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not key or (not equals and not bare):
            raise InvalidRequest(
                f"{flag} {quoted(item)} is not of the form KEY=VALUE", f"{flag} key=value"
            )
        pairs[key] = value
    return pairs


def check_labels(labels: dict[str, str]) -> None:
    """Docker's rule: a label's name contains no white space."""
    for key in labels:
        if any(character.isspace() for character in key):
            import re

            raise InvalidRequest(
                f"label {quoted(key)} contains white space",
                f"--label {re.sub(r'[^!-~]+', '-', key[:40])}=...",
            )


SUFFIX = (1 << 64) - 1
"""The lower half of an IPv6 address: what a token is."""


def token_text(address: Address) -> str:
    """A token in the one spelling that it is recorded in: ::a:b, never ::0.10.0.11."""
    words = [f"{address.value >> at & 0xFFFF:x}" for at in (48, 32, 16, 0)]
    while len(words) > 1 and words[0] == "0":
        del words[0]
    return "::" + ":".join(words)


class Counter:
    """Makes ids: a prefix and a growing number."""

    def __init__(self, prefix: str, start: int = 0) -> None:
        self._prefix = prefix
        self._next = start

    def __call__(self) -> str:
        number, self._next = self._next, self._next + 1
        return f"{self._prefix}.{number}"
