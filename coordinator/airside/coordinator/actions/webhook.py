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
from airside.events import masking
from airside.triggers import durations

#: The longest wait that a receiver's Retry-After is followed for.
MAX_RETRY_AFTER_SECONDS: Final = 86_400.0
MAX_BODY_BYTES: Final = 262_144
_SHOWN_OF_REPLY: Final = 200
_AGAIN: Final = frozenset({408, 429})
_GONE: Final = 410
_FIXED_HOST: Final = re.compile(r"https?://[^/?#{}\s]+[/?#]")
_TEMPLATE: Final = re.compile(r"\{[{%#]")
#: Variables hold whole URLs, so that a rule cannot send what is in one elsewhere.
_URL_PREFIX: Final = "AIRSIDE_WEBHOOK_"
_HEADER_PREFIX: Final = "AIRSIDE_HEADER_"
_TEMPLATED: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
#: A long part of the path or a value of the query that no person would choose, or a parameter with a telling name.
_KEY_IN_URL: Final = re.compile(
    r"^https?://[^/?#]+.*(?:[/=](?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}(?:[/?&#]|$)"
    r"|[?&][^=&#]*(?:token|key|secret|sig|auth|code)[^=&#]*=[^&#{])",
    re.IGNORECASE,
)
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
        if url.startswith("env:"):
            yield from _bad_reference("url", url, _URL_PREFIX)
        elif not url.startswith(("https://", "http://")):
            scheme, other, _ = url.partition("://")
            why = f" (a webhook is called by HTTP, not `{scheme[:20]}`)" if other and "{" not in scheme else ""
            yield "url", f"must start with https://, or name a variable as `env:AIRSIDE_WEBHOOK_ONCALL`{why}"
        elif _TEMPLATE.search(url) and not _FIXED_HOST.match(url):
            yield "url", "the host must be written out: a template may only stand behind it, in the path or query"
        secret = parameters.get("secret")
        if secret is not None and (not _NAME.fullmatch(str(secret)) or str(secret).startswith("whsec_")):
            yield "secret", "give the name of the secret, not the secret: `orders` is read from AIRSIDE_SECRET_ORDERS"
        for header, value in parameters.get("headers", {}).items():
            if header.lower() in _OWN_HEADERS:
                yield f"headers.{header}", "is set by Airside; leave it out"
            if str(value).startswith("env:"):
                yield from _bad_reference(f"headers.{header}", str(value), _HEADER_PREFIX)
                if not url.startswith("env:"):
                    yield f"headers.{header}", "a variable is sent only where a variable says: name one as `url` too"

    def suspicions(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find what looks like a secret that is written out: (field, message)."""
        url = str(parameters.get("url", ""))
        if not url.startswith("env:") and _KEY_IN_URL.search(_TEMPLATED.sub("", url)):
            yield (
                "url",
                "looks like it holds a key: put it into AIRSIDE_WEBHOOK_<NAME> and write env:AIRSIDE_WEBHOOK_<NAME>",
            )
        for header, value in parameters.get("headers", {}).items():
            if masking.is_telling(header) and not str(value).startswith("env:"):
                yield (
                    f"headers.{header}",
                    "looks like a secret; put it into AIRSIDE_HEADER_<NAME> and write env:AIRSIDE_HEADER_<NAME>",
                )

    async def run(self, context: kinds.ActionContext) -> dict[str, Any]:
        """Send the request once."""
        parameters = context.parameters
        if found := next(self.problems(parameters), None):
            raise ActionRefused(f"{found[0]}: {found[1]}")
        environment = context.tools.settings.environment
        url = looked_up(environment, str(parameters["url"])) or context.texts.url(str(parameters["url"]))
        body, content_type = _body(context)
        given = {
            name: looked_up(environment, value) or context.texts.text(value)
            for name, value in parameters.get("headers", {}).items()
        }
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


def _bad_reference(field: str, value: str, prefix: str) -> Iterator[tuple[str, str]]:
    if not re.fullmatch(rf"env:{prefix}[A-Za-z0-9_]{{1,100}}", value):
        yield field, f"only variables whose names begin with {prefix} can be named here: `env:{prefix}ONCALL`"


def looked_up(environment: Mapping[str, str], value: str) -> str:
    """Give what a variable holds that a rule names; empty when it names none. Raises ActionRefused."""
    if not value.startswith("env:"):
        return ""
    where = value.removeprefix("env:")
    if not (found := environment.get(where, "").strip()):
        raise ActionRefused(f"{where} is not set: set it where the coordinator runs")
    return found


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
