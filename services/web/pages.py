"""Routes of the pages. Every action is a plain form that redirects; `app.js` adds live updates.

GET  /                     jobs            GET  /workers            pool and leases
GET  /start  POST /start   an example of each kind
GET  /submit               kinds           GET  /keys               API keys (admin)
GET  /submit/{kind}        its form        POST /keys, /keys/{id}/revoke|rotate
POST /submit/{kind}                        GET  /login  POST /login  POST /logout
GET  /model  POST /model   language model
GET  /models               fitted models
GET  /models/{id}          one model       POST /models/{id}/retire
GET  /submit/plan          goal in words   POST /submit/plan
GET  /jobs/{id}/report     report of a plan
POST /jobs/{id}/outline/leaves/{leaf}      POST /jobs/{id}/outline/answers|approve
POST /views, /views/delete  saved views
GET  /admin/usage, /admin/webhooks, /admin/audit
GET  /admin/retention      POST /admin/retention, /admin/webhooks/{id}/resend
GET  /compare, /compare/curves.svg  jobs side by side
GET  /jobs/{id}            one job         POST /jobs/{id}/stop|cancel|retry|rename|delete
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from services.web import (
    account,
    compare,
    goal_form,
    jobs,
    jobs_list,
    keys,
    model,
    models,
    plans,
    start,
    submit,
    upkeep,
    workers,
)
from services.web.page_route import PageRoute
from services.web.render import STATIC, HashedStatic, make_pages

router = APIRouter(route_class=PageRoute, include_in_schema=False)
# Before `submit`, whose form of any kind would take /submit/plan.
for part in (
    goal_form,
    plans,
    jobs_list,
    compare,
    jobs,
    workers,
    start,
    submit,
    model,
    models,
    keys,
    upkeep,
    account,
):
    router.include_router(part.router)


def mount_web(app: FastAPI) -> None:
    """Add the pages and their static files to the gateway's application."""
    app.state.web_pages = make_pages()
    app.include_router(router)
    app.mount("/static", HashedStatic(directory=STATIC), name="static")
