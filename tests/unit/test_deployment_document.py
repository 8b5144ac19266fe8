"""The document of a deployment: what is taken, and how a mistake is answered."""

import pytest

from airside.events import deployments

SMALLEST = {"name": "prod", "flow": "nightly", "entrypoint": "flows/nightly.py:nightly"}


def refused(**changes: object) -> dict[str, str]:
    with pytest.raises(deployments.InvalidDeployment) as caught:
        deployments.parse({**SMALLEST, **changes})
    return {problem.field: problem.message for problem in caught.value.problems}


def test_the_smallest_document_has_a_full_name_and_waits_in_the_default_queue() -> None:
    found = deployments.parse(SMALLEST)
    assert (found.full_name, found.queue, found.priority, found.enabled) == ("nightly/prod", "default", 5, True)


def test_what_is_written_reads_back_as_the_same_deployment() -> None:
    found = deployments.parse(
        {
            **SMALLEST,
            "schedules": [
                {"name": "early", "cron": "0 6 * * mon-fri", "timezone": "Europe/Amsterdam", "catchup": "latest"},
                {"name": "often", "every": "90s", "anchor": "2026-01-01T00:00:30Z", "parameters": {"small": True}},
                {"name": "once", "at": "2026-12-24T18:00:00"},
            ],
            "storage": {"kind": "git", "url": "https://example.org/flows.git", "credentials": "env:GIT_TOKEN"},
            "infrastructure": {"kind": "docker", "image": "flows:1"},
            "timeout": "1h30m",
        }
    )
    document = found.to_document()
    assert deployments.parse(document) == found
    assert document["timeout"] == "1h30m"
    assert document["infrastructure"] == {"kind": "docker", "image": "flows:1"}


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    assert refused(quue="etl") == {"quue": "unknown key; did you mean `queue`?"}
    assert refused(schedules=[{"corn": "0 6 * * *"}]) == {"schedules.0.corn": "unknown key; did you mean `cron`?"}


def test_a_schedule_says_in_exactly_one_way_when() -> None:
    assert refused(schedules=[{}]) == {"schedules.0": "give one of `cron`, `every` and `at`"}
    both = refused(schedules=[{"cron": "0 6 * * *", "every": "1h"}])
    assert both == {"schedules.0": "give one of `cron`, `every` and `at`"}


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({"cron": "0 6 * *"}, "schedules.0.cron"),
        ({"cron": "0 6 31 2 *"}, "schedules.0.cron"),
        ({"every": "0s"}, "schedules.0.every"),
        ({"cron": "0 6 * * *", "timezone": "Europe/Amsterdm"}, "schedules.0.timezone"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_at_its_field(schedule: dict[str, str], field: str) -> None:
    assert set(refused(schedules=[schedule])) == {field}


def test_no_secret_is_taken_into_a_document() -> None:
    assert "password" in refused(storage={"kind": "git", "url": "https://me:pw@example.org/a.git"})["storage.url"]
    assert "storage.credentials" in refused(storage={"kind": "git", "url": "https://a.b/c", "credentials": "ghp_abc"})


def test_two_schedules_of_one_name_are_refused() -> None:
    found = refused(schedules=[{"every": "1h"}, {"every": "2h"}])
    assert "`schedule`" in found[""]
