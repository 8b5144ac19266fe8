"""Opening the views: after a crash, on a damaged file, on a file of another version."""

import logging
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from tests.views_samples import batch, posted

from airside.coordinator.views import Views, ViewsInUse, database, reads

ALL = reads.EventFilter("default")


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(data)


def wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def crashed_views(tmp_path: Path) -> Path:
    """Leave views whose process was killed: 300 entries in the file, 100 more in its write-ahead log."""
    path = tmp_path / "home" / "views.duckdb"
    script = f"""
        import os, signal
        from pathlib import Path
        from airside.coordinator.views import Views
        from tests.views_samples import batch, posted
        views = Views.open(Path({str(path)!r}))
        views.apply(batch(*(posted(n) for n in range(1, 301))))
        views.checkpoint()
        views.apply(batch(*(posted(n) for n in range(301, 401))))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=root, check=False)
    assert ended.returncode == -signal.SIGKILL
    return path


def test_nothing_that_was_committed_is_lost_by_a_kill(tmp_path: Path) -> None:
    views = Views.open(crashed_views(tmp_path))
    assert (views.position, views.read(reads.count_events, ALL)) == (400, 400)
    views.close()


def test_a_torn_write_ahead_log_leaves_rows_and_position_in_step(tmp_path: Path) -> None:
    path = crashed_views(tmp_path)
    wal(path).write_bytes(wal(path).read_bytes()[:-100])
    views = Views.open(path)
    assert views.position == 300 == views.read(reads.count_events, ALL)
    views.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a database" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:20_000]),
        lambda path: flip(path, 20),
        lambda path: flip(path, 60_000),
        lambda path: flip(wal(path), 1_500),
    ],
    ids=["empty", "garbage", "truncated", "header", "block", "wal"],
)
def test_a_damaged_file_is_set_aside_and_begun_anew(
    tmp_path: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    path = crashed_views(tmp_path)
    damage(path)
    with caplog.at_level(logging.WARNING):
        views = Views.open(path)
    assert views.position == 0
    assert views.apply(batch(posted(1))).duplicates == 0
    views.close()
    assert path.with_name("views.duckdb.set-aside").exists()
    assert "made anew from the log" in caplog.text


def test_a_file_of_another_version_is_set_aside_and_only_the_last_one_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "views.duckdb"
    for _ in range(2):
        views = Views.open(path)
        views.apply(batch(posted(1)))
        incarnation = views.incarnation
        views.close()
        with duckdb.connect(path) as con:
            con.execute("UPDATE views_file SET version = 999")
        views = Views.open(path)
        assert (views.position, views.incarnation != incarnation) == (0, True)
        views.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["views.duckdb", "views.duckdb.set-aside"]


def test_a_second_process_is_told_that_the_views_are_in_use(tmp_path: Path) -> None:
    path = tmp_path / "views.duckdb"
    script = f"""
        import sys, duckdb
        con = duckdb.connect({str(path)!r})
        print("open", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(ViewsInUse, match="Stop the other coordinator"):
            Views.open(path)
        with pytest.raises(ViewsInUse):
            database.check_free(path)
        other.communicate()


def test_what_is_no_damage_is_not_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "views.duckdb"
    path.mkdir()
    with pytest.raises(duckdb.IOException):
        Views.open(path)
    assert path.is_dir()
