"""The jobs of one caller, as the tools need them: thin calls of the asyncio client."""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from trimtab._plan_aio import AsyncPlan
from trimtab.aio import AsyncClient, AsyncJob
from trimtab.errors import JobAtRest, WaitTimeout
from trimtab.mcp import wording
from trimtab.mcp.files import open_under, plain_name
from trimtab.outlines import outline_text
from trimtab.results import JobState, JobView, RunResult
from trimtab.specs.common import ArtifactRef

MAX_WAIT_S = 55.0
_LOOK_S = 5.0
_TEXT_TYPES = ("text/", "application/json", "image/svg+xml")
_MAX_PICTURE = 700_000  # bytes; a client refuses an event over 1 MiB
_OUTLINE_CHARS = 4000
_MOST_MODELS = 20
_INCUMBENT = "incumbent.json"

OnProgress = Callable[[int, str], Awaitable[None]]


class Service:
    """Calls for one key. `roots` are the folders whose files the caller may name."""

    def __init__(self, client: AsyncClient, roots: Sequence[Path] = ()) -> None:
        self._client = client
        self._roots = tuple(roots)

    async def kinds(self) -> str:
        """Return one line for each kind."""
        offered = [one for one in await self._client.kinds() if not one.diagnostic]
        return "\n".join(f"{one.kind}: {one.summary}" for one in offered)

    async def kind(self, kind: str, field: str) -> str:
        """Return the fields of a kind's spec, or of one of its parts."""
        view = await self._client.kind(kind)
        lines = wording.schema_lines(view.spec_schema, field)
        if field:
            return lines
        return f"{view.kind}: {view.summary}\nspec fields:\n{lines}"

    async def example(self, kind: str) -> dict[str, Any] | None:
        """Return a complete request of a kind, where the server has one."""
        return (await self._client.kind(kind)).example

    async def upload(self, *, name: str, text: str | None, path: str | None) -> str:
        """Store a text, or a file under the roots. Return its digest."""
        with tempfile.TemporaryDirectory(prefix="trimtab-mcp-") as folder:
            if path is not None:
                copied = await asyncio.to_thread(
                    _copy, self._roots, path, name, Path(folder)
                )
            else:
                copied = Path(folder) / plain_name(name)
                copied.write_text(text or "", encoding="utf-8")
            stored = await self._client.upload(copied)
        return f"{stored.digest} {wording.quoted(stored.name)} {stored.size_bytes} bytes"

    async def submit(
        self,
        kind: str,
        spec: Mapping[str, Any],
        files: Mapping[str, str],
        *,
        key: str | None,
        **options: Any,
    ) -> JobView:
        """Submit a job; `files` are digests by the field of the spec."""
        whole = dict(spec)
        for field, digest in files.items():
            found = await self._client.artifact(digest.strip().split()[0])
            _place(whole, field, found)
        chosen = {name: value for name, value in options.items() if value is not None}
        job = await self._client.submit(
            whole, kind=kind, idempotency_key=key or None, **chosen
        )
        return job.view

    async def wait(
        self, job_id: str, wait_s: float, on_progress: OnProgress | None = None
    ) -> tuple[JobView, RunResult | None]:
        """Wait until a job ends or goes to rest, at most `wait_s`; the job itself goes on."""
        job = await self._client.job(job_id)
        until = asyncio.get_running_loop().time() + min(wait_s, MAX_WAIT_S)
        looks = 0
        while not (job.view.state.is_terminal or job.view.state.is_resting):
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await _look(job, min(left, _LOOK_S))
            looks += 1
            if on_progress is not None:
                await on_progress(looks, wording.card(job.view).splitlines()[0])
        return job.view, await self._result(job)

    async def end(self, job_id: str, *, discard: bool) -> JobView:
        """Stop a job and keep its best solution, or discard it."""
        job = await self._client.job(job_id)
        return await (job.cancel() if discard else job.stop())

    async def list(self, *, kind: str | None, state: str | None, limit: int) -> str:
        """Return the newest jobs, a line each."""
        lines: list[str] = []
        async for view in self._client.jobs(kind=kind, state=state, page_size=limit):
            lines.append(wording.row(view))
            if len(lines) >= limit:
                break
        return "\n".join(lines) or "no jobs"

    async def result(self, job_id: str) -> str:
        """Return a job's card with its figures and files; of a plan at rest, the outline."""
        job = await self._client.job(job_id)
        if job.view.state.is_resting:
            seen = await cast("AsyncPlan", job).read(timeout_s=20)
            outline = outline_text(seen.outline)[:_OUTLINE_CHARS]
            shown = wording.page(outline, 0, "outline")
            return f"{wording.card(job.view)}\n{shown}\ndigest to approve: {seen.digest}"
        found = await self._result(job)
        text = wording.card(job.view, found)
        return text if found is None else f"{text}\n{wording.result_text(found)}"

    async def read(self, job_id: str, name: str, offset: int) -> str | tuple[str, bytes]:
        """Return a page of a produced text, or (media type, bytes) of a picture."""
        job = await self._client.job(job_id)
        if not job.view.state.is_terminal:
            return await _running(job, name, offset)
        result = await job.result(timeout_s=1)
        reference = result.artifacts.get(name)
        if reference is None:
            known = ", ".join(sorted(result.artifacts)) or "none"
            raise ValueError(f"name: expected one of {known}, got {wording.quoted(name)}")
        media = reference.media_type or ""
        is_text = media.startswith(_TEXT_TYPES)
        if not is_text and not media.startswith("image/"):
            raise ValueError(
                f"name: expected a text or a picture, got {media}; download it with "
                f"`trimtab download {job_id} {name}`"
            )
        if not is_text:
            _check_picture(reference.size_bytes or 0)
        with tempfile.TemporaryDirectory(prefix="trimtab-mcp-") as folder:
            path = await job.download(name, Path(folder) / "file")
            data = Path(path).read_bytes()
        if is_text:
            text = data.decode("utf-8", errors="replace")
            return wording.page(text, offset, wording.quoted(name))
        _check_picture(len(data))
        return media, data

    async def models(self, target: str | None, model_id: str) -> str:
        """Return fitted models, a line each; of one, its card."""
        if model_id:
            model = await self._client.fitted_model(model_id)
            card = await self._client.model_card(model_id)
            return wording.model_card(model, card)
        found = await self._client.fitted_models(target=target)
        lines = [wording.model_row(model) for model in found[:_MOST_MODELS]]
        return "\n".join(lines) or "no fitted models; a job of kind learn makes one"

    async def compare(self, job_ids: Sequence[str]) -> str:
        """Return figures of several jobs side by side, and what differs."""
        return wording.comparison(await self._client.compare(job_ids))

    async def answer(
        self, job_id: str, answers: Mapping[str, str], digest: str | None
    ) -> str:
        """Answer a plan's questions, or approve the outline that has this digest."""
        plan = await self._client.job(job_id)
        if not isinstance(plan, AsyncPlan):
            raise ValueError(
                f"job_id: expected a plan, got a job of kind {plan.view.kind}; only plans wait "
                "for answers"
            )
        seen = await plan.read(timeout_s=20)
        if answers:
            await plan.answer(answers)
        elif digest is None:
            raise ValueError("answers, approve: expected one of them, got neither")
        elif digest.strip() != seen.digest:
            raise ValueError(
                "approve: expected the digest of the newest outline, got another; read it again "
                "with get_result"
            )
        else:
            await plan.approve()
        return wording.card(await plan.refresh())

    async def _result(self, job: AsyncJob) -> RunResult | None:
        if job.view.state is not JobState.SUCCEEDED:
            return None
        return await job.result(timeout_s=1)


