"""Choosing a kind, filling its generated form, submitting it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response

from search.domains import Kind
from services.errors import (
    BadRequest,
    InvalidBody,
    NotFound,
    PayloadTooLarge,
    UnsupportedMedia,
)
from services.gateway.deps import Context, Principal
from services.web import actions
from services.web.form_view import FormView, check, request_form
from services.web.forms import Answers, Control, Fault, Field, answers_of, defaults, place
from services.web.page_context import reader
from services.web.page_route import PageRoute
from services.web.render import Pages, see_other
from trimtab.specs.common import ArtifactRef, JobRequest, request_model

MAX_FIELDS = 2000
MAX_FILES = 50
FORM_OVERHEAD_BYTES = 2**20  # boundaries and part headers beside the files

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/submit")
async def choose_kind(
    request: Request,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.submitter)],
) -> Response:
    """The kinds this server offers."""
    kinds = list(context.kinds.values())
    return _pages(request).response(
        "submit.html", kinds=kinds, **reader(principal, active="/submit")
    )


@router.get("/submit/{kind_name}")
async def show_form(
    request: Request,
    kind_name: str,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.submitter)],
    clone: Annotated[str, Query(alias="from", max_length=80)] = "",
    example: bool = False,
) -> Response:
    """The form of one kind: empty, with the answers of the job in `?from=`, or with the kind's example."""
    kind, model = _kind(context, kind_name)
    root = request_form(model)
    answers = defaults(root)
    if example and kind.spec.EXAMPLE is not None:
        answers = Answers(
            values={**answers.values, **answers_of(root, kind.spec.EXAMPLE).values}
        )
    elif clone:
        job = await context.store.get(clone, tenant=actions.visible_tenant(principal))
        if job.kind != kind.name:
            raise BadRequest(
                f"job {clone} is of kind {job.kind}",
                fix=f"Open /submit/{job.kind}?from={clone}.",
            )
        answers = answers_of(
            root,
            {
                "spec": job.spec,
                "budget": job.budget,
                "seed": job.seed,
                "priority": job.priority,
                "labels": job.labels,
                "max_attempts": job.max_attempts,
                "webhook": job.webhook,
            },
        )
    form = FormView(root, answers)
    return _pages(request).response(
        "submit_kind.html", kind=kind, form=form, **reader(principal, active="/submit")
    )


@router.post("/submit/{kind_name}")
async def submit_form(
    request: Request,
    kind_name: str,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.submitter)],
) -> Response:
    """Check the answers and queue the job, or show the form again with what is wrong beside each field."""
    kind, model = _kind(context, kind_name)
    root = request_form(model)
    async with _posted(request, context) as posted:
        answers, faults = await _answers(context, principal, root, posted)
    body, more = check(root, model, kind.name, answers)
    seen = {fault.path for fault in faults}
    faults += [fault for fault in more if fault.path not in seen]
    status = 422
    if not faults:
        try:
            job_id = await actions.submit(
                context, principal, model.model_validate_json(json.dumps(body))
            )
        except (
            InvalidBody
        ) as error:  # what only the store knows, e.g. a file that is not there any more
            faults = _service_faults(root, error)
        else:
            return see_other(f"/jobs/{job_id}")
    form = FormView(root, answers, faults)
    return _pages(request).response(
        "submit_kind.html",
        status=status,
        kind=kind,
        form=form,
        **reader(principal, active="/submit"),
    )


def _kind(context: Context, name: str) -> tuple[Kind, type[JobRequest]]:
    kind = context.kinds.get(name)
    if kind is None:
        raise NotFound(
            f"no kind {name!r}",
            fix="This server offers " + ", ".join(sorted(context.kinds)) + ".",
        )
    return kind, request_model(kind.spec)


@asynccontextmanager
async def _posted(request: Request, context: Context) -> AsyncIterator[FormData]:
    """The posted form, its files spooled to disk; refused before it is read when it says it is too large."""
    limit = (
        context.settings.max_upload_bytes
        + context.settings.max_body_bytes
        + FORM_OVERHEAD_BYTES
    )
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise BadRequest(
            "a form without Content-Length", fix="Send it as browsers do, with its length."
        )
    if int(length) > limit:
        raise PayloadTooLarge(
            f"{int(length):,} bytes came; at most {limit:,} are taken",
            fix="Upload a smaller file.",
        )
    try:
        async with request.form(
            max_files=MAX_FILES,
            max_fields=MAX_FIELDS,
            max_part_size=context.settings.max_body_bytes,
        ) as form:
            if (
                not form
            ):  # cut off, or made by hand: defaults alone were asked for by nobody
                raise BadRequest(
                    "a form without any answer came",
                    fix=f"Open {request.url.path} and submit from there.",
                )
            yield form
    except HTTPException as error:  # Starlette's word for a malformed form
        raise BadRequest(f"the form could not be read: {error.detail}") from error


async def _answers(
    context: Context, principal: Principal, root: Field, posted: FormData
) -> tuple[Answers, list[Fault]]:
    """Texts as they are; files into the blob store, or a reference to one that is already there."""
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
                files[leaf.name] = await actions.store_upload(context, principal, upload)
            elif ref:
                files[leaf.name] = ArtifactRef.model_validate_json(ref).model_dump(
                    mode="json"
                )
        except (BadRequest, InvalidBody, PayloadTooLarge, UnsupportedMedia) as error:
            came = (upload.filename if isinstance(upload, UploadFile) else None) or ref
            faults.append(
                Fault(
                    path=leaf.path,
                    came=came,
                    wanted=f"a file that is taken: {error.detail}",
                )
            )
        except ValidationError:
            faults.append(
                Fault(
                    path=leaf.path, came=ref[:120], wanted="a reference to an uploaded file"
                )
            )
    return Answers(values=values, files=files), faults


def _service_faults(root: Field, error: InvalidBody) -> list[Fault]:
    faults = [
        Fault(
            path=place(
                root, str(entry.get("path", "")).replace("/", ".").strip(".").split(".")
            ),
            came=str(entry.get("came", "")),
            wanted=str(entry.get("wanted", entry.get("detail", ""))),
        )
        for entry in error.errors
    ]
    return faults or [Fault(path=(), came="", wanted=error.detail)]


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.web_pages
    return pages
