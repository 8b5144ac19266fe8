"""`notify`: tells a person, through Apprise. At least once for each target.

Apprise speaks to its services by itself, with `requests`: the guard on addresses does not see those requests. Therefore
a rule can only name a target; the URLs come from a block, which admins alone set, or from the operator's environment.
Redirects are off, and whoever writes rules cannot choose where a message goes. Apprise is an extra, imported when the
first message is sent.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from airside.coordinator.actions import kinds, named
from airside.coordinator.actions.exceptions import ActionRefused, ActionRetry
from airside.coordinator.actions.signing import variable
from airside.coordinator.blocking import Overloaded

MISSING: Final = "notify needs Apprise where the coordinator runs: pip install 'airside[notify]'"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_PREFIX: Final = "AIRSIDE_NOTIFY"
_VARIABLE: Final = re.compile(_PREFIX + r"_[A-Za-z0-9_]{1,113}")


class Notify:
    """Sends title and body to every URL of a target; those that took it are not asked again."""

    name = "notify"
    delays_seconds = (5.0, 30.0, 120.0, 600.0, 3_600.0)
    plain_fields = frozenset({"to"})
    outside = True
    pure = False

    def problems(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find targets that are no names."""
        to = str(parameters.get("to", ""))
        if named.is_block(to):
            yield from named.bad_reference("to", to, named.NOTIFY)
            return
        try:
            _variable(to)
        except ActionRefused as error:
            yield "to", str(error)

    async def run(self, context: kinds.ActionContext) -> dict[str, Any]:
        """Send to every URL that has not taken the message yet."""
        settings = context.tools.settings
        to = str(context.parameters.get("to", ""))
        names = named.Names(context.tools.blocks, context.workspace, settings.environment)
        with names.kept():
            return await self._tell(context, *await _targets(names, to))

    async def _tell(self, context: kinds.ActionContext, where: str, targets: list[str]) -> dict[str, Any]:
        settings = context.tools.settings
        title = context.texts.text(str(context.parameters.get("title", "")))
        body = context.texts.text(str(context.parameters.get("body") or context.firing.get("reason") or title))
        delivered = {int(number) for number in context.progress.get("delivered", [])}
        missing = {number: url for number, url in enumerate(targets) if number not in delivered}
        try:
            sent = await context.tools.threads.call(
                _send, missing, title, body, settings.notify_seconds, timeout=settings.notify_seconds * 2
            )
        except TimeoutError as error:
            raise ActionRetry(f"{where}: no answer within {settings.notify_seconds:g} s") from error
        except Overloaded as error:
            raise ActionRetry(str(error)) from error
        delivered |= {number for number, failed in sent.items() if not failed}
        failures = [failed for failed in sent.values() if failed]
        if failures:
            raise ActionRetry(f"{where}: {'; '.join(failures)}", progress={"delivered": sorted(delivered)})
        return {"to": where, "delivered": len(delivered)}


async def _targets(names: named.Names, to: str) -> tuple[str, list[str]]:
    """Give the URLs of a target, with the name of where they are from. Raises ActionRefused, ActionRetry."""
    if not named.is_block(to):
        return _variable(to), urls(names.environment, to)
    text, _ = await names.text(to, named.NOTIFY)
    return to, text.split()


def urls(environment: Mapping[str, str], to: str) -> list[str]:
    """Give the URLs of a target. Raises ActionRefused."""
    where = _variable(to)
    if not (found := environment.get(where, "").split()):
        raise ActionRefused(f"nobody to tell: set {where} to one or several Apprise URLs where the coordinator runs")
    return found


def _variable(to: str) -> str:
    """Find the environment variable that holds a target's URLs. Raises ActionRefused."""
    scheme, colon, name = to.partition(":")
    if colon and scheme == "env" and _VARIABLE.fullmatch(name):
        return name
    if not colon and _NAME.fullmatch(to):
        return variable(_PREFIX, to)
    raise ActionRefused(
        "name a target: the block `block:oncall`, or `oncall`, which is read from AIRSIDE_NOTIFY_ONCALL, as is"
        " `env:AIRSIDE_NOTIFY_ONCALL`; rules hold no URLs and reach no other variables"
    )


def _send(urls: Mapping[int, str], title: str, body: str, seconds: float) -> dict[int, str]:
    """Send one after the other; give for each URL what went wrong, empty when nothing did. Blocks."""
    try:
        import apprise  # noqa: PLC0415 - an extra, and a second of import
    except ImportError as error:
        raise ActionRefused(MISSING) from error
    for library in ("apprise", "urllib3"):  # they log URLs that hold secrets
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    asset = apprise.AppriseAsset(async_mode=False, app_id="Airside", secure_logging=True, http_redirects=False)
    results = {}
    for number, url in urls.items():
        sender = apprise.Apprise(asset=asset)
        if not sender.add(url):
            results[number] = f"URL {number + 1} is none that Apprise knows"
            continue
        taken = sender.notify(body=body, title=title, timeout=seconds / len(urls))
        results[number] = "" if taken else f"{sender[0].service_name} did not take the message"
    return results
