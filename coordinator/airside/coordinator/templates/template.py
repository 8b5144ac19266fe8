"""A template that was read and checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airside.coordinator.templates.limits import MAX_OUTPUT_BYTES, Budget, RenderError
from airside.coordinator.templates.nodes import Body, Choice, Literal, Output, Scope, write
from airside.coordinator.templates.values import Duration, as_text


@dataclass(frozen=True, slots=True)
class Template:
    """A checked text. Rendering is a pure function of the context, bounded in time and size.

    `names` are the names of the context that it reads.
    """

    body: Body
    names: frozenset[str]

    def render(
        self,
        context: Mapping[str, Any],
        *,
        budget: Budget | None = None,
        quote: Callable[[str], str] | None = None,
    ) -> str:
        """Render to text; `quote` is applied to every inserted value. Raises RenderError beyond the limits."""
        scope = Scope(context, budget or Budget())
        parts: list[str] = []
        left = MAX_OUTPUT_BYTES
        pending = list(reversed(self.body))
        while pending:
            node = pending.pop()
            if isinstance(node, Choice):
                pending.extend(reversed(node.chosen(scope)))
                continue
            if isinstance(node, Literal):
                part = node.text
            else:
                part = write(node.expression.evaluate(scope), scope.budget)
                part = quote(part) if quote else part
            left -= len(part.encode(errors="replace"))
            if left < 0:
                raise RenderError(f"the text becomes longer than {MAX_OUTPUT_BYTES // 1024} KB")
            parts.append(part)
        return "".join(parts)

    def value(self, context: Mapping[str, Any], *, budget: Budget | None = None) -> Any:
        """Give the value itself where the template is one `{{ expression }}` alone, else the rendered text.

        So `"{{ event.payload.rows }}"` in a JSON body stays a number. Raises RenderError beyond the limits.
        """
        if len(self.body) != 1 or not isinstance(self.body[0], Output):
            return self.render(context, budget=budget)
        budget = budget or Budget()
        value = self.body[0].expression.evaluate(Scope(context, budget))
        if len(write(value, budget).encode(errors="replace")) > MAX_OUTPUT_BYTES:
            raise RenderError(f"the value becomes longer than {MAX_OUTPUT_BYTES // 1024} KB")
        return as_text(value) if isinstance(value, Duration) else value
