"""What helps a broker that is in trouble, and how often it is helped."""

import pytest

from airside.coordinator.broker_watch import HUNG_SECONDS, ROOM_BYTES, Seen, pause, remedy

FULL, ROOM = ROOM_BYTES - 1, ROOM_BYTES
NO_SPACE = "no space left on device"


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (Seen(), None),
        (Seen(free_bytes=FULL), None),  # full, but nothing has failed yet
        (Seen(exit_code=-9), "start"),
        (Seen(exit_code=1, trouble=NO_SPACE, free_bytes=FULL), "start"),
        (Seen(trouble=NO_SPACE, free_bytes=FULL), None),  # a restart would meet the same full disk
        (Seen(trouble=NO_SPACE, free_bytes=ROOM), "restart"),
        (Seen(trouble=NO_SPACE), "restart"),
        (Seen(silent_seconds=HUNG_SECONDS - 1), None),
        (Seen(silent_seconds=HUNG_SECONDS), "kill"),
    ],
)
def test_a_server_is_started_again_when_that_helps(seen: Seen, what: str | None) -> None:
    assert remedy(seen) == what


def test_restarts_that_do_not_help_become_rare() -> None:
    assert [pause(n) for n in range(9)] == [0, 5, 10, 20, 40, 80, 160, 300, 300]
