"""When a task takes a known result instead of running, and what becomes of results that cannot be read."""

import logging
import multiprocessing
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel
from tests.support.flows import Collector

from airside.sdk import INPUTS, NONE, RUN, SOURCE, TASK
from airside.sdk.flows import results
from airside.sdk.flows.digests import digest
from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.flow import flow
from airside.sdk.flows.storage import storage
from airside.sdk.flows.task import Task, task


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRSIDE_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def counting(**options: object) -> tuple[Task, list[int]]:
    """A task that notes how often it really ran."""
    ran: list[int] = []

    @task(**options)
    def double(number: int, debug: bool = False) -> int:
        ran.append(number)
        return 2 * number

    return double, ran


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_same_inputs_are_computed_once(told: Collector, folder: Path) -> None:
    double, ran = counting(cache_policy=INPUTS)
    assert [double(2), double(2), double(3), double(2, debug=True)] == [4, 4, 6, 4]
    assert ran == [2, 3, 2]
    assert told.states("double") == ["running", "completed", "cached", *["running", "completed"] * 2]
    reference = told.events[1]["payload"]["result"]
    assert reference["url"] == told.events[2]["payload"]["result"]["url"]
    assert reference["url"].startswith(folder.as_uri())
    assert len(files(folder)) == 3


async def test_coroutine_tasks_are_cached_too(told: Collector) -> None:
    ran = []

    @task(cache_policy=INPUTS)
    async def double(number: int) -> int:
        ran.append(number)
        return 2 * number

    assert [await double(1), await double(1)] == [2, 2]
    assert ran == [1]


def test_an_input_can_be_left_out(told: Collector) -> None:
    double, ran = counting(cache_policy=INPUTS - "debug")
    double(2)
    double(2, debug=True)
    assert ran == [2]


@pytest.mark.parametrize(("policy", "runs"), [(TASK, 1), (INPUTS, 2), (NONE, 3), (INPUTS + SOURCE, 2), (SOURCE, 1)])
def test_policies(told: Collector, policy: object, runs: int) -> None:
    double, ran = counting(cache_policy=policy)
    for number in (1, 2, 2):
        double(number)
    assert len(ran) == runs


def test_run_keeps_results_apart_by_flow_run(told: Collector) -> None:
    double, ran = counting(cache_policy=RUN + INPUTS)

    @flow
    def nightly() -> None:
        double(1)
        double.submit(1).result()

    nightly()
    nightly()
    assert ran == [1, 1]
    double(1)
    double(1)
    assert len(ran) == 4, "outside of any flow run there is nothing to keep apart by"


def test_a_key_of_one_s_own(told: Collector) -> None:
    double, ran = counting(cache_key=lambda about, values: f"{about.task.name}-{values['number'] % 2}")
    assert [double(1), double(3), double(2)] == [2, 2, 4]
    assert ran == [1, 2]
    never, ran = counting(cache_key=lambda about, values: None)
    never(1)
    never(1)
    assert ran == [1, 1]


def test_a_key_of_one_s_own_may_be_a_text_with_parameters(told: Collector) -> None:
    double, ran = counting(cache_key="double-{number}")
    assert [double(1), double(1, debug=True), double(2)] == [2, 2, 4]
    assert ran == [1, 2]


def test_a_broken_key_function_does_not_stop_the_task(told: Collector, caplog: pytest.LogCaptureFixture) -> None:
    double, _ = counting(cache_key=lambda about, values: values["nothing"])
    assert double(1) == 2
    assert "neither looked for nor kept: KeyError" in caplog.text


def test_results_expire(told: Collector) -> None:
    double, ran = counting(cache_for=timedelta(hours=1))
    double(1)
    double(1)
    assert ran == [1]
    double.with_options(cache_for=1e-9)(1)
    assert ran == [1, 1], "older than this reader takes"


