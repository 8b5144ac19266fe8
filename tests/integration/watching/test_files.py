"""Files that land on a real disk: written whole, in pieces, renamed into place, written anew."""

import asyncio
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.support.watching import Clock, Watching

from airside.agent.watching.files import address, watcher
from airside.agent.watching.files.listing import Listing
from airside.agent.watching.watcher import WatchError, WatchOptions, WatchRefused
from airside.events import datasets

LONG_AGO = 1_790_000_000


def old(path: Path, text: str, age: int = 0) -> Path:
    """Write a file that was finished long ago."""
    path.write_text(text)
    os.utime(path, (LONG_AGO - age, LONG_AGO - age))
    return path


def watching(url: str, clock: Clock) -> Watching:
    where = address.read(url, WatchOptions())
    return Watching(watcher.FileWatcher(where, Listing(where, WatchOptions()), clock))


async def names(eyes: Watching) -> list[str]:
    return [event["resource"]["id"].rpartition("/")[2] for event in await eyes.look()]


async def test_each_file_is_told_once_oldest_first_and_by_the_name_that_openlineage_gives_it(tmp_path: Path) -> None:
    old(tmp_path / "b.csv", "1", age=10)
    old(tmp_path / "a 1.csv", "22")
    old(tmp_path / "notes.txt", "x")
    eyes = Watching.url(f"file://{tmp_path}/*.csv")
    first, second = await eyes.look()
    assert [event["type"] for event in (first, second)] == ["file.landed"] * 2
    assert first["resource"]["id"] == f"file://{tmp_path}/b.csv"
    assert second["resource"]["id"] == datasets.dataset_id("file", f"{tmp_path}/a 1.csv")
    assert second["payload"]["size"] == 2
    assert await eyes.look() == []


async def test_a_file_that_is_written_anew_lands_again(tmp_path: Path) -> None:
    path = old(tmp_path / "a.csv", "1", age=10)
    eyes = Watching.url(f"file://{tmp_path}/*.csv")
    [first] = await eyes.look()
    old(path, "2")
    [second] = await eyes.look()
    assert first["resource"] == second["resource"]
    assert first["id"] != second["id"]


async def test_two_watchers_and_one_that_forgot_give_the_same_ids(tmp_path: Path) -> None:
    old(tmp_path / "a.csv", "1")
    [one] = await Watching.url(f"file://{tmp_path}/*.csv").look()
    [other] = await Watching.url(f"file://{tmp_path}/").look()
    assert one["id"] == other["id"]


async def test_a_file_in_the_middle_of_being_written_waits_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    clock = Clock()
    eyes = watching(f"file://{tmp_path}/*.csv#settle=5s", clock)
    with path.open("w") as file:
        for part in range(3):
            file.write("x" * 10)
            file.flush()
            clock.now = LONG_AGO + 3 * part
            os.utime(path, (clock.now, clock.now))
            assert await names(eyes) == []
    clock.now += 4
    assert await names(eyes) == []
    clock.now += 2
    [event] = await eyes.look()
    assert event["payload"]["size"] == 30


