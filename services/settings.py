"""Settings of the server, from `TRIMTAB_*` environment variables or arguments. Built in create_app(), never on import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from search.cores import usable_cores

THREADS_PER_JOB = 2  # the default of `threads` in the spec of kind ilp; other kinds use fewer


def _default_data_dir() -> Path:
    return Path.home() / ".local" / "share" / "trimtab"


def default_workers() -> int:
    """Jobs at once that leave each of them the cores it uses; at least one."""
    return max(1, int(usable_cores()) // THREADS_PER_JOB)


class Settings(BaseSettings):
    """What an operator can set. Every field is documented here and nowhere else; the guide is generated from it."""

    model_config = SettingsConfigDict(env_prefix="TRIMTAB_", extra="forbid", use_attribute_docstrings=True)

    data_dir: Path = Field(default_factory=_default_data_dir)
    """Folder of the SQLite file, the blobs, the admin key and the run folders."""
    database_url: SecretStr | None = None
    """`postgresql://user:password@host/db`; unset means SQLite in `data_dir`."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8642
    """0 picks a free port."""
    auth: Literal["keys", "off"] = "keys"
    """`off` is refused for any other bind than loopback."""
    allowed_hosts: tuple[str, ...] = ()
    """Further Host header values to accept (DNS-rebinding guard)."""
    tls_cert: Path | None = None
    tls_key: Path | None = None

    role: Literal["all", "gateway", "dispatcher"] = "all"
    """`gateway` answers HTTP only, `dispatcher` runs jobs only; split them with PostgreSQL."""
    executor: Literal["process", "ray", "inline"] = "process"
    ray_address: str | None = None
    """Ray cluster; unset starts one on this machine."""
    workers: Annotated[int, Field(ge=1, le=4096)] = Field(default_factory=default_workers)
    """Jobs that run at once (process executor). By default one for every two cores this process may use, at least one: a
    job of kind ilp uses two. With more, jobs share cores, and each gives its complete solver the first claim on its share."""
    diagnostic_kinds: bool = False
    """Offer kinds meant for testing the service itself."""

    lease_s: Annotated[float, Field(gt=0)] = 30.0
    heartbeat_s: Annotated[float, Field(gt=0)] = 5.0
    sweep_s: Annotated[float, Field(gt=0)] = 5.0
    job_memory_bytes: Annotated[int, Field(ge=2**28)] = 6 * 2**30
    sandbox: Literal["auto", "rlimit", "bwrap"] = "auto"
    """`auto` takes bubblewrap when it works here; `bwrap` refuses to start without it. Unless the bind address is loopback,
    bubblewrap is required or `contained` must say that something else holds the runs."""
    contained: bool = False
    """True says: this process runs in a container of its own, which holds what bubblewrap would hold."""

    max_body_bytes: Annotated[int, Field(ge=1024)] = 8 * 2**20
    """Largest JSON body."""
    max_batch_jobs: Annotated[int, Field(ge=1)] = 10_000
    max_upload_bytes: Annotated[int, Field(ge=1024)] = 512 * 2**20
    max_unpacked_bytes: Annotated[int, Field(ge=1024)] = 2 * 2**30
    """Largest size of a .gz upload after unpacking."""
    max_gzip_ratio: Annotated[float, Field(ge=1)] = 200.0
    artifact_ttl_s: Annotated[float, Field(gt=0)] = 7 * 86_400.0
    """Uploads no job refers to are removed after this."""

    submits_per_minute: Annotated[int, Field(ge=1)] = 60_000
    """Default rate limit of a key."""
    requests_per_minute: Annotated[int, Field(ge=1)] = 240_000
    max_queued_jobs: Annotated[int, Field(ge=1)] = 1_000_000
    """Default quota of a tenant."""
    max_artifact_bytes: Annotated[int, Field(ge=1)] = 50 * 2**30

    webhook_allowed_hosts: tuple[str, ...] = ()
    """Hosts webhooks may reach although they are private or loopback addresses."""
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: str | None = None
    """OTLP/HTTP collector that gets traces, e.g. `http://127.0.0.1:4318`; needs the `otel` extra."""

    @property
    def runs_here(self) -> bool:
        """True when this process starts the runs on this machine."""
        return self.role != "gateway" and self.executor == "process"

    @property
    def admin_key_file(self) -> Path:
        """Where the first start leaves the admin key (mode 0600) for CLI, SDK and page on the same machine."""
        return self.data_dir / "admin.key"
