"""Tasks that count together: made final at the end, or undone, the last first."""

import pytest
from tests.support.flows import Collector

from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.flow import flow
from airside.sdk.flows.task import task
from airside.sdk.flows.transactions import Done, Transaction, transaction

said: list[str] = []


@task
def write(name: str) -> str:
    return f"/tmp/{name}"


@write.on_commit
def publish(txn: Transaction, done: Done) -> None:
    said.append(f"publish {done.value} {txn.get('day', '')}".strip())


@write.on_rollback
def remove(txn: Transaction, done: Done) -> None:
    said.append(f"remove {done.parameters['name']}")


@task
def broken() -> None:
    raise ValueError("torn")


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    said.clear()


def test_hooks_of_commit_follow_at_the_end_of_the_block(told: Collector) -> None:
    @flow
    def nightly() -> None:
        with transaction() as txn:
            txn.set("day", "monday")
            write("a")
            write.submit("b")
            assert said == []
        said.append("after")

    nightly()
    assert sorted(said[:2]) == ["publish /tmp/a monday", "publish /tmp/b monday"]
    assert said[2] == "after"


def test_an_error_rolls_back_the_last_first(told: Collector) -> None:
    @flow
    def nightly() -> None:
        with transaction():
            write("a")
            write("b")
            broken()

    with pytest.raises(ValueError, match="torn"):
        nightly()
    assert said == ["remove b", "remove a"]
    assert told.states("nightly") == ["running", "failed"]


def test_a_submitted_task_that_fails_is_a_failure_of_the_block(told: Collector) -> None:
    @flow
    def nightly() -> None:
        with transaction():
            write("a")
            broken.submit()

    with pytest.raises(ValueError, match="torn"):
        nightly()
    assert said == ["remove a"]


def test_an_error_that_is_handled_inside_does_not_roll_back(told: Collector) -> None:
    @flow
    def nightly() -> None:
        with transaction():
            write("a")
            broken(return_state=True)

    nightly()
    assert said == ["publish /tmp/a"]


def test_nested_ones_end_with_the_outermost_unless_they_are_eager(told: Collector) -> None:
    def run(commit: str) -> list[str]:
        said.clear()
        with pytest.raises(ValueError, match="torn"), transaction():  # noqa: PT012
            write("outer")
            with transaction(commit=commit):
                write("inner")
            broken()
        return list(said)

    assert run("lazy") == ["remove inner", "remove outer"]
    assert run("eager") == ["publish /tmp/inner", "remove outer"]
    assert run("off") == ["remove outer"]


def test_a_nested_one_that_rolls_back_leaves_the_outer_one(told: Collector) -> None:
    with transaction() as outer:
        write("outer")
        with pytest.raises(ValueError, match="torn"), transaction():  # noqa: PT012
            write("inner")
            broken()
    assert said == ["remove inner", "publish /tmp/outer"]
    assert outer.stage == "committed"


def test_a_commit_hook_that_fails_rolls_everything_back(told: Collector) -> None:
    @task
    def load() -> None: ...

    @load.on_commit
    def refuse(txn: Transaction) -> None:
        raise RuntimeError("the catalog refused")

    with pytest.raises(RuntimeError, match="the catalog refused"), transaction() as txn:  # noqa: PT012
        write("a")
        load()
    assert said == ["publish /tmp/a", "remove a"]
    assert txn.stage == "rolled_back"


def test_a_rollback_hook_that_fails_does_not_keep_others_from_being_undone(
    told: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    @task
    def load() -> None: ...

    @load.on_rollback
    def clumsy(txn: Transaction) -> None:
        raise RuntimeError("the hook broke")

    with pytest.raises(ValueError, match="torn"), transaction():  # noqa: PT012
        write("a")
        load()
        broken()
    assert said == ["remove a"]
    assert "the hook broke" in caplog.text


def test_a_key_tells_whether_it_was_done_before(told: Collector) -> None:
    for _ in range(2):
        with transaction(key="load-monday") as txn:
            if not txn.is_committed:
                write("a")
    with pytest.raises(ValueError, match="torn"), transaction(key="load-tuesday"):
        broken()
    assert said == ["publish /tmp/a"]
    assert transaction(key="load-monday").is_committed
    assert not transaction(key="load-tuesday").is_committed


async def test_coroutines(told: Collector) -> None:
    @task
    async def load() -> None: ...

    @load.on_rollback
    def undo(txn: Transaction) -> None:
        said.append("undo")

    @flow
    async def nightly() -> None:
        async with transaction():
            await load()
            load.submit()
            broken.submit()

    with pytest.raises(ValueError, match="torn"):
        await nightly()
    assert said == ["undo", "undo"]


def test_bad_options_are_refused() -> None:
    async def hook(txn: Transaction) -> None: ...

    with pytest.raises(BadOption, match="lazy, eager or off"):
        transaction(commit="never")
    with pytest.raises(BadOption, match="plain function"):
        write.on_commit(hook)
