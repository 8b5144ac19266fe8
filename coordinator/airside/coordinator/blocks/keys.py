"""Where the key comes from that seals blocks: a setting, a file of the operator's, or one made in the home folder."""

import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from airside.coordinator.blocks.book import BlocksLocked
from airside.coordinator.blocks.sealing import KEY_BYTES, Keyring

_FORM: Final = f"must be {KEY_BYTES} random bytes as base64; `openssl rand -base64 {KEY_BYTES}` makes some"
_MAX_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class KeySource:
    """`text` is AIRSIDE_BLOCKS_KEY, `file` AIRSIDE_BLOCKS_KEY_FILE, `own` the file in the home folder.

    Each holds one key, or while it is being replaced several between spaces, the new one first.
    """

    own: Path
    text: str = field(default="", repr=False)
    file: Path | None = None

    def load(self) -> Keyring | None:
        """Read the keys; None when nobody has made one yet. Raises BlocksLocked."""
        if self.text:
            return _read(self.text, "AIRSIDE_BLOCKS_KEY")
        place = self.file or self.own
        try:
            with place.open("rb") as opened:
                content = opened.read(_MAX_BYTES)
        except FileNotFoundError:
            if self.file is None:
                return None
            raise BlocksLocked(f"there is no file {place}, which AIRSIDE_BLOCKS_KEY_FILE names") from None
        except OSError as error:
            raise BlocksLocked(f"the key file {place} cannot be read: {error.strerror}") from None
        return _read(content.decode(errors="replace"), str(place))

    def make(self) -> Keyring:
        """Make a key in the home folder, for its owner alone, unless there is one already. Raises BlocksLocked."""
        try:
            descriptor = os.open(self.own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(b64encode(os.urandom(KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            folder = os.open(self.own.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # what is sealed must not be on disk when its key is not
            finally:
                os.close(folder)
        except FileExistsError:
            pass
        except OSError as error:
            raise BlocksLocked(f"the key file {self.own} cannot be made: {error.strerror}") from None
        found = self.load()
        if found is None:
            raise BlocksLocked(f"the key file {self.own} is gone")
        return found


def _read(text: str, where: str) -> Keyring:
    try:
        return Keyring([b64decode(word, validate=True) for word in text.split()])
    except (Base64Error, ValueError):
        raise BlocksLocked(f"{where}: {_FORM}") from None
