"""Values that `base.html` needs on every page: tenant, navigation, version."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from trimtab import __version__

if TYPE_CHECKING:
    from services.gateway.deps import Principal


def signed_in(principal: Principal, *, active: str = "") -> dict[str, Any]:
    """Return the values for a signed-in user, with links to the pages in their scopes."""
    can_submit = principal.allows("submitter")
    links = [
        ("/", "Jobs"),
        *([("/submit", "Submit")] if can_submit else []),
        ("/workers", "Workers"),
        ("/models", "Fitted models"),
        ("/model", "Model"),
    ]
    if principal.allows("operator"):
        links.append(("/admin/usage", "Operation"))
    if principal.allows("admin"):
        links.append(("/keys", "API keys"))
    return {
        "user": SimpleNamespace(tenant=principal.tenant, links=links),
        "active": active,
        "can_submit": can_submit,
        "version": __version__,
    }


def signed_out() -> dict[str, Any]:
    """Return the values for a page without a session."""
    return {"user": None, "active": "", "can_submit": False, "version": __version__}
