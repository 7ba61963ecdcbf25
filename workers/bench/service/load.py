"""Submits per second, their latency, and the gateway's memory under concurrent clients."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from workers.bench.service.harness import Server
from workers.bench.service.http import LeanClient
from workers.bench.stats import quantiles_ms

# The dispatcher is off (role gateway), so the figure is that of submission alone; `latency`
# measures the rest.
PROBE = {"kind": "probe", "spec": {"steps": 0}, "budget": {"seconds": 60.0}, "seed": 0}


async def submit_load(server: Server, *, clients: int, seconds: float) -> dict[str, Any]:
    """Submit over `clients` connections as fast as answers arrive, for `seconds`."""
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    deadline = time.perf_counter() + seconds

    async def one(number: int) -> None:
        client = LeanClient(server.port, server.key)
        count = 0
        while time.perf_counter() < deadline:
            began = time.perf_counter()
            answer = await client.request(
                "POST",
                "/v1/jobs",
                PROBE,
                {"Idempotency-Key": f"load-{number}-{count}-{began}"},
            )
            latencies.append(time.perf_counter() - began)
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            count += 1
        client.close()

    began = time.perf_counter()
    before = server.process.cpu_times()
    await asyncio.gather(*(one(number) for number in range(clients)))
    elapsed = time.perf_counter() - began
    after = server.process.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "clients": clients,
        "seconds": round(elapsed, 2),
        "submits": len(latencies),
        "submits_per_s": round(len(latencies) / elapsed, 1),
        **quantiles_ms(latencies),
        "statuses": {str(k): v for k, v in sorted(statuses.items())},
        # Independent of other load, unlike the rate.
        "gateway_cpu_ms_per_submit": round(1e3 * cpu_s / max(1, len(latencies)), 3),
        "gateway_rss_mb": round(server.process.memory_info().rss / 2**20, 1),
    }
