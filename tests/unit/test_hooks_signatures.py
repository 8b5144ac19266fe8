"""Who sent a delivery: what each sender's signature lets in, and what it keeps out."""

import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from airside.coordinator.hooks.book import new_secret
from airside.coordinator.hooks.signatures import (
    SCHEMES,
    TOLERANCE_SECONDS,
    BadSecret,
    Delivery,
    Forged,
    check_secret,
    verify,
)

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
BODY = '{"état": "done"}'.encode()
SECRET = "a-secret-of-the-sender"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def digest(content: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), content, "sha256").hexdigest()


def delivery(
    body: bytes = BODY, received: datetime = NOW, query: dict[str, str] | None = None, **headers: str
) -> Delivery:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(named, query or {}, body, received)


def standard(prefix: str = "webhook", moment: datetime = NOW) -> Delivery:
    signature = Webhook(STANDARD).sign("msg_1", moment, BODY.decode())
    headers = {"id": "msg_1", "timestamp": str(int(moment.timestamp())), "signature": signature}
    return Delivery({f"{prefix}-{name}": value for name, value in headers.items()}, {}, BODY, NOW)


GENUINE = {
    "standard": (STANDARD, standard()),
    "github": (SECRET, delivery(x_hub_signature_256=f"sha256={digest(BODY)}")),
    "slack": (
        SECRET,
        delivery(x_slack_signature=f"v0={digest(f'v0:{STAMP}:'.encode() + BODY)}", x_slack_request_timestamp=STAMP),
    ),
    "stripe": (SECRET, delivery(stripe_signature=f"t={STAMP},v1={'0' * 64},v1={digest(f'{STAMP}.'.encode() + BODY)}")),
    "pagerduty": (SECRET, delivery(x_pagerduty_signature=f"v1={'0' * 64},v1={digest(BODY)}")),
    "dbt": (SECRET, delivery(authorization=digest(BODY))),
    "hmac": (SECRET, delivery(x_signature_256=digest(BODY).upper())),
    "gitlab": (SECRET, delivery(x_gitlab_token=SECRET)),
    "token": (SECRET, delivery(authorization=f"Bearer {SECRET}")),
    "none": ("", delivery()),
}
SIGNED = sorted(GENUINE.keys() - {"none"})
OVER_THE_BODY = sorted(GENUINE.keys() - {"none", "token", "gitlab"})
WITH_TIME = ("slack", "standard", "stripe")


def test_every_way_to_sign_is_tried_here() -> None:
    assert GENUINE.keys() == SCHEMES.keys()


@pytest.mark.parametrize("scheme", sorted(GENUINE))
def test_a_genuine_delivery_is_let_in_and_is_the_same_each_time(scheme: str) -> None:
    secret, sent = GENUINE[scheme]
    check_secret(scheme, secret)
    assert verify(scheme, secret, "", sent) == verify(scheme, secret, "", sent) != ""


@pytest.mark.parametrize("scheme", SIGNED)
def test_another_secret_is_refused_and_no_message_repeats_what_was_sent(scheme: str) -> None:
    secret, sent = GENUINE[scheme]
    wrong = new_secret("standard") if scheme == "standard" else "another-secret"
    with pytest.raises(Forged) as refused:
        verify(scheme, wrong, "", sent)
    assert not any(value in str(refused.value) for value in (secret, wrong, *sent.headers.values()))


@pytest.mark.parametrize("scheme", SIGNED)
def test_a_delivery_without_its_signature_is_refused(scheme: str) -> None:
    secret, sent = GENUINE[scheme]
    with pytest.raises(Forged, match=r"has no header|carries no token"):
        verify(scheme, secret, "", replace(sent, headers={}))


@pytest.mark.parametrize("scheme", OVER_THE_BODY)
def test_a_body_that_was_changed_by_one_byte_is_refused(scheme: str) -> None:
    secret, sent = GENUINE[scheme]
    for changed in (BODY + b" ", BODY[:-1], b"", BODY.replace(b"done", b"gone")):
        with pytest.raises(Forged, match="does not match"):
            verify(scheme, secret, "", replace(sent, body=changed))


@pytest.mark.parametrize("scheme", WITH_TIME)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_signed_time_is_good_for_five_minutes_either_way(scheme: str, sign: int) -> None:
    secret, sent = GENUINE[scheme]
    verify(scheme, secret, "", replace(sent, received=NOW + sign * timedelta(seconds=TOLERANCE_SECONDS)))
    with pytest.raises(Forged, match="was signed 301 s"):
        verify(scheme, secret, "", replace(sent, received=NOW + sign * timedelta(seconds=TOLERANCE_SECONDS + 1)))


@pytest.mark.parametrize("scheme", WITH_TIME)
def test_the_time_is_signed_too(scheme: str) -> None:
    secret, sent = GENUINE[scheme]
    later = str(int(STAMP) + 1)
    moved = {name: value.replace(STAMP, later) for name, value in sent.headers.items()}
    assert moved != dict(sent.headers)
    with pytest.raises(Forged, match="does not match"):
        verify(scheme, secret, "", replace(sent, headers=moved))


