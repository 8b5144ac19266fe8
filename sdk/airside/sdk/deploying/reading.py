"""Files with deployments: read whole, with every mistake told by the deployment that it is in."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from airside.events import deployments, yaml_text
from airside.events.exceptions import Problem

if TYPE_CHECKING:
    from airside.events.deployments import Deployment

FILE_NAME: Final = "airside.yaml"
_MAX_FILE_BYTES: Final = 2**20


def find_file(folder: Path | None = None) -> Path | None:
    """Find `airside.yaml` in the folder (default: the working folder) or the nearest of its parents."""
    start = (folder or Path.cwd()).absolute()
    return next((path for at in (start, *start.parents) if (path := at / FILE_NAME).is_file()), None)


def read(file: Path) -> list["Deployment"]:
    """Read the deployments of a file: one document, several with `---` between, or a list under `deployments`.

    A `project` beside that list is the project of each.
    Raises InvalidDeployment with what is wrong in any of them, and OSError.
    """
    if file.stat().st_size > _MAX_FILE_BYTES:
        raise deployments.InvalidDeployment([Problem("", "is larger than 1 MB")])
    try:
        found = yaml_text.load_all(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise deployments.InvalidDeployment([Problem("", f"not valid YAML: {error}")]) from None
    documents = [entry for one in found if one is not None for entry in deployments.members(one)]
    if not documents:
        raise deployments.InvalidDeployment([Problem("", "holds no deployment")])
    read_: list[Deployment] = []
    problems: list[Problem] = []
    for place, document in enumerate(documents):
        where = _called(document, place) if len(documents) > 1 else ""
        try:
            read_.append(deployments.parse(document))
        except deployments.InvalidDeployment as error:
            problems += [Problem(f"{where}{one.field}".rstrip(": "), one.message) for one in error.problems]
    names = [one.full_name for one in read_]
    problems += [Problem(name, "is there twice") for name in sorted({name for name in names if names.count(name) > 1})]
    if problems:
        raise deployments.InvalidDeployment(problems)
    return read_


def _called(document: Any, place: int) -> str:
    """Say which of several it is: by its name where it has one."""
    given = document if isinstance(document, Mapping) else {}
    flow, name = given.get("flow"), given.get("name")
    return f"{str(flow)[:100]}/{str(name)[:100]}: " if flow and name else f"deployment {place + 1}: "
