"""The manifest of a run's job, and of the secret beside it. Pure."""

import copy
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final

from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.infrastructure.job import Job, in_container, labels_of, matching
from airside.events import durations, infrastructure

#: The container that a run is carried out in; a manifest of one's own may have others beside it.
CONTAINER: Final = "run"
RUN: Final = "airside-run"
PLANE: Final = "airside-plane"
CLAIM: Final = "airside-claim"
_PULL: Final = {"always": "Always", "missing": "IfNotPresent", "never": "Never"}
_TOKEN: Final = "AIRSIDE_TOKEN"  # noqa: S105 - its name
_MAX_TEXT: Final = 300


def template() -> dict[str, Any]:
    """Give the manifest that is built in."""
    container = {
        "name": CONTAINER,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": {"spec": pod}}}


def name_of(run: str) -> str:
    """Name the job of a run: a namespace has one of a name, so a run has one job."""
    return f"airside-{run}"


def plane_of(plane: Mapping[str, str]) -> str:
    """Name the server without its address, as a label."""
    return blake2b(plane.get("AIRSIDE_URL", "").encode(), digest_size=8).hexdigest()


def build(job: Job, settings: infrastructure.Kubernetes) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Make the job, and the secret of what is not for everybody to read. Raises CannotPrepare."""
    made = shaped(settings, job.claim.entrypoint)
    variables = in_container(job, settings.env, settings.pass_env)
    passed = set(matching(settings.pass_env)) - set(settings.env)
    secret = {name: text for name, text in variables.items() if name == _TOKEN or name in passed}
    _own(made, job, settings, {name: text for name, text in variables.items() if name not in secret}, sorted(secret))
    return made, _secret(job, secret) if secret else None


def shaped(settings: infrastructure.Kubernetes, entrypoint: str) -> dict[str, Any]:
    """Make the job as the settings say, without what belongs to one run. Raises CannotPrepare."""
    made = copy.deepcopy(settings.job) if settings.job is not None else template()
    _checked(lambda: _fill(made, settings, entrypoint), "job")
    made = merged(made, copy.deepcopy(settings.merge))
    if settings.patch:
        made = _patched(made, settings.patch)
    _checked(lambda: container_of(made), "job, merge and patch")
    return made


def container_of(made: Mapping[str, Any]) -> dict[str, Any]:
    """Give the container called `run`. Raises KeyError and TypeError for what is no manifest of a job."""
    containers: list[dict[str, Any]] = made["spec"]["template"]["spec"]["containers"]
    return next(one for one in containers if one["name"] == CONTAINER)


def merged(target: Any, patch: Any) -> Any:
    """Lay a JSON Merge Patch over a value: objects are joined, null takes away, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key), value)
    return made


def _patched(made: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        import jsonpatch  # noqa: PLC0415 - not in the base install
    except ImportError as error:
        raise CannotPrepare("`patch` needs: pip install 'airside[kubernetes]' beside the agent") from error
    try:
        done = jsonpatch.apply_patch(made, steps)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise CannotPrepare(f"infrastructure.patch: {str(error)[:_MAX_TEXT]}") from error
    if not isinstance(done, dict):
        raise CannotPrepare("infrastructure.patch: what is left is no manifest")
    return done


def _checked(step: Callable[[], object], what: str) -> None:
    try:
        step()
    except (KeyError, TypeError, AttributeError, IndexError, StopIteration) as error:
        text = f"infrastructure: {what} must make a Job whose pod has a container called `{CONTAINER}`"
        raise CannotPrepare(text) from error


def _fill(made: dict[str, Any], settings: infrastructure.Kubernetes, entrypoint: str) -> None:
    """Write the settings into a manifest."""
    spec, pod = made["spec"], made["spec"]["template"]["spec"]
    spec["ttlSecondsAfterFinished"] = settings.ttl // durations.SECOND
    pod["terminationGracePeriodSeconds"] = max(1, round(settings.grace))
    if settings.service_account is not None:
        pod["serviceAccountName"] = settings.service_account
        pod.pop("automountServiceAccountToken", None)
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    container = container_of(made)
    container |= {"image": settings.image, "command": list(settings.command), "args": [_exactly(entrypoint)]}
    container["imagePullPolicy"] = _PULL[settings.pull]
    asked = {key: dict(found) for key, found in settings.resources if found}
    if asked:
        container["resources"] = asked
    for about in (made.setdefault("metadata", {}), spec["template"].setdefault("metadata", {})):
        about["labels"] = {**about.get("labels", {}), **settings.labels}


def _own(
    made: dict[str, Any],
    job: Job,
    settings: infrastructure.Kubernetes,
    variables: Mapping[str, str],
    secret: list[str],
) -> None:
    """Write what says whose job it is and keeps it to one try; last, so that nothing takes it away."""
    told = labels_of(job.claim) | {"grace": f"{settings.grace:g}"}
    labels = {RUN: job.claim.run, PLANE: plane_of(job.plane), "app.kubernetes.io/managed-by": "airside"}
    about, pod = made["metadata"], made["spec"]["template"]
    about["name"] = name_of(job.claim.run)
    about.pop("generateName", None)
    about.pop("namespace", None)
    for one in (about, pod.setdefault("metadata", {})):
        one["labels"] = {**one.get("labels", {}), **labels}
    about["annotations"] = {**about.get("annotations", {}), **{f"airside-{key}": text for key, text in told.items()}}
    made["spec"] |= {"backoffLimit": 0, "parallelism": 1, "completions": 1}
    pod["spec"]["restartPolicy"] = "Never"
    container = container_of(made)
    ours: list[dict[str, Any]] = [{"name": name, "value": _exactly(text)} for name, text in variables.items()]
    for name in secret:
        key = {"secretKeyRef": {"name": name_of(job.claim.run), "key": name}}
        ours.append({"name": name, "valueFrom": key})
    names = {entry["name"] for entry in ours}
    container["env"] = [entry for entry in container.get("env", []) if entry["name"] not in names] + ours


def _exactly(text: str) -> str:
    """Write a text so that the cluster puts no other variable into it."""
    return text.replace("$(", "$$(")


def _secret(job: Job, values: Mapping[str, str]) -> dict[str, Any]:
    labels = {RUN: job.claim.run, PLANE: plane_of(job.plane), "app.kubernetes.io/managed-by": "airside"}
    about = {"name": name_of(job.claim.run), "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": about, "type": "Opaque", "stringData": dict(values)}
