"""Saved views of the job list."""

from __future__ import annotations

from sqlalchemy import delete, func, select

from services.store.refusals import no_such_view, too_many_views
from services.store.sql import rows
from services.store.sql.tx import Tx
from services.store.types import SavedView

_view = rows.saved_view


def put(tx: Tx, view: SavedView, most: int) -> None:
    """Store or replace a view. Raises Conflict beyond `most` views of the tenant."""
    others = tx.conn.execute(
        select(func.count()).where(
            _view.c.tenant == view.tenant, _view.c.name != view.name
        )
    ).scalar_one()
    if others >= most:
        raise too_many_views(most)
    row = {"query": view.query, "created_us": view.created_us}
    first = tx.upsert(_view).values(tenant=view.tenant, name=view.name, **row)
    tx.conn.execute(
        first.on_conflict_do_update(index_elements=["tenant", "name"], set_=row)
    )


def listed(tx: Tx, tenant: str) -> list[SavedView]:
    """Return the views of a tenant, ordered by name."""
    query = select(_view).where(_view.c.tenant == tenant)
    views = [
        SavedView(
            tenant=row.tenant, name=row.name, query=row.query, created_us=row.created_us
        )
        for row in tx.conn.execute(query)
    ]
    return sorted(views, key=lambda view: view.name)


def remove(tx: Tx, tenant: str, name: str) -> None:
    """Delete a view. Raises NotFound."""
    gone = tx.conn.execute(
        delete(_view).where(_view.c.tenant == tenant, _view.c.name == name)
    )
    if gone.rowcount == 0:
        raise no_such_view(name)
