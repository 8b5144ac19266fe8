"""`airside.toml`: the nearest one counts."""

from pathlib import Path
from typing import Final

FILE_NAME: Final = "airside.toml"


def find_file(folder: Path | None = None) -> Path | None:
    """Find `airside.toml` in the folder (default: the working folder) or the nearest of its parents."""
    start = (folder or Path.cwd()).absolute()
    return next((path for at in (start, *start.parents) if (path := at / FILE_NAME).is_file()), None)
