"""The dbt project that a command is about: where it is, its name, where it writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

FILE_NAME: Final = "dbt_project.yml"


@dataclass(frozen=True, slots=True)
class Project:
    """One project as its file says. `settings` is empty when there is no file that can be read."""

    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """Its name, unless the file makes it with Jinja."""
        return self._text("name")

    @property
    def flags(self) -> Mapping[str, Any]:
        """Defaults of command-line options."""
        found = self.settings.get("flags")
        return found if isinstance(found, dict) else {}

    @property
    def target(self) -> Path:
        """The folder of artifacts, unless a command was told another one."""
        return self.folder / (self._text("target-path") or "target")

    @property
    def logs(self) -> Path:
        """The folder of logs, unless a command was told another one."""
        return self.folder / (self._text("log-path") or "logs")

    def _text(self, name: str) -> str | None:
        value = self.settings.get(name)
        return value if isinstance(value, str) and value and "{" not in value else None


def find(told: str | None, working_folder: Path) -> Project:
    """Find the project as dbt does: the folder that was told, else this one or the nearest parent with the file."""
    if told:
        return _read(working_folder / told)
    folders = (working_folder, *working_folder.parents)
    return _read(next((folder for folder in folders if (folder / FILE_NAME).is_file()), working_folder))


def _read(folder: Path) -> Project:
    try:
        loaded = yaml.safe_load((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return Project(folder)  # dbt itself says what is wrong with it
    return Project(folder, loaded if isinstance(loaded, dict) else {})
