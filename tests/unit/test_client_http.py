"""The client: what each answer of a server means, lists over several pages, and streams that are taken up again."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from airside.sdk import client as sdk_client
from airside.sdk.client import Client, path
from airside.sdk.exceptions import CannotReach, ClientError, NotFound, Refused, ServerFailed, Unauthorised
from airside.sdk.settings import ClientSettings

Answer = Callable[[httpx.Request], httpx.Response]


def client_of(answer: Answer, token: str | None = None) -> Client:
    settings = ClientSettings(url="http://plane:7700/", token=SecretStr(token) if token else None, home=Path("/tmp"))
    return Client(settings, transport=httpx.MockTransport(answer))


def problem(status: int, detail: str, **more: Any) -> Answer:
    return lambda request: httpx.Response(status, json={"detail": detail, "status": status, **more})


def frames(*numbers: int) -> httpx.Response:
    text = "".join(f'id: {number}\nevent: event\ndata: {{"position": {number}}}\n\n' for number in numbers)
    return httpx.Response(200, text=": hello\nretry: 2000\n\n" + text)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorised),
        (403, Unauthorised),
        (404, NotFound),
        (409, Refused),
        (422, Refused),
        (429, ServerFailed),
        (500, ServerFailed),
        (503, ServerFailed),
    ],
)
def test_each_kind_of_answer_is_an_error_of_its_own(status: int, kind: type[ClientError]) -> None:
    with client_of(problem(status, "no, because")) as client, pytest.raises(kind, match="no, because") as caught:
        client.get("/api/status")
    assert caught.value.status == status


def test_problems_come_with_the_error() -> None:
    named = [{"field": "resource.id", "message": "missing"}]
    with client_of(problem(422, "refused", problems=named)) as client, pytest.raises(Refused) as caught:
        client.post_events([{"type": "a"}])
    assert caught.value.problems == named


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"[]", b"", b"null"])
def test_an_answer_of_somebody_else_is_named_as_such(body: bytes) -> None:
    expected = pytest.raises(ServerFailed, match="502 from http://plane:7700, and not as Airside answers")
    with client_of(lambda request: httpx.Response(502, content=body)) as client, expected:
        client.get("/api/status")


def test_a_redirect_is_not_followed_but_told() -> None:
    moved = httpx.Response(308, headers={"location": "https://plane/"})
    with client_of(lambda request: moved) as client, pytest.raises(Refused, match=r"https://plane/.*AIRSIDE_URL"):
        client.get("/api/status")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), "nothing listens there"),
        (httpx.ReadTimeout("slow"), "does not answer in time"),
        (httpx.RemoteProtocolError("peer closed"), "peer closed"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named(error: Exception, says: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    with client_of(answer) as client, pytest.raises(CannotReach, match=says) as caught:
        client.get("/api/status")
    assert "http://plane:7700" in str(caught.value)


def test_the_token_goes_with_each_request_and_into_no_message() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(401, json={"detail": "unknown token"})

    with client_of(answer, token="ast_secret") as client, pytest.raises(Unauthorised) as caught:
        client.get("/api/status")
    assert seen == ["Bearer ast_secret"]
    assert "ast_secret" not in str(caught.value) + repr(client)


def test_ids_are_escaped_in_paths() -> None:
    assert path("resources", "table://w/a?b#c") == "/api/resources/table%3A%2F%2Fw%2Fa%3Fb%23c"
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, json={})

    with client_of(answer) as client:
        client.get(path("resources", "a/b?c"))
    assert seen == [b"/api/resources/a%2Fb%3Fc"]


def pages(request: httpx.Request) -> httpx.Response:
    start, limit = int(request.url.params.get("cursor", 0)), int(request.url.params["limit"])
    end = min(start + limit, 2_500)
    return httpx.Response(200, json={"items": list(range(start, end)), "next": str(end) if end < 2_500 else None})


@pytest.mark.parametrize(("limit", "count"), [(None, 2_500), (1, 1), (1_000, 1_000), (1_700, 1_700), (9_999, 2_500)])
def test_a_list_is_read_page_after_page_up_to_the_limit(limit: int | None, count: int) -> None:
    with client_of(pages) as client:
        assert list(client.items("/api/events", limit=limit)) == list(range(count))


def test_parameters_that_are_none_are_left_out_and_lists_are_repeated() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.query.decode())
        return httpx.Response(200, json={})

    with client_of(answer) as client:
        client.get("/api/events", {"type": ["a", "b"], "kind": None, "limit": 5})
    assert seen == ["type=a&type=b&limit=5"]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_client, "FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(sdk_client, "MAX_PAUSE_SECONDS", 0.0)


@pytest.mark.usefixtures("no_pauses")
def test_a_lost_stream_is_taken_up_behind_the_last_event() -> None:
    asked: list[str | None] = []
    answers: Iterator[httpx.Response] = iter([frames(4, 5), httpx.Response(503, json={}), frames(), frames(6, 7)])

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        return next(answers)

    with client_of(answer) as client:
        events = list(islice(client.follow_events(after=3), 4))
    assert [event["position"] for event in events] == [4, 5, 6, 7]
    assert asked == ["3", "5", "5", "5"]


@pytest.mark.usefixtures("no_pauses")
def test_a_stream_that_never_began_is_an_error() -> None:
    with client_of(problem(503, "too many streams")) as client, pytest.raises(ServerFailed, match="too many"):
        next(client.follow_events())


@pytest.mark.usefixtures("no_pauses")
def test_a_stream_that_is_refused_later_is_an_error() -> None:
    answers = iter([frames(1), httpx.Response(401, json={"detail": "revoked"})])
    with client_of(lambda request: next(answers)) as client:
        events = client.follow_events()
        assert next(events)["position"] == 1
        with pytest.raises(Unauthorised, match="revoked"):
            next(events)


def test_data_over_several_lines_is_one_message() -> None:
    text = 'id: 9\ndata: {"a":\ndata:  1}\n\n'
    with client_of(lambda request: httpx.Response(200, text=text)) as client:
        assert next(client.follow_events()) == {"a": 1}


def test_a_body_is_sent_as_json_in_utf_8() -> None:
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(202, json={"accepted": 1})

    with client_of(answer) as client:
        assert client.post_events([{"payload": {"a": "é"}}]) == {"accepted": 1}
    assert json.loads(seen[0]) == [{"payload": {"a": "é"}}]
    assert "é".encode() in seen[0]
