"""The pages that submit a job: choose a kind, fill in its generated form."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from search.domains import Kind
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
from services.web.answers import Answers, Fault, answers_of, defaults
from services.web.form_view import FormView, check, request_form
from services.web.forms import Control, Field, place
from services.web.model_choice import with_models
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.posted import posted_form, store_upload
from services.web.render import pages_of, see_other
from trimtab.specs.common import MODEL_AUTO, ArtifactRef, JobRequest, request_model

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/submit")
async def choose_kind(request: Request, context: Ctx, principal: Submitter) -> Response:
    """Show the kinds that this server offers."""
    return pages_of(request).response(
        "submit.html",
        kinds=list(context.kinds.values()),
        plan="plan" in context.kinds,
        **signed_in(principal, active="/submit"),
    )


@router.get("/submit/{kind_name}")
async def show_form(
    request: Request,
    kind_name: str,
    context: Ctx,
    principal: Submitter,
    clone: Annotated[str, Query(alias="from", max_length=80)] = "",
    example: bool = False,
) -> Response:
    """Show the form of a kind: empty, with the request of `?from=`, or with the example."""
    kind, model = _kind(context, kind_name)
    root = request_form(model)
    answers = defaults(root)
    wanted = MODEL_AUTO
    if example and kind.spec.EXAMPLE is not None:
        filled = answers_of(root, kind.spec.EXAMPLE)
        answers = Answers(values={**answers.values, **filled.values})
    elif clone:
        job = await context.store.get(clone, tenant=visible_tenant(principal))
        if job.kind != kind.name:
            raise BadRequest(
                f"from: expected a job of kind {kind.name}, got {clone} of kind {job.kind}",
                fix=f"open /submit/{job.kind}?from={clone}",
            )
        pins = await context.store.model_pins(job.id)
        wanted = pins.wanted
        answers = answers_of(root, input_view(job, wanted))
    root = await _with_models(root, context, principal, kind, wanted)
    return _form_page(request, principal, kind, FormView(root, answers))


@router.post("/submit/{kind_name}")
async def submit_form(
    request: Request, kind_name: str, context: Ctx, principal: Submitter
) -> Response:
    """Queue the job, or show the form again with each fault beside its field."""
    kind, model = _kind(context, kind_name)
    root = request_form(model)
    async with posted_form(request, context) as posted:
        answers, faults = await _answers(context, principal, root, posted)
    root = await _with_models(root, context, principal, kind, answers.last("model"))
    body, more = check(root, model, kind.name, answers)
    seen = {fault.path for fault in faults}
    faults += [fault for fault in more if fault.path not in seen]
    if not faults:
        parsed = model.model_validate_json(json.dumps(body))
        try:
            (submitted,) = await operations.submit(
                context, principal, [parsed], idempotency_key=None
            )
        except (
            InvalidBody
        ) as error:  # known to the store only, e.g. a file that was removed
            faults = _service_faults(root, error)
        else:
            return see_other(f"/jobs/{submitted.job.id}")
    return _form_page(
        request, principal, kind, FormView(root, answers, faults), status=422
    )


async def _with_models(
    root: Field, context: Context, principal: Principal, kind: Kind, chosen: str
) -> Field:
    """Return the form with the models that a job of the caller may name."""
    # A job belongs to its submitter's tenant, also where the submitter is an admin.
    return await with_models(
        root, context.store, tenant=principal.tenant, kind=kind, chosen=chosen
    )


def _form_page(
    request: Request,
    principal: Principal,
    kind: Kind,
    form: FormView,
    *,
    status: int = 200,
) -> Response:
    return pages_of(request).response(
        "submit_kind.html",
        status=status,
        kind=kind,
        form=form,
        **signed_in(principal, active="/submit"),
    )


def _kind(context: Context, name: str) -> tuple[Kind, type[JobRequest]]:
    kind = context.kinds.get(name)
    if kind is None:
        raise NotFound(
            f"kind: expected one of {', '.join(sorted(context.kinds))}, got {name!r}",
            fix="choose a kind at /submit",
        )
    return kind, request_model(kind.spec)


async def _answers(
    context: Context, principal: Principal, root: Field, posted: FormData
) -> tuple[Answers, list[Fault]]:
    """Collect the answers; store posted files, or parse the references to stored ones."""
    values: dict[str, list[str]] = {}
    for name, value in posted.multi_items():
        if isinstance(value, str):
            values.setdefault(name, []).append(value)
    files: dict[str, dict[str, Any]] = {}
    faults: list[Fault] = []
    for leaf in root.leaves():
        if leaf.control is not Control.FILE:
            continue
        upload = posted.get(leaf.name)
        ref = (values.pop(f"{leaf.name}@ref", None) or [""])[-1]
        try:
            if isinstance(upload, UploadFile) and upload.filename:
                files[leaf.name] = await store_upload(context, principal, upload)
            elif ref:
                parsed = ArtifactRef.model_validate_json(ref)
                files[leaf.name] = parsed.model_dump(mode="json")
        except (BadRequest, InvalidBody, PayloadTooLarge, UnsupportedMedia) as error:
            got = (upload.filename if isinstance(upload, UploadFile) else None) or ref
            expected = f"an acceptable file ({error.detail})"
            faults.append(Fault(path=leaf.path, got=got, expected=expected))
        except ValidationError:
            expected = "a reference to an uploaded file"
            faults.append(Fault(path=leaf.path, got=ref[:120], expected=expected))
    return Answers(values=values, files=files), faults


def _service_faults(root: Field, error: InvalidBody) -> list[Fault]:
    """Convert the errors of a refused submit into faults of their fields."""
    faults = []
    for entry in error.errors:
        location = str(entry.get("path", "")).replace("/", ".").strip(".").split(".")
        faults.append(
            Fault(
                path=place(root, location),
                got=str(entry.get("came", "")),
                expected=str(entry.get("wanted", entry.get("detail", ""))),
            )
        )
    return faults or [Fault(path=(), got="", expected=error.detail)]
