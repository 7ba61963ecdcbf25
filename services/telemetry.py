"""Logs, metrics and optional traces. Nothing here runs on import."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterable
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from services.settings import Settings

_BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)


_LONG_BUCKETS = (
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1800.0,
    3600.0,
    14400.0,
)


class StoredCounter(Collector):
    """A counter that lives in the database; set it before each scrape."""

    def __init__(
        self, name: str, documentation: str, *, registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._value = 0.0
        registry.register(self)

    def set(self, value: float) -> None:
        """Take over the value in the database."""
        self._value = value

    def describe(self) -> Iterable[CounterMetricFamily]:
        """Return the family without a sample."""
        return [CounterMetricFamily(self._name, self._documentation)]

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Return the family with its sample."""
        return [CounterMetricFamily(self._name, self._documentation, value=self._value)]


class Metrics:
    """The Prometheus series of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._count_requests(self.registry)
        self._count_jobs(self.registry)
        self._count_attempts(self.registry)
        self._count_texts(self.registry)

    def _count_requests(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "trimtab_http_requests",
            "HTTP requests answered",
            ["method", "route", "status"],
            registry=registry,
        )
        self.latency = Histogram(
            "trimtab_http_request_seconds",
            "Time to answer an HTTP request",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.streams = Gauge(
            "trimtab_event_streams", "Open event streams", registry=registry
        )

    def _count_jobs(self, registry: CollectorRegistry) -> None:
        self.submits = Counter(
            "trimtab_submits", "Jobs accepted", ["kind"], registry=registry
        )
        self.jobs = Gauge("trimtab_jobs", "Jobs by state", ["state"], registry=registry)
        self.queue_age = Gauge(
            "trimtab_queue_age_seconds",
            "Age of the oldest QUEUED job; 0 without one",
            registry=registry,
        )
        self.stale_writes = StoredCounter(
            "trimtab_stale_writes",
            "Writes refused because their lease had moved to another worker",
            registry=registry,
        )
        self.webhooks = Counter(
            "trimtab_webhook_tries",
            "Tries to deliver a webhook: delivered, failed or given up",
            ["end"],
            registry=registry,
        )
        self.retained = Counter(
            "trimtab_retention_removed",
            "Removed by retention: jobs, events, files, bytes of files",
            ["sort"],
            registry=registry,
        )

    def _count_attempts(self, registry: CollectorRegistry) -> None:
        self.running = Gauge(
            "trimtab_running_attempts",
            "Attempts running in this process",
            registry=registry,
        )
        self.capacity = Gauge(
            "trimtab_capacity", "Attempts this process can run at once", registry=registry
        )
        self.queue_wait = Histogram(
            "trimtab_job_queue_wait_seconds",
            "Time from the submit, or from the end of a back-off, to the start of an attempt",
            ["kind"],
            buckets=_LONG_BUCKETS,
            registry=registry,
        )
        self.attempt_time = Histogram(
            "trimtab_job_attempt_seconds",
            "Time of an attempt from its claim to its end",
            ["kind"],
            buckets=_LONG_BUCKETS,
            registry=registry,
        )
        self.outcomes = Counter(
            "trimtab_job_attempts",
            "Attempts ended, by outcome and by the state of the job after them",
            ["kind", "outcome", "state"],
            registry=registry,
        )

    def _count_texts(self, registry: CollectorRegistry) -> None:
        self.text_tokens = Counter(
            "trimtab_text_tokens",
            "Tokens of a language model, as prompt (read), cached, generated or evicted",
            ["sort"],
            registry=registry,
        )
        self.text_generations = Counter(
            "trimtab_text_generations",
            "Generations of a language model by their end; broken: no end was reported",
            ["end"],
            registry=registry,
        )
        self.text_first_token = Histogram(
            "trimtab_text_first_token_seconds",
            "Time from an accepted request to its first token, queue included",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.text_active = Gauge(
            "trimtab_text_active",
            "Calls of a language model in progress",
            registry=registry,
        )
        self.text_waiting = Gauge(
            "trimtab_text_waiting",
            "Calls that wait for a language model",
            registry=registry,
        )
        self.text_starts = Gauge(
            "trimtab_text_starts",
            "Starts of the language model's process; above 1: it crashed",
            registry=registry,
        )


def configure_logging(settings: Settings) -> None:
    """Configure structured logs on stderr: JSON, or console lines on a terminal."""
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer()
    )
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, force=True)


def configure_tracing(settings: Settings) -> Any | None:
    """Return a tracer provider that exports to `otlp_endpoint`; None if that is not set.

    Raises ImportError if the `otel` extra is not installed.
    """
    if settings.otlp_endpoint is None:
        return None
    try:
        # By name, because the extra is optional and mypy has no stubs of it.
        exporters = importlib.import_module(
            "opentelemetry.exporter.otlp.proto.http.trace_exporter"
        )
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ImportError(
            "TRIMTAB_OTLP_ENDPOINT: expected the `otel` extra to be installed, got none: "
            "pip install -e '.[otel]'"
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "trimtab"}))
    provider.add_span_processor(
        BatchSpanProcessor(
            exporters.OTLPSpanExporter(endpoint=_traces_url(settings.otlp_endpoint))
        )
    )
    return provider


def _traces_url(endpoint: str) -> str:
    """Append the path of traces, as for OTEL_EXPORTER_OTLP_ENDPOINT."""
    return (
        endpoint
        if endpoint.endswith("/v1/traces")
        else endpoint.rstrip("/") + "/v1/traces"
    )
