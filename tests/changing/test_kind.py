"""A throw-away kind, built by deploy/docs/changing.md and nothing else: spec, domain, row. Nobody else changes."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from search.domains import Kind
from search.stop import StoppingCriterion
from search.types import Extra, InvalidInput, OnIncumbent, Produced, SearchOutcome
from tests.contracts.domain import DomainContract
from trimtab.results import Incumbent, Reason, Termination, Verification, VerificationStatus
from trimtab.specs.common import Spec


class RootSpec(Spec):
    """Find the whole number whose square is nearest."""

    KIND: ClassVar[str] = "root"
    SUMMARY: ClassVar[str] = "Nearest integer square root."

    square: Annotated[int, Field(ge=-(10**6), le=10**6)]
    """The number to take the root of."""


class RootDomain:
    """Counts up while the square comes nearer."""

    def parse(self, spec: RootSpec, inputs: Mapping[str, Path], workdir: Path) -> RootSpec:
        if spec.square < 0:
            raise InvalidInput(f"square wants a number >= 0; {spec.square} came")
        return spec

    def encode(self, problem: RootSpec) -> None:
        return None

    def search(
        self,
        problem: RootSpec,
        encoding: None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: tuple[int, float] | None = None,
    ) -> SearchOutcome:
        best = 0 if start is None else start[0]
        while True:
            off = float(abs(problem.square - best**2))
            point = Incumbent(elapsed_s=0.0, objective=off, bound=0.0, source="count")
            on_incumbent(point, functools.partial(tuple, (best, off)))
            if stop(point) or abs(problem.square - (best + 1) ** 2) >= off:
                break
            best += 1
        termination = Termination(reason=Reason.COMPLETED, detail="no neighbour is nearer")
        return SearchOutcome(
            termination=termination, solution=(best, off), objective=off, bound=0.0
        )

    def verify(self, problem: RootSpec, solution: Any) -> Verification:
        root, claimed = solution
        off = float(abs(problem.square - root**2))
        right = off == claimed
        return Verification(
            status=VerificationStatus.VALID if right else VerificationStatus.INVALID,
            method="multiplication",
            claimed_objective=claimed,
            objective=off,
            detail="" if right else f"it is {off:g} off",
        )

    def produce(
        self, problem: RootSpec, solution: Any, workdir: Path
    ) -> list[Produced | Extra]:
        path = workdir / "root.txt"
        path.write_text(f"{solution[0]}\n")
        return [
            Produced(name="root.txt", path=path, media_type="text/plain"),
            Extra(
                name="remark.txt",
                write=lambda path: path.write_text(f"{solution[1]:g} off\n"),
            ),
        ]

    def keep(self, problem: RootSpec, solution: Any) -> bytes:
        return json.dumps(solution).encode()

    def restore(self, problem: RootSpec, data: bytes) -> SearchOutcome:
        root, off = json.loads(data)
        termination = Termination(reason=Reason.FEASIBLE, detail="restored")
        return SearchOutcome(
            termination=termination,
            solution=(int(root), float(off)),
            objective=float(off),
            bound=0.0,
        )


def build() -> RootDomain:
    return RootDomain()


KIND = Kind(spec=RootSpec, builder="tests.changing.test_kind:build")


class TestRootContract(DomainContract):
    kind = KIND

    def good(self, folder: Path) -> tuple[RootSpec, Mapping[str, Path]]:
        return RootSpec(square=143), {}

    def bad(self, folder: Path) -> tuple[RootSpec, Mapping[str, Path]]:
        return RootSpec(square=-4), {}

    def tampered(self, solution: Any) -> Any:
        root, off = solution
        return root + 3, off


def test_the_whole_service_takes_it_without_a_change(tmp_path: Path) -> None:
    """Gateway, store, dispatcher, executor, result, files: only the table has a row more."""
    import asyncio

    import httpx2

    from services.gateway.app import create_app
    from services.settings import Settings
    from services.store.memory import MemoryStore

    settings = Settings(data_dir=tmp_path, workers=1, sandbox="rlimit", auth="off")

    async def go() -> dict[str, Any]:
        app = create_app(settings, store=MemoryStore(), kinds={"root": KIND})
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                kinds = (await client.get("/v1/kinds")).json()
                assert [k["kind"] for k in kinds] == ["root"]
                body = {"kind": "root", "spec": {"square": 99}}
                job = (await client.post("/v1/jobs", json=body)).json()
                view = (await client.get(f"/v1/jobs/{job['id']}/wait?timeout_s=30")).json()
                assert view["state"] == "SUCCEEDED", view
                result = (await client.get(f"/v1/jobs/{job['id']}/result")).json()
                file = await client.get(f"/v1/jobs/{job['id']}/artifacts/root.txt")
                assert file.text == "10\n"
                refused = await client.post(
                    "/v1/jobs", json={"kind": "root", "spec": {"square": "x"}}
                )
                assert refused.status_code == 422
                return dict(result)

    result = asyncio.run(go())
    assert result["objective"] == 1.0
    assert result["verification"]["status"] == "valid"
