"""What a block may be, what its seal holds for, and what a secret does not show."""

import copy
import json
import logging
import pickle
import stat
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from airside.coordinator.blocks.book import BlocksLocked, OpenBlock, StoredBlock
from airside.coordinator.blocks.keys import KeySource
from airside.coordinator.blocks.sealing import Keyring
from airside.events import blocks, redaction
from airside.events.blocks import InvalidBlock
from airside.events.references import Reference, reference
from airside.sdk import Secret, hidden
from airside.sdk.flows.log_outbox import LogOutbox

CANARY = "CanaryWord-4711"
ONE, OTHER = b"1" * 32, b"2" * 32


def block(**changed: object) -> StoredBlock:
    moment = datetime(2026, 11, 22, 8, 41, 7, 120_001, UTC)
    made = StoredBlock(
        "default", "code", "git", 1, moment, moment, "maria", {"username": "me"}, ["token"], "k", b"", "for the flows"
    )
    return msgspec.structs.replace(made, **changed)


@pytest.mark.parametrize(
    ("kind", "fields", "plain", "secret"),
    [
        ("secret", {"value": CANARY}, set(), {"value"}),
        ("json", {"value": {"a": [1, None]}}, {"value"}, set()),
        ("json", {"value": None}, {"value"}, set()),
        ("git", {"username": "me", "token": CANARY}, {"username"}, {"token"}),
        ("s3", {"key": "AKIA", "secret": CANARY, "region": "eu"}, {"key", "region"}, {"secret"}),
        ("gcs", {"service_account": {"private_key": CANARY}}, set(), {"service_account"}),
        ("azure", {"account_name": "a", "account_key": CANARY}, {"account_name"}, {"account_key"}),
        (
            "sftp",
            {"private_key": f"-----BEGIN\n{CANARY}\n", "passphrase": CANARY},
            set(),
            {"private_key", "passphrase"},
        ),
        ("notify", {"url": f"json://host/{CANARY} mailto://b"}, set(), {"url"}),
        ("webhook", {"url": f"https://h/{CANARY}", "headers": {"X-Key": CANARY}}, set(), {"url", "headers"}),
    ],
)
def test_the_fields_of_each_type_are_told_apart(
    kind: str, fields: dict[str, object], plain: set[str], secret: set[str]
) -> None:
    found = blocks.parse(kind, fields)
    assert (set(found.plain), set(found.secret)) == (plain, secret)
    assert CANARY not in repr(found)


@pytest.mark.parametrize(
    ("kind", "fields", "field", "message"),
    [
        ("gti", {}, "type", "did you mean `git`?"),
        ("git", {}, "fields.token", "Field required"),
        ("git", {"tokne": CANARY}, "fields.tokne", "unknown key; did you mean `token`?"),
        ("git", {"token": f"a\n{CANARY}"}, "fields.token", "must be one line"),
        ("git", {"token": [CANARY]}, "fields.token", "Input should be a valid string"),
        ("gcs", {"service_account": CANARY}, "fields.service_account", "must be a JSON object"),
        ("sftp", {"username": "me"}, "fields", "give either `password` or `private_key`"),
        ("azure", {"account_key": CANARY}, "fields", "`account_name` is missing"),
        ("webhook", {"url": CANARY}, "fields.url", "must be as https://host/path"),
        ("webhook", {"url": "https://h", "headers": {"a b": CANARY}}, "fields.headers.a b", "is no name of a header"),
        (
            "webhook",
            {"url": "https://h", "headers": {"Webhook-Id": CANARY}},
            "fields.headers.Webhook-Id",
            "leave it out",
        ),
        (
            "webhook",
            {"url": "https://h", "headers": {"X": f"{CANARY}\r\nY: z"}},
            "fields.headers.X",
            "must be one line",
        ),
        ("s3", {"key": "k", "secret": CANARY, "endpoint_url": "http://u:p@h"}, "fields.endpoint_url", "no password"),
        ("secret", {"value": CANARY * 10_000}, "fields.value", "at most 65536"),
    ],
)
def test_what_is_wrong_with_a_block_is_said_without_what_was_given(
    kind: str, fields: dict[str, object], field: str, message: str
) -> None:
    with pytest.raises(InvalidBlock) as caught:
        blocks.parse(kind, fields)
    found = {problem.field: problem.message for problem in caught.value.problems}
    assert message in found[field]
    assert CANARY not in str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("block:code", Reference("code")),
        ("block:lake-2_b.secret", Reference("lake-2_b", "secret")),
        ("block:hook.X-Api-Key", Reference("hook", "X-Api-Key")),
        ("block:Code", None),
        ("block:a b", None),
        ("block:", None),
        ("block:a.", None),
        ("block:a.b.c", None),
        ("env:CODE", None),
        ("xblock:code", None),
        ("block:code\n", None),
    ],
)
def test_a_reference_names_a_block_or_one_of_its_fields(text: str, found: Reference | None) -> None:
    assert reference(text) == found
    if found:
        assert str(found) == text


