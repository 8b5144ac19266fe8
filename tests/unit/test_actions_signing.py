"""Signatures of webhooks, against the published vector and a computation of our own."""

import hashlib
from base64 import b64decode, b64encode

import pytest

from airside.coordinator.actions import ActionRefused
from airside.coordinator.actions.signing import keys, signature, variable


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC as RFC 2104 writes it down, without the hmac module."""
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()


def test_the_vector_of_standard_webhooks() -> None:
    found = keys({"AIRSIDE_SECRET_SHOP": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "shop")
    signed = signature(found, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("key", [b"short", b"k" * 64, b"k" * 200])
def test_signatures_are_hmacs_of_id_timestamp_and_body(key: bytes) -> None:
    expected = b64encode(hmac_sha256(key, b"f00d.0.1700000000.\xff\x00body")).decode()
    assert signature([key], "f00d.0", 1_700_000_000, b"\xff\x00body") == f"v1,{expected}"


def test_while_a_key_is_replaced_both_sign() -> None:
    found = keys({"AIRSIDE_SECRET_MY_KEY": "new-key-as-text whsec_b2xkIGtleQ=="}, "my-key")
    assert found == [b"new-key-as-text", b"old key"]
    new, old = signature(found, "a", 1, b"").split(" ")
    assert b64decode(new.removeprefix("v1,")) == hmac_sha256(b"new-key-as-text", b"a.1.")
    assert b64decode(old.removeprefix("v1,")) == hmac_sha256(b"old key", b"a.1.")


def test_a_secret_that_is_missing_or_unreadable_is_named_and_not_shown() -> None:
    with pytest.raises(ActionRefused, match="set AIRSIDE_SECRET_MY_KEY where the coordinator runs"):
        keys({}, "my-key")
    with pytest.raises(ActionRefused) as caught:
        keys({"AIRSIDE_SECRET_A": "whsec_not-base64!"}, "a")
    assert "not-base64" not in str(caught.value)


def test_names_become_variables() -> None:
    assert variable("AIRSIDE_NOTIFY", "on-call") == "AIRSIDE_NOTIFY_ON_CALL"
