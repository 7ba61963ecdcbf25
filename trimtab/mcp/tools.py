"""The tools, with descriptions that a small model can follow.

Thirteen tools, flat arguments, useful defaults. Every answer is a short text whose last line names
the next tool. Errors are texts too: what was expected, what came, what to do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import BaseModel, Field, ValidationError

from trimtab.errors import (
    AuthError,
    ConnectionFailed,
    InvalidBody,
    NotFound,
    TooManyRequests,
    TrimtabError,
)
from trimtab.faults import faults_in
from trimtab.mcp import wording
from trimtab.mcp.service import Service, as_base64

MAX_TEXT = 1_000_000
_MAX_MESSAGE = 1500

JobId = Annotated[str, Field(description="Id of a job, job_...", max_length=64)]
Seconds = Annotated[float, Field(gt=0, le=86_400, description="Time limit of the run")]
Key = Annotated[
    str, Field(max_length=64, description="Same key again: same job, not a second one")
]
WaitS = Annotated[float, Field(ge=0, le=55, description="Seconds to wait at most")]
Text = Annotated[str, Field(max_length=MAX_TEXT, description="Content")]
Name = Annotated[
    str, Field(max_length=200, description="File name; its ending tells the format")
]

# JobState; a schema with the enum's docstring would be longer.
State = Literal[
    "WAITING",
    "QUEUED",
    "RUNNING",
    "SUCCEEDED",
    "FAILED",
    "CANCELLED",
    "DEAD",
    "SKIPPED",
    "NEEDS_INPUT",
    "AWAITING_APPROVAL",
]

ServiceOf = Callable[[], Service]
"""Returns the calls for the caller of the current tool."""

_READ = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_WRITE = ToolAnnotations(destructive_hint=False, open_world_hint=False)
_END = ToolAnnotations(destructive_hint=True, idempotent_hint=True, open_world_hint=False)


@asynccontextmanager
async def _faults() -> AsyncIterator[None]:
    """Turn every anticipated error into a text that the model reads."""
    try:
        yield
    except NotFound as error:
        shown = "list_jobs shows your jobs, list_models your models"
        raise ToolError(f"{_cut(error)}; {shown}") from None
    except InvalidBody as error:
        told = "\n".join(str(fault.get("message") or fault) for fault in error.errors[:5])
        raise ToolError(
            f"{told[:_MAX_MESSAGE]}; describe_kind shows the fields"
        ) from None
    except AuthError as error:
        raise ToolError(
            f"{_cut(error)}; the person who runs this server must renew its key"
        ) from None
    except TooManyRequests as error:
        raise ToolError(f"{_cut(error)}; wait for a job to end, then try again") from None
    except ConnectionFailed as error:
        raise ToolError(f"{_cut(error)}; is the trimtab server running?") from None
    except (TrimtabError, OSError, ValueError, KeyError) as error:
        raise ToolError(_cut(error)) from None


def _cut(error: Exception) -> str:
    text = (
        str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    )
    return wording.clean(text[:_MAX_MESSAGE], keep=wording.LINES)


def add_tools(server: MCPServer[Any], service: ServiceOf, *, paths: bool) -> None:
    """Register the tools. `paths`: the caller may name files of this machine."""
    _add_reading(server, service)
    _add_comparing(server, service)
    _add_jobs(server, service)
    _add_upload(server, service, paths=paths)
    _forbid_unknown_arguments(server)


def _add_reading(server: MCPServer[Any], service: ServiceOf) -> None:
    @server.tool(annotations=_READ, structured_output=False)
    async def list_kinds() -> str:
        """List the kinds of job. Begin here, then describe_kind."""
        async with _faults():
            return await service().kinds()

    @server.tool(annotations=_READ, structured_output=False)
    async def describe_kind(
        kind: Annotated[str, Field(max_length=40)],
        field: Annotated[
            str, Field(max_length=200, description="Part of the spec, e.g. lns")
        ] = "",
    ) -> str:
        """Show the spec fields of a kind, for submit_job. Files: upload_file first."""
        async with _faults():
            return await service().kind(kind, field)

    @server.tool(annotations=_READ, structured_output=False)
    async def list_jobs(
        kind: Annotated[str | None, Field(max_length=40)] = None,
        state: State | None = None,
        limit: Annotated[int, Field(ge=1, le=50)] = 10,
    ) -> str:
        """List your newest jobs: id, kind, state, time, objective, labels."""
        async with _faults():
            return await service().list(kind=kind, state=state, limit=limit)

    @server.tool(annotations=_READ, structured_output=False)
    async def get_result(job_id: JobId) -> str:
        """Show a job: objective, bound, check, figures, files. Of a plan at rest: its outline."""
        async with _faults():
            return await service().result(job_id)

    @server.tool(annotations=_READ, structured_output=False)
    async def read_file(
        job_id: JobId,
        name: Annotated[str, Field(max_length=200, description="From get_result")],
        offset: Annotated[int, Field(ge=0)] = 0,
    ) -> CallToolResult:
        """Read a file: a text, table or picture. While it runs: incumbent.json, picture-0.svg."""
        async with _faults():
            found = await service().read(job_id, name, offset)
        if isinstance(found, str):
            return CallToolResult(content=[TextContent(type="text", text=found)])
        media, data = found
        picture = ImageContent(type="image", data=as_base64(data), mime_type=media)
        return CallToolResult(content=[picture])


def _add_comparing(server: MCPServer[Any], service: ServiceOf) -> None:
    @server.tool(annotations=_READ, structured_output=False)
    async def compare_jobs(
        job_ids: Annotated[list[JobId], Field(min_length=2, max_length=8)],
    ) -> str:
        """Compare 2 to 8 jobs: figures side by side, and the inputs that differ."""
        async with _faults():
            return await service().compare(job_ids)

    @server.tool(annotations=_READ, structured_output=False)
    async def list_models(
        target: Annotated[str | None, Field(max_length=40, description="A kind")] = None,
        model_id: Annotated[
            str, Field(max_length=64, description="mdl_...: show its card")
        ] = "",
    ) -> str:
        """List models fitted by jobs of kind learn, or show the card of one."""
        async with _faults():
            return await service().models(target, model_id)


def _add_jobs(server: MCPServer[Any], service: ServiceOf) -> None:
    @server.tool(annotations=_WRITE, structured_output=False)
    async def solve_model(
        ctx: Context[Any, Any],
        model_text: Annotated[
            str, Field(max_length=MAX_TEXT, description="LP or MPS text, with End")
        ],
        seconds: Seconds = 30,
        target_gap: Annotated[float | None, Field(ge=0, le=1)] = None,
        key: Key = "",
    ) -> str:
        """Solve a linear or mixed-integer program and wait up to 45 s."""
        async with _faults():
            view = await service().submit(
                "ilp",
                {"model_text": model_text},
                {},
                key=key,
                seconds=seconds,
                target_gap=target_gap,
            )
            view, result = await service().wait(view.id, 45, _progress(ctx))
            return wording.card(view, result)

    @server.tool(annotations=_WRITE, structured_output=False)
    async def submit_job(
        kind: Annotated[str, Field(max_length=40)],
        spec: Annotated[dict[str, Any], Field(description="As describe_kind says")],
        files: Annotated[
            dict[str, str] | None,
            Field(description="Spec field (or field.0, …) to digest of upload_file"),
        ] = None,
        seconds: Seconds = 60,
        seed: Annotated[int | None, Field(ge=0)] = None,
        key: Key = "",
    ) -> str:
        """Start a job of any kind; then wait_job."""
        async with _faults():
            view = await service().submit(
                kind, spec, files or {}, key=key, seconds=seconds, seed=seed
            )
            return wording.card(view)

    @server.tool(annotations=_READ, structured_output=False)
    async def wait_job(ctx: Context[Any, Any], job_id: JobId, wait_s: WaitS = 45) -> str:
        """Follow a job: returns when it ends, needs you, or wait_s is over. The job goes on."""
        async with _faults():
            view, result = await service().wait(job_id, wait_s, _progress(ctx))
            return wording.card(view, result)

    @server.tool(annotations=_END, structured_output=False)
    async def stop_job(
        job_id: JobId,
        discard: Annotated[
            bool, Field(description="True: throw its solution away")
        ] = False,
    ) -> str:
        """End a job now and keep its best solution."""
        async with _faults():
            return wording.card(await service().end(job_id, discard=discard))

    @server.tool(annotations=_WRITE, structured_output=False)
    async def answer_plan(
        job_id: JobId,
        answers: Annotated[
            dict[str, str] | None, Field(description="Question id to answer")
        ] = None,
        approve: Annotated[
            str | None, Field(max_length=100, description="Digest from get_result")
        ] = None,
    ) -> str:
        """Answer a plan's questions, or approve its outline after the user has seen it."""
        async with _faults():
            return await service().answer(job_id, answers or {}, approve)


