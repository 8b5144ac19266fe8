"""The documents that make and try hooks."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class NewHook(BaseModel):
    """A hook to be made: with a preset, or with a template of one's own."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"name": "shop-repo", "preset": "github"}]},
    )
    name: str = Field(min_length=1, max_length=80)
    preset: str = Field("", max_length=80, description="`airside hooks presets` lists them")
    template: str = Field("", max_length=65_536, description="YAML, instead of a preset")
    signature: str = Field(
        "",
        pattern="^(|dbt|github|gitlab|hmac|none|pagerduty|slack|standard|stripe|token)$",
        description="how the sender signs; by default as the preset or template says",
    )
    secret: SecretStr | None = Field(None, description="the sender's secret, where it chooses it; else one is made")
    header: str = Field("", pattern="^[A-Za-z0-9-]{0,80}$", description="where `token` or `hmac` stands")
    workspace: str = Field("", max_length=40, description="by default the caller's")


class HookTest(BaseModel):
    """A saved delivery to be tried."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"body_base64": "eyJhY3Rpb24iOiAib3BlbmVkIn0=", "headers": {"X-GitHub-Event": "issues"}}]
        },
    )
    body_base64: str = Field(max_length=4 * 2**20)
    headers: dict[str, str] = Field({}, max_length=100)
    query: dict[str, str] = Field({}, max_length=100)
