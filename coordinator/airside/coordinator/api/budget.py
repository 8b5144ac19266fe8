"""How many bytes of bodies are in memory at once, over all requests."""

from typing import Final

from airside.coordinator.api.problems import RETRY_AFTER_SECONDS, ApiProblem

#: Under this name each request finds its share in its ASGI scope.
SCOPE_KEY: Final = "airside.bodies"


class Budget:
    """The bytes that all bodies in work may take together. For one event loop."""

    def __init__(self, most: int) -> None:
        self._free = most

    def share(self) -> "Share":
        """Open the share of one request; `give_back` when the request is answered."""
        return Share(self)

    def move(self, size: int) -> None:
        """Take bytes, or give them back when negative. Raises ApiProblem when there are not so many."""
        if size > self._free:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            detail = "Too many large bodies are being worked on. Nothing was taken; send it again in a moment."
            raise ApiProblem(503, "too-busy", detail, headers=headers)
        self._free -= size


class Share:
    """What one request holds of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0

    def hold(self, size: int) -> None:
        """Hold so many bytes in all. Raises ApiProblem when there are not so many."""
        if size > self._held:
            self._budget.move(size - self._held)
            self._held = size

    def give_back(self) -> None:
        """Hold nothing any more."""
        self._budget.move(-self._held)
        self._held = 0
