"""The cluster that this machine is in, or that its kubeconfig leads to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from airside.agent.discovering.found import Found, label
from airside.agent.discovering.place import Place

_ACCOUNT: Final = "var/run/secrets/kubernetes.io/serviceaccount"


def find(place: Place) -> Iterator[Found]:
    """Find one cluster; of a kubeconfig only the names of its contexts are read."""
    wants = "" if place.has("kubernetes_asyncio") else "pip install 'airside[kubernetes]'"
    account = place.root / _ACCOUNT
    if place.variable("KUBERNETES_SERVICE_HOST") and place.is_there(account / "token"):
        namespace = (place.text(account / "namespace") or "").strip()
        yield _found("cluster", namespace, "", f"the service account at {account}", wants)
        return
    files = [Path(part) for part in place.variable("KUBECONFIG").split(":") if part] or [place.home / ".kube/config"]
    contexts: dict[str, Any] = {}
    current, where = "", files[0]
    for file in files:
        config = place.yaml(file)
        for one in config.get("contexts") or ():
            if isinstance(one, dict) and isinstance(one.get("context"), dict):
                contexts.setdefault(str(one.get("name")), one["context"])
        if not current and config.get("current-context"):
            current, where = str(config["current-context"]), file
    if current in contexts:
        yield _found(current.rpartition("/")[2], str(contexts[current].get("namespace") or ""), current, where, wants)


def _found(name: str, namespace: str, context: str, where: object, wants: str) -> Found:
    url = f"k8s://{label(name)}" + (f"/{namespace}" if namespace else "") + "?type=Warning&from=now"
    watch = {"name": label(f"k8s-{name}"), "url": url + (f"&context={quote(context, safe='')}" if context else "")}
    what = f"cluster {name}" + (f", namespace {namespace}" if namespace else "")
    return Found("kubernetes", what, f"k8s://{label(name)}", str(where), "a watcher of its warnings", watch, wants)
