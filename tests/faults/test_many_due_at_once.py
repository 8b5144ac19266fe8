"""Many scheduled runs due at once, three agents with limits, two of them killed on the way."""

from pathlib import Path

import pytest
from tests.support import burst
from tests.support.burst import Burst
from tests.support.up import Up


@pytest.mark.timeout(300)
def test_all_run_once_and_limits_hold_at_every_moment_though_two_of_three_agents_are_killed(tmp_path: Path) -> None:
    up = Up(tmp_path / "home", {"AIRSIDE_LEASE_SECONDS": "15"}).start()
    try:
        with up.client() as client:
            made = Burst(
                tmp_path,
                client,
                deployments=5,
                slots=4,
                seconds=0.7,
                queue_limit=7,
                deployment_limit=2,
            )
            made.deploy(ahead_seconds=3)
            burst.carried_out(made, up.url, limits=[3, 3, 3], kill_at=[3, 8], seconds=200)
            assert made.faults() == []
            events = burst.changes(client)
            faults, most = burst.faults_of_log(events, made)
            assert faults == []
            assert 1 < most <= 7
            lost = [event for event in events if event["type"] == "flow_run.crashed"]
            assert len(lost) >= 2  # each killed agent left one in its middle
    finally:
        up.stop()
