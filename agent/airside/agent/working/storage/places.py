"""Which file system of fsspec an address means, with what login. The drivers are extras of their own."""

import base64
import io
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.storage.credentials import Login

_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 60
#: What may be named in credentials that are a JSON object.
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset({"key", "secret", "token"}),
    "gs": frozenset({"token"}),
    "abfs": frozenset({"account_key", "connection_string", "sas_token", "tenant_id", "client_id", "client_secret"}),
    "sftp": frozenset({"username", "password", "private_key", "passphrase"}),
}
#: The type of block that is made for each, and what such a block says of the place itself.
_BLOCKS: Final = {"s3": "s3", "gs": "gcs", "abfs": "azure", "sftp": "sftp"}
_PLACE: Final = ("endpoint_url", "region", "account_name")
#: Where adlfs looks for the account that nobody names.
_AZURE_VARIABLES: Final = frozenset({"AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"})
_FAMILY: Final = {"s3a": "s3", "gcs": "gs", "abfss": "abfs", "az": "abfs", "ssh": "sftp"}


def connect(url: str, options: Mapping[str, Any], login: Login) -> tuple[Any, str]:
    """Give the file system, and the folder in it as it writes that. Raises CannotPrepare, and what drivers raise."""
    scheme = urlsplit(url).scheme
    family = _FAMILY.get(scheme, scheme)
    maker = _MAKERS.get(family)
    if maker is None:
        raise CannotPrepare(f"storage fsspec: {scheme or url[:50]!r} is not known; it is one of {', '.join(_MAKERS)}")
    place, used = _of_block(family, login) if login.type else ({}, _login(family, login.text))
    given = {"skip_instance_cache": True} | ({} if family == "sftp" else {"use_listings_cache": False})
    try:
        files: Any = maker(url, {**options, **place}, used, given)
    except ImportError as error:
        raise CannotPrepare(
            f"storage fsspec: {family}:// needs {error.name}: pip install 'airside[{family}]'"
        ) from None
    return files, _folder(family, url)


def _folder(family: str, url: str) -> str:
    split = urlsplit(url)
    if family == "sftp":
        return "/" + split.path.strip("/")
    bucket = split.netloc.partition("@")[0]  # abfs://container@account.dfs…: the account is an option of its own
    return f"{bucket}/{split.path.strip('/')}".rstrip("/")


def _login(family: str, secret: str) -> dict[str, Any]:
    """Read credentials: a JSON object of the driver's names, or what people have at hand of that kind."""
    if not secret:
        return {}
    try:
        found = json.loads(secret)
    except ValueError:
        return _SIMPLE[family](secret)
    if family == "gs" and isinstance(found, dict) and "private_key" in found:
        return {"token": found}  # a service account as Google writes it
    if not isinstance(found, dict):
        return _SIMPLE[family](secret)
    if unknown := sorted(set(found) - _KEYS[family]):
        known = ", ".join(sorted(_KEYS[family]))
        raise CannotPrepare(
            f"storage fsspec: credentials of {family}:// have no {unknown[0][:40]!r}; they have {known}"
        )
    return found


