"""Blocks: named, typed configuration and credentials. What is secret in them is never on the log. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, SecretStr, ValidationError, model_validator

from airside.events.exceptions import AirsideError, Problem
from airside.events.storage import Address, Line
from airside.events.strict import Strict, nearest, told

#: All fields of one block, as JSON.
MAX_BYTES: Final = 131_072
MAX_FIELD_CHARS: Final = 65_536
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OWN_HEADERS: Final = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "idempotency-key"})


class InvalidBlock(AirsideError):
    """The block is refused; `problems` names each field and what was expected there, never what was given."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


def _json_object(text: SecretStr) -> SecretStr:
    try:
        is_object = isinstance(json.loads(text.get_secret_value()), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise ValueError("must be a JSON object, as Google writes it into a key file")
    return text


def _written(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict) else value


def _web_address(text: SecretStr) -> SecretStr:
    try:
        split = urlsplit(text.get_secret_value())
        is_good = split.scheme in ("http", "https") and bool(split.hostname)
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError("must be as https://host/path")
    return text


def _one_line(text: SecretStr) -> SecretStr:
    if re.search(r"[\x00-\x1f\x7f]", text.get_secret_value()):
        raise ValueError("must be one line")
    return text


def _header_name(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError("is no name of a header")
    if text.lower() in _OWN_HEADERS:
        raise ValueError("is set by Airside; leave it out")
    return text


#: The type of every field that is a secret: what has it is sealed, and shown by nobody.
Secret = Annotated[SecretStr, Field(min_length=1, max_length=MAX_FIELD_CHARS)]
SecretLine = Annotated[Secret, AfterValidator(_one_line)]


class SecretBlock(Strict):
    """One secret text: a password, an API key."""

    value: Secret


class JsonBlock(Strict):
    """Configuration that everybody may read: any JSON. Not for secrets."""

    value: JsonValue = Field(description="any JSON")


class GitBlock(Strict):
    """A token, or a user and password, for a git server."""

    username: Line | None = Field(None, description="by default as GitHub and GitLab take tokens")
    token: SecretLine = Field(description="a token or a password")


class S3Block(Strict):
    """Keys for S3, or what speaks as S3 does."""

    key: Line = Field(description="the id of the access key")
    secret: SecretLine = Field(description="the secret access key")
    token: SecretLine | None = Field(None, description="the session token, where there is one")
    endpoint_url: Address | None = Field(None, description="of what is not Amazon's")
    region: Line | None = None


class GcsBlock(Strict):
    """A service account of Google Cloud."""

    service_account: Annotated[Secret, BeforeValidator(_written), AfterValidator(_json_object)] = Field(
        description="the key file's JSON"
    )


class AzureBlock(Strict):
    """A login for Azure's storage: a connection string, or an account with a key, a SAS or a service principal."""

    connection_string: SecretLine | None = None
    account_name: Line | None = None
    account_key: SecretLine | None = None
    sas_token: SecretLine | None = None
    tenant_id: Line | None = None
    client_id: Line | None = None
    client_secret: SecretLine | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "AzureBlock":
        ways = (self.connection_string, self.account_key, self.sas_token, self.client_secret)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("give one of `connection_string`, `account_key`, `sas_token` and `client_secret`")
        if self.connection_string is None and self.account_name is None:
            raise ValueError("`account_name` is missing")
        if self.client_secret is not None and (self.tenant_id is None or self.client_id is None):
            raise ValueError("`client_secret` goes with `tenant_id` and `client_id`")
        return self


class SftpBlock(Strict):
    """A login for an SFTP server: a password or a private key."""

    username: Line | None = None
    password: SecretLine | None = None
    private_key: Secret | None = Field(None, description="the whole file, as OpenSSH writes it")
    passphrase: SecretLine | None = Field(None, description="of the private key")

    @model_validator(mode="after")
    def _one_way(self) -> "SftpBlock":
        if (self.password is None) == (self.private_key is None):
            raise ValueError("give either `password` or `private_key`")
        if self.passphrase is not None and self.private_key is None:
            raise ValueError("`passphrase` goes with `private_key`")
        return self


class NotifyBlock(Strict):
    """Where `notify` tells a person: one Apprise URL, or several with spaces between."""

    url: Secret = Field(description="as slack://… or mailto://…")


class WebhookBlock(Strict):
    """Where `webhook` calls: the address, headers that go with it, the secret it is signed with."""

    url: Annotated[SecretLine, AfterValidator(_web_address)]
    headers: dict[Annotated[str, AfterValidator(_header_name)], SecretLine] = Field({}, max_length=50)
    secret: SecretLine | None = Field(None, description="signs what is sent, as Standard Webhooks has it")


TYPES: Final[Mapping[str, type[Strict]]] = {
    "secret": SecretBlock,
    "json": JsonBlock,
    "git": GitBlock,
    "s3": S3Block,
    "gcs": GcsBlock,
    "azure": AzureBlock,
    "sftp": SftpBlock,
    "notify": NotifyBlock,
    "webhook": WebhookBlock,
}


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a block: those that everybody may read, and those that are sealed."""

    plain: Mapping[str, Any]
    secret: Mapping[str, Any] = field(repr=False)


def parse(kind: str, given: Mapping[str, Any]) -> Fields:
    """Check the fields of a block of this type. Raises InvalidBlock."""
    model = TYPES.get(kind)
    if model is None:
        raise InvalidBlock([Problem("type", f"unknown type; {nearest(kind, TYPES)}")])
    try:
        made = model.model_validate(dict(given))
    except ValidationError as error:
        raise InvalidBlock(
            [Problem(f"fields.{each.field}".rstrip("."), each.message) for each in told(error)]
        ) from None
    values = {name: _opened(getattr(made, name)) for name in model.model_fields}
    present = {name: value for name, value in values.items() if value not in (None, {}) or kind == "json"}
    if len(json.dumps(present)) > MAX_BYTES:
        raise InvalidBlock([Problem("fields", f"are larger than {MAX_BYTES:,} bytes")])
    secret = frozenset(secrets_of(kind))
    return Fields(
        {name: value for name, value in present.items() if name not in secret},
        {name: value for name, value in present.items() if name in secret},
    )


def secrets_of(kind: str) -> list[str]:
    """Name the fields of a type that are secrets."""
    return [name for name, about in TYPES[kind].model_fields.items() if _holds_secret(about.annotation)]


def described() -> list[dict[str, Any]]:
    """Describe all types with their fields, for people and for `airside blocks types`."""
    return [
        {
            "type": kind,
            "description": (model.__doc__ or "").strip(),
            "fields": [
                {
                    "name": name,
                    "secret": name in secrets_of(kind),
                    "required": about.is_required(),
                    "description": about.description or "",
                }
                for name, about in model.model_fields.items()
            ],
        }
        for kind, model in TYPES.items()
    ]


def texts_of(values: Iterable[Any]) -> frozenset[str]:
    """Give all texts inside decoded JSON: what must be hidden of fields that are secrets."""
    found: set[str] = set()
    for value in values:
        if isinstance(value, Mapping):
            found |= texts_of(value.values())
        elif isinstance(value, list | tuple):
            found |= texts_of(value)
        elif isinstance(value, str):
            found.add(value)
    return frozenset(found)


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


def _opened(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return {name: _opened(inner) for name, inner in value.items()} if isinstance(value, dict) else value
