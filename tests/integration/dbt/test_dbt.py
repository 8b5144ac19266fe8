"""A real dbt through `airside dbt`, against a real server: what arrives, and what dbt notices of it."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.dbt import environment, project
from tests.support.emitting import events
from tests.support.up import AIRSIDE, Up, settled

pytestmark = [pytest.mark.dbt, pytest.mark.timeout(600)]

RULE = """
automations:
  - name: orders-fresh
    trigger:
      absence: {type: table.updated, resource: "table://shop/main/orders"}
      armed_by: rule
      every: 1s
    actions:
      - emit: {type: orders.missed, resource: "table://shop/main/orders"}
    on_resolve:
      - emit: {type: orders.arrived, resource: "table://shop/main/orders"}
"""

#: Which connection is used again is a matter of which thread was quicker.
OF_THE_POOL = re.compile("Acquiring new|Re-using an available|Opening a new connection|was (properly closed|left open)")


@dataclass
class Shop:
    """The project, the dbt and the server that its events go to."""

    folder: Path
    home: Path
    dbt: Path
    up: Up
    #: A whole build through the wrapper, which the tests can look at.
    first: "subprocess.CompletedProcess[str] | None" = None
    first_invocation: str = ""

    def start(self, *command: str, **more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={
                **os.environ,
                "PATH": f"{self.dbt}:{os.environ['PATH']}",
                "AIRSIDE_HOME": str(self.home),
                "AIRSIDE_URL": self.up.url,
                **more,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*command, **more)
        out, err = process.communicate(timeout=200)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def airside(self, *arguments: str) -> Any:
        done = self.run(AIRSIDE, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def invocation(self) -> str:
        """The last one that wrote run_results.json."""
        return str(json.loads((self.folder / "target/run_results.json").read_text())["metadata"]["invocation_id"])

    def events(self, invocation: str) -> list[dict[str, Any]]:
        self.up.until(settled)
        with self.up.client() as client:
            return [event for event in events(client, source="dbt://*") if invocation in event["id"]]

    def begun(self, model: str) -> str:
        """Wait until the server shows that a model began and did not end; gives the invocation."""
        run = {}

        def is_running(client: Any) -> bool:
            found = client.get("/api/runs", params={"kind": "task", "state": "running"}).json()["items"]
            run.update(next((entry for entry in found if entry["name"] == model), {}))
            return bool(run)

        self.up.until(is_running, 120)
        return str(run["parent"]).rpartition("/")[2]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    dbt = environment.folder()
    base = tmp_path_factory.mktemp("dbt")
    up = Up(base / "server").start()
    made = Shop(project.write(base / "shop"), base / "home", dbt, up)
    made.first = made.run(AIRSIDE, "dbt", "build")
    made.first_invocation = made.invocation()
    shutil.copytree(made.folder / "target", base / "first")
    yield made
    up.stop()


def test_a_build_and_its_import_are_the_same_events_counted_once(shop: Shop) -> None:
    assert shop.first is not None
    assert (shop.first.returncode, shop.first.stderr) == (1, "")
    live = shop.events(shop.first_invocation)
    kinds = Counter(event["type"] for event in live)
    assert kinds["dbt.model.success"] == 3
    assert kinds["table.updated"] == 5  # three models, a seed, a snapshot
    assert (kinds["dbt.model.error"], kinds["dbt.model.skipped"], kinds["dbt.test.fail"]) == (1, 1, 1)
    orders = next(event for event in live if event["id"].endswith("model.shop.orders:success"))
    assert orders["resource"]["labels"]["owner"] == "finance"
    assert ("upstream", "dbt://shop/seed.shop.raw_orders") in {(e["role"], e["id"]) for e in orders["related"]}

    (imported,) = shop.airside("dbt", "import", str(shop.folder.parent / "first"))
    assert (imported["accepted"], imported["duplicates"]) == (0, len(live))
    (run,) = [run for run in shop.airside("runs", "ls") if run["id"].endswith(shop.first_invocation)]
    assert (run["state"], run["source"], run["job"]) == ("failed", "dbt", "dbt://shop")


def test_a_source_whose_query_fails_is_told_although_dbt_leaves_it_out(shop: Shop) -> None:
    done = shop.run(AIRSIDE, "dbt", "source", "freshness")
    assert done.returncode == 1
    sources = shop.folder / "target/sources.json"
    live = shop.events(json.loads(sources.read_text())["metadata"]["invocation_id"])
    assert {"dbt.source.warn", "dbt.source.runtime_error"} <= {event["type"] for event in live}
    imported = [entry for entry in shop.airside("dbt", "import") if "sources" in entry["file"]]
    assert imported[0]["accepted"] == 0
    sources.unlink()


def test_what_dbt_prints_logs_and_tells_is_the_same_without_the_wrapper(shop: Shop) -> None:
    def said(*command: str) -> tuple[str, list[str]]:
        log = shop.folder / "logs/dbt.log"
        log.unlink(missing_ok=True)
        done = shop.run(*command, "seed")
        assert (done.returncode, done.stderr) == (0, "")
        lines = (line for line in log.read_text().splitlines() if not OF_THE_POOL.search(line))
        return plain(done.stdout), sorted(map(plain, lines))

    wrapped, live = said(AIRSIDE, "dbt"), shop.events(shop.invocation())
    assert wrapped == said(str(shop.dbt / "dbt"))
    (imported,) = [entry for entry in shop.airside("dbt", "import", "target/") if "run_results" in entry["file"]]
    assert imported["accepted"] == imported["sent"] == len(live)
    stored = shop.events(shop.invocation())
    assert [(event["type"], event["resource"]["id"]) for event in stored] == [
        (event["type"], event["resource"]["id"]) for event in live
    ]


def plain(text: str) -> str:
    """Take out what differs from run to run: times, ids, numbers, addresses, dbt's own list of arguments."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|0x[0-9a-f]+", "ID", text)
    text = re.sub(r"(running dbt with arguments|Resource report).*", r"\1", text)
    return re.sub(r"\d+", "N", text)


