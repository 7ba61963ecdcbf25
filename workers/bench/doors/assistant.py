"""An assistant's exchange: one job of each kind through MCP, with calls and text counted.

The server is real and so is `trimtab mcp`, as a process over stdio. The script plays the assistant:
it knows nothing that a tool has not said, but for the inputs that its user gives it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LP = "Maximize\n o: 2 x + 3 y\nSubject To\n a: x + y <= 4\n b: x + 3 y <= 6\nGeneral\n x y\nEnd\n"
TABLES = (
    "name,rows,dim,pooling,dtype,alpha,active_rows\n"
    "user,4000000,64,1,fp32,0.9,200000\nitem,300000,64,20,fp16,1.05,80000\n"
    "country,250,16,1,fp32,,\n"
)
DEVICES = [{"hardware": "a100", "count": 2, "memory_gib": 40}]
C_SOURCE = (
    "#include <stdio.h>\nstatic int twice(int x) { return x * 2; }\n"
    "int main(void) { int s = 0; for (int i = 0; i < 10; i++) s += twice(i);\n"
    ' printf("%d\\n", s); return 0; }\n'
)
BAND = [{"f_lo_hz": 5.15e9, "f_hi_hz": 5.35e9}]
GOAL = "Design a patch antenna for 2.40 to 2.48 GHz in one minute."
_CHARS_PER_TOKEN = 4.0  # of English and JSON, by the usual rule; the characters are exact


@dataclass(kw_only=True)
class Exchange:
    """Calls of one kind, and the characters that a model reads and writes in them."""

    client: Any
    calls: int = 0
    read_chars: int = 0
    written_chars: int = 0
    errors: list[str] = field(default_factory=list)
    state: str = ""
    measured: str = ""
    """Digest of the collector's file that the user uploaded before."""

    async def use(self, tool: str, **arguments: Any) -> str:
        """Call a tool and return its text; count both directions."""
        answer = await self.client.call_tool(tool, arguments)
        text = "\n".join(getattr(part, "text", "") for part in answer.content)
        self.calls += 1
        self.read_chars += len(text)
        self.written_chars += len(tool) + len(str(arguments))
        if answer.is_error:
            self.errors.append(f"{tool}: {text[:300]}")
        return text

    async def ended(self, job_id: str) -> str:
        """Wait for a job and return its last card."""
        text = ""
        for _ in range(5):
            text = await self.use("wait_job", job_id=job_id, wait_s=55)
            self.state = text.split()[2]
            if self.state not in ("QUEUED", "RUNNING", "WAITING"):
                return text
        return text


async def ilp(exchange: Exchange) -> None:
    """Solve a small integer program, and read its solution."""
    text = await exchange.use("solve_model", model_text=LP, seconds=30)
    job_id, _, exchange.state = text.split()[:3]
    if text.endswith("wait_job"):
        await exchange.ended(job_id)
    await exchange.use("get_result", job_id=job_id)
    await exchange.use("read_file", job_id=job_id, name="solution.json")


async def sharding(exchange: Exchange) -> None:
    """Place three tables on two devices, and read the plan."""
    await exchange.use("describe_kind", kind="sharding")
    await exchange.use("describe_kind", kind="sharding", field="devices")
    stored = await exchange.use("upload_file", name="tables.csv", text=TABLES)
    text = await exchange.use(
        "submit_job",
        kind="sharding",
        spec={"devices": DEVICES},
        files={"tables_file": stored.split()[0]},
        seconds=10,
    )
    await exchange.ended(text.split()[0])
    await exchange.use("get_result", job_id=text.split()[0])
    await exchange.use("read_file", job_id=text.split()[0], name="plan.json")


async def compile_program(exchange: Exchange) -> None:
    """Make a small program smaller, and read the result."""
    await exchange.use("describe_kind", kind="compile")
    text = await exchange.use(
        "submit_job", kind="compile", spec={"source_text": C_SOURCE}, seconds=20
    )
    await exchange.ended(text.split()[0])
    await exchange.use("get_result", job_id=text.split()[0])


async def antenna(exchange: Exchange) -> None:
    """Search an antenna, and look at it."""
    await exchange.use("describe_kind", kind="antenna")
    await exchange.use("describe_kind", kind="antenna", field="bands")
    spec = {"bands": BAND, "feed": [3, 6], "coarse_solves": 60, "verify_runs": 0}
    text = await exchange.use("submit_job", kind="antenna", spec=spec, seconds=40)
    await exchange.ended(text.split()[0])
    await exchange.use("get_result", job_id=text.split()[0])


async def plan(exchange: Exchange) -> None:
    """Plan a goal, show its outline, approve it, and let it run."""
    await exchange.use("describe_kind", kind="plan")
    text = await exchange.use("submit_job", kind="plan", spec={"goal": GOAL}, seconds=60)
    job_id = text.split()[0]
    await exchange.ended(job_id)
    outline = await exchange.use("get_result", job_id=job_id)
    digest = outline.rsplit("digest to approve: ", 1)[-1].strip()
    await exchange.use("answer_plan", job_id=job_id, approve=digest)
    await exchange.ended(job_id)
    await exchange.use("get_result", job_id=job_id)


