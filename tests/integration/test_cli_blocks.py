"""`airside blocks` against a real server: what people type, what they are told, and what is never shown."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.command import airside
from tests.support.up import Up

CANARY = "CanaryOnTheLine-4711"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("home")).start()
    yield up
    up.stop()


@pytest.fixture(autouse=True)
def at_plane(plane: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", plane.url)
    monkeypatch.setenv("THE_TOKEN", CANARY)


def values(plane: Up, name: str) -> object:
    with plane.client() as client:
        return client.post(f"/api/blocks/{name}/reveal").json()["fields"]


def test_a_value_comes_from_a_variable_a_file_or_stdin_and_is_shown_nowhere(plane: Up, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{CANARY}\n")
    for name, given in (("a", "token=env:THE_TOKEN"), ("b", f"token=@{tmp_path / 'key'}"), ("c", "token=-")):
        made = airside("blocks", "set", name, "-t", "git", "username=me", given, "-d", "words", stdin=f"{CANARY}\n")
        assert (made.code, made.out) == (0, f"{name}: git, revision 1\n"), made.err
        assert values(plane, name) == {"username": "me", "token": CANARY}
    shown, listed = airside("blocks", "show", "a"), airside("blocks", "ls")
    assert dict(line.split("\t") for line in shown.out.splitlines())["token"] == "set"
    assert [row[:3] for row in listed.rows[1:4]] == [["a", "git", "1"], ["b", "git", "1"], ["c", "git", "1"]]
    as_json = airside("blocks", "show", "a", "--json")
    assert (as_json.json["secrets"], as_json.json["description"]) == ({"token": "set"}, "words")
    assert CANARY not in shown.out + listed.out + as_json.out + airside("blocks", "ls", "--json").out
    assert airside("blocks", "rm", "b").out == "removed b\n"
    assert "b" not in [row[0] for row in airside("blocks", "ls").rows]


@pytest.mark.parametrize("given", [CANARY, f"x{CANARY}", f"Bearer {CANARY}"])
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(given: str) -> None:
    for kind, field in (("git", "token"), ("webhook", "url"), ("webhook", "headers.X-Key"), ("secret", "value")):
        ran = airside("blocks", "set", "line", "-t", kind, f"{field}={given}")
        assert (ran.code, ran.out) == (2, "")
        assert f"give {field}=env:VARIABLE" in ran.err
        assert CANARY not in ran.err
    assert airside("blocks", "show", "line").code == 1


def test_headers_are_named_one_by_one_and_json_is_read(plane: Up) -> None:
    words = ("url=-", "headers.X-Key=env:THE_TOKEN", "headers.X-Who=env:THE_TOKEN")
    assert airside("blocks", "set", "pager", "-t", "webhook", *words, stdin="https://h/x").code == 0
    assert values(plane, "pager") == {"url": "https://h/x", "headers": {"X-Key": CANARY, "X-Who": CANARY}}
    assert airside("blocks", "set", "tables", "-t", "json", 'value={"a": [1, "b"]}').code == 0
    assert values(plane, "tables") == {"value": {"a": [1, "b"]}}
    assert json.loads(airside("blocks", "show", "tables").rows[3][1]) == {"a": [1, "b"]}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-t", "gti", "token=-"), 2, "must be one of secret, json, git"),
        (("-t", "git", "token"), 2, "`git` has username, token"),
        (("-t", "git", "token=env:NOT_SET"), 2, "token=env:NOT_SET: there is nothing"),
        (("-t", "git", "token=@/none/at/all"), 2, "cannot read /none/at/all: No such file"),
        (("-t", "sftp", "password=-", "passphrase=-"), 2, "only one field can be stdin"),
        (("-t", "json", "value={"), 2, "not valid JSON"),
        (("-t", "git", "tokne=env:THE_TOKEN"), 1, "fields.tokne: unknown key; did you mean `token`?"),
        (("-t", "git", "username=me"), 1, "fields.token: Field required"),
    ],
)
def test_what_cannot_be_is_said_with_the_way_out(words: tuple[str, ...], code: int, said: str) -> None:
    ran = airside("blocks", "set", "bad", *words, stdin=CANARY)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert CANARY not in ran.err


def test_the_types_are_listed_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", "http://127.0.0.1:9")
    rows = airside("blocks", "types").rows
    assert ["git", "token", "secret, wanted", "a token or a password"] in rows
    assert {kind["type"] for kind in airside("blocks", "types", "--json").json} >= {"secret", "webhook", "notify"}
