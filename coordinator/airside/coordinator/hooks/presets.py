"""Templates that come with Airside, one file for each sender."""

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from airside.coordinator.hooks.template import HookTemplate, parse

_SUFFIX: Final = ".yaml"


@cache
def names() -> tuple[str, ...]:
    """List the presets."""
    return tuple(sorted(file.name.removesuffix(_SUFFIX) for file in _folder().iterdir() if file.name.endswith(_SUFFIX)))


def text(name: str) -> str:
    """Give a preset as it is written, to begin a template of one's own with. Raises KeyError."""
    if name not in names():
        raise KeyError(name)
    return (_folder() / f"{name}{_SUFFIX}").read_text(encoding="utf-8")


@cache
def load(name: str) -> HookTemplate:
    """Read a preset. Raises KeyError."""
    return parse(text(name))


def _folder() -> Traversable:
    return resources.files(__package__) / "senders"
