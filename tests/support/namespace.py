"""A network namespace that is joined to this machine by one pair of virtual interfaces, and a look at all that passes.

Needs root and iproute2: where either is missing, `Namespace.open` skips the test and says why.
"""

import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

_ALL_PROTOCOLS = 3
_IPV4, _IPV6 = 0x0800, 0x86DD
_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
#: Headers of IPv6 that stand before what a packet carries.
_EXTENSIONS = frozenset({0, 43, 44, 60})
#: What neighbours say to each other by ICMPv6, as they do by ARP: who is there, and which groups they listen to.
_NEIGHBOURS = frozenset({130, 131, 132, 133, 134, 135, 136, 143})
_SYN, _ACK = 0x02, 0x10


@dataclass
class Seen:
    """What passed the interface: (protocol, address, port) that was sent to, and attempts to connect inwards."""

    packets: int = 0
    sent_to: set[tuple[str, str, int]] = field(default_factory=set)
    asked_in: set[tuple[str, int]] = field(default_factory=set)


class Namespace:
    """One namespace. `outside` is this machine's address on the pair, and `outside6` its other one, by IPv6."""

    def __init__(self) -> None:
        number = os.getpid() % 250 + 1
        self.name = f"airside-{os.getpid()}"
        self.here, self.there = f"as{os.getpid()}h", f"as{os.getpid()}n"
        self.outside, self.inside = f"10.213.{number}.1", f"10.213.{number}.2"
        self.outside6, self.inside6 = f"fd00:a15:{number:x}::1", f"fd00:a15:{number:x}::2"
        self.seen = Seen()

    @classmethod
    @contextmanager
    def open(cls) -> "Iterator[Namespace]":
        """Make one for a test, and take it away."""
        if os.geteuid() != 0:
            pytest.skip("network namespaces need root")
        for command in ("ip", "ss"):
            if shutil.which(command) is None:
                pytest.skip(f"there is no `{command}`: install iproute2")
        made = cls()
        try:
            made._make()
        except subprocess.CalledProcessError as error:
            made._remove()
            pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
        sniffer = made._sniff()
        try:
            yield made
        finally:
            sniffer.close()
            made._remove()

    def command(self, *words: str) -> list[str]:
        """Write a command so that it runs inside."""
        return ["ip", "netns", "exec", self.name, *words]

    def listening(self) -> list[str]:
        """List the sockets inside that wait for somebody, of TCP and UDP."""
        return _run(*self.command("ss", "-Hltun")).splitlines()

    def connected(self) -> list[str]:
        """List the addresses that TCP connections from inside lead to."""
        lines = _run(*self.command("ss", "-Htn")).splitlines()
        return sorted({line.split()[4] for line in lines})

    def _make(self) -> None:
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", self.here, "type", "veth", "peer", "name", self.there, "netns", self.name)
        _run("ip", "addr", "add", f"{self.outside}/30", "dev", self.here)
        _run("ip", "addr", "add", f"{self.outside6}/64", "dev", self.here, "nodad")
        _run("ip", "link", "set", self.here, "up")
        _run(*self.command("ip", "addr", "add", f"{self.inside}/30", "dev", self.there))
        _run(*self.command("ip", "addr", "add", f"{self.inside6}/64", "dev", self.there, "nodad"))
        _run(*self.command("ip", "link", "set", "lo", "up"))
        _run(*self.command("ip", "link", "set", self.there, "up"))
        _run(*self.command("ip", "route", "add", "default", "via", self.outside))
        _run(*self.command("ip", "-6", "route", "add", "default", "via", self.outside6))

    def _remove(self) -> None:
        for words in (("ip", "netns", "del", self.name), ("ip", "link", "del", self.here)):
            subprocess.run(words, capture_output=True, check=False)

    def _sniff(self) -> socket.socket:
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        sniffer.bind((self.here, 0))
        sniffer.settimeout(0.2)
        threading.Thread(target=self._read, args=(sniffer,), daemon=True).start()
        return sniffer

    def _read(self, sniffer: socket.socket) -> None:
        while True:
            try:
                frame, (_, _, kind, *_) = sniffer.recvfrom(65_535)
                self._note(frame, inwards=kind == socket.PACKET_OUTGOING)
            except TimeoutError:
                continue
            except OSError:
                return

    def _note(self, frame: bytes, *, inwards: bool) -> None:
        """Take note of a packet of IPv4 or IPv6. (Neighbours also say ARP, and its like by ICMPv6.)"""
        found = {_IPV4: _of_ipv4, _IPV6: _of_ipv6}.get(struct.unpack("!H", frame[12:14])[0])
        if found is None:
            return
        number, target, inner = found(frame[14:])
        protocol = _NAMES.get(number, str(number))
        if protocol == "icmp6" and inner[0] in _NEIGHBOURS:
            return
        _, to_port = struct.unpack("!HH", inner[:4]) if protocol in ("tcp", "udp") else (0, 0)
        self.seen.packets += 1
        if not inwards:
            self.seen.sent_to.add((protocol, target, to_port))
        elif protocol != "tcp" or inner[13] & (_SYN | _ACK) == _SYN:
            self.seen.asked_in.add((protocol, to_port))


def _of_ipv4(packet: bytes) -> tuple[int, str, bytes]:
    """Give the protocol, where it is sent, and what it carries."""
    return packet[9], socket.inet_ntoa(packet[16:20]), packet[(packet[0] & 15) * 4 :]


def _of_ipv6(packet: bytes) -> tuple[int, str, bytes]:
    """Give the same of IPv6, whose packets may have further headers."""
    following, target, inner = packet[6], socket.inet_ntop(socket.AF_INET6, packet[24:40]), packet[40:]
    while following in _EXTENSIONS:
        length = 8 if following == 44 else (inner[1] + 1) * 8
        following, inner = inner[0], inner[length:]
    return following, target, inner


def _run(*words: str) -> str:
    found: Sequence[str] = words
    return subprocess.run(found, check=True, capture_output=True, text=True, timeout=20).stdout
