"""Checkpoints: the best solution so far of a job that has not ended"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "job_checkpoint",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
            name=op.f("fk_job_checkpoint_job_id_job"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_checkpoint")),
    )
    op.add_column(
        "job",
        sa.Column("has_checkpoint", sa.BigInteger(), nullable=False, server_default="0"),
    )


def downgrade() -> None:
    """To the revision before."""
    op.drop_column("job", "has_checkpoint")
    op.drop_table("job_checkpoint")