async def test_a_file_from_the_future_counts_when_it_stood_still(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1")
    clock = Clock(path.stat().st_mtime - 3_600)
    eyes = watching(f"file://{tmp_path}/*.csv#settle=5s", clock)
    assert await names(eyes) == []
    clock.now += 5
    assert await names(eyes) == ["a.csv"]


async def test_a_hidden_file_counts_when_it_is_renamed_into_place(tmp_path: Path) -> None:
    hidden = old(tmp_path / ".a.csv.x7", "1")
    eyes = Watching.url(f"file://{tmp_path}/*")
    assert await names(eyes) == []
    hidden.rename(tmp_path / "a.csv")
    assert await names(eyes) == ["a.csv"]


async def test_folders_below_are_seen_with_two_stars_and_a_slash_at_the_end(tmp_path: Path) -> None:
    deep = tmp_path / "2026" / "11"
    deep.mkdir(parents=True)
    old(deep / "a.csv", "1")
    assert await names(Watching.url(f"file://{tmp_path}/*.csv")) == []
    assert await names(Watching.url(f"file://{tmp_path}/**/*.csv")) == ["a.csv"]
    assert await names(Watching.url(f"file://{tmp_path}/")) == ["a.csv"]


async def test_from_now_tells_nothing_of_what_is_there_already(tmp_path: Path) -> None:
    old(tmp_path / "a.csv", "1")
    eyes = Watching.url(f"file://{tmp_path}/*.csv#from=now")
    assert await names(eyes) == []
    old(tmp_path / "b.csv", "1")
    assert await names(eyes) == ["b.csv"]


async def test_the_cursor_forgets_files_that_are_gone(tmp_path: Path) -> None:
    path = old(tmp_path / "a.csv", "1")
    eyes = Watching.url(f"file://{tmp_path}/*.csv")
    await eyes.look()
    assert len(eyes.cursor["seen"]) == 1
    path.unlink()
    await eyes.look()
    assert eyes.cursor["seen"] == {}


async def test_too_many_files_are_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "MAX_FILES", 2)
    for number in range(3):
        old(tmp_path / f"{number}.csv", "1")
    with pytest.raises(WatchRefused, match="newer=7d"):
        await Watching.url(f"file://{tmp_path}/*.csv").look()
    recent = tmp_path / "recent.csv"
    recent.write_text("1")
    clock = Clock(recent.stat().st_mtime + 60)
    assert await names(watching(f"file://{tmp_path}/*.csv#newer=1h", clock)) == ["recent.csv"]


async def test_a_batch_whose_cursor_was_not_kept_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_BATCH", 2)
    for number in range(3):
        old(tmp_path / f"{number}.csv", "1")
    eyes = Watching.url(f"file://{tmp_path}/*.csv")
    lost = await eyes.watcher.poll({})
    assert (len(lost.events), lost.more) == (2, True)
    assert sorted(await names(eyes) + await names(eyes)) == ["0.csv", "1.csv", "2.csv"]


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(WatchError, match="missing is not there"):
        await Watching.url(f"file://{tmp_path}/missing/*.csv").look()


async def test_the_wait_ends_when_something_changes(tmp_path: Path) -> None:
    eyes = Watching.url(f"file://{tmp_path}/*.csv")
    assert await eyes.look() == []
    waiting = asyncio.ensure_future(eyes.watcher.wait(100))  # type: ignore[attr-defined]
    try:
        async with asyncio.timeout(60):  # the folder is followed a moment after the wait began
            for number in range(10_000):
                if waiting.done():
                    break
                (tmp_path / f"{number}.csv").write_text("1")
                await asyncio.wait([waiting], timeout=0.2)
    finally:
        waiting.cancel()
        await eyes.watcher.close()
    assert not waiting.cancelled()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file://data/in/*.csv", "three slashes, as file:///data/in"),
        ("s3:///key", "no bucket"),
        ("sftp://loader:hunter2@host/in/*", "no password in a URL"),
        ("file:///data/*#setle=5s", "no option is called `setle`"),
        ("file:///data/*#settle=fast", "settle: `fast` must be a time"),
        ("file:///data/*#from=2026", "only `now`"),
        ("file:///data/x::zip://a", "name one place"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_with_the_reason(url: str, said: str) -> None:
    with pytest.raises(WatchRefused, match=said) as caught:
        Watching.url(url)
    assert "hunter2" not in str(caught.value)


def test_the_login_of_a_host_is_not_in_names_and_ids() -> None:
    where = address.read("sftp://loader@host:2222/in/*.csv", WatchOptions())
    assert (where.name, where.user) == ("sftp://host:2222/in/*.csv", "loader")
    assert where.uri("/in/a.csv") == "sftp://host:2222/in/a.csv"


def test_a_container_of_azure_keeps_its_account() -> None:
    where = address.read("abfss://lake@acc.dfs.core.windows.net/raw/*.csv", WatchOptions())
    assert where.uri("lake/raw/a.csv") == "abfss://lake@acc.dfs.core.windows.net/raw/a.csv"


@pytest.mark.skipif(find_spec("gcsfs") is not None, reason="it is there")
def test_a_store_whose_package_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(WatchRefused, match="pip install"):
        Watching.url("gs://lake/raw/*")


async def test_a_host_that_is_away_is_told_when_it_is_asked() -> None:
    eyes = Watching.url("ftp://loader@127.0.0.1:1/in/*")
    with pytest.raises(WatchError, match=r"ftp://127\.0\.0\.1:1/in/.* cannot be listed"):
        await eyes.look()
