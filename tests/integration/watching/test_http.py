"""An address that is asked over real HTTP."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import certificates
from tests.support.watching import Clock, Watching

from airside.agent.watching import http as watcher
from airside.agent.watching.watcher import WatchOptions, WatchRefused


@dataclass
class Site:
    """Answers each request with the same bytes, or holds it up."""

    url: str = ""
    answer: bytes = b""
    asked: bytes = b""
    hangs: bool = False

    def says(self, status: int, body: str = "", head: str = "") -> None:
        self.answer = f"HTTP/1.1 {status} X\r\n{head}content-length: {len(body)}\r\n\r\n{body}".encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.asked = await reader.readuntil(b"\r\n\r\n")
                if self.hangs:
                    await reader.read()
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/health"
    found.says(200)
    yield found
    server.close()


async def test_a_result_is_told_when_it_changes_and_every_so_often(site: Site) -> None:
    eyes = Watching.url(site.url)
    eyes.watcher._clock = clock = Clock(1_790_000_000)  # type: ignore[attr-defined]
    [passed] = await eyes.look()
    assert passed["type"] == "check.passed"
    assert passed["resource"]["id"] == site.url
    assert passed["payload"]["status"] == 200
    assert passed["payload"]["latency_ms"] > 0
    assert await eyes.look() == []
    site.says(503)
    [failed] = await eyes.look()
    assert (failed["type"], failed["payload"]["reason"]) == ("check.failed", "it answered 503")
    clock.now += 600
    assert await eyes.types() == ["check.failed"]
    site.says(200)
    assert await eyes.types() == ["check.passed"]
    await eyes.watcher.close()


async def test_the_body_is_held_against_a_path(site: Site) -> None:
    eyes = Watching.url(site.url + "#expect=$.checks[0].state==ok")
    site.says(200, '{"checks": [{"state": "ok"}]}')
    assert await eyes.types() == ["check.passed"]
    for body, reason in {
        '{"checks": [{"state": "hunter2"}]}': "the body's $.checks[0].state is not == ok",
        "{}": "the body has no $.checks[0].state",
        "<html>": "the body is no JSON",
    }.items():
        site.says(200, body)
        eyes.cursor = {**eyes.cursor, "passed": True}
        [event] = await eyes.look()
        assert (event["type"], event["payload"]["reason"]) == ("check.failed", reason)
    await eyes.watcher.close()


async def test_a_redirect_is_not_followed(site: Site) -> None:
    site.says(302, head="location: http://127.0.0.1:1/\r\n")
    eyes = Watching.url(site.url)
    [event] = await eyes.look()
    assert event["payload"]["reason"] == "it answered 302: redirects are not followed"
    await eyes.watcher.close()


async def test_a_certificate_that_nobody_vouches_for_is_a_check_that_failed(site: Site, tmp_path: Path) -> None:
    certificate, key = certificates.loopback(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=context)
    eyes = Watching.url(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/health")
    [event] = await eyes.look()
    assert event["type"] == "check.failed"
    assert "CERTIFICATE_VERIFY_FAILED" in event["payload"]["reason"]
    await eyes.watcher.close()
    server.close()


async def test_another_status_can_be_what_is_wanted(site: Site) -> None:
    site.says(401)
    eyes = Watching.url(site.url + "#status=401")
    assert await eyes.types() == ["check.passed"]
    await eyes.watcher.close()


async def test_an_address_that_hangs_or_is_not_there_is_a_check_that_failed(site: Site) -> None:
    site.hangs = True
    eyes = Watching.url(site.url + "#timeout=200ms")
    [event] = await eyes.look()
    assert event["payload"]["reason"] == "no answer in 0.2 s"
    await eyes.watcher.close()
    eyes = Watching.url("http://127.0.0.1:1/health")
    [event] = await eyes.look()
    assert event["payload"]["reason"].startswith("ConnectError")
    await eyes.watcher.close()


async def test_a_login_comes_from_the_environment_and_is_not_told(site: Site) -> None:
    eyes = Watching.url(site.url + "?key=hunter2", token="hunter3")
    [event] = await eyes.look()
    assert b"Bearer hunter3" in site.asked
    assert b"key=hunter2" in site.asked
    assert "hunter" not in repr(event) + eyes.watcher.name
    await eyes.watcher.close()


async def test_a_check_that_forgot_how_far_it_was_repeats_no_id(site: Site) -> None:
    one, other = Watching.url(site.url), Watching.url(site.url)
    [first], [second] = await one.look(), await other.look()
    assert first["id"] != second["id"]
    await one.watcher.close()
    await other.watcher.close()


async def test_a_result_whose_cursor_was_not_kept_has_one_id(site: Site) -> None:
    eyes = Watching.url(site.url)
    eyes.cursor = (await eyes.watcher.poll({})).cursor
    killed = await eyes.watcher.poll(eyes.cursor)
    [again] = await eyes.look()
    assert killed.events[0]["id"] == again["id"]
    await eyes.watcher.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://user:hunter2@host/", "no credentials in a URL"),
        ("https://host/#expect=status", "must be of fields and indexes|is no JSONPath"),
        ("https://host/#expect=$..status==1", "must be of fields and indexes"),
        ("https://host/#expect=$.status", "must be one of"),
        ("https://host/#status=fine", "three digits"),
    ],
)
def test_what_cannot_be_checked_is_refused_with_the_reason(url: str, said: str) -> None:
    with pytest.raises(WatchRefused, match=said) as caught:
        watcher.open_watcher(url, WatchOptions())
    assert "hunter2" not in str(caught.value)
