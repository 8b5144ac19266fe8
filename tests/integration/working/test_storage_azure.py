"""Code from Azure's storage: the real driver, and Azurite. CONTRIBUTING.md says how to have one."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import azurite
from tests.support.azurite import ACCOUNT, KEY, Azurite
from tests.support.command import airside
from tests.support.up import AIRSIDE, Up

from airside.agent.working import storage
from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.storage import credentials

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]
WRONG = "d3Jvbmcta2V5LXdyb25nLWtleS13cm9uZy1rZXk="
FLOW = """
from airside.sdk import flow

@flow
def hello() -> str:
    return "moon"
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite.serving(tmp_path_factory.mktemp("azurite")) as found:
        yield found


async def fetch(tmp_path: Path, name: str, url: str, **more: Any) -> storage.Code:
    into = tmp_path / name
    into.mkdir()
    settings = {"kind": "fsspec", "url": url, "credentials": "env:ETL", **more}
    return await storage.fetch(settings, into, tmp_path / "cache")


async def refused(tmp_path: Path, name: str, url: str, **more: Any) -> str:
    """Give what the fetch said when it was refused; nothing of it may be left."""
    with pytest.raises(CannotPrepare) as caught:
        await fetch(tmp_path, name, url, **more)
    assert list((tmp_path / name).iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize(
    "url", ["abfs://code/etl", "az://code/etl", f"abfss://code@{ACCOUNT}.dfs.core.windows.net/etl"]
)
async def test_all_files_below_a_folder_of_a_container_are_fetched_as_one_version(
    account: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ETL", account.connection())
    (tmp_path / "here/flows").mkdir(parents=True)
    for name in ("flows/load.py", "setup.cfg"):
        account.put(f"etl/{name}", name)
        (tmp_path / "here" / name).write_text(name)
    account.put("etl-other/not.py", "x")
    code = await fetch(tmp_path, "run", url)
    there = {str(file.relative_to(code.folder)) for file in code.folder.rglob("*") if file.is_file()}
    assert there == {"flows/load.py", "setup.cfg"}
    copied = await storage.fetch({"kind": "folder", "path": str(tmp_path / "here")}, tmp_path)
    assert code.version == copied.version
    account.put("etl/setup.cfg", "changed")
    changed = await fetch(tmp_path, "again", url)
    assert ((changed.folder / "setup.cfg").read_text(), changed.version == code.version) == ("changed", False)


@pytest.mark.parametrize("form", ["string", "object"])
async def test_a_wrong_key_is_said_to_be_refused_and_is_nowhere_in_what_is_said(
    account: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    secret = account.connection(WRONG)
    monkeypatch.setenv("ETL", secret if form == "string" else json.dumps({"connection_string": secret}))
    said = await refused(tmp_path, "wrong", "abfs://code/etl")
    assert "abfs://code/etl does not take the login of env:ETL: " in said
    assert "Server failed to authenticate the request" in said
    assert WRONG not in said
    assert len(said.splitlines()) == 1
    masked = credentials.hide(f"a run prints {WRONG}", credentials.secrets_of({"credentials": "env:ETL"}))
    assert masked == "a run prints ***"


async def test_what_is_no_key_and_what_is_not_there_is_told(
    account: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL", account.connection())
    assert "No such file" in await refused(tmp_path, "container", "abfs://none/etl")
    assert "nothing" in await refused(tmp_path, "folder", "abfs://code/nothing")
    for name, secret in (("bare", "wrong word!"), ("string", account.connection("wrong word!"))):
        monkeypatch.setenv("ETL", secret)
        said = await refused(tmp_path, name, "abfs://code/etl")
        assert "must be an account key (base64), a connection string" in said
        assert "wrong word!" not in said
    monkeypatch.setenv("ETL", KEY)
    assert "whose container is it?" in await refused(tmp_path, "account", "abfs://code/etl")


def test_an_agent_carries_out_a_deployment_whose_code_is_in_azure(
    account: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = Up(tmp_path / "server").start()
    try:
        monkeypatch.setenv("AIRSIDE_URL", up.url)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "hello.py").write_text(FLOW)
        account.put("project/hello.py", FLOW)
        build = ("deployments", "build", "hello.py:hello", "-n", "prod", "--storage", "abfs://code/project")
        assert airside(*build, "--credentials", "env:ETL").code == 0
        assert airside("deployments", "apply", "deployment.yaml").code == 0
        (tmp_path / "hello.py").unlink()
        for secret, state in ((account.connection(), "completed"), (account.connection(WRONG), "crashed")):
            run = airside("deployments", "run", "hello/prod").out.strip()
            environment = {**os.environ, "AIRSIDE_HOME": str(tmp_path / "agent"), "ETL": secret}
            command = [AIRSIDE, "agent", "start", "-q", "default", "--once"]
            ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            shown = airside("runs", "show", run, "--json").json
            assert shown["state"] == state, ran.stderr
            assert not any(key in ran.stderr + json.dumps(shown) for key in (KEY, WRONG))
            assert str(shown["code_version"]).startswith("sha256:") or state == "crashed"
        assert "does not take the login of env:ETL" in airside("runs", "show", run).out
    finally:
        up.stop()
