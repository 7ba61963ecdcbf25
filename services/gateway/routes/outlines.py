"""`/v1/jobs/{job_id}/outline`: read, edit, answer and approve the outline of a plan."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import Field, TypeAdapter, ValidationError
from starlette.responses import Response

from services.errors import BadRequest
from services.gateway import outlines
from services.gateway.bodies import body_of, json_body
from services.gateway.deps import Ctx, Submitter, Viewer
from services.gateway.problems import documented, from_validation
from services.gateway.routes.jobs import JobId
from services.gateway.views import FastJson, job_view
from trimtab.plans import OutlineApproval, OutlineView, PatchOperation, QuestionAnswers
from trimtab.results import JobView

router = APIRouter(prefix="/v1/jobs/{job_id}/outline", tags=["plans"])
PATCH_MEDIA = "application/json-patch+json"
MAX_OPERATIONS = 1_000
_REVISION = re.compile(r'^(W/)?"?([1-9][0-9]{0,8})"?\Z')
_PATCH = TypeAdapter(
    Annotated[list[PatchOperation], Field(min_length=1, max_length=MAX_OPERATIONS)]
)
_PATCH_SCHEMA: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_OPERATIONS,
    "items": {"$ref": "#/components/schemas/PatchOperation"},
}


@router.get(
    "",
    response_model=OutlineView,
    responses=documented(404, 409, 503),
    summary="Get the outline of a plan",
)
async def get_outline(job_id: JobId, ctx: Ctx, principal: Viewer) -> Response:
    """The outline as a tree, with the revision (also as `ETag`) and the digest of this version."""
    return _outline(await outlines.view(ctx, principal, job_id))


@router.patch(
    "",
    response_model=OutlineView,
    responses=documented(400, 404, 409, 413, 415, 422, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {PATCH_MEDIA: {"schema": _PATCH_SCHEMA}},
        }
    },
    summary="Edit the outline of a plan at rest",
)
async def edit_outline(
    request: Request,
    job_id: JobId,
    ctx: Ctx,
    principal: Submitter,
    if_match: Annotated[
        str | None,
        Header(alias="If-Match", description="revision that the edit was made from"),
    ] = None,
) -> Response:
    """JSON Patch (RFC 6902) with `add`, `remove`, `replace` and `test`.

    Specs, budgets, seeds and `enabled` of leaves, edges and answers can be edited. The whole
    outline is checked afterwards, its leaves like any submitted job; a refusal names the place and
    changes nothing.
    """
    revision = _revision(if_match)
    try:
        patch = _PATCH.validate_json(await json_body(request, media=PATCH_MEDIA))
    except ValidationError as error:
        raise from_validation(error) from error
    return _outline(
        await outlines.edit(ctx, principal, job_id, revision=revision, patch=patch)
    )


@router.post(
    "/answers",
    status_code=202,
    response_model=JobView,
    responses=documented(400, 404, 409, 413, 415, 422, 503),
    openapi_extra={"requestBody": "QuestionAnswers"},
    summary="Answer the questions of a plan",
)
async def answer_outline(
    request: Request, job_id: JobId, ctx: Ctx, principal: Submitter
) -> Response:
    """The plan is queued, and makes its outline again with these answers."""
    body = await body_of(request, QuestionAnswers)
    job = await outlines.answer(
        ctx, principal, job_id, revision=body.revision, answers=body.answers
    )
    return FastJson(job_view(job, await ctx.store.now_us()), status_code=202)


@router.post(
    "/approve",
    status_code=202,
    response_model=JobView,
    responses=documented(400, 404, 409, 413, 415, 422, 429, 503),
    openapi_extra={"requestBody": "OutlineApproval"},
    summary="Approve the outline of a plan",
)
async def approve_outline(
    request: Request, job_id: JobId, ctx: Ctx, principal: Submitter
) -> Response:
    """Exactly the outline with this revision and digest is approved, and its jobs are started.

    The same approval again changes nothing.
    """
    body = await body_of(request, OutlineApproval)
    job = await outlines.approve(
        ctx, principal, job_id, revision=body.revision, digest=body.digest
    )
    return FastJson(job_view(job, await ctx.store.now_us()), status_code=202)


def _outline(view: dict[str, Any]) -> Response:
    return FastJson(view, headers={"ETag": f'"{view["revision"]}"'})


def _revision(if_match: str | None) -> int:
    """Return the revision of an If-Match header. Raises BadRequest."""
    found = _REVISION.match(if_match or "")
    if found is None:
        raise BadRequest(
            "If-Match: expected the revision that the edit was made from, got "
            f"{(if_match or 'none')[:40]!r}",
            fix="send the ETag of GET /v1/jobs/{id}/outline",
        )
    return int(found[2])
