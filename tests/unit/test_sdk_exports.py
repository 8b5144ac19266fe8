"""What `airside.sdk` gives, and what importing it does not cost."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import airside.sdk as sdk


def test_every_name_can_be_imported() -> None:
    for name in sdk.__all__:
        assert getattr(sdk, name) is not None
    assert len(set(sdk.__all__)) == len(sdk.__all__)


def test_type_checkers_see_the_same_names() -> None:
    source = Path(sdk.__file__).read_text()
    seen = source.partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    imported = {
        name for part in re.findall(r"import (?:\(([^)]*)\)|(.+))", seen) for name in re.findall(r"\w+", "".join(part))
    }
    assert imported == set(sdk.__all__)


#: What costs a job tens of milliseconds or more, and most jobs nothing but that.
HEAVY = {"pydantic", "pydantic_core", "pydantic_settings", "httpx", "httpcore", "anyio", "asyncio", "ssl", "nats"}
HEAVY |= {"orjson", "msgspec", "yaml", "typer", "click", "rich", "platformdirs", "jsonpath_ng", "re2", "tomllib"}
HEAVY |= {
    "cloudpickle",
    "fsspec",
    "distributed",
    "ray",
    "numpy",
    "multiprocessing",
    "subprocess",
    "tempfile",
    "sqlite3",
}
HEAVY |= {"email", "http", "http.client", "urllib.request", "xml", "unittest", "importlib.metadata"}


@pytest.mark.parametrize(
    "code",
    [
        "import airside.sdk",
        "from airside.sdk import flow, task",
        "from airside.sdk import emit, flow, get_run_logger, materialize, runtime, tags, task, transaction",
        "from airside.sdk import flow, task\none = task(len)\nnightly = flow(lambda: one('x'))\nassert nightly() == 1",
    ],
)
def test_importing_and_running_flows_brings_in_nothing_heavy(code: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRSIDE_")}
    environment["AIRSIDE_HOME"] = str(tmp_path)  # else platformdirs is asked for a folder
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}\nprint(*sorted(sys.modules))"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = HEAVY & set(done.stdout.split())
    assert not found
