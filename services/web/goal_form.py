"""The form of a goal in words, with its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from services.errors import (
    BadRequest,
    InvalidBody,
    NotFound,
    PayloadTooLarge,
    UnsupportedMedia,
)
from services.gateway import operations
from services.gateway.deps import Context, Ctx, Principal, Submitter, visible_tenant
from services.gateway.views import input_view
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.posted import posted_form, store_upload
from services.web.render import pages_of, see_other
from trimtab.faults import fault_of
from trimtab.specs.common import ArtifactRef, request_model
from trimtab.specs.plan import MAX_PLAN_FILES, PlanSpec

KIND = PlanSpec.KIND

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/submit/plan")
async def show_goal_form(
    request: Request,
    context: Ctx,
    principal: Submitter,
    clone: Annotated[str, Query(alias="from", max_length=80)] = "",
    example: bool = False,
) -> Response:
    """Show the form of a goal: empty, with the goal of `?from=`, or with an example."""
    _require_kind(context)
    body: Mapping[str, Any] = {}
    if example:
        body = PlanSpec.EXAMPLE
    elif clone:
        job = await context.store.get(clone, tenant=visible_tenant(principal))
        if job.kind != KIND:
            raise BadRequest(
                f"from: expected a plan, got {clone} of kind {job.kind}",
                fix=f"open /submit/{job.kind}?from={clone}",
            )
        body = input_view(job)
    return _goal_form(request, context, principal, body)


@router.post("/submit/plan")
async def submit_goal(request: Request, context: Ctx, principal: Submitter) -> Response:
    """Queue the plan, or show the form again with what is wrong."""
    _require_kind(context)
    async with posted_form(request, context, max_files=MAX_PLAN_FILES) as posted:
        spec, faults = await _posted_spec(context, principal, posted)
        seconds = str(posted.get("seconds", "")).strip()
    body: dict[str, Any] = {"kind": KIND, "spec": spec}
    if seconds:
        try:
            body["budget"] = {"seconds": float(seconds)}
        except ValueError:
            faults.append(f"seconds: expected a number, got {seconds[:40]!r}")
    if not faults:
        try:
            parsed = request_model(PlanSpec).model_validate_json(json.dumps(body))
            (submitted,) = await operations.submit(
                context, principal, [parsed], idempotency_key=None
            )
        except ValidationError as error:
            faults += [str(fault_of(entry)) for entry in error.errors(include_url=False)]
        except (InvalidBody, UnicodeEncodeError) as error:
            faults.append(str(error))
        else:
            return see_other(f"/jobs/{submitted.job.id}")
    shown = {"spec": spec, "budget": {"seconds": seconds}}
    return _goal_form(request, context, principal, shown, faults=faults)


async def _posted_spec(
    context: Context, principal: Principal, posted: FormData
) -> tuple[dict[str, Any], list[str]]:
    """Store the posted files; returns (spec, what is wrong with them)."""
    files: dict[str, Any] = {}
    faults: list[str] = []
    for text in posted.getlist("kept"):
        try:
            kept = ArtifactRef.model_validate_json(str(text))
        except ValidationError:
            faults.append(f"kept: expected an uploaded file, got {str(text)[:80]!r}")
        else:
            files[kept.name or kept.digest] = kept.model_dump(mode="json")
    new: set[str] = set()
    for upload in posted.getlist("files"):
        if not isinstance(upload, UploadFile) or not upload.filename:
            continue
        if upload.filename in new:
            faults.append(f"files: expected one of each name, got two {upload.filename}")
            continue
        new.add(upload.filename)
        try:
            stored = await store_upload(context, principal, upload)
        except (BadRequest, InvalidBody, PayloadTooLarge, UnsupportedMedia) as error:
            faults.append(f"{upload.filename}: {error.detail}")
        else:
            # A file that was stored before under another name keeps the one that the goal uses.
            files[upload.filename] = {**stored, "name": upload.filename}
    spec = {
        "goal": str(posted.get("goal", "")).replace("\r\n", "\n"),
        "files": files,
        "approve": str(posted.get("approve", "manual")),
        "text_model": str(posted.get("text_model", "auto")),
    }
    return spec, faults


def _goal_form(
    request: Request,
    context: Context,
    principal: Principal,
    body: Mapping[str, Any],
    *,
    faults: Sequence[str] = (),
) -> Response:
    spec = body.get("spec", {})
    seconds = (body.get("budget") or {}).get("seconds", "")
    kept = [
        SimpleNamespace(
            name=name,
            size=file.get("size_bytes"),
            json=json.dumps({**file, "name": name}),
        )
        for name, file in (spec.get("files") or {}).items()
    ]
    options = {
        "approve": spec.get("approve", "manual"),
        "text_model": spec.get("text_model", "auto"),
        "seconds": f"{seconds:g}" if isinstance(seconds, float) else seconds,
    }
    changed = options != {"approve": "manual", "text_model": "auto", "seconds": ""}
    return pages_of(request).response(
        "submit_plan.html",
        status=422 if faults else 200,
        goal=spec.get("goal", ""),
        kept=kept,
        faults=faults,
        max_files=MAX_PLAN_FILES,
        privacy=before(context, str(options["text_model"])),
        open=changed,
        **options,
        **signed_in(principal, active="/submit"),
    )


def _require_kind(context: Context) -> None:
    if KIND not in context.kinds:
        raise NotFound(
            f"kind: expected one of {', '.join(sorted(context.kinds))}, got 'plan'",
            fix="choose a kind at /submit",
        )


def endpoint(context: Context) -> str:
    """Return the URL that texts are sent to; empty when the model runs here."""
    name, _, url = context.settings.text_model.partition(":")
    return url if name == "openai" else ""


def before(context: Context, text_model: str) -> str:
    """Return what will be sent where, before an outline says what was."""
    url = endpoint(context)
    if url and text_model != "none":
        return (
            f"Parsed fields of the goal are sent to the language model at {url}; "
            "the goal's own text and your files are not."
        )
    if text_model == "none" or context.settings.text_model == "none":
        return "Nothing leaves this machine: outlines are made from templates."
    return "Nothing leaves this machine: the language model runs on this server."
