"""Where the agent finds the code of a deployment: on its machine, in a git repository, a bucket, on a server. Pure.

All of it is metadata. A secret is named (`credentials: block:NAME`, or `env:NAME`) and read by the agent.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from airside.events.references import reference
from airside.events.strict import Strict, nearest

_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,99}")
_S3: Final = ("endpoint_url", "region", "profile", "anonymous")
_GCS: Final = ("endpoint_url", "project", "anonymous")
_AZURE: Final = ("account_name", "account_host", "anonymous")
_SFTP: Final = ("port", "host_key")
#: What can be said of a storage of kind fsspec, by the beginning of its address.
OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "s3": _S3,
    "s3a": _S3,
    "gs": _GCS,
    "gcs": _GCS,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "az": _AZURE,
    "sftp": _SFTP,
    "ssh": _SFTP,
}


def _without_password(address: str) -> str:
    try:
        split = urlsplit(address)
        secret = split.password is not None
    except ValueError as error:
        raise ValueError(f"not an address: {error}") from None
    if secret:
        raise ValueError("must hold no password; name it in `credentials`, as block:code")
    if split.scheme in ("http", "https") and split.username:
        raise ValueError("must hold no user or token; name it in `credentials`, as block:code")
    if address.startswith("-") or split.netloc.startswith("-") or "::" in address.partition("/")[0]:
        raise ValueError("must be an address, as https://git.example/team/etl.git; options and `ext::` are not taken")
    return address


def _no_option(text: str) -> str:
    if text.startswith("-"):
        raise ValueError("must not begin with `-`")
    return text


def _credentials(text: str) -> str:
    if not _VARIABLE.fullmatch(text) and not reference(text):
        raise ValueError(
            "must name a block of the server, as block:NAME, or a variable of the agent, as env:NAME; never the secret"
            " itself"
        )
    return text


Line = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[^\r\n]*$")]
Address = Annotated[Line, AfterValidator(_without_password)]


class Storage(Strict):
    """Where the agent finds the code."""

    kind: Literal["path", "folder", "git", "fsspec"] = "path"
    path: Line | None = Field(None, description="of kinds path and folder: on the agent's machine")
    url: Address | None = Field(None, description="of kind git, and of kind fsspec: s3:// gs:// abfs:// sftp://")
    ref: Annotated[Line, AfterValidator(_no_option)] | None = Field(
        None, description="of kind git: a branch, tag or commit"
    )
    folder: Line | None = Field(None, description="the folder inside it where the project is")
    options: dict[str, bool | int | Line] = Field(
        {}, max_length=20, description="of kind fsspec: how to reach it, as endpoint_url or host_key; never a secret"
    )
    credentials: Annotated[str, AfterValidator(_credentials)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Storage":
        if self.kind in ("git", "fsspec") and not self.url:
            raise ValueError(f"a storage of kind {self.kind} needs a `url`")
        if self.kind == "folder" and not self.path:
            raise ValueError("a storage of kind folder needs a `path`")
        if self.kind == "fsspec":
            _check_place(self.url or "", self.options)
        elif self.options:
            raise ValueError("`options` go with kind fsspec")
        return self


def _check_place(url: str, options: Mapping[str, object]) -> None:
    """Refuse addresses that fsspec would chain or that hold more than a place, and options that are not known."""
    split = urlsplit(url)
    if "::" in url or split.scheme not in OPTIONS or not split.netloc:
        raise ValueError(f"`url` of kind fsspec must be as s3://bucket/folder, with one of {', '.join(OPTIONS)}")
    if split.query or split.fragment:
        raise ValueError("`url` must have no `?` and no `#`; name secrets in `credentials`")
    if isinstance(endpoint := options.get("endpoint_url"), str):
        _without_password(endpoint)
    for name in options:
        if name not in OPTIONS[split.scheme]:
            raise ValueError(
                f"`options.{name[:100]}`: unknown for {split.scheme}; {nearest(name, OPTIONS[split.scheme])}"
            )
