"""Which functions can be flows and tasks, what they may be called with, and what their runs are called."""

import pytest
from pydantic import BaseModel
from tests.support.flows import Collector

from airside.sdk.flows.context import tags
from airside.sdk.flows.exceptions import BadOption, BadParameters
from airside.sdk.flows.flow import flow
from airside.sdk.flows.task import task


class Window(BaseModel):
    days: int


class Warehouse:
    rows = 3

    @task
    def count(self, factor: int = 1) -> int:
        return self.rows * factor

    @flow
    def load(self) -> int:
        return self.count(2) + self.count.submit(1).result()

    @classmethod
    @task
    def named(cls) -> str:
        return cls.__name__

    @staticmethod
    @flow
    def plain(number: int) -> int:
        return number


def test_methods_class_methods_and_static_methods(told: Collector) -> None:
    assert Warehouse().load() == 9
    assert Warehouse.load(Warehouse()) == 9
    assert Warehouse.named() == "Warehouse"
    assert Warehouse.plain(4) == 4


@pytest.mark.parametrize("decorator", [flow, task])
@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_the_wrong_order_of_decorators_is_refused(decorator: object, kind: object) -> None:
    with pytest.raises(BadOption, match="put @"):
        decorator(kind(lambda: None))


def test_parameters_are_converted_by_their_annotations(told: Collector) -> None:
    @flow
    def nightly(window: Window, number: int = "4", *rest: int, **more: str) -> tuple[object, ...]:
        return window, number, rest, more

    assert nightly({"days": 2}) == (Window(days=2), 4, (), {})
    assert nightly(Window(days=1), "5", 6, name="x") == (Window(days=1), 5, (6,), {"name": "x"})


def test_names_that_pydantic_has_itself_are_fine(told: Collector) -> None:
    @flow
    def nightly(schema: str, model_x: int, json: bool, copy: str = "c", model_config: int = 1) -> list[object]:
        return [schema, model_x, json, copy, model_config]

    assert nightly("s", "1", json="true") == ["s", 1, True, "c", 1]


def test_what_does_not_fit_is_named_without_its_value(told: Collector) -> None:
    @flow
    def nightly(number: int, other: float) -> None:
        raise AssertionError("must not run")

    with pytest.raises(BadParameters, match=r"number: .*integer") as raised:
        nightly("a s3cr3t", 1)
    assert "s3cr3t" not in str(raised.value)
    with pytest.raises(BadParameters, match="missing a required argument: 'other'"):
        nightly(1)
    assert told.types() == ["flow_run.pending", "flow_run.failed"]


def test_validation_can_be_switched_off(told: Collector) -> None:
    @flow(validate_parameters=False)
    def nightly(number: int) -> object:
        return number

    assert nightly("as it is") == "as it is"


def test_annotations_that_cannot_be_read_do_not_keep_a_flow_from_running(
    told: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    @flow
    def nightly(frame: "DataFrame", number: "int") -> object:  # noqa: F821 - imported for type checkers only
        return frame, number

    assert nightly("rows", "4") == ("rows", 4)
    assert "frame is not validated" in caplog.text


@pytest.mark.parametrize("name", ["return_state", "wait_for"])
def test_the_words_of_calls_cannot_be_parameters(name: str) -> None:
    with pytest.raises(BadOption, match=name):
        exec(f"@task\ndef taken({name}): ...", {"task": task})


def test_a_limit_is_named_not_numbered() -> None:
    with pytest.raises(BadOption, match=r"concurrency must be the name of a limit.*limits set"):
        task(concurrency=3)(lambda: None)


def test_wrong_parameters_are_the_errors_that_python_and_pydantic_have() -> None:
    @flow
    def nightly(number: int) -> None: ...

    with pytest.raises(TypeError):
        nightly()
    with pytest.raises(ValueError):
        nightly("many")


@pytest.mark.parametrize("decorator", [flow, task])
def test_unknown_options_are_refused_and_the_known_ones_named(decorator: object) -> None:
    with pytest.raises(BadOption, match=r"'retry'.*retries"):
        decorator(retry=3)(lambda: None)
    with pytest.raises(BadOption, match="keywords only"):
        decorator("nightly")


def test_with_options_gives_another_one(told: Collector) -> None:
    @task(retries=2, tags=["a"])
    def load() -> None: ...

    other = load.with_options(name="other", retry_delay=[1, 2, 3])
    assert (other.name, other.options.retries, other.options.tags) == ("other", 3, {"a"})
    assert (load.name, load.options.retries) == ("load", 2)
    assert load.with_options(retries=None, tags=None).options.retries == 0
    with pytest.raises(BadOption):
        load.with_options(nothing=1)


def test_runs_are_named_by_a_template_or_a_function(told: Collector) -> None:
    @task(run_name="load-{day}-of-{self_}")
    def load(day: str, self_: int) -> None: ...

    @flow(run_name=lambda day: f"nightly {day}")
    def nightly(day: str) -> None:
        load(day, 7)

    nightly("2026-11-22")
    assert [e["resource"]["name"] for e in told.events] == [
        "nightly 2026-11-22",
        "load-2026-11-22-of-7",
        "load-2026-11-22-of-7",
        "nightly 2026-11-22",
    ]
    with pytest.raises(BadOption, match="month"):
        task(run_name="{month}")(lambda day: None)(1)


def test_tags_become_labels_and_related_resources(told: Collector) -> None:
    @task(tags=["slow"])
    def load() -> None: ...

    @flow(tags=["team=finance"])
    def nightly() -> None:
        with tags("backfill"):
            load()

    nightly()
    begun = told.of("load")[0]
    assert {r["name"] for r in begun["related"] if r["role"] == "tag"} == {"slow", "backfill"}
    assert told.events[0]["resource"]["labels"] == {"team": "finance"}


@pytest.mark.parametrize("option", [{"tags": "finance"}, {"tags": [1]}, {"name": ""}, {"timeout": 0}, {"timeout": "1"}])
def test_bad_values_of_options_are_refused(option: dict[str, object]) -> None:
    with pytest.raises(BadOption, match=next(iter(option))):
        task(**option)(lambda: None)


def test_hooks_must_be_plain_functions() -> None:
    async def hook(*_: object) -> None: ...

    with pytest.raises(BadOption, match="nobody would await"):
        flow(on_failure=hook)(lambda: None)
    with pytest.raises(BadOption, match="on_failure"):
        flow(on_failure="notify")(lambda: None)


def test_the_parameters_can_be_described_as_json_schema() -> None:
    @flow
    def nightly(window: Window, schema: str, number: int = 4) -> None: ...

    found = nightly.parameters.json_schema()
    assert set(found["properties"]) == {"window", "schema", "number"}
    assert set(found["required"]) == {"window", "schema"}
    assert found["additionalProperties"] is False


def test_the_schema_of_parameters_takes_further_names_only_where_the_function_does() -> None:
    @flow
    def strict(*rows: int) -> None: ...

    @flow
    def open_ended(day: str, **rest: int) -> None: ...

    assert strict.parameters.json_schema()["additionalProperties"] is False
    assert open_ended.parameters.json_schema()["additionalProperties"] is True
