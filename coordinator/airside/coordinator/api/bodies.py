"""Reading request bodies: piece by piece, decompressed, and never more than was agreed on."""

import asyncio
import json
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, NoReturn

import orjson
from fastapi import Request
from starlette.requests import ClientDisconnect

from airside.coordinator.api.budget import SCOPE_KEY, Share
from airside.coordinator.api.problems import ApiProblem
from airside.coordinator.api.settings import HttpSettings

_LONG_NUMBER = re.compile(rb"\d{19}")
_GZIP: Final = 16 + zlib.MAX_WBITS
#: Bytes made from compressed input at a time.
_STEP_BYTES: Final = 256 * 1024
#: Below this output a high ratio is harmless: short repetitive bodies compress very well.
_RATIO_FLOOR_BYTES: Final = 2**20


def media_type(request: Request) -> tuple[str, dict[str, str]]:
    """Split the request's Content-Type into its lower-case type and its parameters."""
    kind, *rest = request.headers.get("content-type", "").split(";")
    parameters = dict(part.strip().lower().partition("=")[::2] for part in rest if "=" in part)
    return kind.strip().lower(), parameters


def unsupported(request: Request, accepted: str) -> NoReturn:
    """Refuse the request's content type, naming those that are taken."""
    given = request.headers.get("content-type")
    said = f"Content-Type `{given[:100]}` is not taken here" if given else "The request has no Content-Type"
    raise ApiProblem(
        415,
        "unsupported-media-type",
        f"{said}; send {accepted}.",
        headers={"Accept-Post": accepted.replace(" or ", ", ")},
    )


def check_charset(request: Request, accepted: str) -> None:
    """Refuse text that is not UTF-8."""
    charset = media_type(request)[1].get("charset", "utf-8").strip('"')
    if charset not in ("utf-8", "utf8", "us-ascii"):
        unsupported(request, f"{accepted} in UTF-8")


async def pieces(
    request: Request, settings: HttpSettings, max_bytes: int | None = None, *, max_held: int | None = None
) -> AsyncIterator[bytes]:
    """Give the body as it arrives, decompressed. Raises ApiProblem when it is too large, or stops coming.

    `max_held` is how much of it its reader keeps at a time, where that is not all.
    """
    max_bytes = settings.max_body_bytes if max_bytes is None else max_bytes
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        detail = f"Content-Encoding `{encoding[:50]}` is not taken; send gzip or nothing."
        raise ApiProblem(415, "unsupported-encoding", detail, headers={"Accept-Encoding": "gzip"})
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    share: Share = request.scope[SCOPE_KEY]
    max_held = max_bytes if max_held is None else max_held
    share.hold(min(int(declared) if declared.isdigit() else 0, max_held))
    gunzip = _Gunzip(max_bytes, settings.max_expansion) if encoding != "identity" else None
    total = given = 0
    async for piece in _arriving(request, settings.body_pause_seconds):
        total += len(piece)
        if total > max_bytes:
            raise _too_large(max_bytes)
        for part in (piece,) if gunzip is None else gunzip.feed(piece):
            given += len(part)
            share.hold(min(given, max_held))
            yield part
    if gunzip is not None:
        gunzip.finish()


async def _arriving(request: Request, pause_seconds: float) -> AsyncIterator[bytes]:
    """Give the body's bytes as they come over the wire. Raises ClientDisconnect, ApiProblem when they stop coming."""
    more = True
    while more:
        try:
            async with asyncio.timeout(pause_seconds):
                message = await request.receive()
        except TimeoutError:
            detail = f"Nothing more of the body came for {pause_seconds:g} seconds."
            raise ApiProblem(408, "body-too-slow", detail) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if piece := message.get("body", b""):
            yield piece
        more = message.get("more_body", False)


async def join(source: AsyncIterator[bytes]) -> bytes:
    """Read all of a body."""
    parts = [part async for part in source]
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def lines(source: AsyncIterator[bytes], max_line_bytes: int) -> AsyncIterator[list[bytes]]:
    """Cut pieces into lines, a list for each piece that ends some. Line ends are taken off.

    Raises LineTooLong at a line of more than `max_line_bytes`, after the lines before it were given.
    """
    rest: list[bytes] = []
    held = 0
    async for piece in source:
        head, newline, tail = piece.partition(b"\n")
        if newline:
            found = [b"".join((*rest, head)), *tail.split(b"\n")]
            last = found.pop()
            yield found
            rest, held = [last], len(last)
        else:
            rest.append(piece)
            held += len(piece)
        if held > max_line_bytes + 1:  # one more for a carriage return
            raise LineTooLong
    if held:
        yield [b"".join(rest)]


class LineTooLong(Exception):
    """A line of NDJSON is longer than any event may be."""


class NotJson(Exception):
    """The body is no JSON that can be used; the message says where it stops being so."""


def decode_json(body: bytes) -> Any:
    """Decode JSON without losing digits. Raises NotJson."""
    try:
        data = orjson.loads(body)
        return json.loads(body) if _LONG_NUMBER.search(body) else data  # orjson rounds beyond 64 bits to a float
    except (ValueError, RecursionError) as error:
        raise NotJson(malformed(body) or str(error)) from error


def malformed(body: bytes) -> str | None:
    """Say where a body stops being JSON in UTF-8; None when it is well formed. For answers only: it is not quick."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte {error.start} is 0x{body[error.start]:02x}"
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        wrong = text[error.pos : error.pos + 9].lstrip("-")
        if wrong.startswith(("NaN", "Infinity")):
            word = "NaN" if wrong.startswith("NaN") else "Infinity"
            place = f"line {error.lineno} column {error.colno}"
            return f"{word} at {place}: JSON has no such number; send null, or the word as text"
        return str(error)
    return None


def _too_large(max_bytes: int) -> ApiProblem:
    detail = f"The body is larger than {max_bytes:,} bytes. Send the events in several requests."
    return ApiProblem(413, "body-too-large", detail)


class _Gunzip:
    """Decompresses gzip in bounded steps, one member after the other."""

    def __init__(self, max_bytes: int, max_expansion: int) -> None:
        self._max_bytes = max_bytes
        self._max_expansion = max_expansion
        self._taken = 0
        self._given = 0
        self._member = zlib.decompressobj(_GZIP)
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._taken += len(data)
        self._started = self._started or bool(data)
        while self._started:
            try:
                part = self._member.decompress(data, _STEP_BYTES)
            except zlib.error as error:
                raise ApiProblem(400, "malformed-gzip", f"The body is not valid gzip: {error}.") from error
            self._count(len(part))
            if part:
                yield part
            if self._member.eof:
                data = self._member.unused_data
                if not data:
                    return
                self._member = zlib.decompressobj(_GZIP)
            else:
                data = self._member.unconsumed_tail
                if not data and len(part) < _STEP_BYTES:
                    return

    def _count(self, given: int) -> None:
        self._given += given
        if self._given > self._max_bytes:
            raise _too_large(self._max_bytes)
        if self._given > max(_RATIO_FLOOR_BYTES, self._taken * self._max_expansion):
            detail = f"The body grows more than {self._max_expansion} times when decompressed."
            raise ApiProblem(413, "body-too-large", detail)

    def finish(self) -> None:
        if self._started and not self._member.eof:
            raise ApiProblem(400, "malformed-gzip", "The body is cut off: its gzip stream does not end.")
