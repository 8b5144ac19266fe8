"""What a Docker engine is asked for: the container of a run, as a body of its API. Pure."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from airside.agent.working.infrastructure.job import Job, in_container, labels_of
from airside.events import infrastructure

#: Labels: which run a container carries out, of which server, by which claim.
PREFIX: Final = "airside."
_NANO: Final = 1_000_000_000


def name_of(run: str) -> str:
    """Name the container of a run: the engine has one of a name, so a run has one container."""
    return f"airside-{run}"


def plane_of(plane: Mapping[str, str]) -> str:
    """Name the server without its address."""
    return blake2b(plane.get("AIRSIDE_URL", "").encode(), digest_size=8).hexdigest()


def labels(job: Job, settings: infrastructure.Docker) -> dict[str, str]:
    """Give the container's labels; ours are not overridden."""
    own = labels_of(job.claim) | {"plane": plane_of(job.plane), "grace": f"{settings.grace:g}"}
    own["keep"] = "" if settings.auto_remove else "yes"
    return {**settings.labels, **{f"{PREFIX}{key}": text for key, text in own.items()}}


def host(settings: infrastructure.Docker) -> dict[str, Any]:
    """Give the arguments of the client's `create_host_config`."""
    made: dict[str, Any] = {
        "init": True,  # else the first process gets no SIGTERM that it does not ask for
        "security_opt": ["no-new-privileges:true"],
        "binds": list(settings.volumes),
    }
    if settings.network is not None:
        made["network_mode"] = settings.network
    if settings.memory is not None:
        made["mem_limit"] = made["memswap_limit"] = infrastructure.bytes_of(settings.memory)
    if settings.cpus is not None:
        made["nano_cpus"] = round(settings.cpus * _NANO)
    return made


def container(job: Job, settings: infrastructure.Docker) -> dict[str, Any]:
    """Give the arguments of the client's `create_container`, without the host's. Raises CannotPrepare."""
    return {
        "image": settings.image,
        "entrypoint": list(settings.command),
        "command": [job.claim.entrypoint],
        "environment": in_container(job, settings.env, settings.pass_env),
        "labels": labels(job, settings),
        "name": name_of(job.claim.run),
        "user": settings.user,
        "volumes": [source_and_target.split(":")[1] for source_and_target in settings.volumes],
        "stop_signal": "SIGTERM",
    }
