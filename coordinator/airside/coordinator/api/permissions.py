"""Which roles each route lets in. A route that is not in this table lets nobody in, and the app does not start."""

from collections.abc import Mapping
from typing import Final

from airside.coordinator.tokens import Role

#: The only paths that answer without a token, compared as they stand: no prefix, no suffix, no pattern.
PUBLIC_PATHS: Final = frozenset({"/health", "/ready", "/api/admin/version"})
#: What comes to hooks: its signature is the authentication. Under this prefix no token is looked at, and only the
#: route below is there for whoever has none.
HOOKS_PREFIX: Final = "/hooks/"
#: Routes that let in whoever asks, by their path with names in it.
PUBLIC_ROUTES: Final = PUBLIC_PATHS | {"/hooks/{slug}"}

_ANY: Final = frozenset(Role)
_READ: Final = frozenset({Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN})
#: What tells of what happens: also the processes that an agent starts, with the agent's token.
_POST: Final = frozenset({Role.INGEST, Role.AGENT, Role.OPERATOR, Role.EDITOR, Role.ADMIN})
_OPERATE: Final = frozenset({Role.OPERATOR, Role.EDITOR, Role.ADMIN})
#: Claiming runs gives their parameters and credentials' names to whoever asks: no role has it by the way.
_WORK: Final = frozenset({Role.AGENT, Role.ADMIN})
_EDIT: Final = frozenset({Role.EDITOR, Role.ADMIN})
_ADMIN: Final = frozenset({Role.ADMIN})

