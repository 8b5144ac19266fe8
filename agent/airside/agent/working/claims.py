"""What the plane hands out: a run to carry out, and the token that says who holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airside.agent.working.exceptions import CannotPrepare

_DEFAULT_LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Claim:
    """One run that this agent holds. `seq` is the number of the run's last change: its process goes on behind it."""

    token: str
    run: str
    seq: int
    name: str
    deployment: Mapping[str, Any]
    parameters: Mapping[str, Any]
    lease_seconds: float = _DEFAULT_LEASE_SECONDS
    infrastructure: Mapping[str, Any] = field(default_factory=dict)
    #: The answer that a run was resumed with, after its process had ended.
    answer: Any = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """What people are told of the run: its deployment, its name, its id."""
        flow, name = self.deployment.get("flow"), self.deployment.get("name")
        of = f"{flow}/{name}: " if flow and name else ""
        return f"{of}{self.name} ({self.run})"

    @property
    def entrypoint(self) -> str:
        """Where the flow is, as FILE.py:FLOW. Raises CannotPrepare."""
        found = self.deployment.get("entrypoint")
        if not isinstance(found, str) or ":" not in found:
            raise CannotPrepare(f"the deployment's entrypoint must be FILE.py:FLOW, not {found!r}")
        return found

    def settings(self, name: str) -> dict[str, Any]:
        """Give the deployment's `storage` or `infrastructure`; `self.infrastructure` is what the run overrides."""
        found = self.deployment.get(name)
        return dict(found) if isinstance(found, Mapping) else {}


def read(found: Mapping[str, Any]) -> Claim:
    """Read a claim as the plane writes it. Raises KeyError and TypeError for what is none."""
    lease = found.get("lease_seconds")
    return Claim(
        token=str(found["claim"]),
        run=str(found["run"]).rpartition("/")[2],
        seq=int(found["seq"]),
        name=str(found.get("name") or found["run"]),
        deployment=_object(found.get("deployment")),
        parameters=_object(found.get("parameters")),
        lease_seconds=float(lease) if isinstance(lease, int | float) and lease > 0 else _DEFAULT_LEASE_SECONDS,
        infrastructure=_object(found.get("infrastructure")),
        answer=found.get("input"),
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
