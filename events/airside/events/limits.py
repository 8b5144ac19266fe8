"""How large an event may be. Settings: `AIRSIDE_LIMITS_MAX_LABELS=100` and so on."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Limits(BaseSettings):
    """Bounds on one event. Each exists so that one sender cannot slow down everybody else."""

    model_config = SettingsConfigDict(env_prefix="AIRSIDE_LIMITS_", frozen=True)

    max_event_bytes: int = Field(262_144, ge=1_024, le=524_288, description="one event, as JSON")
    max_depth: int = Field(64, ge=2, le=256, description="nested objects and lists in the payload")
    max_labels: int = Field(64, ge=0, le=10_000, description="labels on one resource")
    max_label_chars: int = Field(1_024, ge=1, le=65_536, description="a label's key or value")
    max_related: int = Field(100, ge=0, le=10_000, description="related resources of one event")
    max_causes: int = Field(100, ge=0, le=10_000, description="event ids in `causes`")
    max_id_chars: int = Field(512, ge=32, le=4_096, description="any id, type or source")
    max_lineage_bytes: int = Field(
        8 * 2**20, ge=1_024, le=64 * 2**20, description="one OpenLineage event as it comes, before it is cut down"
    )
    max_list_events: int = Field(
        100_000, ge=1_000, le=10_000_000, description="events in one JSON list, which is taken whole or not at all"
    )


DEFAULT_LIMITS = Limits.model_construct()
