"""The one HTTP client for requests that rules cause.

A URL is parsed once, its host resolved once, every address checked, and the connection made to a checked address with
the host's name in TLS and in `Host`: what is checked is what is asked, whatever a name server answers later. It follows
no redirects, knows no proxies, decompresses nothing, and gives up after one deadline for everything.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import certifi
import httpcore
import httpx

from airside.coordinator.blocking import DaemonThreads, Overloaded
from airside.coordinator.outbound.addresses import Address, AllowList, is_public
from airside.coordinator.outbound.settings import OutboundSettings
from airside.events.exceptions import AirsideError

_PORTS: Final = {"https": 443, "http": 80}
_MAX_PORT: Final = 65_535
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_MAX_URL_CHARS: Final = 4_096
#: Addresses of one host that are tried one after the other.
_MAX_ADDRESSES: Final = 8

_OWN_HEADERS: Final = frozenset(
    {
        "host",
        "accept-encoding",
        "connection",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "te",
        "trailer",
        "expect",
    }
)

_Headers = list[tuple[bytes, bytes]]
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


class OutboundError(AirsideError):
    """A request to the outside did not succeed."""


class TargetRefused(OutboundError):
    """The target may not be asked, or the request cannot be made. Asking again would not help."""


class RequestFailed(OutboundError):
    """The network or the other side failed; the request may or may not have arrived."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body` ends at the settings' limit; `truncated` tells whether more would have come."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool


