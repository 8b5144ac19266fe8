"""How a metric is written."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from airside.triggers import durations, paths
from airside.triggers.durations import SECOND, Duration
from airside.triggers.filters import Filter
from airside.triggers.kinds import base
from airside.triggers.samples import DURATION

_OF_EVENTS: Final = ("count", "rate", "ratio")  # need no value
_GROWING: Final = ("count", "rate", "sum")  # are low at first only because the window is not full yet


def _value(text: str) -> str:
    if text != DURATION:
        paths.compile_path(text)
    return text


def _threshold(value: Any) -> Any:
    """Read a duration, in seconds; other values are left to the type's own check."""
    return durations.parse(value) / SECOND if isinstance(value, str) else value


Threshold = Annotated[
    int | float,
    BeforeValidator(_threshold),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "examples": ["45m"]}]}),
]


class MetricSpec(base.TriggerSpec):
    """Fires when a number over a sliding window crosses a line and stays there; ends when it comes back."""

    metric: Literal["count", "rate", "ratio", "sum", "avg", "min", "max", "p50", "p90", "p95", "p99"] = Field(
        description="which number; `rate` is events per second, percentiles are by nearest rank"
    )
    of: Filter = Field(description="the events that are counted or measured")
    against: Filter | None = Field(None, description="for `ratio`: the events that `of` is divided by")
    value: Annotated[str, AfterValidator(_value)] | None = Field(
        None, description="what is measured: a JSONPath to a number, or `duration`: how long a run took, in seconds"
    )
    over: Duration = Field(description="how long the sliding window is")
    above: Threshold | None = Field(None, description="the condition: more than this; a text is a duration")
    below: Threshold | None = Field(None, description="the condition: less than this; a text is a duration")
    for_: Duration | None = Field(
        None, alias="for", description="how long the condition must hold; at once if left out"
    )
    min_samples: int = Field(
        0, ge=0, le=1_000_000, description="with fewer events in the window nothing is judged; not for a count or rate"
    )
    armed_by: Literal["event", "rule"] = Field(
        "event", description="for a count or rate `below`: whether a key's first event or the rule begins the window"
    )

    @model_validator(mode="before")
    @classmethod
    def _texts_are_durations(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("value") != DURATION:
            for key in ("above", "below"):
                if isinstance(data.get(key), str):
                    raise ValueError(f"`{key}` must be a number; a duration goes with `value: duration`")
        return data

    @model_validator(mode="after")
    def _fits(self) -> "MetricSpec":
        if (self.above is None) == (self.below is None):
            raise ValueError("give either `above` or `below`")
        if (self.value is None) != (self.metric in _OF_EVENTS):
            what = "counts events and takes no `value`" if self.value else "needs `value`: what is measured"
            raise ValueError(f"`{self.metric}` {what}")
        if (self.against is not None) != (self.metric == "ratio"):
            what = "needs `against`: what `of` is divided by" if self.metric == "ratio" else "takes no `against`"
            raise ValueError(f"`{self.metric}` {what}")
        if self.min_samples and self.counts:
            raise ValueError(f"`{self.metric}` takes no `min_samples`: it says itself how many there are")
        if self.armed_by == "rule" and not self.begins_with_time:
            raise ValueError("`armed_by: rule` goes with a count or rate that is `below`")
        return self

    @property
    def needs_no_keys(self) -> str:
        if self.armed_by == "rule":
            return "`armed_by: rule` cannot know the keys of `for_each`; leave one of them out"
        return ""

    @property
    def counts(self) -> bool:
        """Whether the number only says how many events there are."""
        return self.metric in ("count", "rate")

    @property
    def begins_with_time(self) -> bool:
        """Whether only time can make the condition hold: too few events."""
        return self.counts and self.below is not None

    @property
    def leaving_begins(self) -> bool:
        """Whether an event that leaves the window can make the condition hold."""
        return not self.counts or self.below is not None

    @property
    def leaving_ends(self) -> bool:
        """Whether an event that leaves the window can end the condition."""
        return not self.counts or self.above is not None

    @property
    def needs_full_window(self) -> bool:
        """Whether nothing is judged before a whole window has passed."""
        return self.metric in _GROWING and self.below is not None

    def holds(self, value: int | float | None, samples: int) -> bool:
        """Tell whether the condition holds."""
        if value is None or samples < self.min_samples:
            return False
        return value > self.above if self.above is not None else value < (self.below or 0)
