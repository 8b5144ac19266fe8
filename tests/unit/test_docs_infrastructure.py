"""docs/infrastructure.md is true: its examples are taken, its commands are there, its times are those of the code."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.command import airside

from airside.agent.working import execution
from airside.coordinator.work import records
from airside.events import deployments, infrastructure
from airside.events.durations import SECOND

PAGE = (Path(__file__).parents[2] / "docs/infrastructure.md").read_text()
FLAT = " ".join(PAGE.split())
SMALLEST = {"name": "prod", "flow": "nightly", "entrypoint": "flows/nightly.py:nightly"}


def examples() -> list[dict[str, Any]]:
    found = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
    return [{**SMALLEST, **document} for document in found]


def test_the_examples_are_deployments_that_are_taken() -> None:
    kinds = [deployments.parse(document).infrastructure.kind for document in examples()]
    assert kinds == ["docker", "kubernetes"]


def test_the_manifest_of_the_example_is_printed(tmp_path: Path) -> None:
    (document,) = [one for one in examples() if one["infrastructure"]["kind"] == "kubernetes"]
    (tmp_path / "deployment.yaml").write_text(yaml.safe_dump(document | {"entrypoint": "nightly.py:nightly"}))
    pytest.importorskip("jsonpatch")
    ran = airside("agent", "manifest", str(tmp_path / "deployment.yaml"))
    assert ran.code == 0, ran.err
    pod = yaml.safe_load(ran.out)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"pool": "batch"}
    assert pod["containers"][0]["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]
    assert yaml.safe_load(airside("agent", "manifest").out)["spec"]["backoffLimit"] == 0
    plain = tmp_path / "plain.yaml"
    plain.write_text(yaml.safe_dump(SMALLEST))
    assert "is of kind process" in airside("agent", "manifest", str(plain)).err


def test_the_commands_are_there_with_their_options() -> None:
    commands = re.findall(r"^    (airside .+)$", PAGE, re.MULTILINE) + re.findall(r"`(airside [a-z -]+)`", PAGE)
    assert len(commands) >= 5
    for command in commands:
        words = shlex.split(command)[1:]
        names = [word for word in words[:2] if word.isalpha()]
        ran = airside(*names[: 1 if names[0] == "schema" else 2], "--help")
        assert ran.code == 0, command
        assert {word for word in words if word.startswith("-")} <= set(re.findall(r"--?[a-z-]+", ran.out)), command


def test_the_kinds_that_work_are_shown() -> None:
    found = {row["kind"]: row for row in airside("agent", "kinds", "--json").json}
    assert set(found) == set(infrastructure.KINDS)
    assert found["process"] == {"kind": "process", "works": True, "trouble": ""}


def test_the_times_are_the_true_ones() -> None:
    docker = infrastructure.Kubernetes(kind="kubernetes", image="a")
    assert f"gone ({records.AGENT_SECONDS} seconds)" in FLAT
    assert f"within {execution.NOTICE_SECONDS:g} seconds" in FLAT
    assert f"{docker.grace:g} unless you say so" in FLAT
    assert (docker.ttl / SECOND, docker.start_timeout / SECOND) == (3600, 600)
    assert "`1h` unless you say so" in FLAT
    assert "`10m` unless you say so" in FLAT
    assert f"`{' '.join(docker.command)}` unless you say so" in FLAT
