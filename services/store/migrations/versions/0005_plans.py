"""Plans: memos of jobs at rest, and the plan that a job belongs to"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_AT_REST = sa.text("state IN ('NEEDS_INPUT', 'AWAITING_APPROVAL')")
_IN_A_PLAN = sa.text("graph IS NOT NULL")


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "job_memo",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("approved", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
            name=op.f("fk_job_memo_job_id_job"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_memo")),
    )
    op.add_column(
        "job", sa.Column("has_memo", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("job", sa.Column("graph", sa.Text(), nullable=True))
    for name, columns, where in (
        ("ix_job_rest", ["run_at_us"], _AT_REST),
        ("ix_job_graph", ["graph", "id"], _IN_A_PLAN),
    ):
        op.create_index(name, "job", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Back to 0004. Plans that rest or wait would never end, so they are cancelled."""
    op.execute(
        "UPDATE job SET state = 'CANCELLED' WHERE state IN ('NEEDS_INPUT', "
        "'AWAITING_APPROVAL') OR (state = 'WAITING' AND graph = id)"
    )
    op.drop_index("ix_job_graph", table_name="job")
    op.drop_index("ix_job_rest", table_name="job")
    op.drop_column("job", "graph")
    op.drop_column("job", "has_memo")
    op.drop_table("job_memo")
