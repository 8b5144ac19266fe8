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
                {"name": "office", "rrule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE", "anchor": "2026-01-05T09:00:00"},
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
    assert refused(schedules=[{}]) == {"schedules.0": "give one of `cron`, `every`, `rrule` and `at`"}
    both = refused(schedules=[{"cron": "0 6 * * *", "every": "1h"}])
    assert both == {"schedules.0": "give one of `cron`, `every`, `rrule` and `at`"}


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({"cron": "0 6 * *"}, "schedules.0.cron"),
        ({"cron": "0 6 31 2 *"}, "schedules.0.cron"),
        ({"every": "0s"}, "schedules.0.every"),
        ({"rrule": "FREQ=OFTEN"}, "schedules.0.rrule"),
        ({"rrule": "FREQ=SECONDLY"}, "schedules.0.rrule"),
        ({"cron": "0 6 * * *", "timezone": "Europe/Amsterdm"}, "schedules.0.timezone"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_at_its_field(schedule: dict[str, str], field: str) -> None:
    assert set(refused(schedules=[schedule])) == {field}


@pytest.mark.parametrize(
    ("rule", "anchor", "message"),
    [
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", None, "comes never"),
        ("FREQ=MINUTELY;BYSETPOS=2", None, "comes never"),
        ("FREQ=MINUTELY;INTERVAL=2;BYMINUTE=1", "2026-01-01T00:00:00", "comes never"),
        ("FREQ=DAILY;UNTIL=20251231", "2026-01-01T00:00:00", "comes never"),
        ("FREQ=YEARLY;COUNT=1000", "2026-01-01T00:00:00", "say UNTIL"),
        ("FREQ=WEEKLY", None, "needs an `anchor`"),
        ("FREQ=DAILY;INTERVAL=2", None, "needs an `anchor`"),
        ("FREQ=DAILY", "2026-01-01T00:00:00Z", "leave the offset out"),
    ],
)
def test_a_recurrence_rule_of_which_nothing_comes_or_that_is_not_clear_is_refused(
    rule: str, anchor: str | None, message: str
) -> None:
    schedule = {"rrule": rule, **({"anchor": anchor} if anchor else {})}
    assert message in refused(schedules=[schedule])["schedules.0"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("FREQ=WEEKLY;BYDAY=MO;DTSTART=20260101T090000", "`anchor`"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSECOND=0,30", "at most once a minute"),
        ("FREQ=WEEKLY;BYDAYS=MO", "did you mean BYDAY?"),
        ("FREQ=WEEKLY;BYDAY=1MO", "goes with FREQ=MONTHLY"),
        ("FREQ=DAILY;BYHOUR=24", "from 0 to 23"),
        ("FREQ=YEARLY;INTERVAL=100;BYMONTHDAY=1", "from 1 to 10 for YEARLY"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "one of them"),
        ("FREQ=DAILY;UNTIL=20270231", "UNTIL must be"),
        ("every monday", "must be NAME=VALUE"),
    ],
)
def test_a_recurrence_rule_is_refused_with_the_part_that_is_wrong(rule: str, message: str) -> None:
    assert message in refused(schedules=[{"rrule": rule}])["schedules.0.rrule"]


@pytest.mark.parametrize(
    ("storage", "field"),
    [
        ({"kind": "git", "url": "https://me:pw-secret@example.org/a.git"}, "storage.url"),
        ({"kind": "git", "url": "https://pw-secret@example.org/a.git"}, "storage.url"),
        ({"kind": "git", "url": "https://a.b/c", "credentials": "pw-secret"}, "storage.credentials"),
        ({"kind": "fsspec", "url": "sftp://me:pw-secret@a.b/c"}, "storage.url"),
        ({"kind": "fsspec", "url": "abfs://c/d?sig=pw-secret"}, "storage"),
        ({"kind": "fsspec", "url": "s3://a/b", "options": {"secret": "pw-secret"}}, "storage"),
        ({"kind": "fsspec", "url": "s3://a/b", "options": {"endpoint_url": "http://k:pw-secret@c"}}, "storage"),
    ],
)
def test_no_secret_is_taken_into_a_document_nor_told_when_it_is_refused(storage: dict[str, object], field: str) -> None:
    found = refused(storage=storage)
    assert set(found) == {field}
    assert "pw-secret" not in str(found)


@pytest.mark.parametrize("url", ["simplecache::s3://a/b", "file:///etc", "github://a:b@c/", "s3:///b", "http://a/b"])
def test_a_place_that_fsspec_would_chain_or_that_is_none_is_refused(url: str) -> None:
    assert set(refused(storage={"kind": "fsspec", "url": url})) <= {"storage", "storage.url"}


def test_two_schedules_of_one_name_are_refused() -> None:
    found = refused(schedules=[{"every": "1h"}, {"every": "2h"}])
    assert "`schedule`" in found[""]
