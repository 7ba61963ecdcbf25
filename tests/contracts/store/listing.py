"""Names, searches, orders, pages and saved views."""

from __future__ import annotations

import random
from typing import Any

import pytest

from services.errors import Conflict, NotFound
from services.store import searching
from services.store.types import (
    Completion,
    JobFilter,
    JobOrder,
    JobStore,
    Position,
    SavedView,
)
from tests.contracts.store.common import Clock, claim_one, incumbent, new_job
from trimtab.results import JobSort
from trimtab.specs.common import JobChanges

NAMES = [
    "Straße Nord",
    "strasse Süd",
    "Ärger",
    "a%b_c",
    "日本",
    "🦀 crab",
    "",
    "",
    "zeta",
    "Zeta",
]


async def _various(store: JobStore, clock: Clock) -> list[str]:
    """Store jobs with names, ends, objectives and failures of all sorts; returns their ids."""
    rng = random.Random(5)
    ids = []
    for n, name in enumerate(NAMES):
        request = new_job(name=name, labels={"run": f"n{n}", "team": "Über"})
        ids.append((await store.submit(request)).job.id)
        clock.forward(1)
    for n in range(len(NAMES) - 3):
        claim = await claim_one(store)
        clock.forward(rng.choice([1, 2, 2, 3]))
        if n != 4:
            await store.append(claim.job.id, claim.fence, [incumbent(rng.choice([1, 2]))])
        verb, reason = ("fail", "invalid_input") if n == 2 else ("succeed", "optimal")
        ending = Completion(
            verb=verb,
            termination={"reason": reason, "detail": "row c7: İstanbul is 100% wrong"},
            outcome="failed" if n == 2 else "result",
            result=None if n == 2 else {"objective": 1.0},
        )
        await store.complete(claim.job.id, claim.fence, ending)
    return ids


class Listing:
    """Names, searches, orders, pages and saved views."""

    def test_a_search_finds_names_ids_failures_and_labels(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            ids = await _various(store, clock)

            async def found(text: str, **where: Any) -> list[int]:
                words = searching.words(text)
                jobs = await store.list_jobs(JobFilter(words=words, **where), limit=99)
                return [ids.index(job.id) for job in jobs]

            assert await found("STRASSE") == [1, 0]
            assert await found("strasse nord") == [0]
            assert await found("ärger") == await found("a\u0308RGER") == [2]
            assert await found("%") == [3, 2]  # the failure has one too
            assert await found("a%b_c") == [3]
            assert await found("a_b") == []
            assert await found("本") == [4]
            assert await found("🦀") == [5]
            assert await found("zeta") == [9, 8]
            assert await found(ids[3][-9:].lower()) == [3]
            assert await found("invalid_input c7:") == await found("İSTANBUL") == [2]
            assert await found("team=über run=n4") == [4]
            assert await found("zeta", tenant="b") == []
            assert await found("\x00") == await found("' OR 1=1 --") == []
            assert await found("") == list(range(9, -1, -1))

        run(body)

    @pytest.mark.parametrize("descending", [True, False])
    @pytest.mark.parametrize("sort", list(JobSort))
    def test_pages_of_every_order_have_each_job_once(
        self, run: Any, sort: JobSort, descending: bool
    ) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            ids = await _various(store, clock)
            order = JobOrder(sort=sort, descending=descending)
            everything = await store.list_jobs(JobFilter(), limit=99, order=order)
            values = [searching.position(job, order).value for job in everything]
            valued: list[Any] = [value for value in values if value is not None]
            assert valued == sorted(valued, reverse=descending)
            assert values[len(valued) :] == [None] * (len(values) - len(valued))
            pages: list[str] = []
            after: Position | None = None
            while page := await store.list_jobs(
                JobFilter(), limit=3, order=order, after=after
            ):
                pages += [job.id for job in page]
                after = searching.position(page[-1], order)
            assert pages == [job.id for job in everything]
            assert sorted(pages) == sorted(ids)

        run(body)

    def test_names_and_labels_change_at_any_time(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (await store.submit(new_job(name="first", labels={"a": "1"}))).job
            assert job.name == "first"
            claim = await claim_one(store)
            renamed = await store.rename(job.id, JobChanges(name="Second"), tenant="a")
            assert (renamed.name, renamed.labels) == ("Second", {"a": "1"})
            await store.append(job.id, claim.fence, [incumbent(3)])
            labelled = await store.rename(job.id, JobChanges(labels={"b": "2"}))
            assert labelled == await store.get(job.id)
            assert (labelled.name, labelled.labels) == ("Second", {"b": "2"})
            for where, count in (
                (JobFilter(words=("second",)), 1),
                (JobFilter(words=("first",)), 0),
                (JobFilter(words=("b=2",)), 1),
                (JobFilter(words=("a=1",)), 0),
                (JobFilter(labels={"b": "2"}), 1),
                (JobFilter(labels={"a": "1"}), 0),
            ):
                assert len(await store.list_jobs(where, limit=5)) == count, where
            with pytest.raises(NotFound):
                await store.rename(job.id, JobChanges(name="stolen"), tenant="b")
            assert (await store.rename(job.id, JobChanges(name="", labels={}))).name == ""

        run(body)

    def test_jobs_are_found_by_the_model_that_they_name(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            model = "mdl_" + "0" * 26
            for wanted in ("auto", model, "shipped"):
                await store.submit(new_job(model=wanted, name=wanted))
            claim = await claim_one(store)  # an attempt of `auto` records its models
            await store.pin_models(claim.job.id, claim.fence, [model])
            for wanted in ("auto", model, "shipped"):
                jobs = await store.list_jobs(JobFilter(model=wanted), limit=5)
                assert [job.name for job in jobs] == [wanted]

        run(body)

    def test_saved_views_belong_to_a_tenant(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            def view(
                name: str, query: str = "state=FAILED", tenant: str = "a"
            ) -> SavedView:
                return SavedView(
                    tenant=tenant, name=name, query=query, created_us=clock.us
                )

            await store.put_view(view("failed"), most=2)
            await store.put_view(view("crabs 🦀", "q=crab"), most=2)
            await store.put_view(view("failed", "state=DEAD"), most=2)
            await store.put_view(view("failed", tenant="b"), most=2)
            with pytest.raises(Conflict, match="at most 2"):
                await store.put_view(view("third"), most=2)
            assert [(one.name, one.query) for one in await store.list_views("a")] == [
                ("crabs 🦀", "q=crab"),
                ("failed", "state=DEAD"),
            ]
            await store.delete_view("a", "failed")
            with pytest.raises(NotFound):
                await store.delete_view("a", "failed")
            assert len(await store.list_views("b")) == 1

        run(body)
