"""Sealing with AES-256-GCM. What is not secret of a block (its name, its type, its addresses) is sealed in with it.

Nobody who can write to the broker but has no key can read a secret, exchange two, or send one to another address.
`cryptography` is imported at the first seal: a server without blocks does not need the time.
"""

import os
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from airside.coordinator.blocks.book import BlocksLocked

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Keyring:
    """Keys, the newest first: that one seals, any of them opens."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a key is {KEY_BYTES} bytes")
        self._keys = {name_of(key): key for key in reversed(keys)}
        self.newest = name_of(keys[0])

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def seal(self, text: bytes, about: bytes) -> bytes:
        """Seal a text with the newest key."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above

        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._keys[self.newest]).encrypt(nonce, text, about)

    def open(self, key: str, sealed: bytes, about: bytes) -> bytes:
        """Open what was sealed with one of the keys, about the same. Raises BlocksLocked."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        if key not in self._keys:
            raise BlocksLocked(f"it was sealed with the key {key}, which this server does not have")
        try:
            return AESGCM(self._keys[key]).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about)
        except (InvalidTag, ValueError) as error:
            raise BlocksLocked("its seal is broken: it was changed on the broker by somebody else") from error


def name_of(key: bytes) -> str:
    """Name a key, so that it can be said which one is missing; the name tells nothing of the key."""
    return sha256(b"airside blocks key\0" + key).hexdigest()[:12]
