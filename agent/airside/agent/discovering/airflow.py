"""An Airflow: by its configuration, by its variables, or because it answers on loopback."""

import configparser
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from airside.agent.discovering.found import Found, label
from airside.agent.discovering.place import Place

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_DEFAULT: Final = "http://127.0.0.1:8080"
_SECONDS: Final = 1.0


def find(place: Place) -> Iterator[Found]:
    """Find the Airflow of this machine. Only loopback is asked whether one answers, and only for its version."""
    file, settings = _settings(place)
    address = _address(place, settings)
    host = urlsplit(address).hostname or ""
    version = _version(address) if host in _LOOPBACK else ""
    variable = next((name for name in sorted(place.environment) if name.startswith("AIRFLOW__")), "")
    if not (version or file or variable):
        return
    scheme, _, rest = address.partition("://")
    instance = place.variable("AIRSIDE_AIRFLOW_INSTANCE") or settings.get("airside", {}).get("instance", "airflow")
    watch = {
        "name": label(f"airflow-{instance}"),
        "url": f"airflow{'s' if scheme == 'https' else ''}://{rest}/?instance={label(instance)}",
        "user": "USER",
        "password_env": "AIRFLOW_PASSWORD",
    }
    lacks = "" if version else "; and that it answers there: nobody was asked, or no Airflow 3 did"
    yield Found(
        "airflow",
        f"Airflow {version} at {rest}" if version else f"Airflow at {rest}",
        f"airflow://{label(instance)}",
        str(file or variable or rest),
        "a watcher; or, without asking: pip install 'airside[airflow]' where Airflow runs",
        watch,
        f"a login: `user` with `password_env`, or `token_env` alone{lacks}",
    )


def _settings(place: Place) -> tuple[Path | None, dict[str, dict[str, str]]]:
    """Read the few sections of airflow.cfg that say where it is; those with passwords are not kept."""
    home = place.variable("AIRFLOW_HOME")
    file = Path(place.variable("AIRFLOW_CONFIG") or Path(home or place.home / "airflow") / "airflow.cfg")
    text = place.text(file)
    if text is None:
        return None, {}
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return file, {}
    wanted = {"api": ("base_url", "port"), "webserver": ("base_url", "web_server_port"), "airside": ("instance",)}
    return file, {
        section: {key: parser[section][key] for key in keys if parser.has_option(section, key)}
        for section, keys in wanted.items()
    }


def _address(place: Place, settings: dict[str, dict[str, str]]) -> str:
    """Give `scheme://host:port/path` of its API: what the variables say, then the file, then the default."""
    base = (
        place.variable("AIRFLOW__API__BASE_URL")
        or settings.get("api", {}).get("base_url")
        or place.variable("AIRFLOW__WEBSERVER__BASE_URL")
        or settings.get("webserver", {}).get("base_url")
    )
    port = place.variable("AIRFLOW__API__PORT") or settings.get("api", {}).get("port") or ""
    try:
        split = urlsplit(base or (f"http://127.0.0.1:{int(port)}" if port else _DEFAULT))
        host, number = split.hostname, split.port
    except ValueError:
        return _DEFAULT
    if split.scheme not in ("http", "https") or not host:
        return _DEFAULT
    host = f"[{host}]" if ":" in host else host
    return f"{split.scheme}://{host}{f':{number}' if number else ''}{split.path.rstrip('/')}"


def _version(address: str) -> str:
    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False, verify=False) as client:  # noqa: S501 - only of loopback
            found = client.get(f"{address}/api/v2/version")
            return str(found.json()["version"])[:50] if found.is_success else ""
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return ""
