"""Job graphs: jobs that wait for jobs, and read files that these produce"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "job_edge",
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("child", sa.Text(), nullable=False),
        sa.Column("needs_success", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent"],
            ["job.id"],
            name=op.f("fk_job_edge_parent_job"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["child"], ["job.id"], name=op.f("fk_job_edge_child_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("parent", "child", name=op.f("pk_job_edge")),
    )
    op.create_index("ix_job_edge_child", "job_edge", ["child"])
    op.create_table(
        "job_input",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
            name=op.f("fk_job_input_job_id_job"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "path", name=op.f("pk_job_input")),
    )
    op.create_index("ix_job_input_parent", "job_input", ["parent"])
    op.add_column(
        "job", sa.Column("waits", sa.BigInteger(), nullable=False, server_default="0")
    )


def downgrade() -> None:
    """Back to 0003. Jobs that wait would never run, so they are cancelled."""
    op.execute("UPDATE job SET state = 'CANCELLED' WHERE state IN ('WAITING', 'SKIPPED')")
    op.drop_column("job", "waits")
    op.drop_index("ix_job_input_parent", table_name="job_input")
    op.drop_table("job_input")
    op.drop_index("ix_job_edge_child", table_name="job_edge")
    op.drop_table("job_edge")
