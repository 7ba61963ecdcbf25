"""Alembic environment: migrate on the store's connection, in its transaction."""

from __future__ import annotations

from alembic import context

from services.store.tables import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError(
        "connection: expected the store's, got none; start the server, or see "
        "tests/services/store/test_migrations.py"
    )
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot ALTER: Alembic copies the table there
    compare_type=True,
    transactional_ddl=True,
)
context.run_migrations()
