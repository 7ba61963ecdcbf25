"""What every page shows about its reader: the tenant, and links to where the scopes reach."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from trimtab import __version__

if TYPE_CHECKING:
    from services.gateway.deps import Principal


def reader(principal: Principal, *, active: str = "") -> dict[str, Any]:
    """Values `base.html` wants for a signed-in reader."""
    may_act = principal.allows("submitter")
    links = [
        ("/", "Jobs"),
        *([("/submit", "Submit")] if may_act else []),
        ("/workers", "Workers"),
    ]
    if principal.allows("admin"):
        links.append(("/keys", "Keys"))
    return {
        "who": SimpleNamespace(tenant=principal.tenant, links=links),
        "active": active,
        "may_act": may_act,
        "version": __version__,
    }


def nobody() -> dict[str, Any]:
    """The same for a page without a session."""
    return {"who": None, "active": "", "may_act": False, "version": __version__}
