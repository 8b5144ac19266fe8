"""The guarded client against real sockets."""

import asyncio
import gzip
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.receiver import http, receiver

from airside.coordinator.blocking import DaemonThreads, Overloaded
from airside.coordinator.outbound import GuardedClient, OutboundSettings, RequestFailed, TargetRefused, shown

TLS = Path(__file__).parent / "outbound_tls"


def allowing(listed: str = "127.0.0.0/8", **settings: object) -> OutboundSettings:
    return OutboundSettings(allow_private=listed, **settings)  # type: ignore[arg-type]


class Answers:
    """A name server that answers in turn; the last answer stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


async def test_a_request_arrives_as_it_was_meant() -> None:
    async with receiver(http(201, b"made", X_Who="me")) as target:
        reply = await GuardedClient(allowing()).request(
            "PUT", f"{target.url}/a/b?c=d#e", headers={"X-Note": "für dich"}, body=b'{"a": 1}'
        )
    assert (reply.status, reply.headers["x-who"], reply.body, reply.truncated) == (201, "me", b"made", False)
    (request,) = target.received
    assert (request.method, request.path, request.body) == ("PUT", "/a/b?c=d", b'{"a": 1}')
    assert request.headers["host"] == f"127.0.0.1:{target.port}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["x-note"].encode("latin-1").decode() == "für dich"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "224.0.0.1",
    ],
)
async def test_no_spelling_of_an_internal_address_gets_through(host: str) -> None:
    with pytest.raises(TargetRefused):
        await GuardedClient().request("POST", f"https://{host}:1/")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "unix:///var/run/docker.sock",
        "gopher://127.0.0.1/",
        "//example.com/",
        "/path",
        "",
        "https://",
        "https://user:password@example.com/",
        "https://token@example.com/",
        "https://exa mple.com/",
        "https://[::1/",
        "https://a:99999/",
        "https://a:0/",
        "https://a%2eb/",
        "https://a/" + "x" * 5_000,
    ],
)
async def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(TargetRefused) as caught:
        await GuardedClient().request("POST", url)
    assert "password" not in str(caught.value).replace("a user or password", "")


async def test_plain_http_is_refused_unless_the_target_is_allowed() -> None:
    public = Answers(["93.184.216.34"])
    with pytest.raises(TargetRefused, match="use https"):
        await GuardedClient(resolve=public).request("POST", "http://example.com/")


async def test_one_internal_address_among_public_ones_is_enough_to_refuse() -> None:
    client = GuardedClient(resolve=Answers(["93.184.216.34"] * 20 + ["10.0.0.1"]))
    with pytest.raises(TargetRefused, match=r"AIRSIDE_ALLOW_PRIVATE=example\.com:443"):
        await client.request("POST", "https://example.com/")


async def test_a_name_server_that_changes_its_answer_is_asked_once_and_the_checked_address_is_used() -> None:
    async with receiver() as checked, receiver(host="127.0.0.2", port=checked.port) as other:
        names = Answers(["127.0.0.1"], ["127.0.0.2"])
        client = GuardedClient(allowing("127.0.0.1"), resolve=names)
        await client.request("POST", f"http://rebind.example.test:{checked.port}/")
        assert names.asked == [("rebind.example.test", checked.port)]
        assert len(checked.received) == 1
        assert checked.received[0].headers["host"] == f"rebind.example.test:{checked.port}"

        with pytest.raises(TargetRefused):  # the next request checks again
            await client.request("POST", f"http://rebind.example.test:{checked.port}/")
        assert other.received == []


async def test_the_next_address_is_tried_where_nobody_listens() -> None:
    async with receiver() as target:
        client = GuardedClient(allowing(), resolve=Answers(["127.0.0.9", "127.0.0.1"]))
        reply = await client.request("POST", f"http://two.example.test:{target.port}/")
    assert reply.status == 200


async def test_redirects_are_not_followed() -> None:
    async with receiver() as secret, receiver(http(302, Location=f"http://127.0.0.1:{secret.port}/")) as target:
        reply = await GuardedClient(allowing()).request("POST", target.url)
    assert reply.status == 302
    assert secret.received == []


async def test_proxies_and_credentials_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with receiver() as target:
        reply = await GuardedClient(allowing()).request("POST", target.url)
    assert reply.status == 200
    assert "authorization" not in target.received[0].headers


async def test_a_trickle_ends_at_the_deadline() -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with receiver(trickle) as target:
        with pytest.raises(RequestFailed, match=r"did not answer within 0\.3 s"):
            async with asyncio.timeout(60):  # sending it all would take hours
                await GuardedClient(allowing(outbound_deadline_seconds=0.3)).request("POST", target.url)


async def test_a_receiver_that_says_nothing_ends_at_the_shorter_deadline() -> None:
    async def nothing(writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            await asyncio.sleep(0.02)

    async with receiver(nothing) as target:
        with pytest.raises(RequestFailed, match=r"0\.2 s"):
            await GuardedClient(allowing()).request("POST", target.url, deadline_seconds=0.2)


async def test_an_endless_answer_is_cut() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with receiver(endless) as target:
        reply = await GuardedClient(allowing()).request("POST", target.url)
    assert (reply.status, len(reply.body), reply.truncated) == (200, 65_536, True)


async def test_endless_headers_fail() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"X-More: " + b"x" * 8_000 + b"\r\n")
            await writer.drain()

    async with receiver(endless) as target:
        with pytest.raises(RequestFailed):
            await GuardedClient(allowing()).request("POST", target.url)


async def test_nothing_is_decompressed() -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    async with receiver(http(200, bomb, Content_Encoding="gzip")) as target:
        reply = await GuardedClient(allowing()).request("POST", target.url)
    assert reply.body == bomb[:65_536]


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1", b"\x16\x03\x01 what", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
async def test_a_broken_answer_is_a_failure_of_the_other_side(answer: bytes) -> None:
    async with receiver(answer) as target:
        with pytest.raises(RequestFailed):
            await GuardedClient(allowing()).request("POST", target.url)


async def test_nobody_listening_and_no_such_host_are_failures_that_may_pass() -> None:
    with pytest.raises(RequestFailed):
        await GuardedClient(allowing()).request("POST", "http://127.0.0.1:1/")
    with pytest.raises(RequestFailed, match="could not be resolved"):
        await GuardedClient().request("POST", "https://nobody.invalid/")
    with pytest.raises(RequestFailed, match="has no address"):
        await GuardedClient(resolve=Answers([])).request("POST", "https://a.example/")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "other"},
        {"content-length": "3"},
        {"Transfer-Encoding": "chunked"},
        {"X": "a\r\nY: b"},
        {"X Y": "a"},
        {"Ü": "a"},
    ],
)
async def test_headers_that_would_change_the_request_are_refused(headers: dict[str, str]) -> None:
    async with receiver() as target:
        with pytest.raises(TargetRefused):
            await GuardedClient(allowing()).request("POST", target.url, headers=headers)
    assert target.received == []


async def test_errors_hold_no_secret_of_the_url() -> None:
    url = "http://127.0.0.1:1/services/T0KEN?key=s3cret"
    with pytest.raises(RequestFailed) as caught:
        await GuardedClient(allowing()).request("POST", url)
    assert "T0KEN" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert shown(url) == "http://127.0.0.1:1/…"


async def test_tls_is_checked_against_the_hosts_name_while_the_address_is_pinned() -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    async with receiver(tls=serving) as target:
        settings = allowing(outbound_ca_file=str(TLS / "cert.pem"))
        names = Answers(["127.0.0.1"])
        reply = await GuardedClient(settings, resolve=names).request(
            "POST", f"https://hooks.example.test:{target.port}/"
        )
        assert reply.status == 200
        with pytest.raises(RequestFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await GuardedClient(settings, resolve=names).request("POST", f"https://other.example.test:{target.port}/")
        with pytest.raises(RequestFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await GuardedClient(allowing(), resolve=names).request("POST", f"https://hooks.example.test:{target.port}/")


async def test_a_blocking_call_is_left_behind_at_its_deadline_and_too_many_are_refused() -> None:
    threads, gate = DaemonThreads(most=2), threading.Event()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await threads.call(gate.wait, timeout=0.02)
    with pytest.raises(Overloaded):
        await threads.call(gate.wait, timeout=0.02)
    gate.set()


async def test_a_blocking_call_gives_its_result_or_its_error() -> None:
    threads = DaemonThreads()
    assert await threads.call(int, "7", timeout=5) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await threads.call(int, "x", timeout=5)
