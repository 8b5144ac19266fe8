"""The files of deploy/: they can be read, and name commands and variables that there are. No engine runs them here."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from tests.support.command import airside

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def options_of(command: list[str]) -> set[str]:
    """Give the options of a command; fails for one that there is not."""
    words = [word for word in command if not word.startswith("-")]
    names = words[:2] if words[0] == "agent" else words[:1]
    ran = airside(*names, "--help")
    assert ran.code == 0, ran.err
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", ran.out))


def check(command: list[str]) -> None:
    assert {word for word in command if word.startswith("-")} <= options_of(command)


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes/agent.yaml").read_text()))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_there_is_and_waits_for_its_end(unit: Path) -> None:
    (line,) = re.findall(r"^ExecStart=/opt/airside/bin/airside (.+)$", unit.read_text(), re.MULTILINE)
    check(line.split())
    assert "KillMode=mixed" in unit.read_text()  # the first SIGTERM is for the agent, not for its runs


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong_in_a_unit(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name.replace("@", "@default")
    text = unit.read_text().replace("/opt/airside/bin/airside", "/bin/true")
    copy.write_text(re.sub(r"^(User|EnvironmentFile)=.*\n", "", text, flags=re.MULTILINE))
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert [line for line in ran.stderr.splitlines() if unit.name.partition("@")[0] in line] == []


def test_the_compose_file_starts_commands_that_there_are() -> None:
    services = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())["services"]
    assert set(services) == {"server", "agent"}
    for service in services.values():
        check(service["command"])
    assert (DEPLOY / "compose" / services["server"]["build"]["context"] / "pyproject.toml").is_file()
    assert (DEPLOY.parent / services["server"]["build"]["dockerfile"]).is_file()
    assert services["server"]["ports"] == ["127.0.0.1:7700:7700"]
    assert "ports" not in services["agent"]


async def test_the_manifests_hold_only_keys_that_kubernetes_knows() -> None:
    from kubernetes_asyncio.client import ApiClient

    async with ApiClient() as api:
        for document in manifests():
            read = api.deserialize(SimpleNamespace(data=json.dumps(document)), f"V1{document['kind']}")
            assert api.sanitize_for_serialization(read) == document


def test_the_manifest_is_one_that_kubernetes_can_read_and_lets_nothing_in() -> None:
    found = {document["kind"]: document for document in manifests()}
    deployment, policy = found["Deployment"], found["NetworkPolicy"]
    account = found["ServiceAccount"]["metadata"]["name"]
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == account
    assert found["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": account}]
    assert found["RoleBinding"]["roleRef"]["name"] == found["Role"]["metadata"]["name"]
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    (container,) = pod["spec"]["containers"]
    check(container["args"])
    assert "ports" not in container
    variables = {entry["name"] for entry in container["env"]}
    assert variables == {"AIRSIDE_URL", "AIRSIDE_HOME", "AIRSIDE_TOKEN"}
    assert policy["spec"] | {"podSelector": None} == {"podSelector": None, "policyTypes": ["Ingress"], "ingress": []}


def test_no_file_holds_a_token() -> None:
    for file in DEPLOY.rglob("*"):
        if file.is_file():
            assert not re.search(r"ast_[0-9a-f]", file.read_text()), file
