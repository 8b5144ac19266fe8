"""What the tests of the API post, and how they read its answers."""

import httpx


def event(number: int = 1, **fields: object) -> dict[str, object]:
    """Give a small event as people post it."""
    return {
        "id": f"event-{number}",
        "type": "table.updated",
        "time": "2026-11-22T09:00:00Z",
        "resource": "table://warehouse/sales",
        **fields,
    }


def fields(answer: httpx.Response) -> dict[str, str]:
    """Give the problems of an answer by their field."""
    return {problem["field"]: problem["message"] for problem in answer.json()["problems"]}
