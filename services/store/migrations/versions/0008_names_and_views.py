"""Names of jobs, columns to search and order lists by, saved views"""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_LISTING = (
    "tenant",
    "id",
    "kind",
    "state",
    "created_us",
    "started_us",
    "finished_us",
    "objective",
    "gap",
    "name_key",
    "search_text",
)
_BATCH = 1_000  # jobs read and written at a time


def upgrade() -> None:
    """To this revision."""
    for name in ("name", "name_key", "search_text"):
        op.add_column(
            "job", sa.Column(name, sa.Text(), nullable=False, server_default="")
        )
    for name in ("objective", "gap"):
        op.add_column("job", sa.Column(name, sa.Double(), nullable=True))
    _fill(op.get_bind())
    op.create_index("ix_job_listing", "job", list(_LISTING))
    op.create_table(
        "saved_view",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_saved_view")),
    )


def downgrade() -> None:
    """Back to 0007. Names and saved views are lost."""
    op.drop_table("saved_view")
    op.drop_index("ix_job_listing", table_name="job")
    for name in ("gap", "objective", "search_text", "name_key", "name"):
        op.drop_column("job", name)


def _fill(conn: sa.Connection) -> None:
    """Fill the new columns of stored jobs, as `services.store.searching` did at this revision."""
    page = sa.text(
        "SELECT id, state, labels, best, termination FROM job WHERE id > :last "
        "ORDER BY id LIMIT :most"
    )
    change = sa.text(
        "UPDATE job SET search_text = :text, objective = :objective, gap = :gap "
        "WHERE id = :id"
    )
    last = ""
    while stored := conn.execute(page, {"last": last, "most": _BATCH}).all():
        conn.execute(change, [_columns(row) for row in stored])
        last = stored[-1].id


def _columns(row: Any) -> dict[str, Any]:
    best = json.loads(row.best) if row.best else {}
    ending = json.loads(row.termination) if row.termination else {}
    certificate = best.get("certificate") or {}
    parts = [row.id]
    if ending and row.state in ("FAILED", "DEAD", "SKIPPED", "CANCELLED"):
        reason, detail = (str(ending.get(key) or "") for key in ("reason", "detail"))
        parts.append(f"{reason} {detail}"[:800])
    parts += [f"{key}={value}" for key, value in json.loads(row.labels).items()]
    text = unicodedata.normalize("NFKC", "\n".join(parts)).casefold()
    return {
        "id": row.id,
        "text": text.encode()[:1_500].decode(errors="ignore"),
        "objective": _number(best.get("objective")),
        "gap": _number(certificate.get("gap", best.get("gap"))),
    }


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
