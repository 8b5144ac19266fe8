"""Random proposals against a naive model: a list of changes, and the rule that only the last one may be followed."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.coordinator.nats_server import EmbeddedServer
from airside.coordinator.runs import Proposals, RunChanged
from airside.coordinator.runs import present as presents
from airside.events import run_states
from airside.events.aliases import Aliases
from airside.events.log import Log, connect
from airside.events.model import uuid7
from airside.events.run_states import State
from airside.events.wire import WireEvent, WireResource

STATES = st.sampled_from(sorted(set(State) - run_states.TASK_ONLY))
#: A round is a number of proposers at once: what each wants, and how far behind the last change it is.
ROUNDS = st.lists(st.lists(st.tuples(STATES, st.sampled_from([0, 0, 0, 1, -1])), min_size=1, max_size=4), max_size=12)


@dataclass
class Model:
    """A run as the rules have it."""

    states: list[State] = field(default_factory=list)

    def allows(self, state: State, expected: int) -> bool:
        last = self.states[-1] if self.states else None
        return expected == len(self.states) and state in (
            run_states.INITIAL if last is None else run_states.CHANGES[last]
        )


def proposal(run: str, state: State, expected: int, number: int) -> WireEvent:
    return WireEvent(
        id=f"{run}.{expected + 1}.{number}",
        type=f"flow_run.{state}",
        time=datetime.now(UTC),
        source="test",
        resource=WireResource(presents.resource_id(run), "flow_run", "run"),
        payload=msgspec.Raw(f'{{"seq": {expected + 1}}}'.encode()),
    )


async def _play(log: Log, rounds: list[list[tuple[State, int]]]) -> None:
    proposals, model, run = Proposals(log, Aliases({})), Model(), uuid7()
    number = 0
    for wanted in rounds:
        racing: list[Any] = []
        for state, behind in wanted:
            expected = max(len(model.states) - behind, 0)
            number += 1
            racing.append((state, expected, proposals.propose(proposal(run, state, expected, number), state, expected)))
        outcomes = await asyncio.gather(*(one[2] for one in racing), return_exceptions=True)
        winners = [
            (state, outcome)
            for (state, _, _), outcome in zip(racing, outcomes, strict=True)
            if not isinstance(outcome, BaseException)
        ]
        assert all(isinstance(outcome, RunChanged) for outcome in outcomes if isinstance(outcome, BaseException))
        before = Model(list(model.states))
        possible = {state for state, expected, _ in racing if before.allows(state, expected)}
        # Who is one ahead of the others may follow the winner: then it wins too, behind it.
        for state, accepted in sorted(winners, key=lambda winner: winner[1].seq):
            assert model.allows(state, accepted.seq - 1)
            model.states.append(state)
        assert bool(winners) >= bool(possible)
        assert sum(accepted.seq == len(before.states) + 1 for _, accepted in winners) == bool(possible)
        now = await presents.read(log, "default", presents.resource_id(run))
        assert (now.state if now else None, now.seq if now else 0) == (
            model.states[-1] if model.states else None,
            len(model.states),
        )


def test_whatever_is_proposed_at_once_the_log_holds_one_history_that_the_table_allows(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "nats")
    server.start()
    loop = asyncio.new_event_loop()
    try:
        nc = loop.run_until_complete(connect(server.url, name="test"))
        log = Log(nc)
        loop.run_until_complete(log.ensure())

        @settings(max_examples=60)
        @given(ROUNDS)
        def histories(rounds: list[list[tuple[State, int]]]) -> None:
            loop.run_until_complete(_play(log, rounds))

        histories()
        loop.run_until_complete(nc.close())
    finally:
        loop.close()
        server.stop()