def test_refresh_runs_and_leaves_the_new_result(told: Collector) -> None:
    double, ran = counting(cache_policy=INPUTS)
    double(1)
    double.with_options(refresh_cache=True)(1)
    double(1)
    assert ran == [1, 1]


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"garbage", b"cut"])
def test_damaged_entries_count_as_absent(
    told: Collector, folder: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    double, ran = counting(cache_policy=INPUTS)
    double(1)
    [path] = files(folder)
    path.write_bytes(path.read_bytes()[:-3] if damage == b"cut" else damage)
    assert double(1) == 2
    assert ran == [1, 1]
    assert "counts as absent" in caplog.text
    assert double(1) == 2
    assert ran == [1, 1], "the new result took the place of the damaged one"


def test_a_result_that_cannot_be_kept_is_warned_about(
    told: Collector, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @task(cache_policy=INPUTS)
    def generator() -> object:
        return (number for number in range(3))

    @flow
    def nightly() -> list[int]:
        return list(generator())

    assert nightly() == [0, 1, 2]
    assert "is not kept" in caplog.text
    assert files(folder) == []


def test_failures_are_not_cached(told: Collector, folder: Path) -> None:
    @task(cache_policy=INPUTS)
    def broken() -> None:
        raise ValueError

    for _ in range(2):
        broken(return_state=True)
    assert told.states("broken") == ["running", "failed"] * 2
    assert files(folder) == []


def test_persisted_results_spare_a_flow_s_next_attempt_what_was_done(told: Collector) -> None:
    double, ran = counting()
    tries = []

    @flow(retries=1, persist_result=True)
    def nightly() -> list[int]:
        found = [double(1), double(1), double.submit(2).result()]
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError
        return found

    assert nightly() == [2, 2, 4]
    assert ran == [1, 1, 2], "each of two equal calls has run once"


def test_without_being_asked_nothing_is_written(told: Collector, folder: Path) -> None:
    double, _ = counting()

    @flow
    def nightly() -> None:
        double(1)

    nightly()
    assert not folder.exists()


def test_other_storage(told: Collector, tmp_path: Path) -> None:
    double, ran = counting(cache_policy=INPUTS, result_storage=tmp_path / "elsewhere")
    double(1)
    double(1)
    assert ran == [1]
    assert len(files(tmp_path / "elsewhere")) == 1


def test_any_fsspec_url_can_be_the_storage(told: Collector) -> None:
    double, ran = counting(cache_policy=INPUTS, result_storage=f"memory://results-{os.getpid()}")
    double(1)
    double(1)
    assert ran == [1]
    assert told.events[1]["payload"]["result"]["url"].startswith("memory://results-")


def test_a_storage_that_nothing_can_open_does_not_stop_the_task(
    told: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    double, _ = counting(cache_policy=INPUTS, result_storage="nothing-known://user:s3cr3t@host/x")
    assert double(1) == 2
    assert "nothing-known" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_methods_of_different_instances_are_kept_apart(told: Collector) -> None:
    @dataclass
    class Warehouse:
        rows: int

        @task(cache_policy=INPUTS)
        def count(self) -> int:
            return self.rows

    assert [Warehouse(1).count(), Warehouse(2).count(), Warehouse(1).count()] == [1, 2, 1]
    assert told.states("count").count("cached") == 1


@pytest.mark.parametrize(
    "options", [{"cache_policy": "inputs"}, {"cache_key": ""}, {"cache_key": 7}, {"cache_for": -1}]
)
def test_bad_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(BadOption, match=next(iter(options))):
        counting(**options)


class Window(BaseModel):
    days: int


def test_digests_tell_values_apart_by_type_and_shape() -> None:
    values = [
        None,
        0,
        1,
        1.0,
        True,
        "1",
        b"1",
        [1],
        (1,),
        {1},
        {"1": 1},
        {1: 1},
        [[1], 2],
        [1, [2]],
        ["ab"],
        ["a", "b"],
    ]
    values += [float("nan"), Window(days=1), {"days": 1}, Path("1"), timedelta(1), -0.0, 0.0]
    assert len({digest(value) for value in values}) == len(values)
    assert digest({"a": 1, "b": {3, 1, 2}}) == digest({"b": {2, 3, 1}, "a": 1})
    assert digest(Window(days=1)) == digest(Window(days=1))


def test_what_holds_itself_cannot_be_digested() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(results.Unkeepable):
        digest(loop)


CODE = """
from airside.sdk import INPUTS, SOURCE, flow, task

@task(cache_policy=INPUTS + SOURCE)
def double(values: dict, names: set):
    print("ran")
    return values

@flow
def nightly():
    return double({"b": 1, "a": [1.5, None]}, {"x", "y", "z"})

print(nightly())
"""


def test_other_processes_take_the_result(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "job.py"
    path.write_text(textwrap.dedent(CODE))
    said = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, path], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said == ["ran\n{'b': 1, 'a': [1.5, None]}\n", "{'b': 1, 'a': [1.5, None]}\n"]


def _write(folder: str, number: int, times: int) -> None:
    where = storage(folder)
    for _ in range(times):
        results.keep(where, "cache/x/same", [number] * 20_000)


def test_writers_of_the_same_key_never_leave_a_torn_result(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    where = storage(str(folder))
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(str(folder), number, 60)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        if (found := results.find(where, "cache/x/same")) is not None:
            assert len(set(found.value)) == 1
            seen += 1
    assert seen > 10
    assert caplog.text == ""
    assert [path.name for path in files(folder)] == ["same"]


def test_json_can_be_chosen(told: Collector, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_RESULT_FORMAT", "json")
    double, ran = counting(cache_policy=INPUTS)
    double(1)
    assert double(1) == 2
    assert ran == [1]
    assert files(folder)[0].read_bytes().endswith(b"\n2")
