"""From an Event of Kubernetes, core/v1 or events.k8s.io/v1, to one of ours. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from airside.agent.watching import making
from airside.events import datasets

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_NAME_CHARS: Final = 120


def read(cluster: str, seen: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the event; None for what is no Event of an object. The same count of the same Event has one id."""
    meta, about = _mapping(seen.get("metadata")), _mapping(seen.get("involvedObject") or seen.get("regarding"))
    uid, name, kind = meta.get("uid"), about.get("name"), about.get("kind")
    if not (uid and name and kind):
        return None
    series, source = _mapping(seen.get("series")), _mapping(seen.get("source"))
    count = seen.get("count") or series.get("count") or seen.get("deprecatedCount") or 1
    namespace = about.get("namespace") or ""
    inside = "/".join(datasets.segment(str(part)) for part in (namespace, kind.lower(), name) if part)
    around = f"k8s://{cluster}/{datasets.segment(namespace)}" if namespace else f"k8s://{cluster}"
    labels = {"namespace": namespace, "cluster": cluster}
    last = seen.get("lastTimestamp") or series.get("lastObservedTime") or seen.get("eventTime")
    return making.event(
        f"k8s.{word(kind)}.{word(seen.get('reason') or 'unknown')}",
        f"k8s:{cluster}:{uid}:{count}",
        {
            "id": datasets.bounded(f"k8s://{cluster}/{inside}", 512),
            "kind": kind.lower(),
            "name": str(name),
            "labels": {key: value for key, value in labels.items() if value},
        },
        {
            "reason": seen.get("reason"),
            "message": making.text(str(seen.get("message") or seen.get("note") or "")),
            "severity": str(seen.get("type") or "Normal").lower(),
            "count": count,
            "action": seen.get("action"),
            "component": source.get("component") or seen.get("reportingComponent") or seen.get("reportingController"),
            "host": source.get("host"),
            "first_seen": seen.get("firstTimestamp") or seen.get("eventTime"),
        },
        time=_moment(last) or _moment(meta.get("creationTimestamp")) or _NEVER,
        related=[{"role": "namespace" if namespace else "cluster", "id": around}],
    )


def word(text: str) -> str:
    """Write `BackOff` as `back_off`, so that it can stand in a type."""
    return _WORDS.sub("_", str(text)).strip("_").lower()[:_MAX_NAME_CHARS] or "unknown"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
