"""dbt projects, and what their profiles connect to."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airside.agent.discovering.found import Found
from airside.agent.discovering.place import Place
from airside.sdk.integrations.dbt import project as projects


def find(place: Place) -> Iterator[Found]:
    """Find the projects below the folders, and that of DBT_PROJECT_DIR."""
    told = place.variable("DBT_PROJECT_DIR")
    files = [*place.files(projects.FILE_NAME), *([Path(told) / projects.FILE_NAME] if told else [])]
    for file in dict.fromkeys(path.absolute() for path in files if place.is_there(path)):
        project = projects.find(str(file.parent), file.parent)
        profile = project.settings.get("profile")
        connects = _connects(place, file.parent, profile) if isinstance(profile, str) else ""
        folder = shlex.quote(str(file.parent))
        follow = f"cd {folder} && airside dbt build"
        if place.is_there(project.target / "run_results.json"):
            follow += f"; what ran already: airside dbt import {shlex.quote(str(project.target))}"
        name = project.name or file.parent.name
        yield Found("dbt", f"project {name}{connects}", f"dbt://{name}", str(file), follow)


def _connects(place: Place, folder: Path, profile: str) -> str:
    """Name the kinds of databases that a profile connects to; of what else is in it nothing is read."""
    told = place.variable("DBT_PROFILES_DIR")
    folders = [Path(told)] if told else []
    for at in [*folders, folder, place.home / ".dbt"]:
        outputs: Any = (place.yaml(at / "profiles.yml").get(profile) or {}).get("outputs")
        if isinstance(outputs, dict):
            kinds = {str(one["type"]) for one in outputs.values() if isinstance(one, dict) and one.get("type")}
            return f" ({', '.join(sorted(kinds))[:100]})" if kinds else ""
    return ""
