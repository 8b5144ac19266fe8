"""The page on sources says what the translators do."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path

from airside.events import airflow, run_facts, run_states
from airside.events.aliases import Aliases

PATH = Path(__file__).parents[2] / "docs" / "sources.md"
PAGE = PATH.read_text(encoding="utf-8")


def words_table() -> str:
    """Write the table of states from the code."""
    rows = ["| state | " + " | ".join(run_facts.WORDS) + " |", "|---" * (len(run_facts.WORDS) + 1) + "|"]
    for state in run_states.State:
        cells = defaultdict(list)
        for source, words in run_facts.WORDS.items():
            cells[source] = [f"`{word}`" for word, meant in words.items() if meant is state]
        rows.append(f"| `{state}` | " + " | ".join(", ".join(cells[source]) for source in run_facts.WORDS) + " |")
    return "\n".join(rows)


def test_the_table_of_states_is_that_of_the_code() -> None:
    found = re.search(r"<!-- the words: begin -->\n(.*)<!-- the words: end -->", PAGE, re.DOTALL)
    assert found is not None
    assert found[1].strip() == words_table(), f"the page should say:\n{words_table()}"


def test_every_source_of_runs_has_a_row() -> None:
    for source in run_facts.SOURCES:
        assert f"| `{source}` |" in PAGE


def test_every_type_of_airflow_is_on_the_page() -> None:
    for word in (*airflow.DAG_RUN_STATES, *airflow.TASK_STATES.values()):
        assert f".{word}`" in PAGE


def test_every_translator_s_types_are_known_as_runs() -> None:
    assert set(airflow.TASK_STATES.values()) == run_facts.WORDS["airflow"].keys()
    assert run_facts.WORDS["airflow"].keys() >= airflow.DAG_RUN_STATES


def test_the_aliases_of_the_page_are_taken() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    names = Aliases(tomllib.loads(block)["aliases"])
    assert names.resolve("table://shop_dev/mart/sales") == "table://shop/mart/sales"
