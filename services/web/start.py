"""First visit: an example of each kind, submitted with one click."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from search.kinds import Kind
from services.errors import NotFound
from services.gateway import operations
from services.gateway.deps import Context, Ctx, Principal, Submitter
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import pages_of, see_other
from trimtab.specs.common import JobRequest, request_model
from trimtab.specs.learn import LearnSpec

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_FOLDER = Path(__file__).parent / "samples"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An example whose spec names files: a press uploads them for the newcomer."""

    request: Mapping[str, Any]
    field: str  # of the spec: list of files
    files: tuple[str, ...]  # in the folder `samples`
    note: str


# 200 sets of embedding tables, measured on two cores of an AMD EPYC; a test compares the file with
# the stored measurement.
SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        LearnSpec.KIND: Sample(
            request={
                "kind": LearnSpec.KIND,
                "name": "Example: a cost model fitted to measurements",
                "spec": {"target": "sharding", "sharding": {"hardware": "v100"}},
                "budget": {"seconds": 120.0},
            },
            field="instances",
            files=("tbe-cpu.jsonl",),
            note="Sharding jobs of yours with v100 devices use the model until you retire it.",
        )
    }
)


@router.get("/start")
async def start(request: Request, context: Ctx, principal: Submitter) -> Response:
    """Show an example of each kind that has one."""
    examples = [
        SimpleNamespace(
            kind=name,
            summary=kind.spec.SUMMARY,
            title=example.get("name") or f"Example of {name}",
            seconds=example.get("budget", {}).get("seconds"),
            note=SAMPLES[name].note if name in SAMPLES else "",
        )
        for name, kind in context.kinds.items()
        if (example := _example(kind)) is not None
    ]
    return pages_of(request).response(
        "start.html", examples=examples, **signed_in(principal, active="/submit")
    )


@router.post("/start")
async def submit_example(
    context: Ctx, principal: Submitter, kind: Annotated[str, Form(max_length=80)]
) -> Response:
    """Queue the example of a kind. Raises NotFound for a kind without one."""
    offered = [name for name, row in context.kinds.items() if _example(row) is not None]
    if kind not in offered:
        raise NotFound(
            f"kind: expected one of {', '.join(offered)}, got {kind!r}",
            fix="choose an example at /start",
        )
    parsed = await example_request(context, principal, context.kinds[kind])
    (submitted,) = await operations.submit(
        context, principal, [parsed], idempotency_key=None
    )
    return see_other(f"/jobs/{submitted.job.id}")


async def example_request(
    context: Context, principal: Principal, kind: Kind
) -> JobRequest:
    """Return the example of a kind as a request, with its files uploaded."""
    example = dict(_example(kind) or {})
    if (sample := SAMPLES.get(kind.name)) is not None:
        files = [await _uploaded(context, principal, name) for name in sample.files]
        example["spec"] = {**example["spec"], sample.field: files}
    return request_model(kind.spec).model_validate_json(json.dumps(example))


def _example(kind: Kind) -> Mapping[str, Any] | None:
    sample = SAMPLES.get(kind.name)
    return kind.spec.EXAMPLE if sample is None else sample.request


async def _uploaded(context: Context, principal: Principal, name: str) -> dict[str, Any]:
    async def content() -> AsyncIterator[bytes]:
        yield (_FOLDER / name).read_bytes()

    return operations.reference(
        await operations.upload(context, principal, content(), name=name)
    )
