"""Retention, audit log, usage, key rotation, attempts of webhook deliveries"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ENDED = "finished_us IS NOT NULL"
_UNCUT = "finished_us IS NOT NULL AND events_cut = 0"
_APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'audit: entries cannot be changed'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit: entries cannot be changed'; END $$",
        "CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_append_only()",
    ),
}


def upgrade() -> None:
    """To this revision."""
    _jobs()
    _files_and_keys()
    _deliveries()
    _audit()
    _usage()


def _big(
    name: str, *, nullable: bool = False, server_default: str | None = None
) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger(), nullable=nullable, server_default=server_default
    )


def _text(
    name: str, *, nullable: bool = False, server_default: str | None = None
) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=server_default)


def _jobs() -> None:
    op.add_column("job", _big("events_cut", server_default="0"))
    for name, where in (("ix_job_ended", _ENDED), ("ix_job_uncut", _UNCUT)):
        op.create_index(
            name,
            "job",
            ["tenant", "finished_us", "id"],
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )


def _files_and_keys() -> None:
    op.add_column("artifact", _big("used_us", server_default="0"))
    op.execute("UPDATE artifact SET used_us = created_us")
    op.create_index(
        "ix_artifact_tenant_used_us_digest", "artifact", ["tenant", "used_us", "digest"]
    )
    op.add_column("api_key", _big("last_used_us", nullable=True))
    op.add_column("api_key", _text("old_sha256", nullable=True))
    op.add_column("api_key", _big("old_until_us", nullable=True))
    op.create_table(
        "retention",
        _text("tenant"),
        _text("rule"),
        _big("updated_us"),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_retention")),
    )


def _deliveries() -> None:
    op.create_index("ix_outbox_job_id", "outbox", ["job_id"])
    op.add_column("delivery", _text("tenant", server_default=""))
    op.add_column("delivery", _big("status_code", nullable=True))
    op.add_column("delivery", _big("next_try_us", nullable=True))
    op.execute(
        "UPDATE delivery SET "
        "tenant = (SELECT tenant FROM job WHERE job.id = delivery.job_id), "
        "next_try_us = (SELECT min(next_try_us) FROM outbox "
        "WHERE outbox.job_id = delivery.job_id)"
    )
    # Before, a delivery had a row from its first try on.
    op.execute(
        "INSERT INTO delivery (job_id, state, tries, detail, at_us, tenant, next_try_us) "
        "SELECT job.id, 'waiting', 0, '', min(job.finished_us), min(job.tenant), "
        "min(outbox.next_try_us) FROM outbox JOIN job ON job.id = outbox.job_id "
        "WHERE job.finished_us IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.job_id = job.id) "
        "GROUP BY job.id"
    )
    op.create_index("ix_delivery_tenant_job_id", "delivery", ["tenant", "job_id"])
    op.create_table(
        "delivery_attempt",
        _text("job_id"),
        _big("number"),
        _big("at_us"),
        _big("status_code", nullable=True),
        _text("detail"),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
            name=op.f("fk_delivery_attempt_job_id_job"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_delivery_attempt")),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        _big("at_us"),
        *map(_text, ("tenant", "key_id", "action", "target")),
        *map(_text, ("address", "agent", "detail")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_tenant_id", "audit", ["tenant", "id"])
    op.create_index("ix_audit_target_id", "audit", ["target", "id"])
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def _usage() -> None:
    op.create_table(
        "usage",
        _text("tenant"),
        _big("day"),
        _text("kind"),
        *map(_big, ("jobs", "attempts", "busy_us")),
        sa.PrimaryKeyConstraint("tenant", "day", "kind", name=op.f("pk_usage")),
    )
    # Jobs that are stored now; of those that were deleted nothing is known.
    op.execute(
        "INSERT INTO usage (tenant, day, kind, jobs, attempts, busy_us) "
        "SELECT job.tenant, attempt.ended_us / 86400000000, job.kind, 0, count(*), "
        "sum(attempt.ended_us - attempt.started_us) "
        "FROM attempt JOIN job ON job.id = attempt.job_id "
        "WHERE attempt.ended_us IS NOT NULL "
        "GROUP BY job.tenant, attempt.ended_us / 86400000000, job.kind"
    )
    op.execute(
        "INSERT INTO usage (tenant, day, kind, jobs, attempts, busy_us) "
        "SELECT job.tenant, job.finished_us / 86400000000, job.kind, count(*), 0, 0 "
        "FROM job WHERE job.finished_us IS NOT NULL "
        "GROUP BY job.tenant, job.finished_us / 86400000000, job.kind "
        "ON CONFLICT (tenant, day, kind) DO UPDATE SET jobs = excluded.jobs"
    )


def downgrade() -> None:
    """Back to 0006. Audit log, usage, rules and rotated secrets are lost."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_append_only ON audit")
        op.execute("DROP FUNCTION audit_append_only")
    op.drop_table("usage")
    op.drop_table("audit")
    op.drop_table("delivery_attempt")
    op.drop_index("ix_delivery_tenant_job_id", table_name="delivery")
    for column in ("tenant", "status_code", "next_try_us"):
        op.drop_column("delivery", column)
    op.drop_index("ix_outbox_job_id", table_name="outbox")
    op.drop_table("retention")
    for column in ("last_used_us", "old_sha256", "old_until_us"):
        op.drop_column("api_key", column)
    op.drop_index("ix_artifact_tenant_used_us_digest", table_name="artifact")
    op.drop_column("artifact", "used_us")
    for name in ("ix_job_uncut", "ix_job_ended"):
        op.drop_index(name, table_name="job")
    op.drop_column("job", "events_cut")
