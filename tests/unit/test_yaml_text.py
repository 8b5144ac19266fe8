"""YAML from outside: what it may hold, and what it may not grow into."""

import pytest
import yaml

from airside.events import yaml_text

BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_documents_are_read_as_yaml_has_them_and_share_settings_by_aliases() -> None:
    text = "common: &c {queue: etl, tags: [a]}\none: {<<: *c, name: x}\n---\n[1, true, null]\n"
    first, second = yaml_text.load_all(text)
    assert first["one"] == {"queue": "etl", "tags": ["a"], "name": "x"}
    assert second == [1, True, None]
    assert yaml_text.load("") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than 200,000 values"),
        ("a: " + "[" * 20_000 + "]" * 20_000, "nested deeper than 64"),
        ("a: " + "{a: " * 20_000 + "}" * 20_000, "nested deeper than 64"),
        ("a: &a [*a]", "stands for nothing, or for itself"),
        ("a: 1\nb: 2\na: 3", "the key `a` is there twice"),
        ("a: !!python/object/apply:os.system ['id']", "could not determine a constructor"),
        ("a: [", "did not find expected"),
    ],
    ids=["aliases of aliases", "lists", "mappings", "itself", "a key twice", "a tag", "not whole"],
)
def test_what_grows_or_nests_without_bounds_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(yaml.YAMLError, match=said) as caught:
        yaml_text.load_all(text)
    assert "line" in str(caught.value)


def test_the_same_key_in_two_mappings_is_fine_and_a_value_is_no_key() -> None:
    assert yaml_text.load("- {a: a, b: a}\n- {a: 1}\n- [a, a]") == [{"a": "a", "b": "a"}, {"a": 1}, ["a", "a"]]
