"""Signatures of outgoing webhooks, as Standard Webhooks defines them."""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from hashlib import sha256

from airside.coordinator.actions.exceptions import ActionRefused


def variable(prefix: str, name: str) -> str:
    """Name the environment variable that holds what rules call `name`: `my-key` is in `<PREFIX>_MY_KEY`."""
    return f"{prefix}_{name.upper().replace('-', '_')}"


def keys(environment: Mapping[str, str], name: str) -> list[bytes]:
    """Look up the signing keys of a secret: one, or while a key is being replaced several between spaces.

    A key that starts with `whsec_` is base64, any other is taken as it stands. Raises ActionRefused.
    """
    where = variable("AIRSIDE_SECRET", name)
    texts = environment.get(where, "").split()
    if not texts:
        raise ActionRefused(f"the secret `{name}` is not set: set {where} where the coordinator runs")
    return decoded(" ".join(texts), f"the secret `{name}` in {where}")


def decoded(text: str, what: str) -> list[bytes]:
    """Read the keys in a text, as `keys` has it. Raises ActionRefused, saying `what` is wrong."""
    try:
        return [
            b64decode(word.removeprefix("whsec_"), validate=True) if word.startswith("whsec_") else word.encode()
            for word in text.split()
        ]
    except (Base64Error, ValueError) as error:
        raise ActionRefused(f"{what} starts with whsec_ and is not base64") from error


def signature(signing_keys: list[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Sign a message with every key, newest first."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{b64encode(hmac.new(key, content, sha256).digest()).decode()}" for key in signing_keys)
