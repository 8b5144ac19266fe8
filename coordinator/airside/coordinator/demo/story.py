"""The story of the demo, step by step, each checked: what it shows must have happened."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from airside.coordinator import samples
from airside.coordinator.demo.receiver import Delivery, Receiver
from airside.coordinator.demo.screen import Screen
from airside.events.model import uuid7
from airside.sdk.cli import explaining, output
from airside.sdk.client import Client, path
from airside.sdk.exceptions import ClientError
from airside.sdk.settings import DEFAULT_URL

T = TypeVar("T")

RULE: Final = "report-by-nine"
TABLE: Final = "table://shop/main/report_view"
#: Seconds from the rule to its deadline: the day must have been told by then.
AHEAD_SECONDS: Final = 8
#: A pause after each request, so that the eye can follow.
PACE_SECONDS: Final = 0.04
#: How late the report then comes.
LATE_SECONDS: Final = 2
WAIT_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05


class Stopped(Exception):
    """Somebody pressed Ctrl-C."""


class NeverCame(ClientError):
    """What the demo waits for did not come."""


class Story:
    """Tells the story through a client of the API. `broken` lists what did not happen as it should."""

    def __init__(self, client: Client, screen: Screen, receiver: Receiver, stop: threading.Event) -> None:
        self.url = client.url
        self._client = client
        self.screen = screen
        self._receiver = receiver
        self._stop = stop
        self._checks = 0
        self._deadline = datetime.now(UTC)
        self.broken: list[str] = []

    def tell(self, nats: str) -> None:
        """Tell everything. Raises Stopped, and ClientError when the server fails."""
        self._introduce(nats)
        self._apply()
        accepted = self._replay()
        self._look(accepted)
        firing = self._miss()
        self._consequences(firing)
        self._recover(firing)
        self._close()

    def _introduce(self, nats: str) -> None:
        self.screen.step("A server, with everything embedded")
        self.screen.columns([("API", self.url), ("NATS", nats), ("files", "in a temporary folder, deleted at the end")])

    def _apply(self) -> None:
        self.screen.step("What people expect: automations from YAML")
        self._deadline = (datetime.now(UTC) + timedelta(seconds=AHEAD_SECONDS)).replace(microsecond=0)
        at = f"{self._deadline:%H:%M:%S}"
        text = samples.text(samples.AUTOMATIONS)
        text = text.replace('time: "09:00"', f'time: "{at}"').replace(
            "https://oncall.example/airside", self._receiver.url
        )
        answer = self._client.request(
            "POST", "/api/automations", content=text.encode(), headers={"Content-Type": "application/yaml"}
        )
        self.screen.columns(
            [(item["name"], item["change"], f"revision {item['revision']}") for item in answer["items"]]
        )
        self.screen.tell(f"The file says 09:00. So that nobody waits, here the report is due at {at} UTC,")
        self.screen.tell(f"{AHEAD_SECONDS} seconds from now; and who is on call is a receiver at {self._receiver.url}.")
        self._check(
            "the three automations were created", [item["change"] for item in answer["items"]] == ["created"] * 3
        )

    def _replay(self) -> int:
        """Send the day through the API. Gives how many events were new."""
        self.screen.step("What happened: a captured day, sent as the tools sent it")
        day = samples.day()
        requests, accepted, duplicates = Counter[str](), Counter[str](), Counter[str]()
        with self.screen.progress(f"{len(day)} requests", len(day)) as done:
            for number, post in enumerate(day, 1):
                answer = self._client.request("POST", post.path, content=post.body, headers=post.headers)
                requests[post.tool] += 1
                accepted[post.tool] += answer["accepted"]
                duplicates[post.tool] += answer["duplicates"]
                done(number)
                self._pause(PACE_SECONDS)
        self.screen.columns(
            [
                (tool, requests[tool], "requests", accepted[tool], "events", duplicates[tool], "duplicates")
                for tool in requests
            ]
        )
        again = next(post for post in day if post.tool == "dbt")
        answer = self._client.request("POST", again.path, content=again.body, headers=again.headers)
        self.screen.tell(
            f"dbt's results once more, as a retry would: {answer['accepted']} accepted, {answer['duplicates']} known"
        )
        self._check("what is sent again counts once", answer["accepted"] == 0 and answer["duplicates"] > 0)
        return sum(accepted.values())

    def _look(self, accepted: int) -> None:
        self.screen.step("What is known now: SQL on the views")
        count = (
            "SELECT count(*) FROM events WHERE source NOT LIKE 'airside://%'"
            " AND split_part(type, '.', 1) NOT IN ('action', 'automation')"
        )
        found = self._await("the views to fill", lambda: self._number(count) >= accepted and self._number(count))
        self._check("the views hold exactly the accepted events", found == accepted)
        for title, sql in (
            ("events", "SELECT type, count(*) AS n FROM events GROUP BY type ORDER BY n DESC, type LIMIT 6"),
            ("resources", "SELECT kind, count(*) AS n FROM resources GROUP BY kind ORDER BY n DESC, kind LIMIT 4"),
        ):
            self.screen.tell(f'airside query "{sql}"')
            self.screen.columns([(f"  {name}", number) for name, number in self._client.query(sql)["rows"]])
            total = self._number(f"SELECT count(*) FROM {title}")  # noqa: S608 - one of the two words above
            self.screen.tell(f"  … {total:,} {title} in all")

    def _miss(self) -> dict[str, Any]:
        """Wait for the deadline, and for the firing that follows. Gives the firing."""
        self.screen.step(f"The deadline: {TABLE} at {self._deadline:%H:%M:%S} UTC")
        early = self._firings("triggered")
        self._check("nothing fired before the deadline", not early or datetime.now(UTC) >= self._deadline)
        self._count_down()
        found = self._await("the firing", lambda: self._firings("triggered"))
        explained = self._await("the actions", lambda: self._explained(found[0]["id"], len(found[0]["actions"])))
        self.screen.tell(f"airside automations explain {explained['id']}")
        self.screen.say()
        for line in explaining.account(explained):
            self.screen.tell(f"  {line}" if line else "")
        self.screen.say()
        self._known_of_table()
        self._check("it fired once", len(self._firings("triggered")) == 1)
        self._check("for this deadline", datetime.fromisoformat(found[0]["time"]) == self._deadline)
        return explained

    def _count_down(self) -> None:
        left = (self._deadline - datetime.now(UTC)).total_seconds()
        with self.screen.progress("waiting for it", max(left, 0.1)) as done:
            while (now_left := (self._deadline - datetime.now(UTC)).total_seconds()) > 0:
                done(left - now_left)
                self._pause(min(_POLL_SECONDS, now_left))

    def _known_of_table(self) -> None:
        """Follow the lineage on the log: dbt skipped the table's model, for something above it had failed."""
        self.screen.tell("Why it did not come, says the log:")
        rows: list[tuple[str, ...]] = []
        for event in self._events(related=f"output={TABLE}", type=["dbt.model.skipped"]):
            rows.append((f"  {event['type']}", event["resource"]["name"]))
            for parent in (entry["id"] for entry in event["related"] if entry["role"] == "upstream"):
                failed = self._events(resource=parent, type=["dbt.model.error"])
                failed += self._events(related=f"upstream={parent}", type=["dbt.test.fail"])
                rows += [(f"  {e['type']}", e["resource"]["name"], e["payload"]["message"]) for e in failed]
        for row in rows:
            self.screen.columns([row])
        self._check("the log knows why the table is not there", len(rows) > 1)

    def _consequences(self, firing: dict[str, Any]) -> None:
        self.screen.step("What was done about it")
        emitted = self._await("the emitted event", lambda: self._event(f"{firing['id']}.0.event"))
        self.screen.tell(f"emit     {emitted['type']} about {emitted['resource']['id']}, caused by the firing")
        delivery = self._await("the webhook", lambda: self._receiver.find(f"{firing['id']}.1"))
        self._show(delivery)
        self._check("the emitted event names its cause", firing["id"] in emitted["causes"])
        self._check("both actions succeeded", [r["state"] for r in firing["results"]] == ["succeeded"] * 2)
        others = [item for item in self._client.get("/api/firings")["items"] if item["automation"] != RULE]
        self.screen.tell("Meanwhile:")
        self.screen.columns([(f"  {item['automation']}", item["reason"]) for item in reversed(others)])
        names = {item["automation"] for item in others}
        self._check("the other two rules fired", names == {"three-failures-of-one-owner", "stale-source"})

    def _recover(self, firing: dict[str, Any]) -> None:
        self.screen.step("The report comes after all (this one event is ours, not captured)")
        self._pause(max(0.0, LATE_SECONDS - (datetime.now(UTC) - self._deadline).total_seconds()))
        self._client.post_events(
            [
                {
                    "id": uuid7(),
                    "type": "table.updated",
                    "source": "demo://repair",
                    "resource": TABLE,
                    "payload": {"rows": 42},
                }
            ]
        )
        found = self._await("the recovery", lambda: self._firings("resolved"))[0]
        resolved = self._await("its action", lambda: self._explained(found["id"], 1))
        self.screen.tell(f"{RULE} was resolved, {explaining.seconds(resolved['late_by'])} late: {resolved['reason']}")
        self._show(self._await("the webhook", lambda: self._receiver.find(f"{found['id']}.0")))
        self._check("the recovery belongs to the firing", resolved["resolves"] == firing["id"])
        self._check("it says how late", resolved["late_by"] >= LATE_SECONDS)

    def _close(self) -> None:
        self.screen.say()
        if self.broken:
            self.screen.say(f"{len(self.broken)} of {self._checks} checks failed:")
            for sentence in self.broken:
                self.screen.tell(f"not so: {sentence}")
            return
        self.screen.say(f"All of this happened: {self._checks} checks passed.")
        self.screen.say(f"\nNow yours: `airside up` keeps running, and answers at {DEFAULT_URL}")
        self.screen.say(f"(the API's description at {DEFAULT_URL}/docs).")

    def _show(self, delivery: Delivery) -> None:
        body = delivery.body if isinstance(delivery.body, dict) else {}
        signed = "its signature is good" if delivery.genuine else "with a bad signature"
        self.screen.tell(f"webhook  delivered to {self._receiver.url}, {signed}:")
        self.screen.tell(f'         "{output.plain(body.get("text", delivery.body))}"')
        self._check("the webhook was signed", delivery.genuine)

    def _firings(self, outcome: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.get(path("automations", RULE, "firings"), {"outcome": outcome})[
            "items"
        ]
        return found

    def _explained(self, firing: str, actions: int) -> dict[str, Any] | None:
        """Give the firing once all of its actions have ended."""
        found: dict[str, Any] = self._client.get(path("firings", firing))
        ended = [result for result in found["results"] if result["state"] in ("succeeded", "failed")]
        return found if len(ended) == actions else None

    def _event(self, identifier: str) -> dict[str, Any] | None:
        return next((event for event in self._events(type=["check.failed"]) if event["id"] == identifier), None)

    def _events(self, **parameters: str | list[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.get("/api/events", {**parameters, "order": "oldest"})["items"]
        return found

    def _number(self, sql: str) -> int:
        return int(self._client.query(sql)["rows"][0][0])

    def _check(self, sentence: str, holds: bool) -> None:
        self._checks += 1
        if not holds:
            self.broken.append(sentence)

    def _await(self, what: str, look: Callable[[], T | None]) -> T:
        """Look until there is something. Raises NeverCame, Stopped."""
        give_up = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < give_up:
            if found := look():
                return found
            self._pause(_POLL_SECONDS)
        raise NeverCame(f"waited {WAIT_SECONDS:.0f} s for {what}, in vain")

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped
