"""The OpenAPI description: FastAPI's, plus the request bodies that routes parse themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from search.kinds import Kind
from services.gateway.problems import MEDIA_TYPE
from services.gateway.routes.jobs import EXAMPLE
from services.gateway.routes.keys import NewKey, RotateKey
from services.gateway.routes.views import NewView
from services.gateway.text.requests import ChatRequest, CompletionRequest
from trimtab import __version__
from trimtab.plans import OutlineApproval, PatchOperation, QuestionAnswers
from trimtab.results import Event, Problem
from trimtab.specs.common import JobChanges
from trimtab.upkeep import RetentionRule

_TEMPLATE = "#/components/schemas/{model}"
_ABOUT = """Submit an optimization job, watch it improve, and get an answer that is verified \
independently of the search.

Authenticate with `Authorization: Bearer tt_...`. Every error is a problem document (RFC 9457) \
that names the field, what was expected, what was sent, and the remedy. Submits take an \
`Idempotency-Key`, which makes repeating them safe."""

# Models that no route declares to FastAPI. A route that parses its body itself names the model
# in `openapi_extra={"requestBody": "<name>"}`.
SCHEMAS: tuple[type[BaseModel], ...] = (
    NewKey,
    NewView,
    JobChanges,
    RotateKey,
    RetentionRule,
    ChatRequest,
    CompletionRequest,
    QuestionAnswers,
    OutlineApproval,
    PatchOperation,
    Problem,
    Event,
)
PUBLIC = ("/healthz", "/readyz")  # no key needed

# Middleware and server can refuse any request before it reaches its route.
_REFUSALS = {
    "400": "Malformed request",
    "405": "Method not allowed; `Allow` lists the allowed ones",
    "413": "Payload too large",
    "415": "Unsupported media type",
}


def install(app: FastAPI, kinds: Mapping[str, Kind], adapter: TypeAdapter[Any]) -> None:
    """Make `app.openapi()` return the complete description."""

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
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas |= _request_schemas(kinds, adapter)
    _, extra = models_json_schema(
        [(model, "validation") for model in SCHEMAS], ref_template=_TEMPLATE
    )
    schemas |= extra["$defs"]
    # FastAPI's own 422 body is never sent: validation errors are problem documents.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "tt_<id>_<secret>"},
        "session": {"type": "apiKey", "in": "cookie", "name": "trimtab_session"},
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(operation, public=path in PUBLIC)
    return document


def _request_schemas(
    kinds: Mapping[str, Kind], adapter: TypeAdapter[Any]
) -> dict[str, Any]:
    """Return the schemas of JobRequest, a union over the kinds, and of JobBatch."""
    request = adapter.json_schema(ref_template=_TEMPLATE)
    schemas: dict[str, Any] = request.pop("$defs", {})
    schemas["JobRequest"] = request | {"title": "JobRequest"}
    if EXAMPLE["kind"] in kinds:
        schemas["JobRequest"]["examples"] = [EXAMPLE]
    jobs = {
        "type": "array",
        "minItems": 1,
        "maxItems": 10_000,
        "items": {"$ref": "#/components/schemas/JobRequest"},
    }
    schemas["JobBatch"] = {
        "type": "object",
        "required": ["jobs"],
        "additionalProperties": False,
        "properties": {"jobs": jobs},
    }
    return schemas


def _complete(operation: dict[str, Any], *, public: bool) -> None:
    """Add body, security and refusals to one operation, in place."""
    body = operation.get("requestBody")
    if isinstance(body, str):
        reference = {"schema": {"$ref": f"#/components/schemas/{body}"}}
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": reference},
        }
    if not public:
        operation["security"] = [{"apiKey": []}, {"session": []}]
    if "HTTPValidationError" in str(operation.get("responses", {}).get("422", {})):
        del operation["responses"]["422"]
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, text in _REFUSALS.items():
        operation["responses"].setdefault(
            status, {"description": text, "content": problem}
        )
