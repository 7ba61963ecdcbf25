"""The pages that submit a job: choose a kind, fill in its generated form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from search.kinds import Kind
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
from services.web.answers import Answers, Fault, answers_of, defaults, row_numbers
from services.web.form_view import FormView, check, request_form
from services.web.forms import Control, Field, place
from services.web.model_choice import with_models
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.posted import posted_form, store_upload
from services.web.render import pages_of, see_other
from services.web.rows import ACTION, action_of, arrange
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
        answers = replace(filled, values={**answers.values, **filled.values})
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
    answers, _ = arrange(root, answers)
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
    action = action_of(answers.last(ACTION))
    answers, row_faults = arrange(root, answers, action)
    if action is not None:  # a button of a list: show its rows again, submit nothing
        form = FormView(root, answers, [*faults, *row_faults], focus=action.name)
        return _form_page(request, principal, kind, form)
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
    lists: dict[str, list[dict[str, Any]]] = {}
    faults: list[Fault] = []
    for leaf in _file_fields(root, list(posted)):
        uploads = [one for one in posted.getlist(leaf.name) if _is_file(one)]
        kept = [text for text in values.pop(f"{leaf.name}@ref", []) if text]
        if leaf.control is Control.FILE:  # a new file replaces the one uploaded before
            uploads, kept = uploads[-1:], [] if uploads else kept[-1:]
        for one in (*kept, *uploads):
            try:
                stored = await _stored(context, principal, one)
            except ValueError as error:
                got = one if isinstance(one, str) else str(one.filename)
                faults.append(Fault(path=leaf.path, got=got[:120], expected=str(error)))
                continue
            if leaf.control is Control.FILE:
                files[leaf.name] = stored
            else:
                lists.setdefault(leaf.name, []).append(stored)
    return Answers(values=values, files=files, lists=lists), faults


def _file_fields(root: Field, names: Sequence[str]) -> list[Field]:
    """Return the fields that take files, those of posted rows included."""
    posted = Answers(values=dict.fromkeys(names, ()))
    fields: list[Field] = []
    for leaf in root.leaves():
        rows = [leaf]
        if leaf.control is Control.ROWS:
            rows = [leaf.at(number) for number in row_numbers(leaf, posted)]
        fields += [inner for row in rows for inner in row.leaves()]
    return [item for item in fields if item.control in (Control.FILE, Control.FILES)]


def _is_file(posted: UploadFile | str) -> bool:
    return isinstance(posted, UploadFile) and bool(posted.filename)


async def _stored(
    context: Context, principal: Principal, posted: UploadFile | str
) -> dict[str, Any]:
    """Return the reference of a posted file, or a posted reference. Raises ValueError."""
    if isinstance(posted, str):
        try:
            return ArtifactRef.model_validate_json(posted).model_dump(mode="json")
        except ValidationError:
            raise ValueError("a reference to an uploaded file") from None
    try:
        return await store_upload(context, principal, posted)
    except (BadRequest, InvalidBody, PayloadTooLarge, UnsupportedMedia) as error:
        raise ValueError(f"an acceptable file ({error.detail})") from error


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
