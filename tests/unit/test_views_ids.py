"""The index of ids: what it knows, how large it is, and reading it while it grows."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.coordinator import ids


def keys(*names: str, own: bool = False) -> ids.Keys:
    return ids.as_array(ids.key("default", name, own=own) for name in names)


def test_what_was_added_is_known_and_nothing_else() -> None:
    index = ids.IdIndex()
    index.add(keys("a", "b"))
    index.add(keys("c"))
    assert index.known(keys("a", "x", "c", "b")).mask.tolist() == [True, False, True, True]
    assert not index.known(keys("x"))
    assert len(index) == 3


def test_an_empty_index_knows_nothing() -> None:
    index = ids.IdIndex()
    index.add(keys())
    assert index.known(keys()).mask.tolist() == []
    assert index.known(keys("a")).mask.tolist() == [False]


def test_a_key_belongs_to_its_workspace_and_to_who_wrote_it() -> None:
    names = {
        ids.key("a", "x"),
        ids.key("b", "x"),
        ids.key("a", "x", own=True),
        ids.key("ax", ""),
        ids.key("", "ax"),
    }
    assert len(names) == 5


def test_a_hit_tells_between_which_positions_to_look() -> None:
    index = ids.IdIndex()
    index.add(keys(*(f"old{n}" for n in range(100))), first=1, last=100)
    index.add(keys("new"), first=101, last=140)
    known = index.known(keys("new"))
    assert (known.first, known.last) == (101, 140)
    known = index.known(keys("new", "old7"))
    assert (known.first, known.last) == (1, 140)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=50), max_size=40), st.lists(st.integers(0, 2**64 - 1)))
def test_it_agrees_with_a_set(added: list[list[int]], asked: list[int]) -> None:
    index, model = ids.IdIndex(), set[int]()
    for some in added:
        index.add(np.array(some, dtype=np.uint64))
        model.update(some)
    asked += [number for some in added for number in some[:2]]
    mask = index.known(np.array(asked, dtype=np.uint64)).mask
    assert mask.tolist() == [number in model for number in asked]


def test_a_million_ids_take_eight_bytes_each() -> None:
    index = ids.IdIndex()
    numbers = np.random.default_rng(1).integers(0, 2**63, 1_000_000, dtype=np.uint64)
    for start in range(0, 1_000_000, 10_000):
        index.add(numbers[start : start + 10_000])
    assert index.nbytes == 8_000_000
    assert bool(index.known(numbers[::97]).mask.all())


@pytest.mark.timeout(30)
def test_reading_while_another_thread_adds_never_misses_what_was_there() -> None:
    index = ids.IdIndex()
    numbers = np.random.default_rng(2).integers(0, 2**63, 200_000, dtype=np.uint64)
    index.add(numbers[:1_000])
    done = threading.Event()

    def add() -> None:
        for start in range(1_000, 200_000, 500):
            index.add(numbers[start : start + 500])
        done.set()

    adding = threading.Thread(target=add)
    adding.start()
    looks = 0
    while not done.is_set() or looks == 0:
        assert bool(index.known(numbers[:1_000]).mask.all())
        looks += 1
    adding.join()
    assert len(index) == 200_000
