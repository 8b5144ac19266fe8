"""Code from a git repository, by the `git` command: one commit, without history."""

import asyncio
import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.storage.code import Code, inside
from airside.agent.working.storage.credentials import NOTHING, Login

_FETCH_SECONDS: Final = 300.0
_TOKEN_USER: Final = "x-access-token"  # noqa: S105 - a user, as GitHub and GitLab have it
#: Traces would show what is sent, and the agent's own token is none of git's business.
_NOT_FOR_GIT: Final = ("GIT_TRACE", "GIT_CURL_VERBOSE", "AIRSIDE_TOKEN")
#: What `git` may speak. `ext::` would run any program.
_PROTOCOLS: Final = "https:http:ssh:git:file"


async def fetch(settings: Mapping[str, Any], into: Path, cache: Path | None = None, login: Login = NOTHING) -> Code:
    """Fetch `ref` (default: the repository's head) of `url`. The login is a block, or `user:token`, or a token.

    It goes to the URL's host alone, and never gets into a command line, a file or a message.
    """
    url = settings.get("url", "")
    if not url or url.startswith("-"):
        raise CannotPrepare("storage git: url must be that of a repository")
    if "@" in urlsplit(url).netloc and urlsplit(url).scheme in ("http", "https"):
        raise CannotPrepare("storage git: leave credentials out of the url; name them by `credentials: block:NAME`")
    ref = settings.get("ref") or "HEAD"
    if ref.startswith("-"):
        raise CannotPrepare("storage git: ref must be a branch, a tag or a commit")
    environment = _environment(url, login)
    target = into / "code"
    await _git(environment, "init", "--quiet", "--template=", str(target))
    await _git(environment, "-C", str(target), "fetch", "--quiet", "--depth", "1", "--", url, ref)
    await _git(environment, "-C", str(target), "checkout", "--quiet", "--detach", "FETCH_HEAD")
    version = (await _git(environment, "-C", str(target), "rev-parse", "HEAD")).strip()
    folder = inside(target, settings.get("folder", "."), "storage git: folder")
    if not folder.is_dir():
        raise CannotPrepare(f"storage git: there is no folder {settings['folder']} in {url} at {version[:12]}")
    return Code(folder, version)


def _environment(url: str, login: Login) -> dict[str, str]:
    """Set up a git that asks nobody, and knows the credentials of this one server."""
    made = {
        **{variable: value for variable, value in os.environ.items() if not variable.startswith(_NOT_FOR_GIT)},
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
    user = _user(login)
    if not user:
        return made
    split = urlsplit(url)
    if split.scheme != "https" and split.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise CannotPrepare("storage git: credentials go to https:// URLs only")
    header = "Authorization: Basic " + base64.b64encode(user.encode()).decode()
    key = f"http.{split.scheme}://{split.netloc}/.extraHeader"
    return made | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": key, "GIT_CONFIG_VALUE_0": header}


def _user(login: Login) -> str:
    """Give `user:password`; a token alone is taken as GitHub and GitLab take it. Empty without a login."""
    login.check("git", "git")
    if login.type:
        return f"{login.fields.get('username') or _TOKEN_USER}:{login.fields['token']}"
    return login.text if ":" in login.text or not login.text else f"{_TOKEN_USER}:{login.text}"


async def _git(environment: Mapping[str, str], *arguments: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            "git",
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise CannotPrepare("storage git: there is no `git` on this machine") from error
    try:
        async with asyncio.timeout(_FETCH_SECONDS):
            out, err = await process.communicate()
    except TimeoutError as error:
        raise CannotPrepare(f"storage git: no answer within {_FETCH_SECONDS:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise CannotPrepare(f"storage git: {err.decode(errors='replace').strip()[-500:]}")
    return out.decode(errors="replace")
