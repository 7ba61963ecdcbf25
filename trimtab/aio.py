"""The asyncio client, twin of `client.py`: the same names, awaited."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from trimtab import _core, config, files
from trimtab._core import Call, EventStream, RetryPolicy, Submission
from trimtab.errors import (
    ConnectionFailed,
    DigestMismatch,
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
    Incumbent,
    JobPage,
    JobState,
    JobView,
    KindView,
    RunResult,
)
from trimtab.solution import Variables
from trimtab.specs.common import ArtifactRef


class AsyncClient:
    """A connection to a trimtab server. One event loop, any number of tasks.

    Without arguments it finds TRIMTAB_URL and TRIMTAB_API_KEY, else the server of this machine.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        retry: RetryPolicy | None = None,
        timeout_s: float = 30.0,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.endpoint = config.find(url, api_key)
        self._retry = retry or RetryPolicy()
        self._timeout_s = timeout_s
        self._rng = random.Random()  # jitter only
        self._answered = False  # by the server, ever
        self._http = httpx2.AsyncClient(
            base_url=self.endpoint.url,
            headers=_core.http_headers(self.endpoint.api_key),
            timeout=timeout_s,
            transport=transport,
            event_hooks={"response": [self._on_answer]},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # --- jobs

    async def submit(
        self,
        spec: Submission,
        *,
        idempotency_key: str | None = None,
        progress: files.Progress | None = None,
        **options: Any,
    ) -> AsyncJob:
        """Upload the spec's local files and submit it.

        Options: kind, seconds, evaluations, target_gap, seed, priority, labels, max_attempts, webhook.
        """
        body = _core.request_body(spec, **options)
        await self._upload_all([spec], progress)
        sent = _core.call("submit", body=body, key=idempotency_key or _core.new_key())
        return AsyncJob(
            self, _core.parse(JobView, await self._send(sent)), _core.variables_of(spec)
        )

    async def submit_file(
        self,
        path: str | os.PathLike[str],
        *,
        kind: str | None = None,
        warm_start: str | os.PathLike[str] | None = None,
        fields: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncJob:
        """Submit a file; its name tells the kind (.mps, .lp: `ilp`; .c, .cpp, .ll, .bc, archives: `compile`; .csv: `sharding`).

        `fields` are further fields of the spec, as JSON has them; `warm_start` is a .sol or .mst for a model to begin from.
        """
        from trimtab.specs.by_file import spec_of_file

        return await self.submit(
            spec_of_file(path, kind=kind, warm_start=warm_start, fields=fields), **options
        )

    async def submit_batch(
        self,
        specs: Iterable[Submission],
        *,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> list[AsyncJob]:
        """Submit many in one call, all or none, with the same options."""
        specs = list(specs)
        bodies = [_core.request_body(spec, **options) for spec in specs]
        await self._upload_all(specs, None)
        sent = _core.call(
            "submit_batch", body={"jobs": bodies}, key=idempotency_key or _core.new_key()
        )
        views = _core.parse_list(JobView, await self._send(sent), "jobs", "items")
        if len(views) != len(bodies):
            raise ProtocolError(f"{len(bodies)} jobs were sent and {len(views)} came back")
        return [
            AsyncJob(self, view, _core.variables_of(spec))
            for spec, view in zip(specs, views, strict=True)
        ]

    async def map(
        self,
        specs: Iterable[Submission],
        *,
        concurrency: int = 32,
        batch: int = 500,
        as_completed: bool = False,
        **options: Any,
    ) -> AsyncIterator[AsyncJob]:
        """Run many specs, at most `concurrency` unfinished at once; yields ended jobs in the order of the specs.

        `as_completed` yields each as soon as it ends. A failed job is yielded like the others; `job.result()` raises.
        """
        if concurrency < 1 or batch < 1:
            raise ValueError(
                f"concurrency and batch want at least 1; {concurrency} and {batch} came"
            )
        source = iter(specs)
        flying: list[asyncio.Task[AsyncJob]] = []
        try:
            while True:
                room = list(
                    islice(
                        source,
                        min(
                            batch,
                            max(0, concurrency - sum(not task.done() for task in flying)),
                        ),
                    )
                )
                if room:
                    jobs = await self.submit_batch(room, **options)
                    flying.extend(asyncio.create_task(_waited(job)) for job in jobs)
                    continue
                if not flying:
                    return
                await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                for task in (
                    [task for task in flying if task.done()] if as_completed else flying[:1]
                ):
                    flying.remove(task)
                    yield await task
        finally:
            for task in flying:
                task.cancel()

    async def job(self, job_id: str) -> AsyncJob:
        """The handle of an existing job."""
        return AsyncJob(self, await self._view("get_job", job_id))

    async def jobs(
        self,
        *,
        state: JobState | str | None = None,
        kind: str | None = None,
        labels: Mapping[str, str] | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[JobView]:
        """Jobs, newest first, page after page."""
        cursor: str | None = None
        while True:
            label = [f"{key}:{value}" for key, value in (labels or {}).items()] or None
            params = {
                "state": state and str(state),
                "kind": kind,
                "label": label,
                "limit": page_size,
                "cursor": cursor,
            }
            page = _core.parse(
                JobPage, await self._send(_core.call("list_jobs", params=params))
            )
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    # --- files

    async def upload(
        self, path: str | os.PathLike[str], *, progress: files.Progress | None = None
    ) -> ArtifactRef:
        """Store a file; nothing is sent when the server has its content already."""
        local = path if isinstance(path, files.LocalFile) else files.LocalFile.of(path)
        try:
            await self.artifact(local.digest)
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
            ArtifactRef, await self._send(sent, upload=local, progress=progress)
        )
        if stored.digest != local.digest:
            raise DigestMismatch(
                f"upload of {local.path}", wanted=local.digest, came=stored.digest
            )
        return stored

    async def artifact(self, digest: str) -> ArtifactRef:
        """What the server knows of a stored file."""
        return _core.parse(
            ArtifactRef, await self._send(_core.call("artifact", digest=digest))
        )

    async def download(
        self,
        ref: ArtifactRef,
        to: str | os.PathLike[str] | None = None,
        *,
        progress: files.Progress | None = None,
    ) -> Path:
        """Fetch a stored file, verified by its digest."""
        target = files.target_path(to, ref.name or ref.digest[-12:])
        return await self._download(
            _core.call("artifact_content", digest=ref.digest), target, ref.digest, progress
        )

    # --- the server

    async def kinds(self) -> list[KindView]:
        """What the server can run, with JSON schemas."""
        return _core.parse_list(
            KindView, await self._send(_core.call("kinds")), "kinds", "items"
        )

    async def kind(self, kind: str) -> KindView:
        """One kind."""
        return _core.parse(KindView, await self._send(_core.call("kind", kind=kind)))

    async def healthy(self) -> bool:
        """True when the server answers and is ready; never raises for a server that is down."""
        try:
            return (await self._http.get(_core.ROUTES["healthz"][1])).is_success and (
                await self.ready()
            )["status"] != "down"
        except (httpx2.TransportError, KeyError, ProtocolError):
            return False

    async def ready(self) -> dict[str, Any]:
        """The readiness report; `{"status": "down"}` while the server is not ready."""
        answer = await self._http.get(_core.ROUTES["readyz"][1])
        return {
            **_core.parse_json(answer),
            **({} if answer.is_success else {"status": "down"}),
        }

    async def me(self) -> dict[str, Any]:
        """Whom the server takes this key for."""
        return dict(_core.parse_json(await self._send(_core.call("me"))))

    async def workers(self) -> Any:
        """The server's workers."""
        return _core.parse_json(await self._send(_core.call("workers")))

    async def metrics(self) -> str:
        """The server's figures, in Prometheus' text format."""
        return (
            await self._send(_core.call("metrics", headers={"Accept": "text/plain"}))
        ).text

    async def keys(self) -> list[dict[str, Any]]:
        """API keys (admin). Secrets are not among the fields."""
        body = _core.parse_json(await self._send(_core.call("list_keys")))
        return list(
            body if isinstance(body, list) else body.get("items", body.get("keys", []))
        )

    async def create_key(self, **fields: Any) -> dict[str, Any]:
        """Make a key (admin). The answer holds the secret, shown this once. Never sent twice."""
        return dict(
            _core.parse_json(await self._send(_core.call("create_key", body=fields)))
        )

    async def revoke_key(self, key_id: str) -> None:
        """End a key (admin)."""
        await self._send(_core.call("revoke_key", id=key_id))

    async def page_url(self) -> str:
        """A URL of the web page, signed in; it works once."""
        ticket = _core.parse_json(await self._send(_core.call("session_ticket")))["ticket"]
        return f"{self.endpoint.url}/login?{httpx2.QueryParams({'ticket': ticket})}"

    # --- moving bytes

    async def _view(self, operation: str, job_id: str) -> JobView:
        return _core.parse(JobView, await self._send(_core.call(operation, id=job_id)))

    async def _upload_all(
        self, specs: Iterable[Submission], progress: files.Progress | None
    ) -> None:
        wanted = {
            local.digest: local for spec in specs for local in _core.local_files(spec)
        }
        for local in wanted.values():
            await self.upload(local, progress=progress)  # type: ignore[arg-type]

    async def _send(
        self,
        sent: Call,
        *,
        upload: files.LocalFile | None = None,
        progress: files.Progress | None = None,
    ) -> httpx2.Response:
        began, attempt = time.monotonic(), 0
        timeout = self._retry.timeout(
            self._timeout_s, sent.read_timeout_s, answered=self._answered
        )
        while True:
            content = (
                sent.body
                if upload is None
                else files.achunks(upload.path, upload.size_bytes or 0, progress)
            )
            failure: httpx2.Response | httpx2.TransportError
            try:
                failure = await self._http.request(
                    sent.method,
                    sent.path,
                    params=dict(sent.params),
                    content=content,
                    headers=dict(sent.headers),
                    timeout=timeout,
                )
            except httpx2.TransportError as error:
                failure = error
            else:
                # A DELETE whose first answer was lost finds nothing the second time.
                if failure.is_success or (
                    attempt and sent.method == "DELETE" and failure.status_code == 404
                ):
                    return failure
            await self._pause(sent, failure, attempt, began)
            attempt += 1

    async def _on_answer(self, response: httpx2.Response) -> None:
        self._answered = True

    async def _pause(
        self,
        sent: Call,
        failure: httpx2.Response | httpx2.TransportError,
        attempt: int,
        began: float,
    ) -> None:
        """Sleep before the next try, or raise."""
        pause = None
        if _core.may_repeat(sent, failure):
            after = (
                _core.retry_after_s(failure)
                if isinstance(failure, httpx2.Response)
                else None
            )
            pause = self._retry.pause(
                attempt,
                time.monotonic() - began,
                rng=self._rng,
                retry_after_s=after,
                answered=self._answered,
            )
        if pause is None:
            if isinstance(failure, httpx2.Response):
                raise _core.error_of(failure)
            raise ConnectionFailed(
                f"{sent.method} {self.endpoint.url}{sent.path}: {type(failure).__name__}: {failure} "
                f"(after {attempt + 1} tries); is the server running?"
            ) from failure
        if self._retry.on_pause is not None:
            reason = _core.reason_of(failure)
            left_s = self._retry.deadline(answered=self._answered) - (
                time.monotonic() - began
            )
            self._retry.on_pause(f"{self.endpoint.url}: {reason}", max(0.0, left_s))
        await asyncio.sleep(pause)

    async def _download(
        self, sent: Call, target: Path, digest: str | None, progress: files.Progress | None
    ) -> Path:
        began, attempt = time.monotonic(), 0
        with files.Download(target, digest=digest, progress=progress) as download:
            while True:
                failure: httpx2.Response | httpx2.TransportError
                try:
                    async with self._http.stream(
                        sent.method, sent.path, headers={"Accept": "*/*"}
                    ) as answer:
                        if answer.is_success:
                            length = answer.headers.get("content-length")
                            download.total = int(length) if length else None
                            async for block in answer.aiter_bytes():
                                download.write(block)
                            return target
                        await answer.aread()
                        failure = answer
                except httpx2.TransportError as error:
                    failure = error
                    download.restart()
                await self._pause(sent, failure, attempt, began)
                attempt += 1

    async def _events(self, job_id: str, after_seq: int) -> AsyncIterator[Event]:
        stream = EventStream(job_id, after_seq)
        began, attempt = time.monotonic(), 0
        while True:
            sent = stream.call()
            failure: httpx2.Response | httpx2.TransportError
            try:
                timeout = self._retry.timeout(
                    self._timeout_s, sent.read_timeout_s, answered=self._answered
                )
                async with self._http.stream(
                    "GET", sent.path, headers=dict(sent.headers), timeout=timeout
                ) as answer:
                    if answer.is_success:
                        async for block in answer.aiter_bytes():
                            began, attempt = time.monotonic(), 0  # alive, if only by a ping
                            for event in stream.feed(block):
                                yield event
                            if stream.ended:
                                return
                        failure = httpx2.RemoteProtocolError(
                            "the event stream broke off before its end"
                        )
                    else:
                        await answer.aread()
                        failure = answer
            except httpx2.TransportError as error:
                failure = error
            await self._pause(sent, failure, attempt, began)
            attempt += 1


class AsyncJob:
    """The handle of a job. `view` is what was last seen of it."""

    def __init__(
        self, client: AsyncClient, view: JobView, variables: Variables | None = None
    ) -> None:
        self._client = client
        self._variables = variables
        self.view = view

    def __repr__(self) -> str:
        return f"<AsyncJob {self.id} {self.view.kind} {self.view.state}>"

    def _repr_html_(self) -> str:
        from trimtab.notebook import job_html

        return job_html(self.view)

    @property
    def id(self) -> str:
        """The job's id."""
        return self.view.id

    @property
    def state(self) -> JobState:
        """The state last seen; `refresh()` asks again."""
        return self.view.state

    async def refresh(self) -> JobView:
        """Ask for the newest view."""
        return await self._ask("get_job")

    async def wait(self, timeout_s: float | None = None) -> JobView:
        """Wait until the job ends, for ever unless `timeout_s` is given; WaitTimeout leaves the job running."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = (
                _core.LONG_POLL_S if until is None else max(0.0, until - time.monotonic())
            )
            poll = min(_core.LONG_POLL_S, left)
            sent = _core.call(
                "wait", id=self.id, params={"timeout_s": poll}, read_timeout_s=poll + 15
            )
            self.view = _core.parse(JobView, await self._client._send(sent))
            if self.view.state.is_terminal:
                return self.view
            if until is not None and timeout_s is not None and time.monotonic() >= until:
                raise WaitTimeout(self.view, timeout_s)

    async def result(self, timeout_s: float | None = None) -> RunResult:
        """Wait, then the result. JobFailed when the job ended FAILED, DEAD or CANCELLED."""
        await self.wait(timeout_s)
        if _core.is_bad_end(self.view.state):
            raise JobFailed(self.view)
        result = _core.parse(
            RunResult, await self._client._send(_core.call("result", id=self.id))
        )
        if self._variables is None or SOLUTION_FILE not in result.artifacts:
            return result
        solution = await self._solution(
            result
        )  # fetched now, so that `result.value(x)` needs no await
        return _core.with_values(result, self._variables, lambda: solution)

    async def _solution(self, result: RunResult) -> bytes:
        """The bytes of the solution."""
        with tempfile.TemporaryDirectory(prefix="trimtab-solution-") as folder:
            sent = _core.call("job_artifact", id=self.id, name=SOLUTION_FILE)
            digest = result.artifacts[SOLUTION_FILE].digest
            path = await self._client._download(
                sent, Path(folder) / SOLUTION_FILE, digest, None
            )
            return await asyncio.to_thread(path.read_bytes)

    def events(self, after_seq: int = 0) -> AsyncIterator[Event]:
        """Every event from the first (or after `after_seq`) until the job ends; broken connections are resumed."""
        return self._client._events(self.id, after_seq)

    async def incumbents(self) -> AsyncIterator[Incumbent]:
        """The trace as it grows, until the job ends."""
        async for event in self.events():
            if event.type is EventType.INCUMBENT:
                yield Incumbent.model_validate(event.data)

    async def stop(self) -> JobView:
        """End now and keep the best."""
        return await self._ask("stop")

    async def cancel(self) -> JobView:
        """End now and discard."""
        return await self._ask("cancel")

    async def retry(self) -> JobView:
        """Run a FAILED, DEAD or CANCELLED job again."""
        return await self._ask("retry")

    async def delete(self) -> None:
        """Remove an ended job and what it left."""
        await self._client._send(_core.call("delete_job", id=self.id))

    async def input(self) -> dict[str, Any]:
        """The request, to be submitted again."""
        return dict(
            _core.parse_json(await self._client._send(_core.call("input", id=self.id)))
        )

    async def attempts(self) -> list[Attempt]:
        """The runs of this job."""
        answer = await self._client._send(_core.call("attempts", id=self.id))
        return _core.parse_list(Attempt, answer, "attempts", "items")

    async def artifacts(self) -> dict[str, ArtifactRef]:
        """Files the run left, by name (waits for the end)."""
        return (await self.result()).artifacts

    async def download(
        self,
        name: str,
        to: str | os.PathLike[str] | None = None,
        *,
        progress: files.Progress | None = None,
    ) -> Path:
        """Fetch a file the run left, verified by its digest."""
        known = await self.artifacts()
        if name not in known:
            raise KeyError(
                f"job {self.id} left no {name!r}; it left {sorted(known) or 'no files'}"
            )
        sent = _core.call("job_artifact", id=self.id, name=name)
        return await self._client._download(
            sent, files.target_path(to, name), known[name].digest, progress
        )

    async def _ask(self, operation: str) -> JobView:
        self.view = await self._client._view(operation, self.id)
        return self.view


async def _waited(job: AsyncJob) -> AsyncJob:
    await job.wait()
    return job
