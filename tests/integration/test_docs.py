"""What README and docs show, done as it stands there."""

import functools
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.command import Ran, airside
from tests.support.up import AIRSIDE, Up

from airside.events import deployments, infrastructure
from airside.triggers import document

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
_PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|\[|…|\.\.\.")


def commands(page: Path) -> list[str]:
    """Find the commands of a page that can be run as they stand: indented lines, without placeholders."""
    lines = re.findall(r"^    (airside .+)$", page.read_text(), re.MULTILINE)
    return [line for line in lines if not _PLACEHOLDER.search(line) and not line.startswith("airside up")]


def yaml_blocks(page: Path) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("docs") / "home").start()
    yield up
    up.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_on_a_page_is_right(page: Path) -> None:
    for block in yaml_blocks(page):
        if re.search("^entrypoint:", block, re.MULTILINE):
            deployments.parse(yaml.safe_load(block))
        elif re.search("^deployments:", block, re.MULTILINE):
            for one in deployments.members(yaml.safe_load(block)):
                deployments.parse(one)
        elif block.startswith("infrastructure:"):
            infrastructure.parse(yaml.safe_load(block)["infrastructure"])
        else:
            document.parse_file(block)


def test_the_readme_s_commands_do_what_it_says(server: Up, tmp_path: Path) -> None:
    readme = ROOT / "README.md"
    (tmp_path / "automations.yaml").write_text(yaml_blocks(readme)[0])
    shown = commands(readme)
    assert len(shown) >= 5
    for command in shown:
        done = subprocess.run(
            [AIRSIDE, *shlex.split(command)[1:]],
            cwd=tmp_path,
            env={**os.environ, "AIRSIDE_URL": server.url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@functools.cache
def asked_for_help(words: str) -> Ran:
    return airside(*words.split(), "--help")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"`airside ((?:[a-z][a-z-]* ?)+)", page.read_text()))
    for words in named - {"dbt build"}:  # that one is dbt's own, and its help too
        ran = asked_for_help(words)
        assert ran.code == 0, f"airside {words}\n{ran.err}"


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in [*PAGES, *ROOT.glob("*/README.md"), ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} -> {target}"
