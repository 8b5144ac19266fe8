"""`airside deployments apply --prune`: what a project's file no longer holds goes, and nothing else."""

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.command import airside
from tests.support.up import AIRSIDE, Up

APPLY = ("deployments", "apply", "airside.yaml")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    server = Up(tmp_path_factory.mktemp("prune") / "home").start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def in_a_folder(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    monkeypatch.chdir(tmp_path)
    yield
    for name in there():
        airside("deployments", "rm", name)


def document(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "flow": "load", "entrypoint": "load.py:load", **more}


def write(*names: str, project: str | None = "shop", file: str = "airside.yaml") -> None:
    told = {} if project is None else {"project": project}
    Path(file).write_text(yaml.safe_dump({**told, "deployments": [document(name) for name in names]}))


def there() -> dict[str, str]:
    """Give the deployments that there are, with their projects."""
    return {row[0]: row[5] for row in airside("deployments", "ls").rows[1:]}


def test_what_the_file_no_longer_holds_is_removed_and_what_came_from_elsewhere_stays() -> None:
    write("one", "two", "three")
    write("theirs", project="other", file="other.yaml")
    write("by-hand", project=None, file="by-hand.yaml")
    assert airside("deployments", "apply", "airside.yaml", "other.yaml", "by-hand.yaml").code == 0
    assert there()["load/theirs"] == "other"
    write("one", "four")
    tried = airside(*APPLY, "--prune", "--dry-run", "--json")
    wanted = {"load/one": "unchanged", "load/four": "created", "load/two": "removed", "load/three": "removed"}
    assert {item["name"]: item["change"] for item in tried.json} == wanted
    assert len(there()) == 5
    done = airside(*APPLY, "--prune", "--yes", "--json")
    assert {item["name"]: item["change"] for item in done.json} == wanted
    assert there() == {"load/one": "shop", "load/four": "shop", "load/theirs": "other", "load/by-hand": ""}
    assert [item["change"] for item in airside(*APPLY, "--prune", "--json").json] == ["unchanged", "unchanged"]


def test_without_a_terminal_nothing_is_changed_unless_somebody_says_yes() -> None:
    write("one", "two")
    airside(*APPLY)
    write("one", "three")
    ran = airside(*APPLY, "--prune")
    assert ran.code == 1
    assert "--prune would remove 1 deployment; nothing is changed" in ran.err
    assert "load/two" in ran.err
    assert set(there()) == {"load/one", "load/two"}


@pytest.mark.parametrize(("answer", "left"), [("n", {"load/one", "load/two"}), ("y", {"load/one"})])
def test_on_a_terminal_it_asks(answer: str, left: set[str]) -> None:
    write("one", "two")
    airside(*APPLY)
    write("one")
    ours, theirs = pty.openpty()
    asked = subprocess.Popen([AIRSIDE, *APPLY, "--prune"], stdin=theirs, stderr=subprocess.PIPE, text=True)
    os.write(ours, f"{answer}\n".encode())
    _, said = asked.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "Remove load/two? Their schedules end; their runs stay on the log." in said
    assert asked.returncode == (0 if answer == "y" else 1)
    assert set(there()) == left


def test_what_was_applied_from_elsewhere_since_is_not_the_projects_any_more() -> None:
    write("one", "two")
    airside(*APPLY)
    write("two", project=None, file="by-hand.yaml")
    assert "project: shop -> (none)" in airside("deployments", "apply", "by-hand.yaml", "--dry-run").out
    airside("deployments", "apply", "by-hand.yaml")
    write("one")
    assert airside(*APPLY, "--prune", "--yes").code == 0
    assert there() == {"load/one": "shop", "load/two": ""}


def test_a_removal_that_names_a_project_is_refused_when_it_is_another_by_now(up: Up) -> None:
    write("one")
    airside(*APPLY)
    with up.client() as client:
        answer = client.delete("/api/deployments/load/one", params={"project": "other"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:airside:problem:other-project")
        assert set(there()) == {"load/one"}
        assert client.delete("/api/deployments/load/one", params={"project": "shop"}).status_code == 204


def test_two_projects_of_one_name_and_files_without_one_are_refused() -> None:
    write("one", "two")
    airside(*APPLY)
    write("other")
    ran = airside(*APPLY, "--prune", "--yes")
    assert ran.code == 1
    assert "is it another project's name?" in ran.err
    write("one", project=None)
    assert "does not say one `project`" in airside(*APPLY, "--prune").err
    write("x", file="second.yaml")
    assert airside("deployments", "apply", "airside.yaml", "second.yaml", "--prune").code == 2
    Path("airside.yaml").write_text(yaml.safe_dump({"project": "a/b", "deployments": [document("one")]}))
    assert "project: must be printable, without `/`" in airside(*APPLY).err
    assert set(there()) == {"load/one", "load/two"}


def test_a_pause_leaves_the_project_as_it_is() -> None:
    write("one", "two")
    airside(*APPLY)
    airside("deployments", "pause", "load/two")
    write("one")
    assert airside(*APPLY, "--prune", "--yes").code == 0
    assert set(there()) == {"load/one"}
