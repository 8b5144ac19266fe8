"""`emit` against a real server: what arrives, in which order, and what a job notices of it."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.emitting import events, run, segments, until_numbers
from tests.support.up import Up, settled


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    found = Up(tmp_path_factory.mktemp("emit") / "home").start()
    yield found
    found.stop()


def test_an_event_arrives_as_it_was_said(up: Up, tmp_path: Path) -> None:
    run(
        """
        from datetime import UTC, datetime
        emit("table.updated", {"id": "table://w/as-said", "kind": "view"}, related=[("job", "job://load")],
             payload={"rows": 3, "at": datetime(2026, 1, 1, tzinfo=UTC)}, labels={"team": "finance"}, id="said-1",
             time=datetime(2026, 11, 22, 9, tzinfo=UTC), causes=["before"], source="me://here", wait=True)
        """,
        tmp_path,
        up.url,
    )
    up.until(settled)
    with up.client() as client:
        (event,) = events(client, resource="table://w/as-said")
    assert event["id"] == "said-1"
    assert event["time"] == "2026-11-22T09:00:00Z"
    assert event["source"] == "me://here"
    assert event["resource"] == {
        "id": "table://w/as-said",
        "kind": "view",
        "name": "as-said",
        "labels": {"team": "finance"},
    }
    assert [(entry["role"], entry["id"]) for entry in event["related"]] == [("job", "job://load")]
    assert event["payload"] == {"rows": 3, "at": "2026-01-01T00:00:00+00:00"}
    assert event["causes"] == ["before"]


def test_the_end_of_a_program_waits_for_its_events(up: Up, tmp_path: Path) -> None:
    run("for n in range(300): emit('exit.tested', 'job://exit', payload={'n': n})", tmp_path, up.url)
    assert until_numbers(up, "job://exit", 300) == list(range(300))
    assert segments(tmp_path) == []


def test_asyncio_code_emits_and_can_wait_without_blocking_its_loop(up: Up, tmp_path: Path) -> None:
    out, _ = run(
        """
        import asyncio
        from airside.sdk import aemit

        async def main():
            beats = 0
            async def beat():
                nonlocal beats
                while True:
                    beats += 1
                    await asyncio.sleep(0.001)
            beating = asyncio.create_task(beat())
            for n in range(50):
                emit("async.tested", "job://async", payload={"n": n})
            await aemit("async.tested", "job://async", payload={"n": 50})
            beating.cancel()
            print(emit_stats()["waiting"], beats > 2)

        asyncio.run(main())
        """,
        tmp_path,
        up.url,
    )
    assert out.split() == ["0", "True"]
    assert until_numbers(up, "job://async", 51) == list(range(51))


def test_a_forked_child_sends_its_own_events_and_none_of_its_parent_s(up: Up, tmp_path: Path) -> None:
    out, _ = run(
        """
        import multiprocessing
        for n in range(20):
            emit("fork.tested", "job://parent", payload={"n": n})
        def work(which):
            for n in range(20):
                emit("fork.tested", f"job://child-{which}", payload={"n": n})
        children = [multiprocessing.get_context("fork").Process(target=work, args=(c,)) for c in range(3)]
        [child.start() for child in children]
        pid = os.fork()
        if pid == 0:
            work("plain")
            flush(60)
            print(emit_stats()["emitted"], emit_stats()["duplicates"], flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        [child.join() for child in children]
        flush(60)
        print(emit_stats()["emitted"], emit_stats()["duplicates"])
        """,
        tmp_path,
        up.url,
    )
    assert out.split() == ["20", "0", "20", "0"]
    for name in ("parent", "child-0", "child-1", "child-2", "child-plain"):
        assert until_numbers(up, f"job://{name}", 20) == list(range(20))
    assert segments(tmp_path) == []


def test_threads_emit_at_once_and_each_keeps_its_order(up: Up, tmp_path: Path) -> None:
    run(
        """
        import threading
        def work(which):
            for n in range(200):
                emit("thread.tested", f"job://thread-{which}", payload={"n": n}, durable=n % 7 == 0)
        threads = [threading.Thread(target=work, args=(w,)) for w in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert flush(60)
        """,
        tmp_path,
        up.url,
    )
    for which in range(4):
        assert until_numbers(up, f"job://thread-{which}", 200) == list(range(200))


def test_what_the_server_refuses_is_set_aside_and_blocks_nothing(up: Up, tmp_path: Path) -> None:
    out, err = run(
        """
        for n in range(5):
            emit("good.one", "job://beside-bad", payload={"n": n})
            emit("automation.created", "job://bad")
        flush(60)
        print(emit_stats()["refused"], emit_stats()["delivered"], emit_stats()["waiting"])
        """,
        tmp_path,
        up.url,
    )
    assert out.split() == ["5", "5", "0"]
    assert err.count("refuses an event") == 1
    assert until_numbers(up, "job://beside-bad", 5) == list(range(5))
    (file,) = tmp_path.glob("spool/*/refused.jsonl")
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert [entry["event"]["resource"]["id"] for entry in kept] == ["job://bad"] * 5
    assert "written by Airside itself alone" in kept[0]["reason"]


def test_input_that_is_no_event_is_told_once_a_kind_and_the_job_goes_on(up: Up, tmp_path: Path) -> None:
    out, err = run(
        """
        secret = "hunter2"
        from collections.abc import Mapping
        class Broken(Mapping):
            def __len__(self): return 1
            def __getitem__(self, name): raise RuntimeError(secret)
            def __iter__(self): raise RuntimeError(secret)
        for _ in range(3):
            emit("a.b", "job://bad-input", payload={"n": float("nan")})
            emit("a.b", "job://bad-input", payload={"n": object(), "password": secret})
            emit("a.b", "job://bad-input", payload={"n": "x" * 600_000})
            emit("a.b", "job://bad-input", payload=[1, 2])
            emit("a b", "job://bad-input")
            emit("a.b", None)
            emit("a.b", "job://bad-input", related=[1])
            emit("a.b", "job://bad-input", payload=Broken())
        print(emit_stats()["bad"], emit_stats()["emitted"])
        """,
        tmp_path,
        up.url,
    )
    assert out.split() == ["24", "0"]
    assert "hunter2" not in err
    assert len(err.splitlines()) == 7  # NaN and an unknown object are one kind: not JSON


def test_strict_mode_raises_for_tests(up: Up, tmp_path: Path) -> None:
    out, _ = run(
        """
        try:
            emit("a.b", "job://strict", payload={"n": float("nan")})
        except ValueError as error:
            print("raised", error)
        """,
        tmp_path,
        up.url,
        AIRSIDE_STRICT="1",
    )
    assert out.startswith("raised")


def test_a_heartbeat_beats_until_its_block_ends(up: Up, tmp_path: Path) -> None:
    run(
        """
        with heartbeat("job://heart", every=0.05):
            while emit_stats()["emitted"] < 4:
                time.sleep(0.01)
        heartbeat("job://heart-once")
        """,
        tmp_path,
        up.url,
    )
    up.until(lambda client: len(events(client, type="resource.heartbeat")) >= 5)
    with up.client() as client:
        assert len(events(client, resource="job://heart")) >= 4
        assert len(events(client, resource="job://heart-once")) == 1


def test_without_a_url_nothing_is_sent_written_or_said(tmp_path: Path) -> None:
    out, err = run(
        "print(len(emit('a.b', 'job://x', payload={'n': object()})), flush(5))\nprint('httpx' in sys.modules)",
        tmp_path / "home",
        "",
    )
    assert (out.split(), err) == (["36", "True", "False"], "")
    assert not (tmp_path / "home").exists()


def test_a_url_that_is_none_is_told_and_does_not_stop_the_job(tmp_path: Path) -> None:
    out, err = run("[emit('a.b', 'job://x') for _ in range(3)]; print('went on')", tmp_path, "ftp://plane")
    assert out == "went on\n"
    assert err.count("AIRSIDE_URL must be http(s)://host or nats(s)://host") == 1


def test_a_server_that_takes_connections_and_says_nothing_does_not_hold_the_job(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        out, _ = run(
            """
            began = time.monotonic()
            for n in range(20_000):
                emit("a.b", "job://silent", payload={"n": n})
            print(time.monotonic() - began)
            """,
            tmp_path,
            url,
            AIRSIDE_EMIT_EXIT_SECONDS="0.5",
        )
    assert float(out) < 20  # 20,000 calls; one wait for the server alone would be 5 seconds each
    assert sum(len(path.read_text().splitlines()) for path in segments(tmp_path)) == 20_000


def test_a_spool_that_cannot_be_written_costs_events_not_the_job(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    out, err = run(
        """
        for n in range(6_000):
            emit("a.b", "job://nowhere", payload={"n": n})
        flush(0.5)
        print(emit_stats()["emitted"])
        """,
        tmp_path,
        "http://127.0.0.1:9",
        AIRSIDE_SPOOL=str(blocked),
    )
    assert out == "6000\n"
    assert err.count("cannot be kept on disk") == 1
    assert "events are lost" in err


def test_a_full_spool_keeps_the_oldest(tmp_path: Path) -> None:
    _, err = run(
        "for n in range(400): emit('a.b', 'job://full', payload={'n': n}, durable=True)\nflush(0.2)",
        tmp_path,
        "http://127.0.0.1:9",
        AIRSIDE_SPOOL_MAX_BYTES="20000",
    )
    kept = [json.loads(line)["payload"]["n"] for path in segments(tmp_path) for line in path.read_text().splitlines()]
    assert kept == list(range(len(kept)))
    assert 50 < len(kept) < 200
    assert err.count("cannot be kept on disk") == 1
    assert "events are lost" in err


def test_what_the_page_shows_works(up: Up, tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "emit.md"
    (shown,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    out, err = run(shown + "\nprint(emit_stats()['emitted'])", tmp_path, up.url, AIRSIDE_STRICT="1")
    assert (out, err) == ("3\n", "")
    up.until(settled)
    with up.client() as client:
        assert len(events(client, resource="s3://lake/raw/1.csv")) == 1
        assert events(client, resource="job://loader")[0]["type"] == "resource.heartbeat"
