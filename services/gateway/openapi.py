"""The API's description: what FastAPI derives, plus the request bodies we parse ourselves (raw bytes, strict JSON)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from search.domains import Kind
from services.gateway.routes.jobs import EXAMPLE
from services.gateway.routes.keys import NewKey
from trimtab import __version__
from trimtab.results import Event, Problem

_TEMPLATE = "#/components/schemas/{model}"
_ABOUT = """Send an optimization job, watch it improve, get an answer checked by something that did not find it.

Authenticate with `Authorization: Bearer tt_...`. Every error is a problem document (RFC 9457) that shows what came, what was
wanted and what to do. Submits take an `Idempotency-Key`; with one, repeating a submit is always safe."""


def install(app: FastAPI, kinds: Mapping[str, Kind], adapter: TypeAdapter[Any]) -> None:
    """Make `app.openapi()` tell the whole contract."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app, kinds, adapter)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]


def _build(
    app: FastAPI, kinds: Mapping[str, Kind], adapter: TypeAdapter[Any]
) -> dict[str, Any]:
    document = get_openapi(
        title="trimtab", version=__version__, description=_ABOUT, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    request = adapter.json_schema(ref_template=_TEMPLATE)
    schemas |= request.pop("$defs", {})
    schemas["JobRequest"] = request | {"title": "JobRequest"}
    if EXAMPLE["kind"] in kinds:
        schemas["JobRequest"]["examples"] = [EXAMPLE]
    schemas["JobBatch"] = {
        "type": "object",
        "required": ["jobs"],
        "additionalProperties": False,
        "properties": {
            "jobs": {
                "type": "array",
                "minItems": 1,
                "maxItems": 10_000,
                "items": {"$ref": "#/components/schemas/JobRequest"},
            }
        },
    }
    _, extra = models_json_schema(
        [(NewKey, "validation"), (Problem, "validation"), (Event, "validation")],
        ref_template=_TEMPLATE,
    )
    schemas |= extra["$defs"]
    # FastAPI's own 422 is never sent: ours is a problem document.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    document["components"]["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "tt_<id>_<secret>"},
        "session": {"type": "apiKey", "in": "cookie", "name": "trimtab_session"},
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            body = operation.get("requestBody")
            if isinstance(body, str):
                reference = {"schema": {"$ref": f"#/components/schemas/{body}"}}
                operation["requestBody"] = {
                    "required": True,
                    "content": {"application/json": reference},
                }
            if path not in ("/healthz", "/readyz"):
                operation["security"] = [{"apiKey": []}, {"session": []}]
            unprocessable = operation.get("responses", {}).get("422", {})
            if "HTTPValidationError" in str(unprocessable):
                del operation["responses"]["422"]
            # Sent for any request that the door itself refuses: another method, a bad Host, an encoded or oversized body.
            problem = {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"}
                }
            }
            for status, text in (
                ("400", "Malformed request"),
                ("405", "Method not allowed; `Allow` names those that are"),
                ("413", "Payload too large"),
                ("415", "Unsupported media type"),
            ):
                operation["responses"].setdefault(
                    status, {"description": text, "content": problem}
                )
    return document