async def _running(job: AsyncJob, name: str, offset: int) -> str:
    """Return what a running job shows: values of its incumbent, or a picture as SVG."""
    if name == _INCUMBENT:
        found = await job.incumbent()
        return wording.page(found.model_dump_json(), offset, wording.quoted(name))
    number = name.removeprefix("picture-").removesuffix(".svg")
    if name == f"picture-{number}.svg" and number.isdecimal() and len(number) == 1:
        return wording.page(await job.picture(int(number)), offset, wording.quoted(name))
    raise ValueError(
        f"name: expected {_INCUMBENT} (kind ilp) or picture-0.svg while the job is "
        f"{job.view.state.value}, got {wording.quoted(name)}; wait_job for the files"
    )


def _check_picture(size: int) -> None:
    if size > _MAX_PICTURE:
        raise ValueError(
            f"name: expected a picture of at most {_MAX_PICTURE} bytes, got {size}"
        )


async def _look(job: AsyncJob, seconds: float) -> None:
    """Wait for a job's end for a short time; a plan that goes to rest ends it too."""
    try:
        await job.wait(seconds)
    except (WaitTimeout, JobAtRest):
        await job.refresh()


def _copy(roots: Sequence[Path], path: str, name: str, folder: Path) -> Path:
    """Copy a file under the roots, from the descriptor that was checked."""
    descriptor, own = open_under(roots, path)
    target = folder / plain_name(name or own)
    with os.fdopen(descriptor, "rb") as source, target.open("wb") as copy:
        while block := source.read(1 << 20):
            copy.write(block)
    return target


def _place(spec: dict[str, Any], field: str, reference: ArtifactRef) -> None:
    """Put a file into a spec at `field`; at `field.name` of a mapping, `field.0` of a list."""
    names = field.split(".", 1)
    value = reference.model_dump(mode="json", exclude_none=True)
    if len(names) == 1:
        spec[field] = value
        return
    inner = spec.setdefault(names[0], [] if names[1].isdecimal() else {})
    if isinstance(inner, list) and names[1] == str(len(inner)):
        inner.append(value)
        return
    if isinstance(inner, list):
        raise ValueError(
            f"files: expected {names[0]}.{len(inner)} next, counted from 0, got {field}"
        )
    if not isinstance(inner, dict):
        raise ValueError(f"files: expected {names[0]} to hold files by name")
    inner[names[1]] = value


def as_base64(data: bytes) -> str:
    """Return bytes as a picture's content has them."""
    return base64.b64encode(data).decode("ascii")
