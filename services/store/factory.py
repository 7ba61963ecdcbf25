"""Store factory: PostgreSQL if a URL is set, otherwise a SQLite file in the data folder."""

from __future__ import annotations

from services.settings import Settings
from services.store.sql_store import SqlStore
from services.store.upkeep import ServiceStore


def open_store(settings: Settings) -> ServiceStore:
    """Create the store of the settings, not yet connected: call `await store.open()`."""
    if settings.database_url is not None:
        return SqlStore.on_postgres(settings.database_url.get_secret_value())
    return SqlStore.on_sqlite(settings.data_dir / "trimtab.sqlite3")
