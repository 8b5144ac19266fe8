"""Settings of what runs are started in: what is taken, how a mistake is answered, what a run has of its own."""

import jsonschema
import pytest
from tests.support.command import airside

from airside.events import deployments, infrastructure
from airside.sdk.cli import deployments_shared

SMALLEST = {"name": "prod", "flow": "nightly", "entrypoint": "flows/nightly.py:nightly"}
KUBERNETES = {
    "kind": "kubernetes",
    "image": "flows:1",
    "ttl": "2h",
    "resources": {"limits": {"memory": "1Gi", "cpu": 2}},
    "merge": {"spec": {"suspend": None}},
    "patch": [
        {"op": "add", "path": "/metadata/annotations", "value": None},
        {"op": "move", "path": "/a", "from": "/b"},
    ],
}


def refused(**settings: object) -> dict[str, str]:
    with pytest.raises(deployments.InvalidDeployment) as caught:
        deployments.parse({**SMALLEST, "infrastructure": settings})
    return {problem.field: problem.message for problem in caught.value.problems}


def test_without_settings_a_run_is_a_process() -> None:
    assert deployments.parse(SMALLEST).infrastructure == infrastructure.Process()


@pytest.mark.parametrize(
    "settings",
    [{"memory": 2**30, "env": {"A": "b"}}, {"kind": "docker", "image": "a:1", "volumes": ["/in:/in:ro"]}, KUBERNETES],
)
def test_what_is_written_reads_back_as_the_same_settings(settings: dict[str, object]) -> None:
    found = deployments.parse({**SMALLEST, "infrastructure": settings})
    assert deployments.parse(found.to_document()) == found
    assert deployments.parse(found.model_dump(mode="json", exclude_none=True)) == found  # as an agent gets it


def test_a_mistake_is_told_at_its_field_with_what_was_probably_meant() -> None:
    assert refused(kind="dokcer") == {"infrastructure.kind": "unknown kind; did you mean `docker`?"}
    unknown = refused(kind="docker", image="a", memroy="1Gi")
    assert unknown == {"infrastructure.memroy": "unknown key; did you mean `memory`?"}
    assert refused(kind="docker") == {"infrastructure.image": "Field required"}
    assert refused(kind="process", image="a") == {"infrastructure.image": refused(image="a")["infrastructure.image"]}
    assert "infrastructure.resources.limit" in refused(kind="kubernetes", image="a", resources={"limit": {}})


@pytest.mark.parametrize(
    ("settings", "field", "word"),
    [
        ({"memory": "lots"}, "memory", "512Mi"),
        ({"memory": "1Mi"}, "memory", "at least 16Mi"),
        ({"nice": 20}, "nice", "19"),
        ({"env": {"A-B": "c"}}, "env.A-B", "pattern"),
        ({"env": {"AIRSIDE_TOKEN": "ast_x"}}, "env.AIRSIDE_TOKEN", "set by the agent"),
        ({"kind": "docker", "image": "a", "volumes": ["data"]}, "volumes.0", "SOURCE:/TARGET"),
        ({"kind": "docker", "image": "a", "cpus": 0}, "cpus", "0.01"),
        ({"kind": "kubernetes", "image": "a", "namespace": "Data"}, "namespace", "lower-case"),
        (
            {"kind": "kubernetes", "image": "a", "resources": {"limits": {"cpu": "many"}}},
            "resources.limits.cpu",
            "500m",
        ),
        ({"kind": "kubernetes", "image": "a", "patch": [{"op": "set", "path": "/a"}]}, "patch.0", "`op` must be"),
        ({"kind": "kubernetes", "image": "a", "patch": [{"op": "add", "path": "a", "value": 1}]}, "patch.0", "`path`"),
    ],
)
def test_a_value_that_cannot_be_is_refused_at_its_field(settings: dict[str, object], field: str, word: str) -> None:
    found = refused(**settings)
    assert set(found) == {f"infrastructure.{field}"}
    assert word in found[f"infrastructure.{field}"]


def test_the_settings_of_a_run_are_laid_over_those_of_its_deployment() -> None:
    own = {"kind": "docker", "image": "a:1", "memory": "1Gi", "env": {"A": "1", "B": "2"}}
    found = infrastructure.parse(own, {"memory": None, "image": "a:2", "env": {"B": None, "C": "3"}})
    assert found == infrastructure.Docker(kind="docker", image="a:2", env={"A": "1", "C": "3"})
    assert infrastructure.parse(own, {"kind": "process"}) == infrastructure.Process()
    with pytest.raises(infrastructure.InvalidInfrastructure, match=r"infrastructure\.imge: unknown key"):
        infrastructure.parse(own, {"imge": "a:2"})


def test_sizes_are_those_of_people_and_of_kubernetes() -> None:
    assert [infrastructure.bytes_of(text) for text in ("64", "1k", "1Ki", "1.5Gi", "2G", "512MiB")] == [
        *(64, 1_000, 1_024, 1_610_612_736, 2_000_000_000, 536_870_912)
    ]


def test_the_schema_takes_what_is_taken_and_refuses_unknown_keys() -> None:
    ran = airside("schema", "infrastructure")
    assert ran.code == 0, ran.err
    schema = jsonschema.Draft202012Validator(ran.json)
    for good in ({"kind": "process", "nice": 3}, {"kind": "docker", "image": "a", "memory": "1Gi"}, KUBERNETES):
        assert not list(schema.iter_errors(good)), good
    assert list(schema.iter_errors({"kind": "docker", "image": "a", "memroy": "1Gi"}))
    assert airside("schema", "deployments").json["properties"]["entrypoint"]
    assert airside("schema", "deploymets").code == 2


def test_settings_of_the_command_line_are_a_kind_names_with_dots_or_json() -> None:
    given = ["docker", "image=a:1", "cpus=0.5", "env.DAY=2026", "labels.a.b=c", '{"user": "1"}']
    assert deployments_shared.infrastructure(given) == {
        "kind": "docker",
        "image": "a:1",
        "cpus": 0.5,
        "env": {"DAY": "2026"},
        "labels": {"a.b": "c"},
        "user": "1",
    }
    assert deployments_shared.infrastructure(["resources.limits.cpu=2"]) == {"resources": {"limits": {"cpu": 2}}}
