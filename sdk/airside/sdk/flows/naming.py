"""Names of runs, and what a run is related to."""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from airside.sdk.flows import reporting
from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.options import Options

_MAX_NAME = 200


def run_name(options: Options, values: Mapping[str, Any], otherwise: str) -> str:
    """Make a run's name: from `run_name` (a template as `load-{day}`, or a function of the parameters), else as given.

    Raises BadOption when the template asks for what is no parameter.
    """
    rule = options.run_name
    if rule is None:
        return otherwise
    if callable(rule):
        name = rule(**values) if inspect.signature(rule).parameters else rule()
    else:
        name = filled("run_name", rule, options, values)
    if not isinstance(name, str) or not name:
        raise BadOption(f"run_name of {options.name} must give a text, not {type(name).__name__}")
    return name[:_MAX_NAME]


def filled(option: str, template: str, options: Options, values: Mapping[str, Any]) -> str:
    """Put parameters into an option's text, as `load-{day}`. Raises BadOption when it asks for what is no parameter."""
    try:
        return template.format(**values)
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        raise BadOption(f"{option} {template!r} of {options.name}: {type(error).__name__}: {error}") from None


def tagged(tags: Collection[str]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Write tags for rules to match: `team=finance` as a label, `finance` as a related resource of role `tag`."""
    if not tags:
        return {}, []
    labels: dict[str, str] = {}
    related: list[dict[str, Any]] = []
    for tag in sorted(tags):
        key, equals, value = tag.partition("=")
        if equals and key and value:
            labels[key] = value
        else:
            related.append(reporting.related("tag", "tag", tag))
    return labels, related
