"""What is left of events when the server or the program that emits them is killed."""

import json
import os
import signal
import subprocess
from pathlib import Path

from tests.support.emitting import program, run, segments, until_numbers
from tests.support.up import AIRSIDE, Up

NOWHERE = "http://127.0.0.1:9"


def spool(home: Path, url: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [AIRSIDE, "spool", *words],
        env={**os.environ, "AIRSIDE_HOME": str(home), "AIRSIDE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_server_that_is_killed_in_the_middle_misses_nothing_and_gets_nothing_twice(up: Up, tmp_path: Path) -> None:
    up.start()
    emitters = [
        program(
            f"""
            for n in range(1_000):
                emit("kill.tested", "job://emitter-{which}", payload={{"n": n}})
                if n == 300:
                    flush(20)
                    print("middle", flush=True)
                time.sleep(0.001)
            print("emitted", flush=True)
            sys.stdin.readline()
            print(flush(60), emit_stats()["lost"], flush=True)
            """,
            tmp_path / "sdk",
            up.url,
        )
        for which in range(2)
    ]
    for emitter in emitters:
        assert emitter.stdout is not None
        assert emitter.stdout.readline() == "middle\n"
    up.kill()
    for emitter in emitters:
        assert emitter.stdout is not None
        assert emitter.stdout.readline() == "emitted\n"
    assert sum(path.stat().st_size for path in segments(tmp_path / "sdk")) > 0
    up.start()
    for which, emitter in enumerate(emitters):
        out, err = emitter.communicate("go\n", timeout=90)
        assert out.split() == ["True", "0"], err
        assert err.count("cannot take events") == 1
        assert until_numbers(up, f"job://emitter-{which}", 1_000) == list(range(1_000))
    assert segments(tmp_path / "sdk") == []


def test_a_program_killed_after_durable_emits_loses_none(up: Up, tmp_path: Path) -> None:
    victim = program(
        """
        for n in range(200):
            emit("kill.tested", "job://durable", payload={"n": n})
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path / "sdk",
        NOWHERE,
        AIRSIDE_EMIT="durable",
    )
    victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    (path,) = segments(tmp_path / "sdk")
    assert [json.loads(line)["payload"]["n"] for line in path.read_text().splitlines()] == list(range(200))


def test_the_next_process_takes_over_what_a_killed_one_left(up: Up, tmp_path: Path) -> None:
    up.start()
    up.kill()
    victim = program(
        """
        for n in range(700):
            emit("kill.tested", "job://left", payload={"n": n}, durable=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path / "sdk",
        up.url,
    )
    victim.communicate(timeout=60)
    (path,) = segments(tmp_path / "sdk")
    with path.open("ab") as file:
        file.write(b'{"id": "torn", "type": "kill.tes')
    up.start()
    run(
        """
        emit("kill.tested", "job://next", payload={"n": 0})
        deadline = time.monotonic() + 60
        while emit_stats()["left_over"] < 700:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        """,
        tmp_path / "sdk",
        up.url,
    )
    assert until_numbers(up, "job://left", 700) == list(range(700))
    assert segments(tmp_path / "sdk") == []
    (aside,) = (tmp_path / "sdk").glob("spool/*/corrupt.jsonl")
    assert json.loads(aside.read_text())["event"] == '{"id": "torn", "type": "kill.tes'


def test_a_process_that_ends_at_once_still_sends_what_an_earlier_one_left(up: Up, tmp_path: Path) -> None:
    up.start()
    up.kill()
    emit_five = """
        for n in range(5):
            emit("kill.tested", "job://left", payload={"n": n}, durable=True)
        """
    run(emit_five, tmp_path / "sdk", up.url)
    assert len(segments(tmp_path / "sdk")) == 1
    up.start()
    run('emit("kill.tested", "job://next"); flush(20)', tmp_path / "sdk", up.url)
    assert segments(tmp_path / "sdk") == []
    assert until_numbers(up, "job://left", 5) == list(range(5))


def test_the_spool_of_a_living_process_is_its_own(up: Up, tmp_path: Path) -> None:
    up.start()
    up.kill()
    living = program(
        """
        for n in range(10):
            emit("kill.tested", "job://living", payload={"n": n}, durable=True)
        print("spooled", flush=True)
        sys.stdin.readline()
        os.kill(os.getpid(), signal.SIGSTOP)
        """,
        tmp_path / "sdk",
        up.url,
    )
    assert living.stdout is not None
    assert living.stdout.readline() == "spooled\n"
    living.send_signal(signal.SIGSTOP)
    up.start()
    told = spool(tmp_path / "sdk", up.url, "flush", "--json")
    assert json.loads(told.stdout) == {"sent": 0, "refused": 0, "waiting": 10, "in_use": 1, "away": ""}
    living.kill()
    living.communicate()
    assert spool(tmp_path / "sdk", up.url, "flush").stdout == "10 events sent, 0 refused, 0 still wait\n"
    assert until_numbers(up, "job://living", 10) == list(range(10))


def test_the_command_shows_what_waits_and_sends_it(up: Up, tmp_path: Path) -> None:
    up.start()
    up.kill()
    run(
        """
        emit("kill.tested", "job://shown", payload={"n": 0}, id="shown-1")
        emit("audit.forged", "job://shown", id="forged")
        """,
        tmp_path / "sdk",
        up.url,
    )
    (shown,) = json.loads(spool(tmp_path / "sdk", up.url, "status", "--json").stdout)
    assert (shown["url"], shown["waiting"], shown["in_use"], shown["refused"]) == (up.url, 2, 0, 0)
    assert [event["id"] for event in json.loads(spool(tmp_path / "sdk", up.url, "ls", "--json").stdout)] == [
        "shown-1",
        "forged",
    ]
    away = spool(tmp_path / "sdk", up.url, "flush")
    assert (away.returncode, away.stdout) == (2, "0 events sent, 0 refused, 2 still wait\n")
    assert "Connection refused" in away.stderr
    up.start()
    assert spool(tmp_path / "sdk", up.url, "flush").stdout == "1 event sent, 1 refused, 0 still wait\n"
    (refused,) = json.loads(spool(tmp_path / "sdk", up.url, "ls", "--refused", "--json").stdout)
    assert refused["event"]["id"] == "forged"


def test_events_spooled_with_another_token_wait_for_it_unless_told(up: Up, tmp_path: Path) -> None:
    up.start()
    up.kill()
    run("emit('kill.tested', 'job://token', payload={'n': 0})", tmp_path / "sdk", up.url, AIRSIDE_TOKEN="ast_old")
    up.start()
    assert spool(tmp_path / "sdk", up.url, "flush").stdout.startswith("0 events sent")
    assert "ast_old" not in spool(tmp_path / "sdk", up.url, "status").stdout
    assert spool(tmp_path / "sdk", up.url, "flush", "--any-token").stdout.startswith("1 event sent")
