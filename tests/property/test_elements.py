"""The number of a list's elements, found without making them."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from airside.coordinator.api import elements

_TEXTS = st.text(st.sampled_from('a\\",[]{}:\n é'), max_size=12)
_VALUES = st.recursive(
    st.none() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(_VALUES, max_size=12), st.sampled_from([None, 1]), st.integers(1, 20))
@example(['\\"', '",[', "\\\\"], None, 2)
def test_it_is_the_number_that_a_decoder_finds(items: list[object], indent: int | None, most: int) -> None:
    body = json.dumps(items, ensure_ascii=False, indent=indent).encode()
    assert elements.more_than(body, most) == (len(items) > most)


def test_it_is_so_across_the_pieces_in_which_a_large_body_is_looked_at() -> None:
    items = ["\\" * 700_000, '"' * 700_000, ["," * 400_000, "[{"], "x" * 1_048_570, *range(50_000)]
    body = json.dumps(items).encode()
    assert elements.more_than(body, len(items) - 1)
    assert not elements.more_than(body, len(items))
