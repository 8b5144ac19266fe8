"""These tests run a real Airflow: minutes, and 1 GB of memory. With AIRSIDE_TEST_AIRFLOW=1, or `-m airflow`."""

import os
from pathlib import Path

import pytest

#: Read before the tests' own environment is cleaned.
_WANTED = os.environ.get("AIRSIDE_TEST_AIRFLOW") == "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _WANTED or "airflow" in str(config.option.markexpr):
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="a real Airflow: set AIRSIDE_TEST_AIRFLOW=1, or select -m airflow"))