@dataclass(frozen=True, slots=True)
class _Target:
    scheme: str
    host: str
    port: int
    target: bytes
    addresses: tuple[Address, ...] = field(default=())

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def shown(url: str) -> str:
    """Give the part of a URL that may be logged: path, query and user information can hold secrets."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError):
        return "the URL"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}/…"


class GuardedClient:
    """Sends single requests to targets that are public or allowed by the operator.

    Raises InvalidAllowList for settings that cannot be read. `resolve` and `tls` are for tests and special networks.
    """

    def __init__(
        self,
        settings: OutboundSettings | None = None,
        *,
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings or OutboundSettings()
        self._allowed = AllowList.parse(self._settings.allow_private)
        self._threads = DaemonThreads()
        self._resolve = resolve or self._system_resolve
        self._tls = tls

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        deadline_seconds: float | None = None,
    ) -> Reply:
        """Send one request and read its answer, whatever its status.

        `deadline_seconds` can only shorten the settings' deadline. Raises TargetRefused, RequestFailed. Neither says
        more of the URL than scheme, host and port.
        """
        seconds = min(
            deadline_seconds or self._settings.outbound_deadline_seconds, self._settings.outbound_deadline_seconds
        )
        target = self._parsed(url)
        sent = _header_list(target, headers or {}, len(body))
        try:
            async with asyncio.timeout(seconds):
                checked = await self._checked(target)
                return await self._first_that_connects(method, checked, sent, body)
        except TimeoutError as error:
            raise RequestFailed(f"{shown(url)} did not answer within {seconds:g} s") from error
        except httpcore.LocalProtocolError as error:
            raise TargetRefused(f"the request to {shown(url)} cannot be made: check its method and headers") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise RequestFailed(f"{shown(url)}: {type(error).__name__}: {error}") from error

    def _parsed(self, url: str) -> _Target:
        if len(url) > _MAX_URL_CHARS:
            raise TargetRefused(f"a URL of {len(url):,} characters; at most {_MAX_URL_CHARS:,} are taken")
        try:
            parsed = httpx.URL(url)
            host = parsed.raw_host.decode("ascii")
        except (httpx.InvalidURL, TypeError, ValueError) as error:
            raise TargetRefused("this is no URL: write it as https://host/path") from error
        if parsed.scheme not in _PORTS or not _HOST.fullmatch(host):
            raise TargetRefused("a URL must start with https:// and name a host")
        if parsed.port is not None and not 1 <= parsed.port <= _MAX_PORT:
            raise TargetRefused(f"a port must lie between 1 and {_MAX_PORT}")
        if parsed.userinfo:
            raise TargetRefused("a URL must not hold a user or password; send them in a header")
        return _Target(parsed.scheme, host, parsed.port or _PORTS[parsed.scheme], parsed.raw_path)

    async def _checked(self, target: _Target) -> _Target:
        """Resolve once and refuse unless every address may be asked."""
        try:
            found = await self._resolve(target.host, target.port)
        except Overloaded as error:
            raise RequestFailed(f"{target.host} could not be resolved: {error}") from error
        except (OSError, UnicodeError, TimeoutError) as error:
            raise RequestFailed(f"{target.host} could not be resolved: {type(error).__name__}") from error
        addresses = tuple(dict.fromkeys(ipaddress.ip_address(text) for text in found))
        if not addresses:
            raise RequestFailed(f"{target.host} has no address")
        listed = [self._allowed.allows(target.host, target.port, address) for address in addresses]
        for address, allowed in zip(addresses, listed, strict=True):
            if not allowed and not is_public(address):
                raise TargetRefused(
                    f"{target.host} is at an address that is not public. If it is meant, the operator can allow it:"
                    f" AIRSIDE_ALLOW_PRIVATE={target.host}:{target.port}"
                )
        if target.scheme == "http" and not self._settings.allow_http and not all(listed):
            raise TargetRefused(f"http://{target.host} is not encrypted; use https")
        return replace(target, addresses=addresses[:_MAX_ADDRESSES])

    async def _first_that_connects(self, method: str, target: _Target, headers: _Headers, body: bytes) -> Reply:
        *others, last = target.addresses
        for address in others:
            try:
                return await self._exchange(method, target, address, headers, body)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # nothing was sent yet
        return await self._exchange(method, target, last, headers, body)

    async def _exchange(self, method: str, target: _Target, address: Address, headers: _Headers, body: bytes) -> Reply:
        pinned = httpcore.URL(
            scheme=target.scheme.encode(), host=str(address).encode(), port=target.port, target=target.target
        )
        request = httpcore.Request(
            method,
            pinned,
            headers=headers,
            content=body,
            extensions={"sni_hostname": target.host},
        )
        tls = self._tls_context() if target.scheme == "https" else None
        async with httpcore.AsyncHTTPConnection(pinned.origin, ssl_context=tls) as connection:
            response = await connection.handle_async_request(request)
            try:
                content, truncated = await self._read(response)
            finally:
                await response.aclose()
        names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Reply(response.status, names, content, truncated)

    async def _read(self, response: httpcore.Response) -> tuple[bytes, bool]:
        content = bytearray()
        async for chunk in response.aiter_stream():
            content += chunk
            if len(content) > self._settings.outbound_max_response_bytes:
                return bytes(content[: self._settings.outbound_max_response_bytes]), True
        return bytes(content), False

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=certifi.where())
            if self._settings.outbound_ca_file:
                self._tls.load_verify_locations(self._settings.outbound_ca_file)
        return self._tls

    async def _system_resolve(self, host: str, port: int) -> list[str]:
        found = await self._threads.call(
            _getaddrinfo, host.strip("[]"), port, timeout=self._settings.outbound_resolve_seconds
        )
        return [str(address[0]) for *_, address in found]


def _header_list(target: _Target, headers: Mapping[str, str], length: int) -> _Headers:
    given = {name.lower(): value for name, value in headers.items()}
    if taken := sorted(_OWN_HEADERS & given.keys()):
        raise TargetRefused(f"the header {taken[0]} is set by the connection itself; leave it out")
    own = {
        "host": target.host_header,
        "accept-encoding": "identity",
        "connection": "close",
        "content-length": str(length),
    }
    try:
        pairs = ({"user-agent": "airside", "accept": "*/*"} | given | own).items()
        return [(name.encode("ascii"), value.encode()) for name, value in pairs]
    except UnicodeEncodeError as error:
        raise TargetRefused("the name of a header holds more than plain letters") from error


def _getaddrinfo(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str | int, ...]]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]