async def learn(exchange: Exchange) -> None:
    """Fit a cost model to measured tables, and read its card."""
    await exchange.use("describe_kind", kind="learn")
    text = await exchange.use(
        "submit_job",
        kind="learn",
        spec={"target": "sharding"},
        files={"instances.0": exchange.measured},
        seconds=120,
    )
    await exchange.ended(text.split()[0])
    await exchange.use("get_result", job_id=text.split()[0])
    models = await exchange.use("list_models", target="sharding")
    if models.startswith("mdl_"):
        await exchange.use("list_models", model_id=models.split()[0])


async def overview(exchange: Exchange) -> None:
    """List kinds and jobs, and compare two jobs that differ in their model."""
    await exchange.use("list_kinds")
    text = await exchange.use("solve_model", model_text=LP.replace("<= 4", "<= 5"))
    again = await exchange.use("solve_model", model_text=LP)
    both = [text.split()[0], again.split()[0]]
    for job_id in both:
        await exchange.ended(job_id)
    await exchange.use("compare_jobs", job_ids=both)
    await exchange.use("list_jobs", limit=5)


KINDS = {
    "ilp": ilp,
    "sharding": sharding,
    "compile": compile_program,
    "antenna": antenna,
    "plan": plan,
    "learn": learn,
    "overview": overview,
}


@asynccontextmanager
async def over_stdio(url: str, key: str, root: Path | None = None) -> AsyncIterator[Any]:
    """Start `trimtab mcp` as an assistant does, and yield the SDK's client."""
    from mcp.client import Client
    from mcp.client.stdio import StdioServerParameters

    arguments = ["-P", "-m", "trimtab.cli", "mcp", "--url", url]
    if root is not None:
        arguments += ["--root", str(root)]
    environment = {**os.environ, "TRIMTAB_API_KEY": key}
    parameters = StdioServerParameters(
        command=sys.executable, args=arguments, env=environment
    )
    async with Client(parameters) as client:
        yield client


@asynccontextmanager
async def over_http(url: str, key: str) -> AsyncIterator[Any]:
    """Serve MCP over streamable HTTP for a trimtab server, and yield the SDK's client."""
    import httpx2
    import uvicorn
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client

    from trimtab.mcp.server import over_http as server_over_http

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/mcp"
    app = server_over_http(url=url, public_url=address).streamable_http_app()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=90) as web,
            Client(streamable_http_client(address, http_client=web)) as client,
        ):
            yield client
    finally:
        server.should_exit = True
        await serving


OVER = {"stdio": over_stdio, "http": over_http}


async def exchange_all(
    url: str, key: str, kinds: list[str], *, transport: str, measured: str
) -> list[dict[str, Any]]:
    """Run the exchanges and return a line for the tools and one for each kind."""
    lines: list[dict[str, Any]] = []
    async with OVER[transport](url, key) as client:
        listed = await client.list_tools()
        schemas = "".join(
            tool.model_dump_json(by_alias=True, exclude_none=True)
            for tool in listed.tools
        )
        lines.append(
            {
                "case": "tools",
                "transport": transport,
                "tools": len(listed.tools),
                "chars": len(schemas),
                "tokens": round(len(schemas) / _CHARS_PER_TOKEN),
            }
        )
        for kind in kinds:
            exchange = Exchange(client=client, measured=measured)
            began = time.monotonic()
            await KINDS[kind](exchange)
            lines.append(
                {
                    "case": kind,
                    "transport": transport,
                    "calls": exchange.calls,
                    "state": exchange.state,
                    "read_chars": exchange.read_chars,
                    "written_chars": exchange.written_chars,
                    "tokens": round(
                        (exchange.read_chars + exchange.written_chars) / _CHARS_PER_TOKEN
                    ),
                    "errors": exchange.errors,
                    "seconds": round(time.monotonic() - began, 1),
                }
            )
    return lines


def measure(
    kinds: list[str], folder: Path, transports: Sequence[str] = tuple(OVER)
) -> list[dict[str, Any]]:
    """Start a server of its own and return the lines of these kinds."""
    from trimtab.client import Client
    from workers.bench.learn.simulated_file import write_measured
    from workers.bench.service.harness import running_server

    with running_server(folder / "data", sandbox="rlimit") as server:
        with Client(server.url, api_key=server.key) as client:
            file = write_measured(folder / "slow.jsonl")
            measured = client.upload(file).digest
        return [
            line
            for transport in transports
            for line in asyncio.run(
                exchange_all(
                    server.url,
                    server.key,
                    kinds,
                    transport=transport,
                    measured=measured,
                )
            )
        ]