def _of_block(family: str, login: Login) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a block made for this: what it says of the place, which goes before what the deployment says, and the login.

    Raises CannotPrepare.
    """
    login.check(_BLOCKS[family], f"fsspec: {family}://")
    fields = {name: value for name, value in login.fields.items() if value is not None}
    if family == "gs":
        return {}, {"token": json.loads(fields["service_account"])}
    place: dict[str, Any] = {name: fields.pop(name) for name in _PLACE if name in fields}
    return place, fields


def _s3_login(secret: str) -> dict[str, Any]:
    key, _, rest = secret.partition(":")
    word, _, token = rest.partition(":")
    if not word:
        raise CannotPrepare("storage fsspec: the credentials of s3:// must be KEY:SECRET, or a JSON object")
    return {"key": key, "secret": word} | ({"token": token} if token else {})


def _azure_login(secret: str) -> dict[str, Any]:
    is_string = "AccountKey=" in secret or "SharedAccessSignature=" in secret
    try:
        base64.b64decode(secret.partition("AccountKey=")[2].partition(";")[0] if is_string else secret, validate=True)
    except ValueError:
        raise CannotPrepare(
            "storage fsspec: the credentials of abfs:// must be an account key (base64), a connection string, or a"
            " JSON object"
        ) from None
    return {"connection_string": secret} if is_string else {"account_key": secret}


def _sftp_login(secret: str) -> dict[str, Any]:
    user, separator, password = secret.partition(":")
    return {"username": user, "password": password} if separator else {"password": secret}


_SIMPLE: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "s3": _s3_login,
    "gs": lambda secret: {"token": secret},
    "abfs": _azure_login,
    "sftp": _sftp_login,
}


def _s3(url: str, options: Mapping[str, Any], login: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    from s3fs import S3FileSystem  # noqa: PLC0415 - an extra

    times = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _READ_SECONDS}
    region = {"region_name": options["region"]} if "region" in options else {}
    more = {name: options[name] for name in ("endpoint_url", "profile") if name in options}
    return S3FileSystem(
        anon=bool(options.get("anonymous")), client_kwargs=region, config_kwargs=times, **more, **login, **given
    )


def _gcs(url: str, options: Mapping[str, Any], login: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    from gcsfs import GCSFileSystem  # noqa: PLC0415 - an extra

    more = {name: options[name] for name in ("endpoint_url", "project") if name in options}
    return GCSFileSystem(**more, **(login or ({"token": "anon"} if options.get("anonymous") else {})), **given)


def _azure(url: str, options: Mapping[str, Any], login: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    from adlfs import AzureBlobFileSystem  # noqa: PLC0415 - an extra

    account = urlsplit(url).netloc.partition("@")[2].partition(".")[0]
    more = {"account_name": account} if account else {}
    more |= {name: options[name] for name in ("account_name", "account_host") if name in options}
    if not ({"account_name", "connection_string"} & {*more, *login} or _AZURE_VARIABLES & set(os.environ)):
        raise CannotPrepare(
            "storage fsspec: whose container is it? Give `options: {account_name: …}`, an address as"
            " abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/FOLDER, or a connection string as credentials"
        )
    return AzureBlobFileSystem(anon=bool(options.get("anonymous")), **more, **login, **given)


def _sftp(url: str, options: Mapping[str, Any], login: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    import paramiko  # noqa: PLC0415 - an extra
    from fsspec.implementations.sftp import SFTPFileSystem  # noqa: PLC0415

    pinned = str(options.get("host_key", ""))

    class Checked(SFTPFileSystem):  # type: ignore[misc]
        """fsspec takes any key a host shows; here it must be the pinned one, or one of the user's known hosts."""

        def _connect(self) -> None:
            self.client = paramiko.SSHClient()
            self.client.set_missing_host_key_policy(_Pinned(pinned) if pinned else paramiko.RejectPolicy())
            if not pinned:
                self.client.load_system_host_keys()
            self.client.connect(self.host, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()

    class _Pinned(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
        def __init__(self, key: str) -> None:
            self._blob = base64.b64decode([*key.split(), "", ""][1])

        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            if key.asbytes() != self._blob:
                raise paramiko.SSHException(f"the host key of {hostname} is not the one in `host_key`")

    split = urlsplit(url)
    port = int(options.get("port") or split.port or 22)
    user = {"username": unquote(split.username)} if split.username else {}
    times = {"timeout": _CONNECT_SECONDS, "banner_timeout": _CONNECT_SECONDS, "auth_timeout": _CONNECT_SECONDS}
    with_key = _private_key(login) if "private_key" in login else login
    return Checked(host=split.hostname, port=port, **times, **{**user, **with_key}, **given)


def _private_key(login: Mapping[str, Any]) -> dict[str, Any]:
    """Read the private key in a login, of whichever kind it is; no other key is shown to the server then."""
    import paramiko  # noqa: PLC0415 - an extra

    rest = {name: value for name, value in login.items() if name not in ("private_key", "passphrase")}
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with suppress(paramiko.SSHException, ValueError):
            key = kind.from_private_key(io.StringIO(login["private_key"]), login.get("passphrase"))
            return {**rest, "pkey": key, "allow_agent": False, "look_for_keys": False}
    raise CannotPrepare(
        "storage fsspec: sftp://: the private key cannot be read: is it whole, and has it another passphrase?"
    )


_MAKERS: Final[Mapping[str, Callable[..., Any]]] = {"s3": _s3, "gs": _gcs, "abfs": _azure, "sftp": _sftp}