def test_only_the_key_opens_a_seal_and_only_about_the_same() -> None:
    keys, made = Keyring([ONE]), block()
    sealed = keys.seal(CANARY.encode(), made.about())
    assert CANARY.encode() not in sealed
    assert keys.seal(CANARY.encode(), made.about()) != sealed
    read = msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(made, sealed=sealed)), type=StoredBlock)
    assert keys.open(keys.newest, read.sealed, read.about()) == CANARY.encode()
    with pytest.raises(BlocksLocked, match="does not have"):
        Keyring([OTHER]).open(keys.newest, sealed, made.about())
    for changed in (
        block(name="other"),
        block(workspace="other"),
        block(type="secret"),
        block(revision=2),
        block(plain={"username": "you"}),
    ):
        with pytest.raises(BlocksLocked, match="seal is broken"):
            keys.open(keys.newest, sealed, changed.about())
    for broken in (sealed[:-1], sealed[:5], b"", bytes([sealed[0] ^ 1]) + sealed[1:]):
        with pytest.raises(BlocksLocked, match="seal is broken"):
            keys.open(keys.newest, broken, made.about())


def test_a_key_that_is_replaced_still_opens_and_the_new_one_seals() -> None:
    old, both = Keyring([ONE]), Keyring([OTHER, ONE])
    sealed = old.seal(b"x", b"about")
    assert both.open(old.newest, sealed, b"about") == b"x"
    assert both.newest == Keyring([OTHER]).newest
    assert old.newest in both


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    source = KeySource(tmp_path / "blocks.key")
    assert source.load() is None
    first = source.make()
    assert stat.S_IMODE((tmp_path / "blocks.key").stat().st_mode) == 0o600
    assert source.make().newest == first.newest == KeySource(tmp_path / "blocks.key").make().newest


def test_a_key_of_the_operator_s_goes_before_and_a_bad_one_is_refused_without_being_told(tmp_path: Path) -> None:
    own = tmp_path / "blocks.key"
    KeySource(own).make()
    given, file = b64encode(ONE).decode(), tmp_path / "given.key"
    file.write_bytes(b64encode(OTHER) + b"\n" + b64encode(ONE) + b"\n")
    found = KeySource(own, given).load()
    assert found is not None
    assert found.newest == Keyring([ONE]).newest
    from_file = KeySource(own, "", file).load()
    assert from_file is not None
    assert (from_file.newest, found.newest in from_file) == (Keyring([OTHER]).newest, True)
    for bad in (CANARY, b64encode(b"short").decode(), " "):
        with pytest.raises(BlocksLocked, match="AIRSIDE_BLOCKS_KEY: must be 32 random bytes") as caught:
            KeySource(own, bad).load()
        assert CANARY not in str(caught.value)
    with pytest.raises(BlocksLocked, match="there is no file"):
        KeySource(own, "", tmp_path / "none").load()
    assert given not in repr(KeySource(own, given))


def test_nothing_that_holds_a_secret_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(CANARY)
    opened = OpenBlock("code", "git", 1, {"token": CANARY}, ("token",))
    assert f"{secret} {secret!r} {[secret]} {opened}".count("***") == 3
    assert CANARY not in f"{secret} {secret!r} {opened!r} {block(sealed=CANARY.encode())!r} %s" % secret
    assert (secret.get(), secret == Secret(CANARY), secret == CANARY) == (CANARY, True, False)
    assert copy.deepcopy({"a": secret})["a"] is secret
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps({"a": secret})
    with pytest.raises(TypeError):
        json.dumps({"a": secret})
    assert not caplog.records


def test_what_was_loaded_is_masked_in_log_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden, "_known", set())
    hidden.keep([CANARY, "abc"])
    record = logging.makeLogRecord({"msg": "it is %s, abc", "args": (CANARY,), "name": "a", "levelname": "INFO"})
    line = json.loads(LogOutbox("http://127.0.0.1:1", None)._encode("r", None, record))
    assert line["message"] == "it is ***, abc"


def test_a_reference_in_a_rule_is_shown_as_it_stands() -> None:
    action = {"webhook": {"url": "block:oncall", "headers": {"X": "block:key", "Y": CANARY}, "secret": "block:sign"}}
    shown = redaction.document({"actions": [action]})["actions"][0]["webhook"]
    assert shown == {"url": "block:oncall", "headers": {"X": "block:key", "Y": "***"}, "secret": "block:sign"}
