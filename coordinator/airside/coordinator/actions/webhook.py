"""`webhook`: calls an address, at least once, always with the same `webhook-id`: a receiver can tell a repeat."""

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from airside.coordinator.actions import kinds, signing
from airside.coordinator.actions.exceptions import ActionRefused, ActionRetry
from airside.coordinator.outbound import Reply, RequestFailed, TargetRefused, shown
from airside.triggers import durations

#: The longest wait that a receiver's Retry-After is followed for.
MAX_RETRY_AFTER_SECONDS: Final = 86_400.0
MAX_BODY_BYTES: Final = 262_144
_SHOWN_OF_REPLY: Final = 200
_AGAIN: Final = frozenset({408, 429})
_GONE: Final = 410
_FIXED_HOST: Final = re.compile(r"https?://[^/?#{}\s]+[/?#]")
_TEMPLATE: Final = re.compile(r"\{[{%#]")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_OWN_HEADERS: Final = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "idempotency-key"})


class Webhook:
    """Sends a signed request and repeats it, for up to two days, until it is answered with success."""

    name = "webhook"
    delays_seconds = (5.0, 30.0, 120.0, 600.0, 3_600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0)
    plain_fields = frozenset({"method", "secret", "timeout"})

    def problems(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find URLs whose host an event could choose, values of secrets, and headers that are ours."""
        url = str(parameters.get("url", ""))
        if not url.startswith(("https://", "http://")):
            yield "url", "must start with https://"
        elif _TEMPLATE.search(url) and not _FIXED_HOST.match(url):
            yield "url", "the host must be written out: a template may only stand behind it, in the path or query"
        secret = parameters.get("secret")
        if secret is not None and (not _NAME.fullmatch(str(secret)) or str(secret).startswith("whsec_")):
            yield "secret", "give the name of the secret, not the secret: `orders` is read from AIRSIDE_SECRET_ORDERS"
        for header in parameters.get("headers", {}):
            if header.lower() in _OWN_HEADERS:
                yield f"headers.{header}", "is set by Airside; leave it out"

    async def run(self, context: kinds.ActionContext) -> dict[str, Any]:
        """Send the request once."""
        parameters = context.parameters
        if found := next(self.problems(parameters), None):
            raise ActionRefused(f"{found[0]}: {found[1]}")
        url = context.texts.url(str(parameters["url"]))
        body, content_type = _body(context)
        given = {name: context.texts.text(value) for name, value in parameters.get("headers", {}).items()}
        headers = {"content-type": content_type} if body else {}
        headers |= {name.lower(): value for name, value in given.items()}
        headers |= _identity(context, body)
        timeout = parameters.get("timeout")
        try:
            reply = await context.tools.client.request(
                str(parameters.get("method", "POST")),
                url,
                headers=headers,
                body=body,
                deadline_seconds=durations.parse(timeout) / durations.SECOND if timeout else None,
            )
        except TargetRefused as error:
            raise ActionRefused(str(error)) from error
        except RequestFailed as error:
            raise ActionRetry(str(error)) from error
        return _judged(reply, shown(url))


def _identity(context: kinds.ActionContext, body: bytes) -> dict[str, str]:
    """Give the headers that name this message, and prove it where the rule names a secret."""
    timestamp = int(time.time())
    headers = {
        "webhook-id": context.action_id,
        "webhook-timestamp": str(timestamp),
        "idempotency-key": context.action_id,
    }
    if secret := context.parameters.get("secret"):
        signing_keys = signing.keys(context.tools.settings.environment, str(secret))
        headers["webhook-signature"] = signing.signature(signing_keys, context.action_id, timestamp, body)
    return headers


def _body(context: kinds.ActionContext) -> tuple[bytes, str]:
    given = context.parameters.get("body")
    if isinstance(given, str):
        body = context.texts.text(given).encode()
        kind = "application/json" if _is_json(body) else "text/plain; charset=utf-8"
    elif given is not None:
        body, kind = orjson.dumps(context.texts.value(given)), "application/json"
    elif context.parameters.get("method") in ("GET", "DELETE"):
        body, kind = b"", ""
    else:
        whole = {**context.texts.context["firing"], "event": context.texts.context["event"]}
        body, kind = orjson.dumps(whole), "application/json"
    if len(body) > MAX_BODY_BYTES:
        raise ActionRefused(f"a body of {len(body):,} bytes; at most {MAX_BODY_BYTES:,} are sent")
    return body, kind


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def _judged(reply: Reply, target: str) -> dict[str, Any]:
    """Tell success from what may pass and what will not. Raises ActionRetry, ActionRefused."""
    status = reply.status
    if 200 <= status < 300:
        return {"status": status, "url": target}
    words = reply.body[: _SHOWN_OF_REPLY * 4].decode(errors="replace")
    words = re.sub(r"[\x00-\x20\x7f]+", " ", words).strip()[:_SHOWN_OF_REPLY]
    answered = f"{target} answered {status}" + (f": {words}" if words else "")
    if status in _AGAIN or status >= 500:
        raise ActionRetry(answered, after_seconds=_retry_after(reply))
    if 300 <= status < 400:
        raise ActionRefused(f"{answered}; redirects are not followed, write the final URL into the rule")
    if status == _GONE:
        raise ActionRefused(f"{answered}; the receiver is gone, take it out of the rule")
    raise ActionRefused(answered)


def _retry_after(reply: Reply) -> float:
    """Read Retry-After, in seconds or as a date; 0 when there is none to be understood."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text[:9]), MAX_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), MAX_RETRY_AFTER_SECONDS)
