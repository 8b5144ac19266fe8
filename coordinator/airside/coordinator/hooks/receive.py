"""One delivery from its bytes to its outcome: who sent it, what it says, what to answer. No IO."""

from dataclasses import dataclass, field
from typing import Any, Final

from airside.coordinator.hooks import mapping, signatures
from airside.coordinator.hooks.book import StoredHook
from airside.coordinator.hooks.reading import Unmapped, read_body
from airside.coordinator.hooks.signatures import BadSecret, Delivery, Forged
from airside.coordinator.hooks.template import HookTemplate, InvalidTemplate
from airside.events.exceptions import Problem
from airside.events.limits import Limits
from airside.events.wire import WireEvent

_MAX_CHALLENGE_CHARS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a genuine delivery becomes.

    `problems` say why it could not be mapped; then `events` holds the one that keeps it. Without events it is to be
    ignored, or asks for its `challenge` back.
    """

    events: list[WireEvent] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    challenge: str | None = None


def receive(hook: StoredHook | None, delivery: Delivery, limits: Limits) -> Outcome | None:
    """Check and map a delivery; None where there is no such hook, after as much work. Raises Forged."""
    if hook is None:
        signatures.waste(delivery)
        return None
    try:
        identity = signatures.verify(hook.signature, hook.secret, hook.header, delivery)
    except (BadSecret, KeyError) as error:
        raise Forged("this hook cannot check signatures any more; make it anew") from error
    if hook.signature == "slack" and (challenge := _challenge(delivery)):
        return Outcome(challenge=challenge)
    try:
        template = hook.mapping()
    except (InvalidTemplate, KeyError):
        problem = Problem(
            "", f"this version of Airside cannot read the hook's template{hook.preset and ' '}{hook.preset}"
        )
        kept = mapping.keep(HookTemplate(()), delivery, identity, hook.owner, limits, problems=[problem])
        return Outcome([kept], [problem])
    try:
        return Outcome(mapping.run(template, delivery, identity, hook.owner, limits))
    except Unmapped as error:
        kept = mapping.keep(template, delivery, identity, hook.owner, limits, problems=error.problems)
        return Outcome([kept], error.problems)


def _challenge(delivery: Delivery) -> str | None:
    """Find what Slack wants back when an address is entered there."""
    try:
        body: Any = read_body(delivery)
    except Unmapped:
        return None
    if not isinstance(body, dict) or body.get("type") != "url_verification":
        return None
    challenge = body.get("challenge")
    return challenge if isinstance(challenge, str) and len(challenge) <= _MAX_CHALLENGE_CHARS else None
