"""`/docs`: `/openapi.json` as a page, without scripts and without files from other hosts."""

from __future__ import annotations

import re
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.web.page_context import signed_out
from services.web.page_route import PageRoute
from services.web.render import pages_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/docs")
async def show_docs(request: Request) -> Response:
    """Render the description of the API; public, like /openapi.json itself."""
    document = request.app.openapi()
    return pages_of(request).response(
        "api.html",
        document=document,
        groups=groups(document),
        schemas=schemas(document),
        **signed_out(),
    )


def groups(document: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return (tag, operations) in the order of the document."""
    by_tag: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            row = {
                "anchor": re.sub(r"[^a-z0-9]+", "-", f"{method} {path}".lower()).strip(
                    "-"
                ),
                "method": method.upper(),
                "path": path,
                "summary": operation.get("summary", ""),
                "text": operation.get("description", ""),
                "parameters": [
                    _parameter(one) for one in operation.get("parameters", ())
                ],
                "body": _media_types(operation.get("requestBody", {})),
                "answers": [
                    (status, answer["description"], _media_types(answer))
                    for status, answer in operation["responses"].items()
                ],
            }
            by_tag.setdefault(operation.get("tags", ["other"])[0], []).append(row)
    return list(by_tag.items())


def schemas(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, description, schema as indented JSON), sorted by name."""
    return [
        (
            name,
            str(schema.get("description", "")),
            orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode(),
        )
        for name, schema in sorted(document["components"]["schemas"].items())
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


def _media_types(part: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (media type, name of the schema or "") of a request body or a response."""
    pairs = []
    for media, content in part.get("content", {}).items():
        schema = content.get("schema", {})
        items = schema.get("items", schema)
        inner = items if isinstance(items, dict) else schema
        pairs.append((media, str(inner.get("$ref", "")).rpartition("/")[2]))
    return pairs
