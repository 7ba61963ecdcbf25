"""What every page shows about its reader: the tenant, and links to where the scopes reach."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from trimtab import __version__

if TYPE_CHECKING:
    from services.gateway.deps import Principal


def reader(principal: Principal, *, active: str = "") -> dict[str, Any]:
    """Values `base.html` wants for a signed-in reader."""
    links = [("/", "Jobs"), ("/submit", "Submit"), ("/workers", "Workers")]
    if "admin" in principal.scopes:
        links.append(("/keys", "Keys"))
    return {
        "who": SimpleNamespace(tenant=principal.tenant, links=links),
        "active": active,
        "version": __version__,
    }


def nobody() -> dict[str, Any]:
    """The same for a page without a session."""
    return {"who": None, "active": "", "version": __version__}
