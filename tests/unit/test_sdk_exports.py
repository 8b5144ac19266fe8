"""What `airside.sdk` gives, and what importing it does not cost."""

import re
import subprocess
import sys
from pathlib import Path

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


def test_importing_flows_brings_in_nothing_heavy() -> None:
    code = "import sys; from airside.sdk import flow, task; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"pydantic", "httpx", "nats", "cloudpickle", "fsspec", "typer", "multiprocessing", "tempfile", "sqlite3"}
    assert not heavy & set(done.stdout.split())
