"""Aliases in airside.toml, against a real `airside up`."""

from pathlib import Path

import httpx
import pytest
from tests.support.command import airside
from tests.support.up import Up, settled

TOML = """\
[aliases]
"table://raw/main/orders" = "table://warehouse/raw/orders"
"table://shop_dev/*" = "table://shop/*"
"""


def test_one_table_of_two_names_is_one_resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "airside.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    up = Up(tmp_path / "home").start()
    try:
        monkeypatch.setenv("AIRSIDE_URL", up.url)
        for number, table in enumerate(("raw/main/orders", "warehouse/raw/orders", "shop_dev/mart/sales")):
            event = {"id": f"e{number}", "type": "table.updated", "resource": f"table://{table}"}
            assert httpx.post(f"{up.url}/api/events", json=event).status_code == 202
        up.until(settled)
        ids = {item["id"] for item in airside("resources", "ls", "--kind", "table", "--json").json}
        assert ids == {"table://warehouse/raw/orders", "table://shop/mart/sales"}
        [said] = airside("events", "ls", "--label", "known_as=table://raw/main/orders", "--json").json
        assert (said["id"], said["resource"]["id"]) == ("e0", "table://warehouse/raw/orders")
        assert httpx.post(f"{up.url}/api/events", json={**event, "id": "e2"}).json()["duplicates"] == 1
    finally:
        up.stop()


def test_aliases_that_lead_on_are_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "airside.toml").write_text('[aliases]\n"a://b" = "c://d"\n"c://d" = "e://f"\n')
    monkeypatch.chdir(tmp_path)
    refused = airside("up", "--home", str(tmp_path / "home"), "--port", "0")
    assert refused.code == 2
    assert "name the last id directly" in refused.err
