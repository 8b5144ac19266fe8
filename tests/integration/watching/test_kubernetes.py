"""Events of a cluster: the real client, over real HTTP, of a stand-in for the API server (tests/support)."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.kubernetes_api import KubernetesApi
from tests.support.watching import Watching

from airside.agent.watching.kubernetes import mapping
from airside.agent.watching.watcher import WatchError, WatchRefused

pytest.importorskip("kubernetes_asyncio")
PAYLOADS = Path(__file__).parents[2] / "data" / "kubernetes"


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubernetesApi]:
    found = KubernetesApi()
    await found.start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": found.url}}],
        "users": [{"name": "u", "user": {"token": "hunter2"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    yield found
    await found.stop()


@pytest.fixture
async def eyes(api: KubernetesApi) -> AsyncIterator[Watching]:
    found = Watching.url("k8s://prod/data?context=x")
    yield found
    await found.watcher.close()


async def until(eyes: Watching, count: int) -> list[str]:
    """Wait and look until so many events came; gives their ids."""
    ids: list[str] = []
    async with asyncio.timeout(60):
        while len(ids) < count:
            with contextlib.suppress(WatchError):  # the loop asks again
                ids += [event["id"] for event in await eyes.look()]
            if len(ids) < count:
                await eyes.watcher.wait(5)  # type: ignore[attr-defined]
    return ids


async def test_what_is_there_is_listed_and_what_comes_is_followed(api: KubernetesApi, eyes: Watching) -> None:
    await api.put("a")
    assert await until(eyes, 1) == ["k8s:prod:uid-a:1"]
    assert await eyes.look() == []
    await api.put("a", count=2)
    await api.put("b")
    assert await until(eyes, 2) == ["k8s:prod:uid-a:2", "k8s:prod:uid-b:1"]
    assert api.lists == 1
    assert "allowWatchBookmarks=true" in api.opened[0].replace("True", "true")


async def test_a_list_of_many_pages_is_read_to_its_end(
    api: KubernetesApi, eyes: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airside.agent.watching.kubernetes.watcher._PAGE", 2)
    for name in "abcde":
        await api.put(name)
    assert len(await eyes.look()) == 5
    assert api.lists == 3


async def test_after_a_broken_connection_it_goes_on_where_it_was(api: KubernetesApi, eyes: Watching) -> None:
    await api.put("a")
    await until(eyes, 1)
    await api.put("b")
    await until(eyes, 1)
    await api.drop()
    await api.put("c")
    assert await until(eyes, 1) == ["k8s:prod:uid-c:1"]
    assert api.lists == 1
    assert [version for line in api.opened for version in line.split("&") if "resourceVersion" in version] == [
        "resourceVersion=101",
        "resourceVersion=102",
    ]


async def test_bookmarks_move_the_place_from_which_it_goes_on(api: KubernetesApi, eyes: Watching) -> None:
    await eyes.look()
    await eyes.look()
    await api.bookmark()
    async with asyncio.timeout(60):
        while eyes.cursor != {"version": "101"}:
            await eyes.watcher.wait(5)  # type: ignore[attr-defined]
            assert await eyes.look() == []


@pytest.mark.parametrize("in_the_stream", [True, False])
async def test_what_is_forgotten_is_listed_anew_with_the_same_ids(
    api: KubernetesApi, eyes: Watching, in_the_stream: bool
) -> None:
    await api.put("a")
    await until(eyes, 1)
    await eyes.look()
    await api.put("b")
    await api.put("c")
    await api.forget(in_the_stream=in_the_stream)
    found = await until(eyes, 3)
    assert set(found) >= {"k8s:prod:uid-b:1", "k8s:prod:uid-c:1"}
    assert len(set(found)) <= 3


async def test_another_process_goes_on_from_the_cursor(api: KubernetesApi, eyes: Watching) -> None:
    await api.put("a")
    await until(eyes, 1)
    await api.put("b")
    other = Watching.url("k8s://prod?context=x")
    other.cursor = eyes.cursor
    assert [event["id"] for event in await other.look()] == ["k8s:prod:uid-b:1"]
    await other.watcher.close()


async def test_only_warnings_when_only_they_are_wanted(api: KubernetesApi) -> None:
    await api.put("a", type="Normal", reason="Scheduled")
    await api.put("b")
    eyes = Watching.url("k8s://prod?type=Warning&context=x")
    assert await eyes.types() == ["k8s.pod.back_off"]
    await eyes.watcher.close()


async def test_an_api_server_that_is_away_is_told_and_asked_again(api: KubernetesApi, eyes: Watching) -> None:
    await api.stop()
    with pytest.raises(WatchError, match="k8s://prod/data") as caught:
        await eyes.look()
    assert "hunter2" not in str(caught.value)


async def test_without_a_way_in_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(WatchRefused, match="no way into a cluster"):
        await Watching.url("k8s://prod").look()


@pytest.mark.parametrize("name", ["core_v1_event.json", "events_k8s_io_v1_event.json"])
def test_both_kinds_of_event_become_one(name: str) -> None:
    seen: dict[str, Any] = json.loads((PAYLOADS / name).read_text())
    event = mapping.read("prod", seen)
    assert event is not None
    shown = (event["id"], event["type"], event["resource"]["id"], event["time"], event["payload"]["count"])
    assert shown in (
        (
            "k8s:prod:5b0c6a1e-0000-4000-8000-000000000001:7",
            "k8s.pod.back_off",
            "k8s://prod/data/pod/orders-load-x7k2p",
            "2026-11-22T06:03:00Z",
            7,
        ),
        (
            "k8s:prod:5b0c6a1e-0000-4000-8000-000000000003:3",
            "k8s.pod.scheduled",
            "k8s://prod/data/pod/orders-load-x7k2p",
            "2026-11-22T06:02:00Z",
            3,
        ),
    )
    assert event["payload"]["message"]
    assert event["payload"]["component"] in ("kubelet", "default-scheduler")


def test_what_is_no_event_of_an_object_is_passed_over() -> None:
    assert mapping.read("prod", {"metadata": {"uid": "x"}, "reason": "Y"}) is None
