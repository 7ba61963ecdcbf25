# Generated from trimtab/aio.py by deploy/tools/unasync.py. Edit that file, then run
# `python deploy/tools/unasync.py`.

"""The blocking client: send jobs, watch them, fetch their results and files.

`aio.py` is its asyncio twin.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx2

from trimtab import _core, _listing, _submission, _twins, comparison, files, text
from trimtab._connection import Connection
from trimtab._submission import Submission
from trimtab.cards import Card
from trimtab.errors import (
    DigestMismatch,
    JobAtRest,
    JobFailed,
    NotFound,
    ProtocolError,
    WaitTimeout,
)
from trimtab.results import (
    SOLUTION_FILE,
    Attempt,
    Event,
    EventType,
    FittedModelPage,
    FittedModelView,
    Incumbent,
    IncumbentValues,
    JobPage,
    JobState,
    JobView,
    KindView,
    ListView,
    RunResult,
)
from trimtab.solution import Variables
from trimtab.specs.common import ArtifactRef
from trimtab.text import LanguageModel, Messages, TextAnswer
from trimtab.upkeep import (
    ArtifactPage,
    ArtifactView,
    AuditEntry,
    AuditPage,
    DeliveryPage,
    DeliveryView,
    RetentionReport,
    RetentionRule,
    RetentionView,
    UsageView,
)

if TYPE_CHECKING:
    from trimtab._plan import Plan


class Client(Connection):
    """A connection to a trimtab server. Any number of threads may share it.

    Args:
        url: Address of the server. None: TRIMTAB_URL, else the server of this machine.
        api_key: None: TRIMTAB_API_KEY, else the local server's own key.
        retry: When to send a failed call again.
        timeout_s: Seconds that one try may take; unrelated to a job's budget.
        transport: HTTP transport, for tests.

    Raises ConfigError when no server is configured. Every method raises ConnectionFailed when the
    server cannot be reached, and an ApiError when it refuses (see `trimtab.errors`).
    """

    # --- jobs

    def submit(
        self,
        spec: Submission,
        *,
        idempotency_key: str | None = None,
        progress: files.Progress | None = None,
        **options: Any,
    ) -> Job:
        """Upload the spec's local files and submit it.

        Args:
            spec: A spec; a whole JobRequest; or a mapping together with `kind`.
            idempotency_key: A repeated submit with the same key returns the first job.
            progress: Called with (bytes done, total bytes) during uploads.
            options: kind, seconds, evaluations, target_gap, seed, priority, labels,
                max_attempts, webhook, after, model, name: see `trimtab.specs.common.JobRequest`.
        """
        body = _submission.request_body(spec, **options)
        self._upload_all([spec], progress)
        sent = _core.call("submit", body=body, key=idempotency_key or _core.new_key())
        view = _core.parse(JobView, self._send(sent))
        return self._handle(view, _submission.variables_of(spec))

    def submit_file(
        self,
        path: str | os.PathLike[str],
        *,
        kind: str | None = None,
        warm_start: str | os.PathLike[str] | None = None,
        fields: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Job:
        """Submit a file on this machine.

        Args:
            path: The file. Its name decides the kind: `trimtab.specs.by_file.suffixes()`.
            kind: The kind, when the file's name does not say.
            warm_start: A .sol or .mst file, the solution that the search of a model starts from.
            fields: Further fields of the spec, as JSON has them.
            options: As for `submit`.

        Raises ValueError for a kind that takes no file or a field that the spec refuses.
        """
        from trimtab.specs.by_file import spec_of_file

        return self.submit(
            spec_of_file(path, kind=kind, warm_start=warm_start, fields=fields), **options
        )

    def submit_batch(
        self,
        specs: Iterable[Submission],
        *,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> list[Job]:
        """Submit several specs in one call, all or none, with the same options."""
        specs = list(specs)
        bodies = [_submission.request_body(spec, **options) for spec in specs]
        self._upload_all(specs, None)
        sent = _core.call(
            "submit_batch", body={"jobs": bodies}, key=idempotency_key or _core.new_key()
        )
        views = _core.parse_list(JobView, self._send(sent), "items")
        if len(views) != len(bodies):
            raise ProtocolError(
                f"expected {len(bodies)} jobs in the answer, got {len(views)}"
            )
        return [
            self._handle(view, _submission.variables_of(spec))
            for spec, view in zip(specs, views, strict=True)
        ]

    def map(
        self,
        specs: Iterable[Submission],
        *,
        concurrency: int = 32,
        batch: int = 500,
        as_completed: bool = False,
        **options: Any,
    ) -> Iterator[Job]:
        """Run many specs, at most `concurrency` unfinished at once, and yield the ended jobs.

        Jobs come in the order of the specs; with `as_completed`, each as soon as it ends. A failed
        job is yielded like the others, and its `job.result()` raises.
        """

        def submit(chunk: Sequence[Submission]) -> list[Job]:
            return self.submit_batch(chunk, **options)

        return _twins.run_all(
            submit, specs, concurrency=concurrency, batch=batch, as_completed=as_completed
        )

    def plan(
        self,
        goal: str,
        files: files.Named = (),
        *,
        approve: str = "manual",
        text_model: str = "auto",
        **options: Any,
    ) -> Plan:
        """Upload files and submit a goal in words; its outline comes within seconds.

        Args:
            goal: What is wanted, in English.
            files: Paths; or names that the goal uses → path or ArtifactRef.
            approve: `auto` starts the jobs at once if every word was understood.
            text_model: `none` does without the server's language model.
            options: As for `submit`; `seconds` bounds the making of outline and report.
        """
        from trimtab.specs.plan import PlanSpec

        spec = PlanSpec(
            goal=goal,
            files=_submission.named_files(files),
            approve=approve,  # type: ignore[arg-type]
            text_model=text_model,  # type: ignore[arg-type]
        )
        return cast("Plan", self.submit(spec, **options))

    def job(self, job_id: str) -> Job:
        """Return the handle of an existing job; a plan's has its outline. Raises NotFound."""
        return self._handle(self._view("get_job", job_id))

    def jobs(
        self,
        *,
        search: str | None = None,
        state: JobState | str | Sequence[JobState | str] | None = None,
        kind: str | Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        model: str | None = None,
        graph: str | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        sort: str = "-created",
        view: str | None = None,
        page_size: int = 100,
    ) -> Iterator[JobView]:
        """Yield jobs, newest first unless `sort` says otherwise; fetches page after page.

        Args:
            search: Words that name, id, labels or failure contain, all of them.
            state: Only jobs in this state, or in one of these.
            kind: Only jobs of this kind, or of one of these.
            labels: Only jobs that have all of these labels.
            model: Only jobs whose request names this fitted model, `auto` or `shipped`.
            graph: Only jobs of this plan, by its id.
            created_after: Only jobs submitted at this time or later; a day is one of UTC.
            created_before: Only jobs submitted before this time, or on this day at the latest.
            sort: A `JobSort`, with `-` before it for descending. No value: last.
            view: Name of a saved view, whose filters and order apply where none is given.
            page_size: Jobs per request, 1 to 500.

        Raises NotFound for an unknown view.
        """
        params = _listing.listing(
            search=search,
            state=state,
            kind=kind,
            labels=labels,
            model=model,
            graph=graph,
            created_after=created_after,
            created_before=created_before,
            sort=sort,
        )
        if view is not None:
            params = _listing.over_view(params, self.views(), view)
        cursor: str | None = None
        while True:
            sent = _core.call(
                "list_jobs", params=params | {"limit": page_size, "cursor": cursor}
            )
            page = _core.parse(JobPage, self._send(sent))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def compare(self, job_ids: Sequence[str]) -> dict[str, Any]:
        """Return what differs between 2 to 8 jobs, as texts.

        Its keys: `jobs`, with id, name and kind of each; `figures`, `request` and `result`, each
        from a field to one text per job. Raises ValueError for another number, and NotFound.
        """
        chosen = comparison.different(job_ids)
        jobs = [self.job(job_id) for job_id in chosen]
        requests = [job.input() for job in jobs]
        results: list[dict[str, Any] | None] = [None] * len(jobs)
        for index, job in enumerate(jobs):
            if "result" in job.view.links:
                answer = self._send(_core.call("result", id=job.id))
                results[index] = dict(_core.parse_json(answer))
        return comparison.compared([job.view for job in jobs], requests, results)

    def views(self) -> list[ListView]:
        """Return the saved views of the tenant, ordered by name."""
        answer = self._send(_core.call("list_views"))
        return _core.parse_list(ListView, answer)

    def save_view(self, name: str, **filters: Any) -> ListView:
        """Save filters and order under a name, in place of a view of that name.

        Args:
            name: At most 120 characters on one line.
            filters: As for `jobs`, without `view` and `page_size`.
        """
        body = {"query": _listing.listing_query(**filters)}
        sent = _core.call("save_view", name=name, body=body)
        return _core.parse(ListView, self._send(sent))

    def delete_view(self, name: str) -> None:
        """Delete a saved view, not its jobs. Raises NotFound."""
        self._send(_core.call("delete_view", name=name))

    # --- files

    def upload(
        self, path: str | os.PathLike[str], *, progress: files.Progress | None = None
    ) -> ArtifactRef:
        """Store a file on the server, unless it has this content already.

        Raises DigestMismatch when the server stored other bytes.
        """
        local = path if isinstance(path, files.LocalFile) else files.LocalFile.of(path)
        try:
            self.artifact(local.digest)
        except NotFound:
            pass
        else:
            return ArtifactRef(**local.model_dump())
        total = local.size_bytes or 0
        sent = _core.call(
            "upload",
            params={"name": local.name},
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Length": str(total),
            },
        )
        stored = _core.parse(
            ArtifactRef, self._send(sent, upload=local, progress=progress)
        )
        if stored.digest != local.digest:
            raise DigestMismatch(
                f"upload of {local.path}", expected=local.digest, got=stored.digest
            )
        return stored

    def artifact(self, digest: str) -> ArtifactRef:
        """Return the reference of a stored file by its digest. Raises NotFound."""
        return _core.parse(ArtifactRef, self._send(_core.call("artifact", digest=digest)))

    def download(
        self,
        ref: ArtifactRef,
        to: str | os.PathLike[str] | None = None,
        *,
        progress: files.Progress | None = None,
    ) -> Path:
        """Fetch a stored file and verify its digest.

        `to` is a file or an existing folder; None: the current folder, under the file's own name.
        """
        target = files.target_path(to, ref.name or ref.digest[-12:])
        return self._download(
            _core.call("artifact_content", digest=ref.digest),
            target,
            ref.digest,
            progress,
        )

    # --- the language model

    def chat(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> TextAnswer:
        """Ask the server's language model, and wait for the whole answer.

        Args:
            messages: A question, or a conversation of objects with `role` and `content`.
            model: Its name; None: the model of the server.
            idempotency_key: A repeated call with the same key returns the first answer.
            options: max_tokens, temperature, top_p, min_p, n, seed, stop, logprobs, top_logprobs,
                json_schema (a JSON schema or a pydantic model that the answer fits), cache.
        """
        body = text.chat_body(messages, model=model, stream=False, **options)
        return self._answer("chat", body, idempotency_key)

    def chat_stream(
        self, messages: Messages, *, model: str | None = None, **options: Any
    ) -> Iterator[TextAnswer]:
        """Ask the language model, and yield its answer in chunks as it comes; see `chat`.

        The `text` of a chunk is what is new. The last one has no choice and the usage. Closing the
        iterator cancels the generation.
        """
        body = text.chat_body(messages, model=model, stream=True, **options)
        sent = _core.call(
            "chat",
            body=body,
            headers={"Accept": "text/event-stream"},
            key=_core.new_key(),
            read_timeout_s=text.QUIET_S,
        )
        return self._chunks(sent)

    def complete(
        self,
        prompt: str | Sequence[str],
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> TextAnswer:
        """Continue a text (or several) without a chat template; see `chat` for the options."""
        body = text.completion_body(prompt, model=model, **options)
        return self._answer("complete", body, idempotency_key)

    def models(self) -> list[LanguageModel]:
        """List the language models of the server: one, or none."""
        answer = self._send(_core.call("models"))
        return _core.parse_list(LanguageModel, answer, "data")

    def model(self, name: str = "default") -> LanguageModel:
        """Return a language model of the server. Raises NotFound."""
        answer = self._send(_core.call("model", model=name))
        return _core.parse(LanguageModel, answer)

    def _answer(
        self, operation: str, body: dict[str, Any], key: str | None
    ) -> TextAnswer:
        sent = _core.call(
            operation,
            body=body,
            key=key or _core.new_key(),
            read_timeout_s=text.ANSWER_S,
        )
        return text.answer_of(_core.parse_json(self._send(sent)))

    # --- fitted models

    def fitted_models(
        self, *, target: str | None = None, states: Iterable[str] = ()
    ) -> list[FittedModelView]:
        """List the tenant's fitted models, newest first.

        Args:
            target: Kind of job that they are for. None: any.
            states: Some of adopted, rejected, retired. Empty: all.
        """
        views: list[FittedModelView] = []
        cursor: str | None = None
        while True:
            params = {"target": target, "state": list(states) or None, "cursor": cursor}
            sent = _core.call("fitted_models", params=params)
            page = _core.parse(FittedModelPage, self._send(sent))
            views += page.items
            cursor = page.next_cursor
            if cursor is None:
                return views

    def fitted_model(self, model_id: str) -> FittedModelView:
        """Return a fitted model. Raises NotFound."""
        answer = self._send(_core.call("fitted_model", model_id=model_id))
        return _core.parse(FittedModelView, answer)

    def model_card(self, model_id: str) -> Card:
        """Return the card of a fitted model. Raises NotFound."""
        return _core.parse(Card, self._send(_core.call("model_card", model_id=model_id)))

    def model_picture(self, model_id: str) -> str:
        """Return the card of a fitted model as SVG. Raises NotFound when there is none."""
        headers = {"Accept": "image/svg+xml"}
        sent = _core.call("model_picture", model_id=model_id, headers=headers)
        return (self._send(sent)).text

    def retire_model(self, model_id: str) -> FittedModelView:
        """Withdraw a fitted model: no job that begins from now on uses it."""
        answer = self._send(_core.call("retire_model", model_id=model_id))
        return _core.parse(FittedModelView, answer)

    # --- the server

    def kinds(self) -> list[KindView]:
        """List the kinds of job that the server runs, with the JSON schemas of their specs."""
        return _core.parse_list(KindView, self._send(_core.call("kinds")))

    def kind(self, kind: str) -> KindView:
        """Return one kind of job. Raises NotFound."""
        return _core.parse(KindView, self._send(_core.call("kind", kind=kind)))

    def healthy(self) -> bool:
        """Return True when the server is ready; never raises because it is down."""
        try:
            answer = self._open_http().get(_core.ROUTES["healthz"][1])
            if not answer.is_success:
                return False
            report = self.ready()
            return bool(report["status"] != "down")
        except (httpx2.TransportError, KeyError, ProtocolError):
            return False

    def ready(self) -> dict[str, Any]:
        """Return the readiness report; its `status` is `down` while the server is not ready."""
        answer = self._open_http().get(_core.ROUTES["readyz"][1])
        return {
            **_core.parse_json(answer),
            **({} if answer.is_success else {"status": "down"}),
        }

    def me(self) -> dict[str, Any]:
        """Return the tenant and scopes of this API key."""
        return dict(_core.parse_json(self._send(_core.call("me"))))

    def workers(self) -> Any:
        """Return capacity, running jobs and sandbox of the server's workers."""
        return _core.parse_json(self._send(_core.call("workers")))

    def metrics(self) -> str:
        """Return the server's metrics in Prometheus' text format."""
        answer = self._send(_core.call("metrics", headers={"Accept": "text/plain"}))
        return answer.text

    def keys(self) -> list[dict[str, Any]]:
        """List the API keys (admin), without their secrets."""
        return list(_core.parse_json(self._send(_core.call("list_keys"))))

    def create_key(self, **fields: Any) -> dict[str, Any]:
        """Create an API key (admin). The secret in the answer is shown only once.

        The call is never repeated: a second one would create a second key.
        """
        return dict(_core.parse_json(self._send(_core.call("create_key", body=fields))))

    def revoke_key(self, key_id: str) -> None:
        """Revoke an API key (admin)."""
        self._send(_core.call("revoke_key", id=key_id))

    def rotate_key(self, key_id: str, *, overlap_s: float = 86_400.0) -> dict[str, Any]:
        """Replace the secret of a key; `key` in the answer is shown only once.

        Args:
            key_id: The caller's own key; admins may name any.
            overlap_s: Seconds for which the old secret still works.

        The call is never repeated: a second one would replace the new secret.
        """
        sent = _core.call("rotate_key", id=key_id, body={"overlap_s": overlap_s})
        return dict(_core.parse_json(self._send(sent)))

    # --- housekeeping

    def stored_files(self) -> list[ArtifactView]:
        """List the tenant's files, newest first."""
        views: list[ArtifactView] = []
        cursor: str | None = None
        while True:
            sent = _core.call("artifacts", params={"limit": 500, "cursor": cursor})
            page = _core.parse(ArtifactPage, self._send(sent))
            views += page.items
            cursor = page.next_cursor
            if cursor is None:
                return views

    def delete_artifact(self, digest: str) -> None:
        """Delete a file. Raises Conflict while an active job or a fitted model uses it."""
        self._send(_core.call("delete_artifact", digest=digest))

    def retention(self, tenant: str | None = None) -> RetentionView:
        """Return the retention rules of a tenant: its own and the operator's."""
        sent = _core.call("retention", params={"tenant": tenant})
        return _core.parse(RetentionView, self._send(sent))

    def set_retention(
        self, rule: RetentionRule, *, tenant: str | None = None
    ) -> RetentionView:
        """Replace the tenant's own rule (operator). An empty one removes nothing."""
        body = rule.model_dump(mode="json", exclude_none=True)
        sent = _core.call("set_retention", params={"tenant": tenant}, body=body)
        return _core.parse(RetentionView, self._send(sent))

    def preview_retention(
        self, rule: RetentionRule, *, tenant: str | None = None
    ) -> RetentionReport:
        """Count what a rule would remove now, beside the operator's; nothing is removed."""
        body = rule.model_dump(mode="json", exclude_none=True)
        sent = _core.call("preview_retention", params={"tenant": tenant}, body=body)
        return _core.parse(RetentionReport, self._send(sent))

    def run_retention(self, tenant: str | None = None) -> RetentionReport:
        """Apply the rules now, for at most 20 s (operator); repeat until it is `complete`."""
        sent = _core.call("run_retention", params={"tenant": tenant}, read_timeout_s=60.0)
        return _core.parse(RetentionReport, self._send(sent))

    def usage(self, tenant: str | None = None) -> list[UsageView]:
        """Return what the tenant has stored and used; for an admin, of every tenant."""
        sent = _core.call("usage", params={"tenant": tenant})
        return _core.parse_list(UsageView, self._send(sent))

    def deliveries(
        self, *, states: Iterable[str] = (), limit: int = 100
    ) -> list[DeliveryView]:
        """List the newest webhook deliveries.

        Args:
            states: Some of waiting, delivered, given up. Empty: all.
            limit: Deliveries at most, up to 500.
        """
        params = {"state": list(states) or None, "limit": limit}
        sent = _core.call("deliveries", params=params)
        return _core.parse(DeliveryPage, self._send(sent)).items

    def resend_webhook(self, job_id: str) -> DeliveryView:
        """Send the webhook of an ended job again, now."""
        answer = self._send(_core.call("resend_webhook", id=job_id))
        return _core.parse(DeliveryView, answer)

    def audit(
        self,
        *,
        tenant: str | None = None,
        action: str | None = None,
        target: str | None = None,
        limit: int = 100,
    ) -> list[AuditEntry]:
        """Return the newest entries of the audit log (admin).

        Args:
            tenant: Of the caller's key.
            action: An act such as `key.revoke`, or its part before the dot.
            target: Id of the job, key, file, model or tenant that it was about.
            limit: Entries at most, up to 500.
        """
        params = {"tenant": tenant, "action": action, "target": target, "limit": limit}
        sent = _core.call("audit", params=params)
        return _core.parse(AuditPage, self._send(sent)).items

    def page_url(self) -> str:
        """Return a URL that signs a browser in to the web page; it works once."""
        answer = self._send(_core.call("session_ticket"))
        ticket = _core.parse_json(answer)["ticket"]
        return f"{self.endpoint.url}/login?{httpx2.QueryParams({'ticket': ticket})}"

    def _handle(self, view: JobView, variables: Variables | None = None) -> Job:
        if view.kind != "plan":
            return Job(self, view, variables)
        from trimtab._plan import Plan

        return Plan(self, view)

    def _view(self, operation: str, job_id: str) -> JobView:
        return _core.parse(JobView, self._send(_core.call(operation, id=job_id)))

    def _upload_all(
        self, specs: Iterable[Submission], progress: files.Progress | None
    ) -> None:
        by_digest = {
            local.digest: local
            for spec in specs
            for local in _submission.local_files(spec)
        }
        for local in by_digest.values():
            self.upload(local, progress=progress)  # type: ignore[arg-type]


class Job:
    """The handle of a job. `view` is the state that the server last reported."""

    def __init__(
        self, client: Client, view: JobView, variables: Variables | None = None
    ) -> None:
        self._client = client
        self._variables = variables
        self.view = view

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.view.kind} {self.view.state}>"

    def _repr_html_(self) -> str:
        from trimtab.notebook import job_html

        return job_html(self.view)

    @property
    def id(self) -> str:
        """The job's id."""
        return self.view.id

    @property
    def state(self) -> JobState:
        """The state that the server last reported; `refresh()` asks again."""
        return self.view.state

    def output(self, name: str) -> ArtifactRef:
        """Return a reference to a file that this job is to produce, for another job's spec.

        The other job waits for this one: `client.submit(IlpSpec(model=..., warm_start=
        job.output("solution.sol")))`.
        """
        return _submission.output_of(self.id, name)

    def refresh(self) -> JobView:
        """Fetch the newest view."""
        return self._update("get_job")

    def wait(
        self, timeout_s: float | None = None, *, through_rest: bool = False
    ) -> JobView:
        """Wait until the job ends, at most `timeout_s` seconds (None: without limit).

        Raises WaitTimeout; the job continues to run. Raises JobAtRest when the job waits for its
        owner; with `through_rest`, wait on, because somebody else answers or approves.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = (
                _core.LONG_POLL_S if until is None else max(0.0, until - time.monotonic())
            )
            poll = min(_core.LONG_POLL_S, left)
            sent = _core.call(
                "wait", id=self.id, params={"timeout_s": poll}, read_timeout_s=poll + 15
            )
            self.view = _core.parse(JobView, self._client._send(sent))
            if self.view.state.is_terminal:
                return self.view
            if self.view.state.is_resting and not through_rest:
                raise JobAtRest(self.view, self._client.endpoint.url)
            if until is not None and timeout_s is not None and time.monotonic() >= until:
                raise WaitTimeout(self.view, timeout_s)
            if self.view.state.is_resting:
                _twins.sleep(min(1.0, left))  # the server answers at once

    def result(self, timeout_s: float | None = None) -> RunResult:
        """Wait until the job ends and return its result.

        Raises JobFailed when the job ended FAILED, DEAD, CANCELLED or SKIPPED, JobAtRest when it
        waits for its owner, and WaitTimeout.
        """
        self.wait(timeout_s)
        if _core.is_bad_end(self.view.state):
            raise JobFailed(self.view)
        result = _core.parse(
            RunResult, self._client._send(_core.call("result", id=self.id))
        )
        return _twins.with_values(result, self._variables, lambda: self._solution(result))

    def _solution(self, result: RunResult) -> bytes:
        """Fetch the bytes of the solution file."""
        with tempfile.TemporaryDirectory(prefix="trimtab-solution-") as folder:
            sent = _core.call("job_artifact", id=self.id, name=SOLUTION_FILE)
            digest = result.artifacts[SOLUTION_FILE].digest
            path = self._client._download(
                sent, Path(folder) / SOLUTION_FILE, digest, None
            )
            return _twins.read_bytes(path)

    def events(self, after_seq: int = 0) -> Iterator[Event]:
        """Yield every event after number `after_seq` until the job ends.

        A broken connection is resumed after the last event received.
        """
        return self._client._events(self.id, after_seq)

    def incumbents(self) -> Iterator[Incumbent]:
        """Yield each incumbent as the job reports it, until the job ends."""
        for event in self.events():
            if event.type is EventType.INCUMBENT:
                yield Incumbent.model_validate(event.data)

    def incumbent(self) -> IncumbentValues:
        """Return the values of the best solution so far, for kind `ilp`; not checked yet.

        They may be some seconds older than the newest event. Raises NotFound while there are none.
        """
        sent = _core.call("incumbent", id=self.id)
        return _core.parse(IncumbentValues, self._client._send(sent))

    def stop(self) -> JobView:
        """End the job now and keep its best solution."""
        return self._update("stop")

    def cancel(self) -> JobView:
        """End the job now and discard its solution."""
        return self._update("cancel")

    def retry(self) -> JobView:
        """Run a FAILED, DEAD or CANCELLED job again."""
        return self._update("retry")

    def rename(
        self, name: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> JobView:
        """Change the job's name or all of its labels; None leaves them as they are."""
        changes = {"name": name, "labels": None if labels is None else dict(labels)}
        body = {key: value for key, value in changes.items() if value is not None}
        sent = _core.call("change_job", id=self.id, body=body)
        self.view = _core.parse(JobView, self._client._send(sent))
        return self.view

    def delete(self) -> None:
        """Remove an ended job and its files. Raises Conflict while it runs."""
        self._client._send(_core.call("delete_job", id=self.id))

    def input(self) -> dict[str, Any]:
        """Return the job's request, ready to be submitted again."""
        return dict(_core.parse_json(self._client._send(_core.call("input", id=self.id))))

    def log(self, max_bytes: int = 65_536) -> str:
        """Return the end of what the engines of this job have printed; empty without any.

        To follow it, read the events of type `log` whose level is `trimtab.results.PRINTED`.
        """
        params = {"max_bytes": str(max_bytes)}
        headers = {"Accept": "text/plain"}
        sent = _core.call("log", id=self.id, params=params, headers=headers)
        answer = self._client._send(sent)
        return answer.text

    def attempts(self) -> list[Attempt]:
        """List the attempts of this job, oldest first."""
        answer = self._client._send(_core.call("attempts", id=self.id))
        return _core.parse_list(Attempt, answer)

    def picture(self, number: int = 0) -> str:
        """Return a picture of the newest incumbent as SVG, in kinds that draw any.

        Raises NotFound when the incumbent has no picture of that number.
        """
        headers = {"Accept": "image/svg+xml"}
        sent = _core.call("picture", id=self.id, number=str(number), headers=headers)
        answer = self._client._send(sent)
        return answer.text

    @property
    def artifacts(self) -> dict[str, ArtifactRef]:
        """Files that the run produced, by name. Waits for the job's end."""
        result = self.result()
        return result.artifacts

    def download(
        self,
        name: str,
        to: str | os.PathLike[str] | None = None,
        *,
        progress: files.Progress | None = None,
    ) -> Path:
        """Fetch a file that the run produced and verify its digest. Waits for the job's end.

        `to` is a file or an existing folder; None: the current folder. Raises KeyError for a file
        that the job has not produced.
        """
        result = self.result()
        produced = result.artifacts
        if name not in produced:
            raise KeyError(
                f"job {self.id} has no file {name!r}; its files: {sorted(produced) or 'none'}"
            )
        sent = _core.call("job_artifact", id=self.id, name=name)
        return self._client._download(
            sent, files.target_path(to, name), produced[name].digest, progress
        )

    def _update(self, operation: str) -> JobView:
        self.view = self._client._view(operation, self.id)
        return self.view
