"""Who sent a delivery: one check for each way senders sign, over the raw bytes, in constant time.

What a check gives back is the delivery's identity, made of what the signature covers. A header that anybody can
change next to a good signature is never part of it, so a captured delivery cannot be made to count twice.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from airside.events.exceptions import AirsideError

#: How far a signed time may lie from ours, in seconds: five minutes, as Standard Webhooks, Slack and Stripe have it.
TOLERANCE_SECONDS: Final = 300
MIN_SECRET_CHARS: Final = 8
MAX_SECRET_CHARS: Final = 1_024
#: More signatures in one header than any sender has keys.
_MAX_SIGNATURES: Final = 10
#: Where a static token may stand, when the hook does not name one header.
_TOKEN_HEADERS: Final = ("x-airside-token", "x-gitlab-token", "x-api-key")
#: Headers in which senders of unsigned deliveries name them.
_ID_HEADERS: Final = ("webhook-id", "idempotency-key", "x-gitlab-event-uuid", "x-request-id")
_WHSEC: Final = "whsec_"


class Forged(AirsideError):
    """The delivery is not from who has the secret, or is too old to tell. The message never quotes a signature."""


class BadSecret(AirsideError):
    """The text cannot be a secret of this kind of signature."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as it came: header names in lower case, the body's bytes as they were signed."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    received: datetime

    @property
    def sha256(self) -> str:
        """The body's hash in hexadecimal digits."""
        return sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to sign: its check, which gives the delivery's identity or raises Forged, and what it is for people."""

    check: Callable[[str, str, Delivery], str]
    help: str


def verify(scheme: str, secret: str, header: str, delivery: Delivery) -> str:
    """Check a delivery and give its identity, the same for each time it is sent. Raises Forged.

    `header` names the header of the schemes `token` and `hmac`; empty means the usual ones.
    """
    return SCHEMES[scheme].check(secret, header, delivery)


def check_secret(scheme: str, secret: str) -> None:
    """Raise BadSecret when no sender could sign with this."""
    if scheme == "none":
        return
    if not MIN_SECRET_CHARS <= len(secret) <= MAX_SECRET_CHARS or not secret.isprintable() or secret != secret.strip():
        raise BadSecret(
            f"a secret has {MIN_SECRET_CHARS} to {MAX_SECRET_CHARS:,} characters, none of them a control character,"
            " and no space at either end"
        )
    if scheme == "standard":
        _standard_key(secret)


def _standard(secret: str, _header: str, delivery: Delivery) -> str:
    """Standard Webhooks, and Svix with its older names of the headers."""
    prefix = "webhook" if "webhook-id" in delivery.headers else "svix"
    given = _header_of(delivery, f"{prefix}-signature")
    name, stamp = _header_of(delivery, f"{prefix}-id"), _header_of(delivery, f"{prefix}-timestamp")
    content = f"{name}.{stamp}.".encode() + delivery.body
    wanted = b64encode(hmac.digest(_standard_key(secret), content, "sha256")).decode()
    _any_equal([wanted], (part.removeprefix("v1,") for part in given.split() if part.startswith("v1,")))
    _check_fresh(stamp, delivery.received)
    return name


def _github(secret: str, _header: str, delivery: Delivery) -> str:
    given = _header_of(delivery, "x-hub-signature-256")
    _any_equal([_hex(secret, delivery.body)], [given.removeprefix("sha256=").lower()])
    return delivery.sha256


def _slack(secret: str, _header: str, delivery: Delivery) -> str:
    given, stamp = _header_of(delivery, "x-slack-signature"), _header_of(delivery, "x-slack-request-timestamp")
    content = f"v0:{stamp}:".encode() + delivery.body
    _any_equal([_hex(secret, content)], [given.removeprefix("v0=").lower()])
    _check_fresh(stamp, delivery.received)
    return delivery.sha256


def _stripe(secret: str, _header: str, delivery: Delivery) -> str:
    parts = [part.strip().partition("=") for part in _header_of(delivery, "stripe-signature").split(",")]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    wanted = _hex(secret, f"{stamp}.".encode() + delivery.body)
    _any_equal([wanted], (value for name, _, value in parts if name == "v1"))
    _check_fresh(stamp, delivery.received)
    return delivery.sha256


def _pagerduty(secret: str, _header: str, delivery: Delivery) -> str:
    given = [part.strip() for part in _header_of(delivery, "x-pagerduty-signature").split(",")]
    wanted = _hex(secret, delivery.body)
    _any_equal([wanted], (part.removeprefix("v1=") for part in given if part.startswith("v1=")))
    return delivery.sha256


def _dbt(secret: str, _header: str, delivery: Delivery) -> str:
    _any_equal([_hex(secret, delivery.body)], [_header_of(delivery, "authorization").strip().lower()])
    return delivery.sha256


