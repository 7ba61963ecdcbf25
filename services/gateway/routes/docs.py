"""/docs: the API's description as a page, from the same /openapi.json. Nothing is loaded from elsewhere; no script runs."""

from __future__ import annotations

import re
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.web.page_context import nobody
from services.web.page_route import PageRoute
from services.web.render import Pages

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/docs")
async def show_docs(request: Request) -> Response:
    """As open as /openapi.json itself: it tells what can be asked, not what is there."""
    document = request.app.openapi()
    pages: Pages = request.app.state.web_pages
    return pages.response(
        "api.html",
        document=document,
        groups=groups(document),
        schemas=schemas(document),
        **nobody(),
    )


def groups(document: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(tag, operations) in the order of the document."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            row = {
                "anchor": re.sub(r"[^a-z0-9]+", "-", f"{method} {path}".lower()).strip("-"),
                "method": method.upper(),
                "path": path,
                "summary": operation.get("summary", ""),
                "text": operation.get("description", ""),
                "parameters": [_parameter(one) for one in operation.get("parameters", ())],
                "body": _names(operation.get("requestBody", {})),
                "answers": [
                    (status, answer["description"], _names(answer))
                    for status, answer in operation["responses"].items()
                ],
            }
            found.setdefault(operation.get("tags", ["other"])[0], []).append(row)
    return list(found.items())


def schemas(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, what it says of itself, the schema as text)."""
    found = document["components"]["schemas"]
    return [
        (
            name,
            str(schema.get("description", "")),
            orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode(),
        )
        for name, schema in sorted(found.items())
    ]


def _parameter(one: dict[str, Any]) -> dict[str, Any]:
    schema = dict(one.get("schema", {}))
    schema.pop("title", None)
    return {
        "name": one["name"],
        "where": one["in"],
        "required": one.get("required", False),
        "text": one.get("description", ""),
        "schema": orjson.dumps(schema).decode(),
    }


def _names(part: dict[str, Any]) -> list[tuple[str, str]]:
    """(media type, name of the schema or "") of a body or an answer."""
    found = []
    for media, content in part.get("content", {}).items():
        schema = content.get("schema", {})
        inner = (
            schema.get("items", schema)
            if isinstance(schema.get("items", schema), dict)
            else schema
        )
        found.append((media, str(inner.get("$ref", "")).rpartition("/")[2]))
    return found
