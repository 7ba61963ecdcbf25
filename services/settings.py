"""Settings of the server, from `TRIMTAB_*` environment variables or arguments. Built in create_app(), never on import."""

from __future__ import annotations

import json
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from search.cores import usable_cores
from trimtab.config import default_data_dir
from trimtab.faults import fault_of

_HOST = re.compile(
    r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)(:[0-9]{1,5})?$"
)
_SECRET_WORDS = ("URL", "SECRET", "PASSWORD")
LOOPBACK = ("127.0.0.1", "::1", "localhost")

THREADS_PER_JOB = (
    2  # the default of `threads` in the spec of kind ilp; other kinds use fewer
)


class SettingsRefused(ValueError):
    """Settings that cannot work; one line each."""


def default_workers() -> int:
    """Jobs at once that leave each of them the cores it uses; at least one."""
    return max(1, int(usable_cores()) // THREADS_PER_JOB)


class Settings(BaseSettings):
    """What an operator can set. Every field is documented here and nowhere else; the guide is generated from it."""

    model_config = SettingsConfigDict(
        env_prefix="TRIMTAB_", extra="forbid", use_attribute_docstrings=True
    )

    data_dir: Path = Field(default_factory=default_data_dir)
    """Folder of the SQLite file, the blobs, the admin key and the run folders."""
    database_url: SecretStr | None = None
    """`postgresql://user:password@host/db`; unset means SQLite in `data_dir`."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8642
    """0 picks a free port."""
    auth: Literal["keys", "off"] = "keys"
    """`off` is refused for any other bind than loopback."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Further Host header values to accept (DNS-rebinding guard), separated by commas, e.g. `opt.example,localhost`."""
    tls_cert: Path | None = None
    """Certificate chain (PEM); needs `tls_key`."""
    tls_key: Path | None = None
    """Private key of `tls_cert` (PEM)."""

    role: Literal["all", "gateway", "dispatcher"] = "all"
    """`gateway` serves pages and API and runs nothing; `dispatcher` runs jobs and serves health and metrics only. Split them
    with PostgreSQL."""
    executor: Literal["process", "ray", "inline"] = "process"
    """`process`: children of this machine; `ray`: a cluster; `inline`: in the server's own process, for tests."""
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

    webhook_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts webhooks may reach although they are private or loopback addresses, separated by commas."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto`: lines for people on a terminal, JSON otherwise."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
    otlp_endpoint: str | None = None
    """OTLP/HTTP collector that gets traces, e.g. `http://127.0.0.1:4318`; needs the `otel` extra."""

    @field_validator("allowed_hosts", "webhook_allowed_hosts", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """A list as JSON, or its entries separated by commas."""
        if isinstance(value, str):
            text = value.strip()
            try:
                value = (
                    json.loads(text)
                    if text.startswith("[")
                    else [part.strip() for part in text.split(",")]
                )
            except ValueError:
                raise ValueError(
                    f"expected host names separated by commas, e.g. opt.example,localhost, got {text!r}"
                ) from None
            value = [part for part in value if part != ""]
        if isinstance(value, list | tuple):
            for entry in value:
                if not isinstance(entry, str) or not _HOST.match(entry):
                    raise ValueError(
                        f"expected host names separated by commas, e.g. opt.example,localhost, got {entry!r}; "
                        "a host has no scheme and no path"
                    )
        return value

    @property
    def runs_here(self) -> bool:
        """True when this process starts the runs on this machine."""
        return self.role != "gateway" and self.executor == "process"

    @property
    def admin_key_file(self) -> Path:
        """Where the first start leaves the admin key (mode 0600) for CLI, SDK and page on the same machine."""
        return self.data_dir / "admin.key"


def load(**given: Any) -> Settings:
    """Settings from arguments, then the environment. Raises SettingsRefused with one line for each fault."""
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsRefused(
            "\n".join(_line(item) for item in error.errors(include_url=False))
        ) from error
    check_settings(settings)
    return settings


def misspelt(environment: dict[str, str] | None = None) -> list[str]:
    """One line for each TRIMTAB_* variable that is no setting but nearly one: it would have no effect."""
    names = [f"TRIMTAB_{name.upper()}" for name in Settings.model_fields]
    lines = []
    for variable in sorted(os.environ if environment is None else environment):
        if variable.startswith("TRIMTAB_") and variable not in names:
            close = get_close_matches(variable, names, n=1, cutoff=0.85)
            if close:
                lines.append(
                    f"{variable}: expected a setting's name, got one that has no effect; did you mean {close[0]}?"
                )
    return lines


def _line(item: Any) -> str:
    name = f"TRIMTAB_{str(item['loc'][0]).upper()}" if item["loc"] else "settings"
    if any(word in name for word in _SECRET_WORDS):
        item = {**item, "input": "(not shown)"}
    fault = fault_of({**item, "loc": ()})
    return f"{name}: {fault}"


def check_settings(settings: Settings) -> None:
    """Refuse settings that contradict each other or are not safe together. Raises SettingsRefused."""
    faults = [text for text in _contradictions(settings) if text]
    if faults:
        raise SettingsRefused("\n".join(faults))


def _contradictions(settings: Settings) -> list[str]:
    open_bind = settings.host not in LOOPBACK
    given = settings.model_fields_set
    lines = []
    if open_bind and settings.auth == "off":
        lines.append(
            f"TRIMTAB_AUTH: auth is off and the bind address is {settings.host!r}: anybody on the network could use "
            "this server. Bind to 127.0.0.1 or leave TRIMTAB_AUTH at 'keys'"
        )
    if (
        open_bind
        and settings.sandbox == "rlimit"
        and settings.runs_here
        and not settings.contained
    ):
        lines.append(
            f"TRIMTAB_SANDBOX: expected bwrap or auto with the bind address {settings.host!r}, got 'rlimit'. Install "
            "bubblewrap, or set TRIMTAB_CONTAINED=true if this is a container of its own"
        )
    if settings.role == "dispatcher" and settings.database_url is None:
        lines.append(
            "TRIMTAB_ROLE: expected TRIMTAB_DATABASE_URL with role 'dispatcher', got none: an SQLite file has one writer, the "
            "process with role 'all'. Give a PostgreSQL URL or use role 'all'"
        )
    if (settings.tls_cert is None) != (settings.tls_key is None):
        missing, other = (
            ("TLS_KEY", "TLS_CERT") if settings.tls_key is None else ("TLS_CERT", "TLS_KEY")
        )
        lines.append(
            f"TRIMTAB_{missing}: expected a file beside TRIMTAB_{other}, got none; give both or neither"
        )
    for name in ("tls_cert", "tls_key"):
        path = getattr(settings, name)
        if path is not None and not path.is_file():
            lines.append(
                f"TRIMTAB_{name.upper()}: expected a file, got {str(path)!r}, which is none"
            )
    if settings.ray_address is not None and settings.executor != "ray":
        lines.append(
            f"TRIMTAB_RAY_ADDRESS: expected executor 'ray' with an address, got {settings.executor!r}; "
            "set TRIMTAB_EXECUTOR=ray or leave the address out"
        )
    if settings.executor == "inline" and settings.sandbox == "bwrap":
        lines.append(
            "TRIMTAB_SANDBOX: expected auto with executor 'inline', which starts no process to hold, got 'bwrap'"
        )
    if settings.executor == "inline" and "workers" in given and settings.workers > 1:
        lines.append(
            f"TRIMTAB_WORKERS: expected 1 with executor 'inline', which runs one job at a time, got {settings.workers}"
        )
    if settings.heartbeat_s >= settings.lease_s:
        lines.append(
            f"TRIMTAB_HEARTBEAT_S: expected less than TRIMTAB_LEASE_S ({settings.lease_s:g}), got {settings.heartbeat_s:g}: "
            "every lease would run out before it is renewed"
        )
    return lines
