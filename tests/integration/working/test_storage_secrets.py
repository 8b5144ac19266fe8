"""Credentials of a storage: used where they are wanted, and nowhere to be found afterwards."""

import base64
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.working.test_agent import agent, ended
from tests.support import git_server
from tests.support.agent_plane import AgentPlane, running

SECRET = "glpat-VerySecretWord17"
LOGIN = f"x-access-token:{SECRET}"
FLOW = """
import os
from airside.sdk import flow

@flow
def job() -> None:
    print("the token is", os.environ["GIT_TOKEN"])
"""


@pytest.fixture
def plane() -> Iterator[AgentPlane]:
    with running() as found:
        yield found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "served/code"
    folder.mkdir(parents=True)
    (folder / "flows.py").write_text(FLOW)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    return folder


def arguments() -> str:
    """Give the arguments of all processes of this machine."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(found)


def test_a_token_for_git_is_in_no_argument_no_message_no_log_and_no_file(
    plane: AgentPlane, tmp_path: Path, repository: Path
) -> None:
    seen: list[str] = []
    with git_server.serving(repository.parent, LOGIN, lambda: seen.append(arguments())) as url:
        good = {"kind": "git", "url": f"{url}/code/.git", "ref": "main", "credentials": "env:GIT_TOKEN"}
        for storage in (
            good,
            {**good, "ref": "gone"},
            {**good, "url": f"{url}/none"},
            {**good, "credentials": "env:BAD"},
        ):
            plane.give("flows.py:job", storage=storage)
        variables = {"GIT_TOKEN": SECRET, "BAD": f"{SECRET}-but-wrong", "GIT_TRACE_CURL": "1", "GIT_CURL_VERBOSE": "1"}
        code, said = ended(agent(plane, tmp_path, "--drain", "--limit", "1", **variables))
    assert code == 0, said
    outcomes = [told["outcome"] for told in plane.bodies("/api/work/finish")]
    assert outcomes == ["done", "crashed", "crashed", "crashed"], said
    lines = [line["message"] for batch in plane.bodies("/api/logs") for line in batch if line["logger"] == "stdout"]
    assert lines == ["the token is ***"]
    assert any("git" in text for text in seen)
    files = [
        file.read_bytes().decode(errors="replace") for file in (tmp_path / "agent-home").rglob("*") if file.is_file()
    ]
    written = "\n".join([said, str(plane.told), *seen, *files])
    for secret in (SECRET, base64.b64encode(LOGIN.encode()).decode()):
        assert secret not in written