ROLES: Final[Mapping[tuple[str, str], frozenset[Role]]] = {
    ("POST", "/api/events"): _POST,
    ("OPTIONS", "/api/events"): _POST,
    ("GET", "/api/events"): _READ,
    ("GET", "/api/events/count"): _READ,
    ("GET", "/api/events/export"): _READ,
    ("GET", "/api/events/stream"): _READ,
    ("GET", "/api/events/dead-letters"): _READ,
    ("GET", "/api/events/{event_id}"): _READ,
    ("GET", "/api/resources"): _READ,
    ("GET", "/api/resources/{resource_id}"): _READ,
    ("GET", "/api/runs"): _READ,
    ("GET", "/api/runs/{run_id}"): _READ,
    ("POST", "/api/runs/states"): _POST,
    ("POST", "/api/runs/{run_id}/states"): _POST,
    ("GET", "/api/runs/{run_id}/state"): _ANY,
    ("POST", "/api/runs/{run_id}/cancel"): _OPERATE,
    ("POST", "/api/runs/{run_id}/pause"): _OPERATE,
    ("POST", "/api/runs/{run_id}/resume"): _OPERATE,
    ("POST", "/api/runs/{run_id}/retry"): _OPERATE,
    ("GET", "/api/limits"): _ANY,  # a flow asks which of its tags are limited
    ("GET", "/api/limits/{name}"): _READ,
    ("PUT", "/api/limits/{name}"): _OPERATE,
    ("DELETE", "/api/limits/{name}"): _OPERATE,
    ("POST", "/api/limits/{name}/acquire"): _POST,
    ("POST", "/api/limits/{name}/renew"): _POST,
    ("POST", "/api/limits/{name}/release"): _POST,
    ("POST", "/api/logs"): _POST,
    ("GET", "/api/logs"): _READ,
    ("GET", "/api/runs/{run_id}/logs"): _READ,
    ("GET", "/api/deployments"): _READ,
    ("POST", "/api/deployments"): _EDIT,
    ("GET", "/api/deployments/{flow}/{name}"): _READ,
    ("DELETE", "/api/deployments/{flow}/{name}"): _EDIT,
    ("POST", "/api/deployments/{flow}/{name}/pause"): _OPERATE,
    ("POST", "/api/deployments/{flow}/{name}/resume"): _OPERATE,
    ("POST", "/api/deployments/{flow}/{name}/schedules/{schedule}/pause"): _OPERATE,
    ("POST", "/api/deployments/{flow}/{name}/schedules/{schedule}/resume"): _OPERATE,
    ("POST", "/api/deployments/{flow}/{name}/run"): _OPERATE | {Role.AGENT},
    ("GET", "/api/queues"): _READ,
    ("POST", "/api/queues"): _OPERATE,
    ("DELETE", "/api/queues/{name}"): _OPERATE,
    ("GET", "/api/queues/{name}"): _READ,
    ("POST", "/api/queues/{name}/pause"): _OPERATE,
    ("POST", "/api/queues/{name}/resume"): _OPERATE,
    ("POST", "/api/queues/{name}/limit"): _OPERATE,
    ("GET", "/api/agents"): _READ,
    ("POST", "/api/agents"): _WORK,
    ("POST", "/api/agents/{agent}/heartbeat"): _WORK,
    ("POST", "/api/agents/{agent}/stop"): _WORK,
    ("POST", "/api/work/claim"): _WORK,
    ("POST", "/api/work/renew"): _WORK,
    ("POST", "/api/work/take-over"): _WORK,
    ("POST", "/api/work/finish"): _WORK,
    ("GET", "/api/automations"): _READ,
    ("POST", "/api/automations"): _EDIT,
    ("GET", "/api/automations/firings"): _READ,
    ("GET", "/api/automations/{name}"): _READ,
    ("DELETE", "/api/automations/{name}"): _EDIT,
    ("POST", "/api/automations/{name}/enable"): _OPERATE,
    ("POST", "/api/automations/{name}/disable"): _OPERATE,
    ("GET", "/api/automations/{name}/firings"): _READ,
    ("GET", "/api/automations/{name}/why-not"): _READ,
    ("POST", "/api/automations/backtest"): _OPERATE,
    ("GET", "/api/firings"): _READ,
    ("GET", "/api/firings/{firing_id}"): _READ,
    ("POST", "/api/query"): _READ,
    ("POST", "/api/views/rebuild"): _OPERATE,
    ("GET", "/api/views/rebuild"): _READ,
    ("POST", "/api/v1/lineage"): _POST,
    ("POST", "/api/v1/lineage/batch"): _POST,
    ("GET", "/api/status"): _READ,
    ("GET", "/api/tokens"): _ADMIN,
    ("POST", "/api/tokens"): _ADMIN,
    ("DELETE", "/api/tokens/{token_id}"): _ADMIN,
    ("GET", "/api/hooks"): _ADMIN,
    ("POST", "/api/hooks"): _ADMIN,
    ("GET", "/api/hooks/{name}"): _ADMIN,
    ("DELETE", "/api/hooks/{name}"): _ADMIN,
    ("POST", "/api/hooks/{name}/test"): _ADMIN,
    ("GET", "/api/blocks"): _READ,
    ("GET", "/api/blocks/types"): _READ,
    ("GET", "/api/blocks/{name}"): _READ,
    ("PUT", "/api/blocks/{name}"): _ADMIN,  # a block's address is where the plane sends what others must not choose
    ("DELETE", "/api/blocks/{name}"): _ADMIN,
    ("POST", "/api/blocks/{name}/reveal"): _WORK,
    ("POST", "/hooks/{slug}"): _ANY,
    ("GET", "/api/admin/version"): _ANY,
    ("GET", "/health"): _ANY,
    ("HEAD", "/health"): _ANY,
    ("GET", "/ready"): _ANY,
    ("HEAD", "/ready"): _ANY,
    ("GET", "/metrics"): _READ,
    ("GET", "/openapi.json"): _READ,
    ("GET", "/asyncapi.json"): _READ,
    ("GET", "/docs"): _READ,
    ("GET", "/assets/plain.css"): _READ,
    ("GET", "/"): _READ,
}

#: The same for WebSockets, by their path. Their token comes in a first message; all other paths refuse them.
SOCKETS: Final[Mapping[str, frozenset[Role]]] = {"/api/events/in": _POST}
