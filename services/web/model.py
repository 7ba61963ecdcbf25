"""The page of the language model: its state, a question, and the measured budgets of its cache."""

from __future__ import annotations

import functools
import json
from contextlib import aclosing
from importlib import resources
from types import SimpleNamespace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from search.text_model import Ended
from services.errors import ServiceError
from services.gateway.deps import Context, Ctx, Principal, Submitter, Viewer
from services.gateway.text import generating
from services.gateway.text.requests import ChatMessage, ChatRequest
from services.web import formatting
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import pages_of
from trimtab.errors import SpecError

MAX_TOKENS = 400  # of an answer on the page

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/model")
async def show_model(request: Request, context: Ctx, principal: Viewer) -> Response:
    """Render the page."""
    return _page(request, context, principal)


@router.post("/model")
async def ask_model(request: Request, context: Ctx, principal: Submitter) -> Response:
    """Answer one question, for a browser without scripts; with them, the page streams."""
    async with request.form(max_files=0, max_fields=10) as form:
        question = str(form.get("question", "")).strip()
    try:
        answer = await _answer(context, principal, question)
    except (ServiceError, SpecError) as error:
        fix = error.fix if isinstance(error, ServiceError) else None
        fault = formatting.sentence(str(error), fix)
        status = error.status if isinstance(error, ServiceError) else 422
        return _page(
            request, context, principal, question=question, fault=fault, status=status
        )
    return _page(request, context, principal, question=question, answer=answer)


async def _answer(context: Context, principal: Principal, question: str) -> str:
    """Return the model's answer. Raises ServiceError, or SpecError for text it cannot take."""
    backend = generating.backend_of(context)
    about = await generating.capabilities_of(backend)
    message = ChatMessage(role="user", content=question)
    limit = min(MAX_TOKENS, context.settings.text_max_tokens)
    asked = ChatRequest(
        model=about.name,
        messages=[message],
        temperature=0.2,
        max_tokens=min(limit, max(1, about.context_tokens // 2)),
    )
    plan = await generating.plan(context, principal, asked)
    text = ""
    async with aclosing(generating.run(context, principal, plan, [Ended()])) as parts:
        async for part in parts:
            text += "" if part.token is None else part.token.text
    return text


def _page(
    request: Request,
    context: Context,
    principal: Principal,
    *,
    question: str = "",
    answer: str | None = None,
    fault: str = "",
    status: int = 200,
) -> Response:
    backend = context.pool.text
    return pages_of(request).response(
        "model.html",
        status=status,
        facts=[] if backend is None else _facts(dict(backend.describe())),
        remedy=generating.NO_MODEL,
        question=question,
        answer=answer,
        fault=fault,
        max_tokens=min(MAX_TOKENS, context.settings.text_max_tokens),
        tables=tables_of(measured()),
        measured_on=measured().get("model"),
        **signed_in(principal, active="/model"),
    )


def _facts(state: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (label, value) of the model's state; empty values are left out."""
    about = state.get("capabilities") or {}
    details = about.get("details") or {}
    shown = {
        "state": state["state"],
        "reason": state.get("reason"),
        "name": about.get("name"),
        "context": about.get("context_tokens"),
        "cache": details.get("cache"),
        "text leaves this machine": "no" if about.get("local", True) else "yes",
        "in progress": state.get("active"),
        "waiting": state.get("waiting"),
        "starts": state.get("starts"),
        "sandbox": state.get("sandbox"),
    }
    return [
        (key, formatting.flat(value))
        for key, value in shown.items()
        if value not in ("", None)
    ]


@functools.cache
def measured() -> dict[str, Any]:
    """Return the measured budgets that the engine takes its defaults from; empty without any."""
    file = resources.files("workers.llm") / "budgets.json"
    return dict(json.loads(file.read_text())) if file.is_file() else {}


def tables_of(budgets: dict[str, Any]) -> list[SimpleNamespace]:
    """Return a table for each type of text: a row per rule, a column per share of tokens kept."""
    tables = []
    for name, text in budgets.get("texts", {}).items():
        shares = sorted({rule["share"] for rule in text["rules"]}, reverse=True)
        rows: dict[str, dict[float, str]] = {}
        for rule in text["rules"]:
            word = rule["rule"] + (", after the prompt" if rule["after_prompt"] else "")
            low, high = rule["interval"]
            cell = f"{rule['nats_above_full']:+.3f} ({low:+.3f} to {high:+.3f})"
            rows.setdefault(word, {})[rule["share"]] = cell
        tables.append(
            SimpleNamespace(
                name=name,
                segments=text["segments"],
                full=f"{text['full_nats']:.3f}",
                default=_rule(text["default"]),
                shares=[f"{share:.0%}" for share in shares],
                rows=[
                    (word, [cells.get(share, "–") for share in shares])
                    for word, cells in rows.items()
                ],
            )
        )
    return tables


def _rule(default: dict[str, Any]) -> str:
    score = f" {default['score']}" if default["policy"] == "h2o" else ""
    return f"{default['policy']}{score}"
