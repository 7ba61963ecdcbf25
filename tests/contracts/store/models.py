"""Fitted models: registration with the end of their job, tenancy, retirement, pins, files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.errors import Conflict, NotFound, StaleFence
from services.store.types import (
    ArtifactRecord,
    JobStore,
    ModelFilter,
    ModelPins,
    ModelState,
    NewModel,
)
from tests.contracts.store.common import DONE, LOST, Clock, claim_one, new_job

WEIGHTS, PICTURE = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def new_model(number: int = 1, **fields: Any) -> NewModel:
    return replace(
        NewModel(
            id=f"mdl_{number:026d}",
            target="sharding",
            digest=WEIGHTS,
            size_bytes=10,
            picture=PICTURE,
            state=ModelState.ADOPTED,
            card={"decision": "adopted"},
        ),
        **fields,
    )


async def register(store: JobStore, model: NewModel, *, tenant: str = "a") -> str:
    job = (await store.submit(new_job(tenant=tenant))).job
    claim = await claim_one(store)
    await store.complete(job.id, claim.fence, replace(DONE, model=model))
    return job.id


class Models:
    """Fitted models of tenants."""

    def test_a_model_is_registered_with_the_end_of_its_job(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job_id = await register(store, new_model())
            model = await store.get_model(new_model().id, tenant="a")
            assert (model.tenant, model.job_id, model.state) == (
                "a",
                job_id,
                ModelState.ADOPTED,
            )
            assert model.card == {"decision": "adopted"}
            await store.delete(job_id)
            assert await store.get_model(model.id) == model

        run(body)

    def test_a_stale_or_lost_attempt_registers_nothing(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            claim = await claim_one(store)
            with pytest.raises(StaleFence):
                await store.complete(
                    job.id, claim.fence + 1, replace(DONE, model=new_model())
                )
            await store.complete(job.id, claim.fence, replace(LOST, model=new_model()))
            assert await store.list_models(ModelFilter(), limit=10) == []

        run(body)

    def test_models_are_invisible_to_other_tenants(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            await register(store, new_model())
            for operation in (store.get_model, store.retire_model):
                with pytest.raises(NotFound):
                    await operation(new_model().id, tenant="b")
            assert await store.list_models(ModelFilter(tenant="b"), limit=10) == []
            assert len(await store.list_models(ModelFilter(tenant="a"), limit=10)) == 1

        run(body)

    def test_listings_filter_and_page(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            for number in (1, 2, 3):
                await register(store, new_model(number))
            await register(store, new_model(4, target="ilp", state=ModelState.REJECTED))

            async def ids(where: ModelFilter, **more: Any) -> list[int]:
                listed = await store.list_models(where, **{"limit": 10, **more})
                return [int(model.id[4:]) for model in listed]

            assert await ids(ModelFilter()) == [4, 3, 2, 1]
            assert await ids(ModelFilter(target="sharding"), limit=2) == [3, 2]
            assert await ids(ModelFilter(), before_id=new_model(2).id) == [1]
            assert await ids(ModelFilter(states=(ModelState.REJECTED,))) == [4]

        run(body)

    def test_retirement(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            await register(store, new_model())
            await register(store, new_model(2, state=ModelState.REJECTED))
            for _ in range(2):
                retired = await store.retire_model(new_model().id, tenant="a")
                assert retired.state is ModelState.RETIRED
            with pytest.raises(Conflict, match="expected an adopted model"):
                await store.retire_model(new_model(2).id, tenant="a")
            with pytest.raises(NotFound):
                await store.retire_model("mdl_none")

        run(body)

    def test_the_first_pin_of_a_job_counts(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            claim = await claim_one(store)
            assert (await store.model_pins(job.id)) == ModelPins()
            with pytest.raises(StaleFence):
                await store.pin_models(job.id, claim.fence + 1, ["m"])
            first = ModelPins(models=("m", "n"))
            assert await store.pin_models(job.id, claim.fence, ["m", "n"]) == first
            assert await store.pin_models(job.id, claim.fence, []) == first
            assert await store.model_pins(job.id) == first
            named = (await store.submit(replace(new_job(), model="mdl_1"))).job
            assert (await store.model_pins(named.id)).wanted == "mdl_1"
            claim = await claim_one(store)
            pins = await store.pin_models(named.id, claim.fence, ["mdl_1"])
            assert pins == ModelPins(wanted="mdl_1", models=("mdl_1",))

        run(body)

    def test_a_model_keeps_its_files_unless_it_is_rejected(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            for digest in (WEIGHTS, PICTURE, "sha256:" + "3" * 64):
                await store.put_artifact(
                    ArtifactRecord(
                        digest=digest,
                        tenant="a",
                        name="n",
                        media_type="t",
                        size_bytes=1,
                        created_us=0,
                    )
                )
            await register(store, new_model())
            rejected = new_model(2, digest="sha256:" + "3" * 64, picture=None)
            await register(store, replace(rejected, state=ModelState.REJECTED))
            unused = await store.unreferenced_artifacts(older_than_us=1)
            assert [row.digest for row in unused] == ["sha256:" + "3" * 64]
            assert not await store.delete_artifact(WEIGHTS, tenant="a")
            assert (await store.get_artifact(WEIGHTS, tenant="a")).digest == WEIGHTS

        run(body)
