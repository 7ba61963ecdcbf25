"""Refusal of filters that name nothing: a misspelt filter must not look like an empty list."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel

from services.errors import BadRequest, NotFound
from services.store.upkeep import ACTIONS


def require_kinds(chosen: Collection[str], kinds: Collection[str]) -> None:
    """Raise BadRequest unless each chosen kind is one of this server's."""
    for kind in chosen:
        if kind not in kinds:
            raise BadRequest(
                f"kind: expected one of {', '.join(kinds)}, got {kind[:40]!r}",
                fix="list the kinds of this server: GET /v1/kinds",
            )


def require_action(action: str | None) -> None:
    """Raise BadRequest unless the audit log knows the act, or the part before its dot."""
    if not action:
        return
    groups = {name.partition(".")[0] for name in ACTIONS}
    if action not in ACTIONS and action not in groups:
        raise BadRequest(
            f"action: expected one of {', '.join(sorted(ACTIONS | groups))}, "
            f"got {action[:40]!r}"
        )


def require_tenant(tenant: str, tenants: Collection[str]) -> None:
    """Raise NotFound unless a tenant has a key, a job or a file."""
    if tenant not in tenants:
        raise NotFound(
            f"tenant: expected one of {', '.join(tenants)}, got {tenant!r}",
            fix="list the tenants: GET /v1/usage with an admin key",
        )


async def known_query(request: Request) -> None:
    """Refuse query parameters that the route does not have, as a dependency of the API."""
    if not request.scope["query_string"]:
        return
    names = tuple(_names(request.scope["route"].dependant))
    for name in request.query_params:
        if name not in names:
            expected = f"one of {', '.join(names)}" if names else "none"
            raise BadRequest(
                f"query: expected {expected}, got {name[:40]!r}",
                fix="see the parameters in /openapi.json",
            )


def _names(dependant: Dependant) -> Iterator[str]:
    """Yield the query parameters of a route and of its dependencies."""
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (info.alias or name for name, info in model.model_fields.items())
        else:
            yield field.alias
    for dependency in dependant.dependencies:
        yield from _names(dependency)