def test_a_standard_webhook_is_named_by_the_id_that_was_signed() -> None:
    assert verify("standard", STANDARD, "", standard()) == "msg_1"
    assert verify("standard", STANDARD, "", standard("svix")) == "msg_1"
    renamed = standard()
    with pytest.raises(Forged):
        verify("standard", STANDARD, "", replace(renamed, headers={**renamed.headers, "webhook-id": "msg_2"}))


def test_what_the_standard_package_verifies_we_verify_and_the_other_way_round() -> None:
    now = datetime.now(UTC)
    sent = replace(standard(moment=now), received=now)
    assert Webhook(STANDARD).verify(BODY, dict(sent.headers)) == {"état": "done"}
    assert verify("standard", STANDARD, "", sent) == "msg_1"


@pytest.mark.parametrize("scheme", ["github", "pagerduty", "dbt", "hmac", "slack", "stripe"])
def test_headers_that_are_not_signed_name_no_delivery(scheme: str) -> None:
    secret, sent = GENUINE[scheme]
    unsigned = {
        "x-github-delivery": "other",
        "idempotency-key": "other",
        "webhook-id": "other",
        "x-request-id": "other",
    }
    relabelled = replace(sent, headers={**sent.headers, **unsigned})
    assert verify(scheme, secret, "", relabelled) == verify(scheme, secret, "", sent)


def test_an_unsigned_delivery_is_named_by_its_id_else_by_its_body_within_five_minutes() -> None:
    assert verify("none", "", "", delivery(idempotency_key="k-1")) == "k-1"
    first = verify("none", "", "", delivery())
    assert verify("none", "", "", delivery(received=NOW + timedelta(seconds=299))) == first
    assert verify("none", "", "", delivery(received=NOW + timedelta(hours=24))) != first
    assert verify("none", "", "", delivery(body=b"other")) != first


@pytest.mark.parametrize(
    ("header", "sent"),
    [
        ("", delivery(x_airside_token=SECRET)),
        ("", delivery(x_api_key=SECRET)),
        ("", delivery(query={"token": SECRET})),
        ("X-Own", delivery(x_own=SECRET)),
        ("Authorization", delivery(authorization=SECRET)),
        ("Authorization", delivery(authorization=f"Bearer {SECRET}")),
    ],
)
def test_a_token_may_stand_where_senders_put_it(header: str, sent: Delivery) -> None:
    verify("token", SECRET, header, sent)


def test_a_hook_that_names_its_header_looks_nowhere_else() -> None:
    for sent in (
        delivery(x_api_key=SECRET),
        delivery(query={"token": SECRET}),
        delivery(authorization=f"Bearer {SECRET}"),
    ):
        with pytest.raises(Forged):
            verify("token", SECRET, "X-Own", sent)


def test_an_hmac_is_looked_for_in_the_header_that_the_hook_names() -> None:
    verify("hmac", SECRET, "X-Fivetran-Signature-256", delivery(x_fivetran_signature_256=digest(BODY)))
    with pytest.raises(Forged):
        verify("hmac", SECRET, "X-Fivetran-Signature-256", delivery(x_signature_256=digest(BODY)))


@pytest.mark.parametrize("stamp", ["", "soon", "1e400", "9" * 40, "-1", "²"])
def test_a_time_that_is_none_is_refused(stamp: str) -> None:
    signature = digest(f"v0:{stamp}:".encode() + BODY)
    with pytest.raises(Forged):
        verify("slack", SECRET, "", delivery(x_slack_signature=f"v0={signature}", x_slack_request_timestamp=stamp))


@pytest.mark.parametrize("junk", ["", "=", "v1", "v1,", "v0=ä", "t=,v1=", "sha256=", ",,,", "t=1,t=2", "v1=" * 5_000])
@pytest.mark.parametrize("scheme", SIGNED)
def test_no_junk_in_a_header_is_let_in_or_crashes(scheme: str, junk: str) -> None:
    secret, sent = GENUINE[scheme]
    with pytest.raises(Forged):
        verify(scheme, secret, "", replace(sent, headers=dict.fromkeys(sent.headers, junk)))


@pytest.mark.parametrize("text", ["", "short", "with\nnewline", " spaces ", "x" * 1_025])
def test_a_secret_that_nobody_could_sign_with_is_refused(text: str) -> None:
    with pytest.raises(BadSecret):
        check_secret("github", text)
    with pytest.raises(BadSecret, match="base64"):
        check_secret("standard", "whsec_not*base64")


@pytest.mark.parametrize("scheme", SIGNED)
def test_a_secret_that_we_make_is_good_and_never_the_same(scheme: str) -> None:
    made = {new_secret(scheme) for _ in range(20)}
    assert len(made) == 20
    for secret in made:
        check_secret(scheme, secret)