def _hmac(secret: str, header: str, delivery: Delivery) -> str:
    given = _header_of(delivery, header or "x-signature-256").strip()
    _any_equal([_hex(secret, delivery.body)], [given.removeprefix("sha256=").lower()])
    return delivery.sha256


def _token(secret: str, header: str, delivery: Delivery) -> str:
    """A token as it stands: in a header, as `Authorization: Bearer`, or in the query."""
    names = (header.lower(),) if header else _TOKEN_HEADERS
    given = [delivery.headers[name] for name in names if name in delivery.headers]
    scheme, _, bearer = delivery.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and header.lower() in ("", "authorization"):
        given.append(bearer.strip())
    if "token" in delivery.query and not header:
        given.append(delivery.query["token"])
    if not given:
        wanted = f"`{header}`" if header else f"`Authorization: Bearer`, `{_TOKEN_HEADERS[0]}` or `?token=`"
        raise Forged(f"the delivery carries no token: send it as {wanted}")
    _any_equal([secret], given)
    return _unsigned_identity(delivery)


def _gitlab(secret: str, _header: str, delivery: Delivery) -> str:
    return _token(secret, "x-gitlab-token", delivery)


def _none(_secret: str, _header: str, delivery: Delivery) -> str:
    return _unsigned_identity(delivery)


#: All ways to sign. Those that sign a time refuse old deliveries; the others count each body once.
SCHEMES: Final[dict[str, Scheme]] = {
    "dbt": Scheme(_dbt, "the dbt platform: Authorization is the body's HMAC-SHA256 in hex"),
    "github": Scheme(_github, "X-Hub-Signature-256, as GitHub, Gitea and Bitbucket sign"),
    "gitlab": Scheme(_gitlab, "the token in X-Gitlab-Token"),
    "hmac": Scheme(_hmac, "the body's HMAC-SHA256 in hex, in the header that --header names"),
    "none": Scheme(_none, "nothing: whoever knows the address may send"),
    "pagerduty": Scheme(_pagerduty, "X-PagerDuty-Signature"),
    "slack": Scheme(_slack, "X-Slack-Signature, with its time"),
    "standard": Scheme(_standard, "Standard Webhooks, with id and time; also as Svix names the headers"),
    "stripe": Scheme(_stripe, "Stripe-Signature, with its time"),
    "token": Scheme(_token, "a fixed token: Authorization: Bearer, X-Airside-Token, --header, or ?token="),
}


def waste(delivery: Delivery) -> None:
    """Do the work of a check, so that an address that is not there takes as long as one that is."""
    hmac.compare_digest(_hex("0" * 64, delivery.body), "0" * 64)


def _unsigned_identity(delivery: Delivery) -> str:
    """Name a delivery that its sender does not sign: by its id, else by its body within five minutes.

    Not by its body alone: `{"job": "nightly", "state": "done"}` is news each night.
    """
    for name in _ID_HEADERS:
        if given := delivery.headers.get(name, "").strip():
            return given
    return f"{delivery.sha256}:{int(delivery.received.timestamp()) // TOLERANCE_SECONDS}"


def _header_of(delivery: Delivery, name: str) -> str:
    value = delivery.headers.get(name.lower(), "")
    if not value:
        raise Forged(f"the delivery has no header `{name}`; is it signed, and in the way this hook expects?")
    return value


def _any_equal(wanted: list[str], given: Iterator[str] | list[str]) -> None:
    """Raise Forged unless one matches. Looks at each, so that time tells nothing."""
    same = False
    for number, candidate in enumerate(given):
        if number >= _MAX_SIGNATURES:
            break
        for good in wanted:
            same |= hmac.compare_digest(good.encode(), candidate.encode("utf-8", "replace"))
    if not same:
        raise Forged("the signature does not match: another secret, or a body that was changed on its way")


def _check_fresh(stamp: str, received: datetime) -> None:
    """Refuse a signed time that is too far from ours; only asked once the signature is known to be good."""
    try:
        age = received.timestamp() - datetime.fromtimestamp(int(stamp), UTC).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise Forged("the delivery's time is not a number of seconds since 1970") from error
    if abs(age) > TOLERANCE_SECONDS:
        where = "ago" if age > 0 else "ahead"
        raise Forged(
            f"the delivery was signed {abs(age):.0f} s {where}; at most {TOLERANCE_SECONDS} s are taken."
            " Is it a replay, or is a clock wrong?"
        )


def _hex(secret: str, content: bytes) -> str:
    return hmac.digest(secret.encode(), content, "sha256").hex()


def _standard_key(secret: str) -> bytes:
    """Give the key: base64 after `whsec_`, else the text as it stands."""
    if not secret.startswith(_WHSEC):
        return secret.encode()
    try:
        return b64decode(secret.removeprefix(_WHSEC), validate=True)
    except (Base64Error, ValueError) as error:
        raise BadSecret("a secret that starts with `whsec_` goes on in base64") from error
