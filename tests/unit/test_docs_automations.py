"""Every YAML example of the page on automations is a file that is taken, and the page names every key there is."""

import re
from pathlib import Path

import pytest

from airside.triggers import Engine, kinds, parse_file

PAGE = (Path(__file__).parents[2] / "docs" / "automations.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: next(iter(re.findall(r"name: (\S+)", block)), "?"))
def test_every_example_is_taken_and_runs(block):
    document = parse_file(block)
    assert document.automations
    engine = Engine()
    for automation in document.automations:
        engine.apply(automation, 1, at=1, position=0)
    assert Engine.load(engine.save()).automations == engine.automations


def test_every_kind_of_trigger_and_every_key_is_on_the_page():
    written = set(re.findall(r"`([a-z_]+)", PAGE))
    missing = {
        field.alias or name
        for kind in kinds.kinds().values()
        if kind.word != "bucket"  # on the page about imports
        for name, field in kind.spec.model_fields.items()
    } - written
    assert not missing
