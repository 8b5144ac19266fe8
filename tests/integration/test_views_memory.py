"""Large events, little memory: the fold goes on, pages stay small, nothing is lost and nobody waits for ever."""

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.views_samples import batch, posted

from airside.coordinator.views import Views, ViewsBusy, reads
from airside.coordinator.views.folding import cut, fold
from airside.coordinator.views.reads.pages import MAX_PAGE_BYTES
from airside.events.log import Batch

ALL = reads.EventFilter("default")
LARGE = 250_000


@pytest.fixture
def views(tmp_path: Path) -> Iterator[Views]:
    views = Views.open(tmp_path / "views.duckdb")
    yield views
    views.close()


def large(first: int, count: int, size: int = LARGE) -> Batch:
    records = [posted(n, payload={"text": secrets.token_hex(size // 2)}) for n in range(first, first + count)]
    return batch(*records)


def limit_memory(views: Views, limit: str) -> None:
    views.read(lambda con: con.execute(f"SET GLOBAL memory_limit = '{limit}'").fetchall())


def positions(views: Views, **how: Any) -> list[int]:
    found, cursor = [], None
    while True:
        page = views.read(reads.list_events, ALL, cursor=cursor, limit=1_000, **how)
        found += [item["position"] for item in page.items]
        if (cursor := page.next) is None:
            return found


def test_a_batch_is_cut_by_bytes_into_pieces_that_follow_each_other() -> None:
    whole = large(1, 10)
    pieces = list(cut(whole, 3 * LARGE))
    assert [len(piece) for piece in pieces] == [2, 2, 2, 2, 2]
    assert [piece.first_position for piece in pieces] == [1, 3, 5, 7, 9]
    assert [record for piece in pieces for record in piece.records] == whole.records
    assert list(cut(whole, 100 * LARGE)) == [whole]
    assert [len(piece) for piece in cut(whole, 1)] == [1] * 10


def test_a_page_of_large_events_ends_early_and_none_is_missed(views: Views) -> None:
    for folded in fold(views, large(1, 100)):
        assert folded.dead == []
    views.checkpoint()
    page = views.read(reads.list_events, ALL, limit=1_000)
    assert 0 < len(page.items) <= MAX_PAGE_BYTES // LARGE
    assert page.items[0]["payload"].keys() == {"text"}
    assert positions(views) == list(range(100, 0, -1))
    assert positions(views, newest_first=False) == list(range(1, 101))


def test_a_payload_reads_the_same_whatever_its_size(views: Views) -> None:
    texts = ["x" * size for size in (0, 4_000, 4_085, 4_086, 4_087, 4_096, 100_000)]
    list(fold(views, batch(*(posted(n, payload={"t": text}) for n, text in enumerate(texts, 1)))))
    page = views.read(reads.list_events, ALL, newest_first=False)
    assert [item["payload"]["t"] for item in page.items] == texts


def test_a_batch_that_does_not_fit_into_memory_is_folded_in_smaller_ones(views: Views) -> None:
    limit_memory(views, "30MB")
    whole = large(1, 60)
    with pytest.raises(duckdb.OutOfMemoryException):
        views.apply(whole)
    assert views.position == 0
    folded = list(fold(views, whole))
    assert len(folded) > 1
    assert sum(len(step.new) for step in folded) == 60
    assert [letter for step in folded for letter in step.dead] == []
    assert views.position == 60 == views.read(reads.count_events, ALL)


def test_an_entry_that_cannot_be_folded_even_alone_becomes_a_dead_letter(views: Views) -> None:
    limit_memory(views, "30MB")
    records = [posted(1), posted(2, payload={"text": "x" * 60_000_000}), posted(3)]
    folded = list(fold(views, batch(*records)))
    assert [letter.position for step in folded for letter in step.dead] == [2]
    assert "OutOfMemory" in next(letter.reason for step in folded for letter in step.dead)
    assert views.position == 3
    assert positions(views) == [3, 1]


def test_a_transaction_that_went_wrong_does_not_keep_back_the_next(views: Views) -> None:
    con = views._con
    con.execute("BEGIN")
    with pytest.raises(duckdb.Error):
        con.execute("SELECT error('no') FROM events_that_are_not_there").fetchall()
    with pytest.raises(duckdb.TransactionException):
        views.apply(batch(posted(1)))
    assert len(views.apply(batch(posted(1))).new) == 1
    assert views.apply(batch(posted(2, event_id="event-1"))).duplicates == 1


def test_a_reader_makes_room_for_a_writer_who_must_be_alone(views: Views) -> None:
    views.apply(batch(posted(1)))
    begun = threading.Event()
    outcome: list[object] = []

    def count_for_ever(con: duckdb.DuckDBPyConnection) -> None:
        begun.set()
        con.execute("SELECT count(*) FROM range(1_000_000_000_000) a").fetchall()

    def read() -> None:
        try:
            outcome.append(views.read(count_for_ever))
        except ViewsBusy as error:
            outcome.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(60)
    with views.alone():
        reader.join(60)
        assert isinstance(outcome[0], ViewsBusy)
        views.apply(batch(posted(2)))
    assert views.read(reads.count_events, ALL) == 2
