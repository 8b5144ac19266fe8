"""The rooms of `emit` one by one: answers, segments, messages, the breaker, settings."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest

from airside.sdk.emitting import message, settings
from airside.sdk.emitting.breaker import Breaker
from airside.sdk.emitting.http import read_answer
from airside.sdk.emitting.segment import Segment
from airside.sdk.emitting.settings import BadSettings, EmitSettings
from airside.sdk.emitting.spool import Spool, SpoolFull
from airside.sdk.emitting.transport import Away, Delivered, Rejected

OURS = "urn:airside:problem:"


def test_only_airside_itself_can_refuse_an_event_for_good() -> None:
    problems = [{"field": "1.type", "message": "bad"}, {"field": "1.id", "message": "worse"}]
    refused = read_answer(422, {"type": OURS + "invalid-event", "detail": "no", "problems": problems}, 2)
    assert refused == Rejected("no", 422, {1: "type: bad; id: worse"})
    assert isinstance(read_answer(422, {"detail": "a proxy says no"}, 2), Away)
    assert isinstance(read_answer(404, {}, 2), Away)
    assert isinstance(read_answer(413, {}, 2), Rejected)  # a smaller batch may pass the proxy that said so


def test_a_token_that_is_not_accepted_and_a_full_log_lose_nothing() -> None:
    for status in (401, 403, 429, 500, 503, 507):
        assert isinstance(read_answer(status, {"type": OURS + "x", "detail": "later"}, 1), Away)
    assert read_answer(503, {"type": OURS + "x", "detail": "later"}, 1, 7.0) == Away("later", 7.0)


def test_an_answer_counts_as_delivery_only_when_it_accounts_for_each_event() -> None:
    assert read_answer(202, {"accepted": 2, "duplicates": 1}, 3) == Delivered(1)
    assert isinstance(read_answer(202, {"accepted": 2, "duplicates": 0}, 3), Away)
    assert isinstance(read_answer(200, {}, 1), Away)  # the page of a captive portal


def test_a_segment_belongs_to_one_and_is_taken_over_when_that_one_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first = Segment.create(path)
    first.append([b"1\n", b"22\n", b"333\n"])
    assert Segment.claim(path) is None
    first.advance(2)
    first.abandon()
    second = Segment.claim(path)
    assert second is not None
    assert second.peek(10, 100) == [b"22\n", b"333\n"]
    assert second.peek(10, 4) == [b"22\n"]
    assert second.peek(10, 1) == [b"22\n"]  # at least one, however long
    second.advance(7)
    second.append([b"4\n"])
    assert second.peek(10, 100) == [b"4\n"]
    second.advance(2)
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_a_spool_fills_up_and_takes_events_again_when_some_are_delivered(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=10)
    spool.append([b"1234\n", b"5678\n"])
    with pytest.raises(SpoolFull):
        spool.append([b"9\n"])
    spool.advance(spool.peek(10, 100))
    spool.append([b"9\n"])
    assert spool.peek(10, 100) == [b"9\n"]
    spool.close()


def test_what_jobs_have_at_hand_is_written_as_json() -> None:
    berlin = datetime(2026, 11, 22, 10, tzinfo=timezone(timedelta(hours=1)))
    event = message.build(
        "a.b",
        "x://y",
        event_id="1",
        source="s",
        time=berlin,
        related={"job": "job://1"},
        payload={"at": berlin, "span": timedelta(minutes=1), "path": Path("/x"), "tags": {"a"}},
    )
    assert json.loads(message.encode(event)) == {
        "id": "1",
        "type": "a.b",
        "time": "2026-11-22T09:00:00Z",
        "source": "s",
        "resource": {"id": "x://y"},
        "related": [{"role": "job", "id": "job://1"}],
        "payload": {"at": "2026-11-22T10:00:00+01:00", "span": 60.0, "path": "/x", "tags": ["a"]},
    }


def test_a_time_without_a_zone_is_no_time() -> None:
    with pytest.raises(message.BadEvent, match="with a zone"):
        message.moment(datetime(2026, 11, 22, 9))  # noqa: DTZ001
    assert message.moment(datetime(2026, 11, 22, 9, tzinfo=UTC)) == "2026-11-22T09:00:00Z"


def test_ids_are_version_7_and_sorted_within_a_process() -> None:
    made = [message.uuid7() for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert all(UUID(text).version == 7 and UUID(text).variant == UUID(made[0]).variant for text in made[:100])
    assert abs((UUID(made[0]).int >> 80) / 1_000 - time.time()) < 60


def test_processes_of_one_machine_share_that_the_server_is_away(tmp_path: Path) -> None:
    first = Breaker(tmp_path / "away")
    assert first.seconds == 0
    first.failed(at_least_seconds=20)
    assert 15 < Breaker(tmp_path / "away").seconds < 20.1  # the file keeps milliseconds
    first.succeeded()
    assert Breaker(tmp_path / "away").seconds == 0


def test_settings_say_what_is_wrong_with_them_and_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("URL", "ftp://x"), ("EMIT", "twice"), ("STRICT", "perhaps"), ("SPOOL_MAX_BYTES", "-1")):
        with pytest.raises(BadSettings, match=f"AIRSIDE_{name}"):
            settings.load({f"AIRSIDE_{name}": value})
    monkeypatch.setenv("AIRSIDE_URL", "nats://me:hidden@one:4222,nats://me:hidden@two:4222")
    monkeypatch.setenv("AIRSIDE_TOKEN", "ast_hidden")
    found = settings.load()
    assert found.address == "nats://one:4222,nats://two:4222"
    assert "hidden" not in repr(found)
    assert found.speaks_nats


def test_each_token_has_a_spool_of_its_own(tmp_path: Path) -> None:
    def target(token: str | None) -> str:
        return EmitSettings(url="http://x", token=token, spool=tmp_path).target

    assert len({target(None), target("a"), target("b")}) == 3
    assert len({target(token).partition("-")[0] for token in (None, "a", "b")}) == 1
