"""The texts of one action, rendered against its firing."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from airside.coordinator import templates
from airside.coordinator.actions.exceptions import ActionRefused

_MAX_DEPTH: Final = 64


class Texts:
    """Renders the texts of one action; together they share one budget of work. Raises ActionRefused."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self.context = context
        self._budget = templates.Budget()

    def text(self, template: str) -> str:
        """Render a text field."""
        return str(self._render(template, "text"))

    def url(self, template: str) -> str:
        """Render a URL: what is inserted is percent-encoded and stays within its part of the path or query."""
        return str(self._render(template, "url"))

    def value(self, template: Any, depth: int = 0) -> Any:
        """Render the texts inside an object; one that is a lone `{{ expression }}` becomes the value itself."""
        if depth > _MAX_DEPTH:
            raise ActionRefused("nested too deeply")
        if isinstance(template, str):
            return self._render(template, "value")
        if isinstance(template, Mapping):
            return {key: self.value(inner, depth + 1) for key, inner in template.items()}
        if isinstance(template, list | tuple):
            return [self.value(inner, depth + 1) for inner in template]
        return template

    def _render(self, template: str, form: str) -> Any:
        try:
            parsed = templates.parse(template)
            if form == "value":
                return parsed.value(self.context, budget=self._budget)
            quoting = (lambda text: quote(text, safe="")) if form == "url" else None
            return parsed.render(self.context, budget=self._budget, quote=quoting)
        except templates.TemplateError as error:
            raise ActionRefused(f"a text of this action is not a template: {error}") from error
        except templates.RenderError as error:
            raise ActionRefused(str(error)) from error