def test_a_server_that_is_killed_in_the_middle_of_a_build_disturbs_nothing(shop: Shop, tmp_path: Path) -> None:
    gate = tmp_path / "open"
    building = shop.start(AIRSIDE, "dbt", "build", "-s", "raw_orders", "orders", "gated", DBT_GATE=str(gate))
    invocation = shop.begun("gated")
    shop.up.kill()
    try:
        gate.touch()
        out, err = building.communicate(timeout=200)
    finally:
        shop.up.start()
    assert building.returncode == 0
    assert "Completed successfully" in out
    assert re.fullmatch(r"airside: .* wait on disk for http://127.0.0.1:\d+ \(airside spool status\)\n", err), err
    assert shop.run(AIRSIDE, "spool", "flush").returncode == 0
    assert "dbt.invocation.completed" in {event["type"] for event in shop.events(invocation)}
    (imported,) = [entry for entry in shop.airside("dbt", "import") if "run_results" in entry["file"]]
    assert (imported["accepted"], imported["invocation_id"]) == (0, invocation)


def test_a_dbt_that_is_killed_is_shown_as_crashed(shop: Shop, tmp_path: Path) -> None:
    building = shop.start(
        AIRSIDE, "dbt", "build", "-s", "raw_orders", "orders", "gated", DBT_GATE=str(tmp_path / "never")
    )
    try:
        invocation = shop.begun("gated")
    except AssertionError:
        building.terminate()
        raise
    (child,) = Path(f"/proc/{building.pid}/task/{building.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    building.communicate(timeout=60)
    assert building.returncode == -signal.SIGKILL
    shop.events(invocation)
    states = {run["id"]: run["state"] for run in shop.airside("runs", "ls", "--tasks") if invocation in run["id"]}
    assert states[f"run://dbt/{invocation}"] == "crashed"
    assert states[f"run://dbt/{invocation}/model.shop.gated"] == "crashed"
    assert states[f"run://dbt/{invocation}/model.shop.orders"] == "completed"


def test_a_deadline_for_a_table_is_missed_and_met_again_by_the_next_build(shop: Shop, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULE)
    assert shop.run(AIRSIDE, "automations", "apply", str(rules)).returncode == 0
    until_event(shop, "orders.missed")
    assert shop.run(AIRSIDE, "dbt", "run", "-s", "orders").returncode == 0
    until_event(shop, "orders.arrived")
    firings = shop.airside("automations", "firings", "orders-fresh")
    assert {firing["key"]["resource"]["id"] for firing in firings if firing["key"]} <= {"table://shop/main/orders"}
    assert firings


def until_event(shop: Shop, event_type: str) -> None:
    shop.up.until(lambda client: bool(events(client, type=event_type)), 60)
