"""Texts in actions: Jinja's syntax, read by Jinja's parser, checked on the tree and rendered by us.

What there is: `{{ path }}`, `{{ path | filter }}`, `{% if %}` with `elif` and `else`, comparisons, `in`, `and`, `or`,
`not`, constants, `{# remarks #}`. Nothing else is accepted, so nothing can loop, call or reach out. A path follows the
keys of JSON objects and the indexes of lists; what is not there renders as empty text.
"""

from airside.coordinator.templates.filters import FILTERS
from airside.coordinator.templates.limits import Budget, RenderError
from airside.coordinator.templates.parser import (
    MAX_TEMPLATE_CHARS,
    NAMES,
    Problem,
    TemplateError,
    parse,
    problems,
)
from airside.coordinator.templates.template import Template
from airside.coordinator.templates.values import Duration

__all__ = [
    "FILTERS",
    "MAX_TEMPLATE_CHARS",
    "NAMES",
    "Budget",
    "Duration",
    "Problem",
    "RenderError",
    "Template",
    "TemplateError",
    "parse",
    "problems",
]
