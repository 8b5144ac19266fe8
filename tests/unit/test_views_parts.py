"""When the files of a snapshot are merged, and how often a row is written."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from airside.coordinator.views.parts import MergePolicy, Part

POLICY = MergePolicy()
INLINE_ROWS, SEGMENT_ROWS = POLICY.inline, POLICY.segment


def parts(*rows: int, durable: bool = False) -> tuple[Part, ...]:
    return tuple(Part(f"f{n}", n, n + 1, count, durable) for n, count in enumerate(rows))


def test_small_parts_are_taken_up_by_what_comes_after() -> None:
    assert POLICY.absorbed(parts(100, 50, 20), 20) == 1
    assert POLICY.absorbed(parts(100, 50, 20), 60) == 3
    assert POLICY.absorbed(parts(100), 99) == 0
    assert POLICY.absorbed(parts(), 5) == 0


def test_a_query_never_waits_for_much_to_be_written_again() -> None:
    assert POLICY.absorbed(parts(INLINE_ROWS - 10), INLINE_ROWS) == 0
    assert POLICY.absorbed(parts(100, durable=True), 200) == 0


def test_neighbours_that_make_a_segment_become_one() -> None:
    half = SEGMENT_ROWS // 2
    assert POLICY.mergeable(parts(half, half), keyed=False) == slice(0, 2)
    assert POLICY.mergeable(parts(SEGMENT_ROWS, half, 10, half), keyed=False) == slice(1, 4)
    assert POLICY.mergeable(parts(SEGMENT_ROWS, 10), keyed=False) is None
    assert POLICY.mergeable(parts(*[SEGMENT_ROWS] * 16), keyed=False) == slice(0, 16)
    assert POLICY.mergeable(parts(*[SEGMENT_ROWS] * 15), keyed=False) is None


def test_deltas_of_a_keyed_table_go_into_its_base_when_they_are_many_rows() -> None:
    assert POLICY.mergeable(parts(100_000, 20_000), keyed=True) is None
    assert POLICY.mergeable(parts(100_000, 20_000, 6_000), keyed=True) == slice(0, 3)
    assert POLICY.mergeable(parts(0, 10_001), keyed=True) == slice(0, 2)
    assert POLICY.mergeable(parts(100_000, *[10] * 13), keyed=True) == slice(1, 14)
    assert POLICY.mergeable((), keyed=True) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=400))
def test_rows_are_written_a_few_times_and_files_stay_few(steps: list[int]) -> None:
    present: tuple[Part, ...] = ()
    written: Counter[str] = Counter()
    total = 0
    for number, new in enumerate(steps):
        total += new
        count = POLICY.absorbed(present, new)
        rows = new + sum(part.rows for part in present[len(present) - count :])
        written["refresh"] += rows
        present = (*present[: len(present) - count], Part(f"r{number}", 0, 0, rows, rows >= SEGMENT_ROWS))
        while run := POLICY.mergeable(present, keyed=False):
            rows = sum(part.rows for part in present[run])
            written["merge"] += rows
            present = (*present[: run.start], Part(f"m{number}", 0, 0, rows, True), *present[run.stop :])
    assert sum(part.rows for part in present) == total
    assert len(present) < 60
    assert written["refresh"] < 16 * total + INLINE_ROWS
    assert written["merge"] <= 3 * total
