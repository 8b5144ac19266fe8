"""Which addresses the plane may send to.

Python's `is_global` is not enough: it lets through addresses that carry a private IPv4 address inside them, multicast,
and an address of a cloud's own services. The list below is ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from airside.events.exceptions import AirsideError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carriers' own
        "168.63.129.16/32",  # services of a cloud, reachable from its machines alone
        "192.0.0.0/24",
        "192.88.99.0/24",  # relays from IPv6
        "::/96",  # IPv4 inside, as before 2006
        "64:ff9b::/96",  # IPv4 inside: NAT64
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/32",  # IPv4 inside: Teredo
        "2001:db8::/32",
        "2002::/16",  # IPv4 inside: 6to4
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)

#: A host's name alone never opens these; only naming the address does. Clouds keep machines' credentials there.
_BY_ADDRESS_ONLY: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "fe80::/10", "fd00:ec2::254/128")
)


class InvalidAllowList(AirsideError):
    """An entry of AIRSIDE_ALLOW_PRIVATE is neither a host, an address nor a network."""


def unwrapped(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 address of the form `::ffff:10.0.0.1` stands for."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_public(address: Address) -> bool:
    """Tell whether anybody on the internet could be asked at this address."""
    address = unwrapped(address)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not _in_any(address, _NOT_PUBLIC)


def _in_any(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


@dataclass(frozen=True, slots=True)
class _Entry:
    port: int | None
    network: Network | None = None
    host: str = ""

    def allows(self, host: str, port: int, address: Address) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            return _in_any(address, (self.network,))
        return fnmatchcase(host.lower(), self.host) and not _in_any(address, _BY_ADDRESS_ONLY)


@dataclass(frozen=True, slots=True)
class AllowList:
    """Internal targets that the operator opened: hosts, addresses and networks, each with or without a port."""

    entries: tuple[_Entry, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "AllowList":
        """Read `"*.corp.example, 10.0.0.0/8, localhost:9000, [fd00::1]:443"`. Raises InvalidAllowList."""
        return cls(tuple(_entry(part.strip()) for part in text.split(",") if part.strip()))

    def allows(self, host: str, port: int, address: Address) -> bool:
        """Tell whether `address`, which `host` resolved to, may be asked on `port`."""
        return any(entry.allows(host, port, unwrapped(address)) for entry in self.entries)


def _entry(text: str) -> _Entry:
    try:
        return _Entry(None, network=ip_network(text))
    except ValueError:
        host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, ""
    if not host or (colon and not port.isdecimal()) or any(sign in host for sign in "/ @"):
        raise InvalidAllowList(
            f"`{text}` in AIRSIDE_ALLOW_PRIVATE: write a host (`*.corp.example`), an address or a network"
            " (`10.0.0.0/8`), with `:port` after it where only one port is meant"
        )
    number = int(port) if port else None
    try:
        return _Entry(number, network=ip_network(ip_address(host.strip("[]"))))
    except ValueError:
        return _Entry(number, host=host.lower())
