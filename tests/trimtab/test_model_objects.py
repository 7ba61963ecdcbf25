"""Model objects through a real server: values by the user's own variables, from both clients."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from trimtab.aio import AsyncClient
from trimtab.client import Client
from trimtab.results import Reason
from trimtab.specs.ilp import IlpSpec
from workers.bench.service.harness import Server


def tuple_names() -> tuple[Any, dict[tuple[int, int], Any]]:
    from pyscipopt import Model

    model = Model()
    model.hideOutput()
    x = {
        (i, j): model.addVar(f"x{(i, j)}", vtype="B") for i in range(2) for j in range(2)
    }
    for i in range(2):
        model.addCons(sum(x[i, j] for j in range(2)) == 1)
    model.setObjective(sum((1 + i + j) * x[i, j] for i, j in x), "minimize")
    return model, x


def test_the_blocking_client(server: Server) -> None:
    model, x = tuple_names()
    with Client(server.url, api_key=server.key) as client:
        spec = IlpSpec.from_model(model, warm_start=[(x[0, 1], 1), (x[1, 1], 1)])
        assert set(spec.artifacts()) == {"model", "warm_start"}
        job = client.submit(spec, seconds=20)
        result = job.result(60)
        assert result.termination.reason is Reason.OPTIMAL
        assert result.objective == 3
        assert {key: result.value(variable) for key, variable in x.items()} == {
            (0, 0): 1, (0, 1): 0, (1, 0): 1, (1, 1): 0,
        }  # fmt: skip
        assert result.value("x(0, 0)") == 1
        assert result.values()["x(1, 1)"] == 0
        with pytest.raises(ValueError, match="submitted from a model object"):
            client.job(job.id).result().value("x(0, 0)")


def test_the_asyncio_client_and_a_model_without_solution(server: Server) -> None:
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    x = model.new_int_var(0, 9, "x")
    model.add(2 * x <= 9)
    model.maximize(x)
    impossible = model.clone()
    impossible.add(impossible.get_int_var_from_proto_index(x.index) >= 6)

    async def run() -> None:
        async with AsyncClient(server.url, api_key=server.key) as client:
            job = await client.submit(IlpSpec.from_model(model), seconds=20)
            assert (await job.result(60)).value(x) == 4
            job = await client.submit(IlpSpec.from_model(impossible), seconds=20)
            result = await job.result(60)
            assert result.termination.reason is Reason.INFEASIBLE
            with pytest.raises(ValueError, match="got one that ended infeasible"):
                result.value(x)

    asyncio.run(run())