def _add_upload(server: MCPServer[Any], service: ServiceOf, *, paths: bool) -> None:
    if not paths:

        @server.tool(name="upload_file", annotations=_WRITE, structured_output=False)
        async def upload_text(name: Name, text: Text) -> str:
            """Store a text as an input file; returns the digest for submit_job."""
            async with _faults():
                return await service().upload(name=name, text=text, path=None)

        return

    @server.tool(annotations=_WRITE, structured_output=False)
    async def upload_file(
        name: Name = "",
        text: Text | None = None,
        path: Annotated[
            str | None, Field(max_length=1000, description="File of this machine")
        ] = None,
    ) -> str:
        """Store an input file, from `text` or `path`; returns the digest for submit_job."""
        async with _faults():
            if (text is None) == (path is None):
                raise ValueError("text, path: expected exactly one of them")
            return await service().upload(name=name, text=text, path=path)


def _progress(ctx: Context[Any, Any]) -> Callable[[int, str], Any]:
    async def report(count: int, text: str) -> None:
        await ctx.report_progress(count, None, text)

    return report


def refusal(tool: str, model: type[BaseModel], error: ValidationError) -> str:
    """Return what is wrong with the arguments of a tool, and what to do."""
    faults = faults_in(model, error)
    told = wording.clean("\n".join(map(str, faults[:5])), keep=wording.LINES)
    return f"{told[:_MAX_MESSAGE]}\nnext: {tool} with corrected arguments"


def _forbid_unknown_arguments(server: MCPServer[Any]) -> None:
    """Refuse arguments that no tool has: the SDK drops them, and the default would be taken."""
    for tool in server._tool_manager.list_tools():
        model = tool.fn_metadata.arg_model
        model.model_config["extra"] = "forbid"
        model.model_rebuild(force=True)
        tool.parameters["additionalProperties"] = False
        _shorten(tool.parameters)


def _shorten(node: Any) -> None:
    """Remove from a schema what says nothing to a model: titles, null, empty defaults.

    Choices tell their type.
    """
    if isinstance(node, list):
        for part in node:
            _shorten(part)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("title"), str):
        del node["title"]
    if node.get("default") == "":
        del node["default"]
    choices = node.get("anyOf")
    if isinstance(choices, list):
        left = [one for one in choices if one != {"type": "null"}]
        if len(left) == 1:
            del node["anyOf"]
            node.pop("default", None)
            node.update(left[0])
    if "enum" in node:
        node.pop("type", None)
    for part in node.values():
        _shorten(part)
