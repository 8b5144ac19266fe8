"""What the coordinator counts and measures, for Prometheus: one instance, with a registry of its own, for each."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_HTTP_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_QUERY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters to be raised by whoever sees the thing happen, gauges to be set when a scrape comes.

    Labels never hold what users choose (types, resources, names): the number of series stays small and fixed.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.events_accepted = Counter(
            "airside_events_accepted", "Events that are on the log's disk", registry=registry
        )
        self.events_duplicate = Counter(
            "airside_events_duplicate", "Posted events the log already had", registry=registry
        )
        self.events_refused = Counter(
            "airside_events_refused", "Posted events that were refused", ["reason"], registry=registry
        )
        self.hook_deliveries = Counter(
            "airside_hook_deliveries", "Webhooks that came in", ["outcome"], registry=registry
        )
        self.http_seconds = Histogram(
            "airside_http_request_seconds",
            "From a request's arrival to the first byte of its answer",
            ["method", "route", "status"],
            buckets=_HTTP_BUCKETS,
            registry=registry,
        )
        self.query_seconds = Histogram(
            "airside_query_seconds", "Time of people's own SQL", ["outcome"], buckets=_QUERY_BUCKETS, registry=registry
        )
        self.firings = Counter("airside_firings", "Firings this coordinator wrote", ["outcome"], registry=registry)
        self.firings_cut = Counter("airside_firings_cut", "Firings too large to be recorded in full", registry=registry)
        self.actions = Counter(
            "airside_actions", "Actions this coordinator ran", ["kind", "outcome"], registry=registry
        )
        self.keys_refused = Gauge(
            "airside_engine_keys_refused",
            "Events not counted because a running rule had too many keys",
            registry=registry,
        )
        self.keys_dropped = Gauge(
            "airside_engine_keys_dropped",
            "Keys that running rules forgot to make room for others",
            registry=registry,
        )
        self.loops_stopped = Gauge(
            "airside_engine_loops_stopped",
            "Firings held back because running rules set each other off without end",
            registry=registry,
        )
        self.streams = Gauge("airside_streams_open", "Open event streams", registry=registry)
        self.sockets = Gauge("airside_sockets_open", "Connections of Prefect's clients", registry=registry)
        self.log_last = Gauge("airside_log_last_position", "Position of the log's last entry", registry=registry)
        self.log_bytes = Gauge("airside_log_bytes", "Size of the log on disk", registry=registry)
        self.projector_lag = Gauge(
            "airside_projector_lag_entries", "Log entries the views do not hold yet", registry=registry
        )
        self.engine_lag = Gauge(
            "airside_engine_lag_entries", "Log entries the trigger engine has not read yet", registry=registry
        )
        self.engine_now = Gauge(
            "airside_engine_now_seconds", "The log's clock, in seconds since 1970", registry=registry
        )
        self.engine_next_deadline = Gauge(
            "airside_engine_next_deadline_seconds",
            "The earliest open deadline, in seconds since 1970; 0 when there is none",
            registry=registry,
        )
        self.ready = Gauge("airside_ready", "1 when the plane is ready", registry=registry)

    def render(self) -> bytes:
        """Write all series in Prometheus' text format."""
        return generate_latest(self.registry)
