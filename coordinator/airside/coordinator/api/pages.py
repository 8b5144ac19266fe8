"""Pages for people that need nothing from elsewhere: what answers here, and the description of the API.

They are plain HTML under the strict content security policy that every answer carries: no script at all, one
stylesheet from here.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from html import escape
from importlib.metadata import version
from typing import Any, Final

import orjson
from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from airside.coordinator import channels
from airside.coordinator.api.routing import router

routes = router("pages")

_METHODS: Final = ("get", "post", "put", "patch", "delete", "options")
_CSS: Final = """\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; text-transform: capitalize; } h3 { margin-bottom: .3rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .7rem 1rem; border: 1px solid light-dark(#ccd, #445); border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .2rem .8rem .2rem 0; }
th, td { vertical-align: top; border-bottom: 1px solid light-dark(#dde, #334); }
a { color: light-dark(#0b57d0, #9ec1ff); } .method { font-weight: 700; } .quiet { color: light-dark(#556, #aab); }
details { margin: .3rem 0; } :focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
"""
_LINKS: Final = (
    ("/docs", "the HTTP API, described"),
    ("/openapi.json", "the same for programs (OpenAPI)"),
    ("/asyncapi.json", "the channels on NATS, for programs (AsyncAPI)"),
    ("/api/status", "where log, views and engine stand"),
    ("/api/events?limit=20", "the last events"),
    ("/api/automations", "the automations"),
    ("/metrics", "metrics for Prometheus"),
    ("/ready", "whether everything is ready"),
)


@routes.get("/", summary="Say what answers here", response_class=HTMLResponse)
async def index() -> Response:
    """Give a plain page that says what answers here."""
    links = "".join(f'<li><a href="{path}"><code>{path}</code></a> {words}</li>' for path, words in _LINKS)
    return _page("Airside", f"<h1>Airside {escape(version('airside'))}</h1><p>The plane is up.</p><ul>{links}</ul>")


@routes.get("/docs", summary="Describe the HTTP API for people", response_class=HTMLResponse)
async def docs(request: Request) -> Response:
    """Give every route with its parameters, examples and answers."""
    return _page("Airside: HTTP API", _described(orjson.dumps(request.app.openapi())))


@routes.get("/openapi.json", summary="Describe the HTTP API for programs")
async def openapi(request: Request) -> Response:
    """Give the OpenAPI document."""
    return Response(orjson.dumps(request.app.openapi()), media_type="application/json")


@routes.get("/asyncapi.json", summary="Describe the NATS channels for programs")
async def asyncapi() -> Response:
    """Give the AsyncAPI document of all channels."""
    return Response(channels.document(), media_type="application/json")


@routes.get("/assets/plain.css", summary="Give the stylesheet of the plain pages")
async def stylesheet() -> Response:
    """Give the one stylesheet."""
    return Response(_CSS, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def _page(title: str, body: str) -> Response:
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/assets/plain.css"></head>'
        f"<body><main>{body}</main></body></html>"
    )


@lru_cache(maxsize=4)
def _described(document: bytes) -> str:
    description = orjson.loads(document)
    info = description["info"]
    parts = [f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{_prose(info.get('description', ''))}</p>"]
    parts.append('<p>For programs: <a href="/openapi.json"><code>/openapi.json</code></a></p>')
    by_tag: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method in _METHODS:
            if method in operations:
                operation = operations[method]
                by_tag.setdefault((operation.get("tags") or ["other"])[0], []).append(
                    "".join(_operation(method, path, operation))
                )
    parts += [f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in by_tag.items()]
    return "".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    anchor = escape(operation.get("operationId", f"{method}{path}"))
    yield f'<section id="{anchor}"><h3><code><span class="method">{method.upper()}</span> {escape(path)}</code></h3>'
    yield f"<p><strong>{escape(operation.get('summary', ''))}.</strong> {_prose(operation.get('description', ''))}</p>"
    if parameters := operation.get("parameters"):
        rows = "".join(
            f"<tr><td><code>{escape(p['name'])}</code></td><td class=quiet>{escape(p['in'])}"
            f"{', required' if p.get('required') else ''}</td><td>{escape(p.get('description', ''))}</td></tr>"
            for p in parameters
        )
        yield f"<table><thead><tr><th>parameter</th><th>in</th><th></th></tr></thead><tbody>{rows}</tbody></table>"
    if body := operation.get("requestBody"):
        yield f"<p>Body: {escape(body.get('description', ''))}</p>"
        for kind, content in body.get("content", {}).items():
            yield _example(kind, content)
    for status, answer in operation.get("responses", {}).items():
        words = f"{escape(status)} {escape(answer.get('description', ''))}"
        examples = "".join(_example(kind, content) for kind, content in answer.get("content", {}).items())
        yield f"<details><summary>{words}</summary>{examples}</details>" if examples else f"<p>{words}</p>"
    yield "</section>"


def _example(kind: str, content: Mapping[str, Any]) -> str:
    values = [content["example"]] if "example" in content else []
    values += [entry.get("value") for entry in content.get("examples", {}).values()]
    shown = "".join(f"<pre>{escape(_text(value))}</pre>" for value in values)
    return f"<p class=quiet><code>{escape(kind)}</code></p>{shown}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _prose(text: str) -> str:
    return "<br>".join(escape(part) for part in text.split("\n\n"))
