"""The API describes itself: to programs completely, to people without anything from elsewhere."""

import re

import httpx
import pytest

from airside.coordinator.api.permissions import ROLES

pytest_plugins = ["tests.support.api_fixtures"]


async def test_the_openapi_document_names_every_route(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {route for route in ROLES if route[0] != "HEAD"}


async def test_every_operation_says_what_it_does_and_what_it_answers(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    identifiers = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            place = f"{method} {path}"
            assert operation["summary"], place
            assert operation["description"], place
            assert operation["tags"], place
            identifiers.add(operation["operationId"])
            for parameter in operation.get("parameters", []):
                assert parameter["name"].islower(), place
    assert len(identifiers) == sum(len(methods) for methods in document["paths"].values())


async def test_bodies_and_problems_come_with_examples(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                named = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                schema = document["components"]["schemas"].get(named, {})
                assert "example" in content or "examples" in content or "examples" in schema, (path, kind)
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    example = answer["content"]["application/problem+json"]["example"]
                    assert example["status"] == int(status), path


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_need_nothing_from_elsewhere(api: httpx.AsyncClient, path: str) -> None:
    page = await api.get(path)
    assert page.headers["content-type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert loaded
    for address in loaded:
        assert address.startswith(("/", "#")), address
        assert not address.startswith("//")
    for forbidden in ("<script", "<style", " style=", " onclick=", "javascript:"):
        assert forbidden not in page.text


async def test_the_pages_links_answer(api: httpx.AsyncClient) -> None:
    page = await api.get("/")
    for address in re.findall(r'href="([^"]+)"', page.text):
        assert (await api.get(address)).status_code == 200, address


async def test_the_description_shows_every_path(api: httpx.AsyncClient) -> None:
    text = (await api.get("/docs")).text
    for _, path in ROLES:
        assert path in text


async def test_the_nats_channels_are_described_and_name_no_server_of_ours(api: httpx.AsyncClient) -> None:
    answer = await api.get("/asyncapi.json")
    document = answer.json()
    assert document["asyncapi"] == "3.0.0"
    addresses = {channel["address"].partition(".")[0] for channel in document["channels"].values()}
    assert addresses == {"airside", "ev", "ctl", "fire", "act", "dead"}
    assert "airside:" not in answer.text
