"""`webhook`: calls an address, at least once, always with the same `webhook-id`: a receiver can tell a repeat."""

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from airside.coordinator.actions import kinds, named, signing
from airside.coordinator.actions.exceptions import ActionRefused, ActionRetry
from airside.coordinator.blocks.book import OpenBlock
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
_INSTEAD: Final = (
    "a block of type webhook and write `url: block:NAME`, or into AIRSIDE_{0}_<NAME> and write env:AIRSIDE_{0}_<NAME>"
)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_OWN_HEADERS: Final = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "idempotency-key"})


class Webhook:
    """Sends a signed request and repeats it, for up to two days, until it is answered with success."""

    name = "webhook"
    delays_seconds = (5.0, 30.0, 120.0, 600.0, 3_600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0)
    plain_fields = frozenset({"method", "secret", "timeout"})
    outside = True
    pure = False

    def problems(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find URLs whose host an event could choose, values of secrets, and headers that are ours."""
        url = str(parameters.get("url", ""))
        if named.is_block(url):
            yield from named.bad_reference("url", url, named.URL)
        elif url.startswith("env:"):
            yield from _bad_reference("url", url, _URL_PREFIX)
        elif not url.startswith(("https://", "http://")):
            scheme, other, _ = url.partition("://")
            why = f" (a webhook is called by HTTP, not `{scheme[:20]}`)" if other and "{" not in scheme else ""
            wanted = "must start with https://, or name a block as `block:oncall`, or a variable as"
            yield "url", f"{wanted} `env:AIRSIDE_WEBHOOK_ONCALL`{why}"
        elif _TEMPLATE.search(url) and not _FIXED_HOST.match(url):
            yield "url", "the host must be written out: a template may only stand behind it, in the path or query"
        secret = parameters.get("secret")
        if named.is_block(secret):
            yield from named.bad_reference("secret", str(secret), named.SIGNING)
        elif secret is not None and (not _NAME.fullmatch(str(secret)) or str(secret).startswith("whsec_")):
            yield "secret", "give the name of the secret, not the secret: `orders` is read from AIRSIDE_SECRET_ORDERS"
        for header, value in parameters.get("headers", {}).items():
            if header.lower() in _OWN_HEADERS:
                yield f"headers.{header}", "is set by Airside; leave it out"
            if named.is_block(value):
                yield from named.bad_reference(f"headers.{header}", str(value), named.HEADER)
            elif named.is_named(value):
                yield from _bad_reference(f"headers.{header}", str(value), _HEADER_PREFIX)
            if named.is_named(value) and not named.is_named(url):
                what = "a block or a variable is sent only where a block or a variable says: name one as `url` too"
                yield f"headers.{header}", what

    def suspicions(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find what looks like a secret that is written out: (field, message)."""
        url = str(parameters.get("url", ""))
        if not named.is_named(url) and _KEY_IN_URL.search(_TEMPLATED.sub("", url)):
            yield "url", f"looks like it holds a key: put it into {_INSTEAD.format('WEBHOOK')}"
        for header, value in parameters.get("headers", {}).items():
            if masking.is_telling(header) and not named.is_named(value):
                yield f"headers.{header}", f"looks like a secret; put it into {_INSTEAD.format('HEADER')}"

    async def run(self, context: kinds.ActionContext) -> dict[str, Any]:
        """Send the request once."""
        tools = context.tools
        names = named.Names(tools.blocks, context.workspace, tools.settings.environment)
        with names.kept():
            return await self._send(context, names)

    async def _send(self, context: kinds.ActionContext, names: named.Names) -> dict[str, Any]:
        parameters = context.parameters
        if found := next(self.problems(parameters), None):
            raise ActionRefused(f"{found[0]}: {found[1]}")
        given, block = await names.text(str(parameters["url"]), named.URL)
        url = given or context.texts.url(str(parameters["url"]))
        body, content_type = _body(context)
        headers = {"content-type": content_type} if body else {}
        if block is not None:
            headers |= {name.lower(): value for name, value in block.fields.get("headers", {}).items()}
        for name, value in parameters.get("headers", {}).items():
            headers[name.lower()] = (await names.text(value, named.HEADER))[0] or context.texts.text(value)
        headers |= _identity(context, body, await _signing_keys(context, names, block))
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


async def _signing_keys(context: kinds.ActionContext, names: named.Names, block: OpenBlock | None) -> list[bytes]:
    """Give the keys to sign with: those that the rule names, else those of the block that it calls; none without."""
    secret = context.parameters.get("secret")
    if secret and not named.is_block(secret):
        return signing.keys(context.tools.settings.environment, str(secret))
    if secret:
        text, source = await names.text(str(secret), named.SIGNING)
    else:
        source = block
        text = str(block.fields.get("secret") or "") if block is not None and block.type == "webhook" else ""
    return signing.decoded(text, f"the block `{source.name}`") if text and source is not None else []


def _bad_reference(field: str, value: str, prefix: str) -> Iterator[tuple[str, str]]:
    if not re.fullmatch(rf"env:{prefix}[A-Za-z0-9_]{{1,100}}", value):
        yield field, f"only variables whose names begin with {prefix} can be named here: `env:{prefix}ONCALL`"


def _identity(context: kinds.ActionContext, body: bytes, signing_keys: list[bytes]) -> dict[str, str]:
    """Give the headers that name this message, and prove it where there are keys."""
    timestamp = int(time.time())
    headers = {
        "webhook-id": context.action_id,
        "webhook-timestamp": str(timestamp),
        "idempotency-key": context.action_id,
    }
    if signing_keys:
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
