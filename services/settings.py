"""Settings of the server, from arguments and `TRIMTAB_*` environment variables.

They are read when a server or an application is created, never on import.
"""

from __future__ import annotations

import json
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from search.cores import usable_cores
from trimtab.config import default_data_dir
from trimtab.errors import SpecError
from trimtab.faults import fault_of
from trimtab.results import JobState
from trimtab.upkeep import RetentionRule

_HOST = re.compile(
    r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)(:[0-9]{1,5})?$"
)
_SECRET_WORDS = ("URL", "SECRET", "PASSWORD", "API_KEY")
ALL_ADDRESSES = ("0.0.0.0", "::", "")  # noqa: S104  (compared, not bound)
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/\-]*)?")
_HOSTS = "host names separated by commas, e.g. opt.example,localhost"

# Default of `threads` in the spec of kind ilp; other kinds use fewer.
THREADS_PER_JOB = 2


class SettingsRefused(ValueError):
    """Settings that are invalid or contradict each other, one line each."""


def default_workers() -> int:
    """Return how many jobs can run with all the cores they use; at least one."""
    return max(1, int(usable_cores()) // THREADS_PER_JOB)


def default_text_threads() -> int:
    """Return how many threads a language model gets: half of the cores, at least one."""
    return max(1, int(usable_cores()) // 2)


class Settings(BaseSettings):
    """Settings of an operator. The reference page is generated from the fields' descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="TRIMTAB_", extra="forbid", use_attribute_docstrings=True
    )

    data_dir: Path = Field(default_factory=default_data_dir)
    """Folder for the SQLite file, stored files, the admin key and the folders of runs."""
    database_url: SecretStr | None = None
    """`postgresql://USER:PASS@host/db`; unset: SQLite in `data_dir`."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8642
    """Port to listen on; 0 picks a free one."""
    auth: Literal["keys", "off"] = "keys"
    """`keys` requires an API key or a session; `off` requires neither and is refused unless the
    bind address is loopback."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """More Host header values to accept (guard against DNS rebinding), separated by commas, e.g.
    `opt.example,localhost`."""
    public_url: str = ""
    """Address at which people reach the server, e.g. `https://opt.example`; links in reports
    begin with it. Unset: the address that it listens on, unless that is all addresses."""
    tls_cert: Path | None = None
    """Certificate chain (PEM); needs `tls_key`."""
    tls_key: Path | None = None
    """Private key of `tls_cert` (PEM)."""

    role: Literal["all", "gateway", "dispatcher"] = "all"
    """`gateway` serves the API and the pages and runs no job; `dispatcher` runs jobs and serves
    health and metrics only; `all` does both. Separate roles need PostgreSQL."""
    executor: Literal["process", "ray", "inline"] = "process"
    """`process`: each job in a child process on this machine, in a sandbox; `ray`: on a Ray
    cluster; `inline`: for tests only, in the server's own process: without a sandbox, memory
    limit or kill, so that one job can block, crash or read the server."""
    ray_address: str | None = None
    """Address of the Ray cluster; unset starts one on this machine."""
    workers: Annotated[int, Field(ge=1, le=4096)] = Field(default_factory=default_workers)
    """Jobs that run at once (process executor). Unset: one per two usable cores, and at least one,
    because a job of kind ilp uses two. With more, jobs share cores, and in each job the complete
    solver has priority."""
    diagnostic_kinds: bool = False
    """Offer the kinds that test the service itself."""

    lease_s: Annotated[float, Field(gt=0)] = 30.0
    """Seconds after which a job whose worker sends no heartbeat is given to another."""
    heartbeat_s: Annotated[float, Field(gt=0)] = 5.0
    """Seconds between heartbeats of a running job; less than `lease_s`."""
    sweep_s: Annotated[float, Field(gt=0)] = 5.0
    """Seconds between searches for expired leases."""
    resting_ttl_s: Annotated[float, Field(gt=0)] = 7 * 86_400.0
    """Seconds after which a plan is cancelled whose owner neither answers, edits nor approves."""
    job_memory_bytes: Annotated[int, Field(ge=2**28)] = 6 * 2**30
    """Memory limit of a run."""
    sandbox: Literal["auto", "rlimit", "bwrap"] = "auto"
    """`auto` uses bubblewrap if it works on this machine; `bwrap` refuses to start without it;
    `rlimit` uses resource limits and Landlock. Unless the bind address is loopback, bubblewrap
    or `contained` is required."""
    contained: bool = False
    """Set it if this process has a container of its own, which isolates runs like bubblewrap."""

    text_model: str = "none"
    """Language model of `/v1/chat/completions` and of jobs that need one: `none`; `embedded`, a
    small one from a Python package; `checkpoint:/folder` with safetensors or GGUF; or
    `openai:URL`, an endpoint that speaks OpenAI's API, to which texts are then sent."""
    text_api_key: SecretStr | None = None
    """API key of `openai:URL`."""
    text_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts that `openai:URL` may name, separated by commas; unset: any. A guard against a
    mistyped URL that would send texts elsewhere."""
    text_threads: Annotated[int, Field(ge=1, le=1024)] = Field(
        default_factory=default_text_threads
    )
    """Threads of the model's process. Unset: half of the usable cores, and at least one."""
    text_memory_bytes: Annotated[int, Field(ge=2**28)] = 6 * 2**30
    """Memory limit of the model's process, beside weights that are mapped from files."""
    text_max_waiting: Annotated[int, Field(ge=0, le=100_000)] = 64
    """Generations that may wait while the model is busy; more are refused."""
    text_max_tokens: Annotated[int, Field(ge=1)] = 2048
    """Largest `max_tokens` of a generation, and its default."""
    text_max_prompt_bytes: Annotated[int, Field(ge=1024)] = 2**20
    """Largest prompt, in bytes of UTF-8. The model's context is a limit too."""
    text_deadline_s: Annotated[float, Field(gt=0)] = 600.0
    """Seconds after which a generation ends with what it has."""
    text_tokens_per_minute: Annotated[int, Field(ge=1)] = 1_000_000
    """Tokens that a key may read and generate per minute, unless the key has its own limit."""

    max_body_bytes: Annotated[int, Field(ge=1024)] = 8 * 2**20
    """Largest JSON body."""
    max_batch_jobs: Annotated[int, Field(ge=1)] = 10_000
    """Maximum number of jobs in a batch."""
    max_upload_bytes: Annotated[int, Field(ge=1024)] = 512 * 2**20
    """Largest file that can be uploaded."""
    max_unpacked_bytes: Annotated[int, Field(ge=1024)] = 2 * 2**30
    """Largest size of a .gz upload after unpacking."""
    max_gzip_ratio: Annotated[float, Field(ge=1)] = 200.0
    """Largest ratio of unpacked to packed size of a .gz upload; zip bombs exceed it."""
    artifact_ttl_s: Annotated[float, Field(gt=0)] = 7 * 86_400.0
    """Seconds after which files that no job refers to are removed."""

    retention_job_days: float | None = None
    """Jobs that ended more than this many days ago are removed. Unset: never. Never removed are
    jobs that have not ended, jobs that others wait for, and anything of the last hour."""
    retention_job_count: int | None = None
    """Ended jobs that a tenant keeps at most, the newest ones. Unset: all."""
    retention_job_states: Annotated[tuple[JobState, ...], NoDecode] = ()
    """Ended states that the two settings above are about, separated by commas, e.g.
    `FAILED,CANCELLED`. Unset: all."""
    retention_event_days: float | None = None
    """Events, except changes of state, of jobs that ended more than this many days ago are removed.
    Unset: never."""
    retention_event_count: int | None = None
    """Events of ended jobs that a tenant keeps at most, those of the newest jobs. Unset: all."""
    retention_file_days: float | None = None
    """Files that were uploaded or produced more than this many days ago are removed, unless a job
    that has not ended or a fitted model uses them. Unset: never."""
    retention_file_count: int | None = None
    """Files that a tenant keeps at most, the newest ones. Unset: all."""
    retention_file_bytes: int | None = None
    """Bytes of files that a tenant keeps at most, the newest ones. Unset: all."""
    retention_audit_days: Annotated[float, Field(ge=1, le=36_500)] = 365.0
    """Days after which entries of the audit log are removed."""
    retention_every_s: Annotated[float, Field(gt=0)] = 300.0
    """Seconds between runs of retention."""

    submits_per_minute: Annotated[int, Field(ge=1)] = 60_000
    """Jobs that a key may submit per minute, unless the key has its own limit."""
    requests_per_minute: Annotated[int, Field(ge=1)] = 240_000
    """Requests that a key may send per minute, unless the key has its own limit."""
    max_queued_jobs: Annotated[int, Field(ge=1)] = 1_000_000
    """Jobs that a tenant may have in the queue, unless the key has its own limit."""
    max_artifact_bytes: Annotated[int, Field(ge=1)] = 50 * 2**30
    """Maximum total size of a tenant's files, unless the key has its own limit."""

    webhook_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts with private or loopback addresses that webhooks may call, separated by commas."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto`: console lines on a terminal, JSON otherwise."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""
    otlp_endpoint: str | None = None
    """OTLP/HTTP collector for traces, e.g. `http://127.0.0.1:4318`; needs the `otel` extra."""

    @field_validator(
        "allowed_hosts", "webhook_allowed_hosts", "text_allowed_hosts", mode="before"
    )
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Parse a list: JSON, or entries separated by commas."""
        if isinstance(value, str):
            text = value.strip()
            try:
                value = (
                    json.loads(text)
                    if text.startswith("[")
                    else [part.strip() for part in text.split(",")]
                )
            except ValueError:
                raise ValueError(f"expected {_HOSTS}, got {text!r}") from None
            value = [part for part in value if part != ""]
        if isinstance(value, list | tuple):
            for entry in value:
                if not isinstance(entry, str) or not _HOST.match(entry):
                    raise ValueError(
                        f"expected {_HOSTS}, got {entry!r}; a host has no scheme and no path"
                    )
        return value

    @field_validator("retention_job_states", mode="before")
    @classmethod
    def _states(cls, value: Any) -> Any:
        """Parse states separated by commas."""
        if isinstance(value, str):
            return [part.strip().upper() for part in value.split(",") if part.strip()]
        return value

    @property
    def retention(self) -> RetentionRule:
        """The operator's retention rule, which holds for every tenant."""
        return RetentionRule(
            job_days=self.retention_job_days,
            job_count=self.retention_job_count,
            job_states=list(self.retention_job_states) or None,
            event_days=self.retention_event_days,
            event_count=self.retention_event_count,
            file_days=self.retention_file_days,
            file_count=self.retention_file_count,
            file_bytes=self.retention_file_bytes,
        )

    @field_validator("public_url")
    @classmethod
    def _address(cls, value: str) -> str:
        """Return an address without the slash at its end."""
        if not value:
            return value
        if not _ADDRESS.fullmatch(value):
            raise ValueError(
                f"expected http:// or https:// with a host and no query, got {value!r}"
            )
        return value.rstrip("/")

    @property
    def site(self) -> str:
        """Address that links in reports begin with; empty where it is not known."""
        if self.public_url or self.host in ALL_ADDRESSES or not self.port:
            return self.public_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls_cert else ''}://{host}:{self.port}"

    @property
    def runs_here(self) -> bool:
        """True if this process runs jobs as children on this machine."""
        return self.role != "gateway" and self.executor == "process"

    @property
    def admin_key_file(self) -> Path:
        """File of the admin key that the first start writes, for CLI, SDK and pages here."""
        return self.data_dir / "admin.key"


def load(**arguments: Any) -> Settings:
    """Read settings from arguments, then the environment.

    Raises SettingsRefused with one line per invalid setting.
    """
    try:
        settings = Settings(**arguments)
    except ValidationError as error:
        raise SettingsRefused(
            "\n".join(_line(item) for item in error.errors(include_url=False))
        ) from error
    check_settings(settings)
    return settings


_OF_CLIENTS = ("URL", "API_KEY")
"""Read by SDK and command line, which may share the server's environment."""
_ALIKE = 0.75
"""Similarity of names without their prefix: two swapped letters of four, as in PROT."""


def misspelt(environment: dict[str, str] | None = None) -> list[str]:
    """Return one line for each TRIMTAB_* variable that looks like a misspelt setting."""
    known = [name.upper() for name in Settings.model_fields]
    lines = []
    for variable in sorted(os.environ if environment is None else environment):
        name = variable.removeprefix("TRIMTAB_")
        if name in (variable, *known, *_OF_CLIENTS):
            continue
        if close := get_close_matches(name, known, n=1, cutoff=_ALIKE):
            lines.append(
                f"{variable}: expected the name of a setting, got an unknown one, which has no "
                f"effect; did you mean TRIMTAB_{close[0]}?"
            )
    return lines


def _line(item: Any) -> str:
    name = f"TRIMTAB_{str(item['loc'][0]).upper()}" if item["loc"] else "settings"
    if any(word in name for word in _SECRET_WORDS):
        item = {**item, "input": "(not shown)"}
    fault = fault_of({**item, "loc": ()})
    return f"{name}: {fault}"


def check_settings(settings: Settings) -> None:
    """Raise SettingsRefused for settings that contradict each other or are unsafe together."""
    faults = [text for text in _contradictions(settings) if text]
    if faults:
        raise SettingsRefused("\n".join(faults))


def _contradictions(settings: Settings) -> list[str]:
    return [
        *_network_faults(settings),
        *_file_faults(settings),
        *_run_faults(settings),
        *_text_faults(settings),
        *_retention_faults(settings),
    ]


def _retention_faults(settings: Settings) -> list[str]:
    """Check the operator's retention rule like a tenant's."""
    try:
        settings.retention  # noqa: B018 - it is validated where it is made
    except SpecError as error:
        return [f"TRIMTAB_RETENTION_{fault}" for fault in str(error).splitlines()]
    return []


def _network_faults(settings: Settings) -> list[str]:
    """Check what is unsafe on an address that others can reach."""
    open_bind = settings.host not in LOOPBACK
    lines = []
    if open_bind and settings.auth == "off":
        lines.append(
            f"TRIMTAB_AUTH: expected 'keys' with the bind address {settings.host!r}, got "
            "'off': anyone on the network could use this server. Bind to 127.0.0.1, or leave "
            "TRIMTAB_AUTH at 'keys'"
        )
    if (
        open_bind
        and settings.sandbox == "rlimit"
        and settings.runs_here
        and not settings.contained
    ):
        lines.append(
            f"TRIMTAB_SANDBOX: expected bwrap or auto with the bind address {settings.host!r}, "
            "got 'rlimit'. Install bubblewrap, or set TRIMTAB_CONTAINED=true if this process "
            "has a container of its own"
        )
    return lines


def _file_faults(settings: Settings) -> list[str]:
    """Check files and the database against the role."""
    lines = []
    if settings.role == "dispatcher" and settings.database_url is None:
        lines.append(
            "TRIMTAB_ROLE: expected TRIMTAB_DATABASE_URL with role 'dispatcher', got none: an "
            "SQLite file has one writer, the process with role 'all'. Set a PostgreSQL URL or "
            "use role 'all'"
        )
    if (settings.tls_cert is None) != (settings.tls_key is None):
        missing, other = (
            ("TLS_KEY", "TLS_CERT")
            if settings.tls_key is None
            else ("TLS_CERT", "TLS_KEY")
        )
        lines.append(
            f"TRIMTAB_{missing}: expected a file with TRIMTAB_{other}, got none; "
            "set both or neither"
        )
    for name in ("tls_cert", "tls_key"):
        path = getattr(settings, name)
        if path is not None and not path.is_file():
            lines.append(
                f"TRIMTAB_{name.upper()}: expected a file, got {str(path)!r}, which is not one"
            )
    return lines


def _run_faults(settings: Settings) -> list[str]:
    """Check executor, sandbox and leases against each other."""
    lines = []
    if settings.ray_address is not None and settings.executor != "ray":
        lines.append(
            "TRIMTAB_RAY_ADDRESS: expected executor 'ray' with an address, got "
            f"{settings.executor!r}; set TRIMTAB_EXECUTOR=ray or leave the address out"
        )
    if settings.executor == "inline" and settings.sandbox == "bwrap":
        lines.append(
            "TRIMTAB_SANDBOX: expected auto with executor 'inline', which has no sandbox, got "
            "'bwrap'; use executor 'process' or leave the sandbox out"
        )
    workers_set = "workers" in settings.model_fields_set
    if settings.executor == "inline" and workers_set and settings.workers > 1:
        lines.append(
            "TRIMTAB_WORKERS: expected 1 with executor 'inline', which runs one job at a time, "
            f"got {settings.workers}; use executor 'process' or leave it out"
        )
    if settings.heartbeat_s >= settings.lease_s:
        lines.append(
            f"TRIMTAB_HEARTBEAT_S: expected less than TRIMTAB_LEASE_S ({settings.lease_s:g}), "
            f"got {settings.heartbeat_s:g}: every lease would expire before it is renewed"
        )
    return lines


def _text_faults(settings: Settings) -> list[str]:
    """Check the name of the language model and what it needs."""
    name = settings.text_model
    kind, _, place = name.partition(":")
    lines = []
    if name not in ("none", "embedded") and (
        kind not in ("checkpoint", "openai") or not place
    ):
        lines.append(
            "TRIMTAB_TEXT_MODEL: expected none, embedded, checkpoint:/folder or openai:URL, got "
            f"{name[:100]!r}"
        )
    elif kind == "checkpoint" and not Path(place).exists():
        lines.append(
            "TRIMTAB_TEXT_MODEL: expected a folder (or a .gguf file) that exists, got "
            f"{place[:200]!r}, which does not"
        )
    elif kind == "openai" and urlsplit(place).scheme not in ("http", "https"):
        lines.append(
            "TRIMTAB_TEXT_MODEL: expected openai:https://host/v1, got a URL of another scheme"
        )
    if settings.text_api_key is not None and kind != "openai":
        lines.append(
            "TRIMTAB_TEXT_API_KEY: expected a model openai:URL with a key, got the model "
            f"{name[:100]!r}; leave the key out"
        )
    return lines
