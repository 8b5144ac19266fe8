"""Backtest, explain, why-not and diff in front of a whole coordinator."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import httpx
from tests.support.api_samples import event
from tests.support.command import Ran

from airside.coordinator.coordinator import Coordinator
from airside.sdk.cli import output

Plane = tuple[Coordinator, httpx.AsyncClient]
YAML = {"Content-Type": "application/yaml"}
RULES = """\
- name: pairs
  trigger: {match: {type: job.failed, where: {$.rows: {gt: 0}}}, count: 2, within: 1h, for_each: resource.id}
  actions: [{emit: {type: job.suspect, resource: "{{ key.resource.id }}"}}]
"""


async def command(plane: Plane, *arguments: str) -> Ran:
    url = str(plane[1].base_url)
    code = (
        "import os, sys; os.environ['AIRSIDE_URL'] = sys.argv[1]; from airside.sdk.cli import main; main(sys.argv[2:])"
    )
    return await _process(code, url, *arguments)


async def _process(code: str, *arguments: str) -> Ran:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return Ran(process.returncode or 0, out.decode(), err.decode())


async def failed(plane: Plane, number: int, rows: int, about: str = "job://a") -> None:
    sent = event(number, type="job.failed", resource={"id": about}, payload={"rows": rows})
    answer = await plane[1].post("/api/events", json=[sent])
    assert answer.status_code == 202, answer.text
    await plane[0].projector.settled(answer.json()["last"], 60)


async def firing(plane: Plane) -> dict[str, Any]:
    """Wait for the firing and what was done about it."""
    async with asyncio.timeout(60):
        while True:
            items = (await plane[1].get("/api/automations/pairs/firings")).json()["items"]
            if items:
                found = (await plane[1].get(f"/api/firings/{items[0]['id']}")).json()
                if found["results"] and all(result["state"] != "pending" for result in found["results"]):
                    return found
            await asyncio.sleep(0.02)


async def apply(plane: Plane) -> None:
    answer = await plane[1].post("/api/automations", content=RULES, headers=YAML)
    assert answer.status_code == 200, answer.text


async def test_a_backtest_of_what_runs_decides_what_was_decided(plane: Plane, tmp_path: Path) -> None:
    await apply(plane)
    for number, rows in enumerate((1, 0, 2), 1):
        await failed(plane, number, rows)
    fired = await firing(plane)
    answer = await plane[1].post("/api/automations/backtest", content=RULES, headers=YAML)
    found = answer.json()
    assert [(item["id"], item["position"]) for item in found["items"]] == [(fired["id"], fired["position"])]
    assert (found["truncated"], found["entries"] >= 4) == (False, True)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    ran = await command(plane, "automations", "backtest", str(rules), "--since", "1h", "--json")
    assert [item["id"] for item in ran.json] == [fired["id"]]
    rules.write_text(RULES.replace("count: 2", "count: 1"))
    ran = await command(plane, "automations", "backtest", str(rules), "--against", "pairs", "--json")
    assert {name: len(group) for name, group in ran.json.items()} == {"both": 1, "only_new": 1, "only_present": 0}


async def test_a_firing_is_explained_to_its_end(plane: Plane) -> None:
    await apply(plane)
    await failed(plane, 1, 1)
    await failed(plane, 2, 2)
    found = await firing(plane)
    assert [each["payload"] for each in found["events"]] == [{"rows": 1}, {"rows": 2}]
    first, last = (each["position"] for each in found["events"])
    assert (found["edges"]["start"]["position"], found["edges"]["end"]["position"]) == (first, last)
    assert found["edges"]["timezone"] == "UTC"
    assert found["prevention"].startswith("One job.failed where $.rows gt 0 fewer: 2 within 1h are enough.")
    assert (found["resolution"], found["results"][0]["state"]) == (None, "succeeded")
    ran = await command(plane, "automations", "explain", found["id"])
    assert f"positions {first:,} to {last:,}" in ran.out
    assert '      {"rows":1}' in ran.out


async def test_why_not_tells_what_is_missing_and_which_predicate_failed(plane: Plane) -> None:
    await apply(plane)
    await failed(plane, 1, 1)
    await failed(plane, 2, 0)
    await failed(plane, 3, 5, "job://b")
    answer = await plane[1].get("/api/automations/pairs/why-not", params={"key": "resource.id=job://a"})
    found = answer.json()
    assert (found["state"]["counted"], found["state"]["missing"], found["complete"]) == (1, 1, True)
    assert [each["miss"]["message"] for each in found["missed"]["events"]] == ["$.rows must be gt 0, and is 0"]
    assert found["other_keys"]["most_common"] == [{"key": ["job://b"], "events": 1}]
    ran = await command(plane, "automations", "why-not", "pairs", "--key", "job://a")
    assert "1 of 2 job.failed where $.rows gt 0 in the last 1h; 1 more needed before" in ran.out
    assert "$.rows must be gt 0, and is 0" in ran.out
    before = await plane[1].get("/api/automations/pairs/why-not", params={"key": "job://a", "at": "1h"})
    assert before.json()["summary"].startswith("there was no such automation by ")
    assert (await plane[1].get("/api/automations/pairs/why-not")).status_code == 422
    assert (await plane[1].get("/api/automations/none/why-not")).status_code == 404


async def test_what_would_change_is_told_with_an_exit_code(plane: Plane, tmp_path: Path) -> None:
    await apply(plane)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    assert (await command(plane, "automations", "diff", str(rules))).code == 0
    rules.write_text(RULES.replace("within: 1h", "within: 5m"))
    ran = await command(plane, "automations", "diff", str(rules))
    assert ran.out == "pairs (revision 1): updated; open windows are closed\n  trigger.within: 1h -> 5m\n"
    assert ran.code == 1


async def test_lint_asks_the_server_what_it_has_seen(plane: Plane, tmp_path: Path) -> None:
    await failed(plane, 1, 1)
    rules = tmp_path / "rules.yaml"
    actions = "\n  actions: [{emit: {type: a.b, resource: x}}]\n"
    rules.write_text(
        f"- name: known\n  trigger: {{absence: {{type: job.failed}}, every: 1h}}{actions}"
        f"- name: typo\n  trigger: {{absence: {{type: job.faild}}, every: 1h}}{actions}"
    )
    ran = await command(plane, "automations", "lint", str(rules), "--online", "--json")
    assert [(each["line"], each["message"]) for each in ran.json] == [(5, "no job.faild was ever seen on this server")]


async def test_lint_asks_the_server_what_its_actions_would_lack_there(plane: Plane, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "- name: told\n  trigger: {match: {type: job.failed}}\n  actions:\n"
        "    - webhook: {url: env:AIRSIDE_WEBHOOK_ONCALL, secret: oncall}\n"
    )
    assert (await command(plane, "automations", "lint", str(rules), "--json")).json == []
    ran = await command(plane, "automations", "lint", str(rules), "--online", "--json")
    assert {(each["line"], each["path"], each["level"]) for each in ran.json} == {
        (4, "[0].actions[0].webhook", "warning")
    }
    assert any("AIRSIDE_WEBHOOK_ONCALL" in each["message"] for each in ran.json)


async def test_the_answer_to_why_not_has_its_times_in_the_zone_of_who_asks(plane: Plane) -> None:
    await apply(plane)
    await failed(plane, 1, 1)
    ran = await command(plane, "automations", "why-not", "pairs", "--key", "job://a")
    assert not re.search(r"\dT\d\d:", ran.out)
    found = (await plane[1].get("/api/automations/pairs/why-not", params={"key": "job://a"})).json()
    leaves = output.moment(found["state"]["oldest_leaves"])
    assert f"before {leaves}, when the oldest leaves the window" in ran.out
