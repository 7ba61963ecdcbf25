"""Fitted models, and those that a job may use"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "model",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("picture", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
    )
    for columns in (
        ["tenant", "target", "state", "id"],
        ["tenant", "digest"],
        ["tenant", "picture"],
    ):
        op.create_index("ix_model_" + "_".join(columns), "model", columns)
    op.create_table(
        "job_models",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("models", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
            name=op.f("fk_job_models_job_id_job"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_models")),
    )


def downgrade() -> None:
    """Back to 0005. The registry is lost; the files of its models stay with their jobs."""
    op.drop_table("job_models")
    for columns in (
        ["tenant", "picture"],
        ["tenant", "digest"],
        ["tenant", "target", "state", "id"],
    ):
        op.drop_index("ix_model_" + "_".join(columns), table_name="model")
    op.drop_table("model")
