"""`airside hooks` against a real server: what people type, what they are told, and what is never shown."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.command import airside
from tests.support.up import Up

DATA = Path(__file__).parents[1] / "data" / "hooks"
TEMPLATE = """\
type: job.{{ body.type }}
resource: team://{{ body.team | segment }}
payload: {title: "{{ body.title }}"}
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("home")).start()
    yield up
    up.stop()


@pytest.fixture(autouse=True)
def at_plane(plane: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", plane.url)


def captured(tmp_path: Path) -> Path:
    """The delivery that Apprise really sent."""
    delivery = json.loads((DATA / "apprise.ndjson").read_text().splitlines()[0])
    (tmp_path / "body.json").write_text(json.dumps(delivery["body"]))
    (tmp_path / "apprise.yaml").write_text(TEMPLATE)
    return tmp_path / "body.json"


def test_a_hook_is_made_sent_to_listed_shown_and_removed(tmp_path: Path) -> None:
    body = captured(tmp_path)
    made = airside("hooks", "create", "apprise", "--template", str(tmp_path / "apprise.yaml"), "--signature", "hmac")
    assert made.code == 0
    url, secret = made.out.splitlines()
    signature = hmac.new(secret.encode(), body.read_bytes(), hashlib.sha256).hexdigest()
    sent = httpx.post(url, content=body.read_bytes(), headers={"X-Signature-256": signature})
    assert sent.status_code == 202
    assert httpx.post(url, content=b"{}", headers={"X-Signature-256": signature}).status_code == 401
    headers, *rows = airside("hooks", "ls").rows
    (row,) = (found for cells in rows if (found := dict(zip(headers, cells, strict=True)))["NAME"] == "apprise")
    assert (row["NAME"], row["PRESET"], row["ACCEPTED"], row["REFUSED"]) == ("apprise", "(template)", "1", "1")
    assert url.endswith(row["PATH"])
    assert row["LAST RECEIVED"] != "never"
    shown = airside("hooks", "show", "apprise")
    assert "type: job.{{ body.type }}" in shown.out
    assert (
        secret
        not in shown.out + airside("hooks", "ls", "--json").out + airside("hooks", "show", "apprise", "--json").out
    )
    assert airside("hooks", "rm", "apprise").code == 0
    assert httpx.post(url, content=body.read_bytes(), headers={"X-Signature-256": signature}).status_code == 404
    gone = airside("hooks", "rm", "apprise")
    assert gone.code == 1
    assert "no hook `apprise`" in gone.err


def test_a_saved_body_shows_the_same_event_with_and_without_a_server(tmp_path: Path) -> None:
    body = captured(tmp_path)
    file = str(tmp_path / "apprise.yaml")
    airside("hooks", "create", "tried", "--template", file, "--signature", "token")
    (here,) = airside("hooks", "test", "--template", file, "--body", str(body), "--json").json
    (there,) = airside("hooks", "test", "tried", "--body", str(body), "--json").json
    assert here["type"] == there["type"] == "job.failure"
    assert here["resource"] == there["resource"]
    assert here["payload"] == there["payload"] == {"title": "SLA missed: orders_daily"}
    assert airside("hooks", "rm", "tried").code == 0


def test_testing_a_preset_needs_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", "http://127.0.0.1:9")
    ran = airside("hooks", "test", "--preset", "alertmanager", "--body", str(DATA / "alertmanager.json"))
    assert [row[1] for row in ran.rows[1:]] == ["alert.firing", "alert.resolved"]
    assert [row[0] for row in airside("hooks", "presets").rows[1:]] == [
        item["name"] for item in airside("hooks", "presets", "--json").json
    ]
    assert "signature: github" in airside("hooks", "presets", "github").out


def test_what_does_not_fit_is_told_field_by_field(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("type: job.done\nresorce: x\n")
    wrong = airside("hooks", "test", "--template", str(tmp_path / "bad.yaml"), "--body", str(DATA / "s3.json"))
    assert wrong.code == 1
    assert f"{tmp_path / 'bad.yaml'}:2:1: unknown key `resorce`; did you mean `resource`?" in wrong.err
    unfit = airside("hooks", "test", "--preset", "stripe", "--body", str(DATA / "s3.json"))
    assert unfit.code == 1
    assert "id: a value that the template wants here is not in the delivery" in unfit.err
    assert airside("hooks", "create", "x", "--template", str(tmp_path / "bad.yaml")).code == 1
    assert airside("hooks", "create", "x").code == 2
    assert airside("hooks", "test", "--preset", "github", "x", "--body", "-").code == 2


def test_a_secret_comes_from_a_variable_or_stdin_and_never_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = airside("hooks", "create", "own", "--preset", "stripe", "--secret", "whsec_on_the_command_line")
    assert refused.code == 2
    assert "whsec_on_the_command_line" not in refused.err
    monkeypatch.setenv("THEIR_SECRET", "whsec_theirs_and_long")
    made = airside("hooks", "create", "own", "--preset", "stripe", "--secret", "env:THEIR_SECRET")
    assert made.code == 0
    assert "whsec_theirs_and_long" not in made.out + made.err
    assert airside("hooks", "create", "none", "--preset", "stripe", "--secret", "env:NOT_SET").code == 2
    piped = airside("hooks", "create", "piped", "--preset", "github", "--secret", "-", stdin="from-stdin-it-is\n")
    assert piped.code == 0
    url = piped.out.strip()
    body = json.dumps({"repository": {"full_name": "a/b"}}).encode()
    signature = hmac.new(b"from-stdin-it-is", body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": "star"}
    assert httpx.post(url, content=body, headers=headers).status_code == 202
