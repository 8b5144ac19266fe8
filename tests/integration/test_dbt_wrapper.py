"""`airside dbt` around a program that stands in for dbt: what the wrapper hands on, whatever dbt does.

A real dbt is in tests/integration/dbt.
"""

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.support.up import AIRSIDE

from airside.sdk.integrations.dbt import command
from airside.sdk.integrations.dbt.log_copy import LogCopy
from airside.sdk.integrations.dbt.tail import Tail

PAGE = Path(__file__).parents[2] / "docs" / "dbt.md"
#: Nothing listens there: events wait on disk.
NOWHERE = "http://127.0.0.1:9"


def stand_in(folder: Path, code: str) -> str:
    path = folder / "dbt"
    head = f"#!{sys.executable}\nimport json, os, signal, sys, time\n"
    path.write_text(head + textwrap.dedent(code))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def start(folder: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [AIRSIDE, "dbt", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder}:/usr/bin:/bin", "AIRSIDE_EMIT_EXIT_SECONDS": "1", **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # no terminal
    )


@pytest.mark.parametrize("url", ["", NOWHERE])
def test_arguments_stdin_output_and_exit_code_go_through(tmp_path: Path, url: str) -> None:
    stand_in(tmp_path, "print(sys.argv[1:], sys.stdin.read()); print('bad', file=sys.stderr); sys.exit(7)")
    process = start(tmp_path, "-d", "run", "--vars", "{a: 1}", "--", "--log-path", AIRSIDE_URL=url)
    out, err = process.communicate("in", timeout=60)
    assert out == "['-d', 'run', '--vars', '{a: 1}', '--', '--log-path'] in\n"
    assert (err, process.returncode) == ("bad\n", 7)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_wrapper_reaches_dbt_and_both_end_of_it(tmp_path: Path, number: signal.Signals) -> None:
    stand_in(tmp_path, f"signal.signal({number}, signal.SIG_DFL); print('ready', flush=True); time.sleep(60)")
    process = start(tmp_path, "build", AIRSIDE_URL=NOWHERE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number


def test_a_dbt_that_handles_a_signal_has_the_last_word(tmp_path: Path) -> None:
    stand_in(
        tmp_path,
        """
        signal.signal(signal.SIGTERM, lambda *_: (print('cleaned up', flush=True), os._exit(2)))
        print('ready', flush=True)
        time.sleep(60)
        """,
    )
    process = start(tmp_path, "build", AIRSIDE_URL=NOWHERE)
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("cleaned up\n", 2)


def test_without_dbt_it_says_so(tmp_path: Path) -> None:
    process = start(tmp_path, "build", AIRSIDE_DBT=str(tmp_path / "none"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "AIRSIDE_DBT names" in err


def test_a_dbt_that_is_a_script_around_the_wrapper_does_not_run_for_ever(tmp_path: Path) -> None:
    stand_in(tmp_path, f"os.execv({AIRSIDE!r}, ['airside', 'dbt', *sys.argv[1:]])")
    process = start(tmp_path, "build", AIRSIDE_URL=NOWHERE)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "set AIRSIDE_DBT" in err


def test_wishes_about_the_log_file_are_taken_as_dbt_would_take_them(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("{name: shop, log-path: own, flags: {log_level_file: warn}}")
    found = command.read(["run", "--log-format=json", "--no-use-colors", "-s", "a"], {}, tmp_path)
    assert found.arguments == ("run", "--log-format=json", "--no-use-colors", "-s", "a")
    assert found.log == command.LogWishes(tmp_path / "own", form="json", level="warn", colours=False)
    told = ["--log-path", "x", "run", "--log-level-file=info", "--log-format-file", "text", "-s", "a"]
    found = command.read(told, {"DBT_LOG_PATH": "y", "DBT_LOG_FILE_MAX_BYTES": "0"}, tmp_path)
    assert found.arguments == ("run", "-s", "a")
    assert found.log == command.LogWishes(tmp_path / "x", form="text", level="info", max_bytes=0)


def test_a_log_that_is_rotated_is_read_whole_and_once(tmp_path: Path) -> None:
    path = tmp_path / "dbt.log"
    tail = Tail(path)
    assert tail.read() == []
    path.write_text("1\n2\n3")
    assert tail.read() == [b"1", b"2"]
    with path.open("a") as file:
        file.write("a\n4\n")
    path.rename(tmp_path / "dbt.log.1")
    path.write_text("5\n")
    assert tail.read() == [b"3a", b"4", b"5"]
    tail.close()


def test_the_user_s_log_holds_the_levels_they_asked_for(tmp_path: Path) -> None:
    copy = LogCopy(command.LogWishes(tmp_path / "logs", form="text", level="warn", colours=False))
    for level, name, text in [("info", "A", "no"), ("warn", "B", "yes"), ("info", "PrintEvent", "printed")]:
        info = {"level": level, "name": name, "msg": text, "ts": "2026-11-22T09:00:00.5Z"}
        copy.write({"info": info, "data": {}}, json.dumps(info))
    copy.close()
    assert (tmp_path / "logs/dbt.log").read_text() == "09:00:00  yes\nprinted\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (None, "is no folder"),
        ({}, "holds neither run_results.json nor sources.json"),
        ({"run_results.json": '{"metadata": {'}, "is no whole JSON file"),
        ({"run_results.json": "{}"}, "it names no dbt schema"),
        ({"sources.json": '{"metadata": {"dbt_schema_version": "https://x/dbt/sources/v1.json"}}'}, "version 1"),
        (
            {"run_results.json": '{"metadata": {"dbt_schema_version": "https://x/dbt/run-results/v6.json"}}'},
            "metadata.invocation_id: missing",
        ),
    ],
)
def test_artifacts_that_cannot_be_sent_are_refused_with_the_way_out(
    tmp_path: Path, files: dict[str, str] | None, said: str
) -> None:
    target = tmp_path / "target"
    if files is not None:
        target.mkdir()
        for name, text in files.items():
            (target / name).write_text(text)
    process = start(tmp_path, "import", "target/", AIRSIDE_URL=NOWHERE)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said in err


def test_the_page_s_commands_run_and_tell_what_is_missing(tmp_path: Path) -> None:
    stand_in(tmp_path, "print(sys.argv[1:])")
    shown = [shlex.split(line) for line in re.findall(r"^    airside dbt (.+)$", PAGE.read_text(), re.MULTILINE)]
    assert len(shown) >= 3
    for words in shown:
        out, err = start(tmp_path, *words, AIRSIDE_URL=NOWHERE).communicate(timeout=60)
        assert (out == f"{words}\n") if words[0] != "import" else ("is no folder" in err)
