"""Addresses as plain integers with a family.

Everything below the edge computes with these values; netaddr parses what
people type, and only there (``ipam.parsing``). Stored texts are canonical, so
they are read back with the C library's parser, which costs nothing to import.
"""

from __future__ import annotations

from macvnet import sockets
from macvnet.records import NamedTuple

IPV4 = 4
IPV6 = 6
WIDTH = {IPV4: 32, IPV6: 128}
_AF = {IPV4: sockets.AF_INET, IPV6: sockets.AF_INET6}


class Address(NamedTuple):
    """One IP address: family 4 or 6, and its value as an integer."""

    family: int
    value: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read canonical text ('192.0.2.1', '2001:db8::1'); ValueError if it is not one."""
        family = IPV6 if ":" in text else IPV4
        try:
            packed = sockets.inet_pton(_AF[family], text)
        except (OSError, UnicodeError, ValueError) as error:
            raise ValueError(f"{text!r} is not an IP address") from error
        return cls(family, int.from_bytes(packed, "big"))

    @property
    def packed(self) -> bytes:
        return self.value.to_bytes(WIDTH[self.family] // 8, "big")

    @property
    def key(self) -> str:
        """Fixed-width hexadecimal digits: text order is numeric order."""
        return sort_key(self.family, self.value)

    def __str__(self) -> str:
        return sockets.inet_ntop(_AF[self.family], self.packed)


class Interval(NamedTuple):
    """All addresses from ``first`` to ``last``, both included, as integers."""

    first: int
    last: int

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and self.first <= value <= self.last

    @property
    def size(self) -> int:
        return self.last - self.first + 1


class Subnet(NamedTuple):
    """A CIDR block in canonical form (no host bits): family, first address, prefix length."""

    family: int
    first: int
    prefixlen: int

    @classmethod
    def parse(cls, text: str) -> Subnet:
        """Read canonical text; ValueError if it is malformed or has host bits."""
        base, slash, length = text.partition("/")
        address = Address.parse(base)
        if not slash or not length.isdecimal() or int(length) > WIDTH[address.family]:
            raise ValueError(f"{text!r} is not a subnet")
        subnet = cls(address.family, address.value, int(length))
        if subnet.first & subnet.host_mask:
            raise ValueError(f"{text!r} has host bits")
        return subnet

    @property
    def host_mask(self) -> int:
        return (1 << (WIDTH[self.family] - self.prefixlen)) - 1

    @property
    def last(self) -> int:
        return self.first | self.host_mask

    @property
    def interval(self) -> Interval:
        return Interval(self.first, self.last)

    def holds(self, address: Address) -> bool:
        """Whether the address is in it."""
        return address.family == self.family and self.first <= address.value <= self.last

    def __contains__(self, address: object) -> bool:
        return isinstance(address, Address) and self.holds(address)

    def overlaps(self, other: Subnet) -> bool:
        return self.family == other.family and self.first <= other.last and other.first <= self.last

    @property
    def broadcast(self) -> int | None:
        """The IPv4 broadcast address; None for IPv6 and for /31 and /32 (RFC 3021)."""
        return self.last if self.family == IPV4 and self.prefixlen < 31 else None

    @property
    def reserved(self) -> tuple[int, ...]:
        """Values that are never given out: IPv4 network and broadcast, IPv6 anycast base.

        /31, /32 (RFC 3021), /127 and /128 (RFC 6164) reserve nothing.
        """
        if self.prefixlen >= WIDTH[self.family] - 1:
            return ()
        return (self.first, self.last) if self.family == IPV4 else (self.first,)

    def __str__(self) -> str:
        return f"{Address(self.family, self.first)}/{self.prefixlen}"


def sort_key(family: int, value: int) -> str:
    """Hexadecimal digits of fixed width for the family."""
    return f"{value:0{WIDTH[family] // 4}x}"
