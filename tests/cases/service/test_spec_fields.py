"""Every field of every spec changes the outcome for some input.

A schema field without an entry in `fields.py` fails the first test.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from search import pipeline
from search.domains.compile.search import product as compile_product
from search.domains.ilp import build as build_ilp
from search.domains.ilp.search import lns_process, supervisor
from search.domains.ilp.search.lns_process import StartPoints
from search.domains.ilp.search.slots import RunSlots
from search.domains.learn.types import Source
from search.kinds import KINDS
from search.lns.sub_mip import Slicer
from search.stop import from_budget
from search.types import InvalidInput
from services.gateway.app import create_app
from services.settings import Settings
from solvers.llvm.install import find_llvm
from solvers.llvm.types import LlvmMissing
from tests.cases.service.fields import BASES, FILES, PAIRS, Pair
from tests.doubles.memory_store import MemoryStore
from trimtab.specs.common import ArtifactRef, JobRequest
from trimtab.specs.ilp import LnsOptions
from trimtab.specs.learn import (
    AntennaLearnOptions,
    CompileLearnOptions,
    SizeObjective,
)
from workers.learn import antenna as learn_antenna
from workers.learn import compile as learn_compile
from workers.learn.table import learners

# Fields that another test of this file checks without a run.
SPIED = {
    "antenna": set[str](),
    "ilp": {
        "threads",
        "warm_start",
        "lns.neighbourhoods",
        "lns.sub_mip_engine",
        "lns.sub_mip_seconds",
    },
    "sharding": set[str](),
    "compile": {"tier", "per_function", "llvm_options"},
    "probe": set[str](),
    "learn": {
        "compile",
        "compile.objective",
        "compile.evaluations",
        "compile.pipelines",
        "compile.include",
        "compile.defines",
        "antenna",
        "antenna.designs",
        "antenna.epochs",
    },
    "plan": {"goal", "files", "approve", "text_model"},
}
ENVELOPE = {
    "kind",
    "spec",
    "budget",
    "budget.seconds",
    "budget.evaluations",
    "budget.target_gap",
    "seed",
    "priority",
}
ENVELOPE |= {"labels", "max_attempts", "webhook", "webhook.url"}
# tests/services/gateway/test_graph.py
ENVELOPE |= {"after", "after.job", "after.needs"}
# tests/services/test_models.py
ENVELOPE |= {"model"}
# tests/services/web/test_lists.py
ENVELOPE |= {"name"}


def fields_of(schema: Mapping[str, Any]) -> set[str]:
    """Dotted paths of all properties, without the indices of lists."""
    paths: set[str] = set()

    def walk(part: Mapping[str, Any], path: str, seen: tuple[str, ...]) -> None:
        if (ref := part.get("$ref", "")) in seen and ref:
            return
        if ref:
            name = ref.rsplit("/", 1)[1]
            paths.add(path + ("@file" if name == ArtifactRef.__name__ else ""))
            walk(schema["$defs"][name], path, (*seen, ref))
        for word in ("anyOf", "oneOf", "allOf"):
            for option in part.get(word, ()):
                walk(option, path, seen)
        if "items" in part:
            walk(part["items"], path, seen)
        for name, inner in part.get("properties", {}).items():
            paths.add(inner_path := f"{path}.{name}" if path else name)
            walk(inner, inner_path, seen)

    walk(schema, "", ())
    return paths - {""}


def references(kind: str) -> set[str]:
    """Fields that name an uploaded file."""
    schema = KINDS[kind].spec.model_json_schema()
    return {
        path.removesuffix("@file") for path in fields_of(schema) if path.endswith("@file")
    }


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_field_has_an_entry(kind: str) -> None:
    every = {
        path
        for path in fields_of(KINDS[kind].spec.model_json_schema())
        if not path.endswith("@file")
    }
    of_files = {
        f"{path}.{name}" for path in references(kind) for name in ArtifactRef.model_fields
    }
    covered = set(PAIRS[kind]) | SPIED[kind] | of_files | {"schema_version"}
    assert every - covered == set(), (
        "give each an entry in fields.py: two values whose outcomes differ"
    )
    assert covered - every == set(), "no field of the schema"
    envelope = fields_of(JobRequest.model_json_schema())
    assert {path for path in envelope if not path.endswith("@file")} == ENVELOPE


def changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    spec: Any = copy.deepcopy(dict(base))
    for path, value in copy.deepcopy(dict(changes)).items():
        *way, last = path.split(".")
        place = spec
        for word in way:
            place = (
                place[int(word)]
                if isinstance(place, list)
                else place.setdefault(word, {})
            )
        if value is None:
            place.pop(last, None)
        elif isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    return dict(spec)


def with_files(value: Any) -> Any:
    """`@name` becomes a reference to the content of that name."""
    if isinstance(value, str) and value.startswith("@"):
        name = value[1:]
        digest = hashlib.sha256(FILES[name]).hexdigest()
        endings = {"lp": "m.lp", "lp-larger": "m.lp", "start": "s.sol"}
        return {"digest": f"sha256:{digest}", "name": endings.get(name, name)}
    if isinstance(value, dict):
        return {key: with_files(inner) for key, inner in value.items()}
    return [with_files(inner) for inner in value] if isinstance(value, list) else value


def run(
    kind: str, spec: Mapping[str, Any], folder: Path, *, seconds: float = 20.0
) -> dict[str, Any]:
    """The outcome of a spec, run here."""
    folder.mkdir(parents=True)
    row = KINDS[kind]
    module, _, function = row.builder.partition(":")
    budget = {"seconds": seconds, **({"evaluations": 1} if kind == "compile" else {})}
    try:
        parsed = row.spec.model_validate_json(json.dumps(with_files(dict(spec))))
        content = {hashlib.sha256(data).hexdigest(): data for data in FILES.values()}
        inputs = {}
        for name, reference in parsed.artifacts().items():
            inputs[name] = folder / "inputs" / name / reference.name
            inputs[name].parent.mkdir(parents=True)
            inputs[name].write_bytes(content[reference.digest.removeprefix("sha256:")])
        finished = pipeline.run(
            getattr(importlib.import_module(module), function)(
                **({"learners": learners()} if kind == "learn" else {})
            ),
            parsed,
            inputs=inputs,
            workdir=folder,
            stop=from_budget(budget, threading.Event()),
            seed=0,
        )
    except (InvalidInput, ValueError) as error:
        return {"refused": str(error)}
    files = {p.name: p.path.read_text(errors="replace") for p in finished.produced}
    return {**finished.result.model_dump(mode="json"), "files": files}


@pytest.fixture(scope="module")
def outcome(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Run each spec once; returns the outcome."""
    outcomes: dict[str, dict[str, Any]] = {}

    def get(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps([kind, spec], sort_keys=True)
        if text not in outcomes:
            outcomes[text] = run(kind, spec, tmp_path_factory.mktemp(kind) / "run")
        return outcomes[text]

    return get


CASES = [(kind, path) for kind, pairs in PAIRS.items() for path in pairs]


@pytest.mark.parametrize(
    ("kind", "path"), CASES, ids=[f"{kind}-{path}" for kind, path in CASES]
)
def test_the_field_changes_the_outcome(
    kind: str, path: str, outcome: Callable[[str, dict[str, Any]], dict[str, Any]]
) -> None:
    if kind == "compile":
        _need_llvm()
    pair: Pair = PAIRS[kind][path]
    base = BASES[pair.base or kind]
    one, other = (
        outcome(kind, changed(base, changes)) for changes in (pair.one, pair.other)
    )
    assert "internal" not in str(one.get("refused", "")) + str(other.get("refused", ""))
    assert "refused" not in one, one
    assert (other.get("refused") or pair.look(other)) != pair.look(one)


def _need_llvm() -> None:
    try:
        find_llvm()
    except LlvmMissing as missing:
        pytest.skip(str(missing))


class _Seen(Exception):
    """Ends the search once it is set up."""


def test_lns_options_reach_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set up the search and look at its parts: a run of a small model would end before it."""
    seen: dict[str, Any] = {}

    def spied(guide: Any, **parts: Any) -> Any:
        arms = sorted(arm.name for arm in parts["arms"])
        seen.update(arms=arms, sub_mip_s=parts["params"].sub_mip_s)
        raise _Seen

    make = lns_process.make_solver
    monkeypatch.setattr(lns_process, "LnsLoop", spied)
    monkeypatch.setattr(
        lns_process, "make_solver", lambda name: seen.update(solver=name) or make(name)
    )
    spec = KINDS["ilp"].spec.model_validate_json(json.dumps(BASES["ilp-cover"]))
    model = build_ilp().parse(spec, {}, tmp_path).model

    def parts(**options: Any) -> dict[str, Any]:
        work = lns_process.run_lns(
            model,
            options=LnsOptions(**options),
            slots=RunSlots(model),
            deadline=time.monotonic() + 60,
            seed=0,
            slicer=Slicer(model),
            start=StartPoints(),
        )
        with pytest.raises(_Seen):
            work(lambda message: None)
        return dict(seen)

    first = parts(neighbourhoods=["random"], sub_mip_seconds=1.0)
    second = parts(
        neighbourhoods=["crossover"], sub_mip_seconds=2.0, sub_mip_engine="scip"
    )
    assert first == {"arms": ["random"], "sub_mip_s": 1.0, "solver": "highs"}
    assert second == {"arms": ["crossover"], "sub_mip_s": 2.0, "solver": "scip"}


def test_a_warm_start_reaches_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look at the arguments: on a small model the engine ends before the start has an effect."""
    seen: dict[str, Any] = {}

    def spied(model: Any, **parts: Any) -> Any:
        seen.update(parts)
        raise _Seen

    monkeypatch.setattr(supervisor, "run_engine", spied)
    starts = []
    for number, change in enumerate(({}, {"warm_start": "@start"})):
        with pytest.raises(_Seen):
            run("ilp", changed(BASES["ilp-cover"], change), tmp_path / str(number))
        starts.append(seen["warm_start"])
    assert starts[0] is None
    assert starts[1].tolist() == [1.0] * 60


def test_the_cores_reach_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cores arrive; tests/cases/ilp/test_threads.py shows their effect."""
    seen: list[int] = []

    def spied(model: Any, **parts: Any) -> Any:
        seen.append(parts["params"].threads)
        raise _Seen

    monkeypatch.setattr(supervisor, "run_engine", spied)
    for threads in (2, 4):
        with pytest.raises(_Seen):
            run(
                "ilp",
                changed(BASES["ilp-cover"], {"threads": threads}),
                tmp_path / str(threads),
            )
    assert seen == [1, 3], "the neighbourhood search has one of them"


def test_compile_options_reach_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _need_llvm()
    seen: list[str] = []
    optimise = compile_product.optimise

    def spied(engine: Any, space: Any, *arguments: Any, **parts: Any) -> Any:
        seen.append(
            repr(sorted((name, _shape(value)) for name, value in vars(space).items()))
        )
        return optimise(engine, space, *arguments, **parts)

    monkeypatch.setattr(compile_product, "optimise", spied)
    base = BASES["compile"]
    for number, change in enumerate(
        ({}, {"tier": "experimental"}, {"per_function": False}, {"llvm_options": False})
    ):
        assert "refused" not in run(
            "compile", changed(base, change), tmp_path / str(number)
        )
    assert len(set(seen)) == 4, seen


class _FitRun:
    """What a learner's fit needs before it begins to search."""

    seed = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def stop(self) -> bool:
        return False


def test_options_of_learners_reach_the_fitting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit of programs or of a board takes minutes: look at what it is started with."""
    _need_llvm()
    source = tmp_path / "own.c"
    source.write_text('#include "four.h"\nint f(void) { return N; }\n')
    (tmp_path / "inc").mkdir()
    (tmp_path / "inc/four.h").write_text("#ifndef N\n#define N 4\n#endif\n")
    seen: list[tuple[Any, ...]] = []

    def spied(modules: Any, folder: Path, *, metric: Any, limits: Any, **_: Any) -> None:
        keys = tuple(module.bitcode for module in modules)
        seen.append((keys, metric, limits.evaluations, limits.count))
        raise _Seen

    monkeypatch.setattr(learn_compile, "mine_own", spied)
    for change in (
        {},
        {"objective": SizeObjective.CODE_BYTES},
        {"evaluations": 40},
        {"pipelines": 2},
        {"defines": ("N=5",)},
    ):
        options = CompileLearnOptions(include=("inc",), **change)
        learner = learn_compile.CompileLearner()
        workdir = tmp_path / f"run{len(seen)}"
        instances = learner.prepare([Source(name="own.c", path=source)], options, workdir)
        with pytest.raises(_Seen):
            learner.fit(instances, _FitRun(workdir), options)
    assert len(set(seen)) == 5, seen
    with pytest.raises(InvalidInput, match=r"compile\.include: expected a folder"):
        learn_compile.CompileLearner().prepare(
            [Source(name="own.c", path=source)],
            CompileLearnOptions(include=("out",)),
            tmp_path,
        )
    board = tmp_path / "board.json"
    board.write_text(json.dumps({"board": {"eps_r": 3.5}}))
    families = [
        len(
            learn_antenna.AntennaLearner().prepare(
                [Source(name="board.json", path=board)],
                AntennaLearnOptions(designs=designs),
                tmp_path,
            )
        )
        for designs in (60, 120)
    ]
    assert families[0] < families[1]
    plans = [
        learn_antenna._plan(AntennaLearnOptions(epochs=epochs), seed=0)
        for epochs in (1, 2)
    ]
    assert plans[0] != plans[1]


def _shape(value: Any) -> Any:
    """Return a short value that differs if the collections differ."""
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return len(value)
    return value if isinstance(value, bool | str) else type(value).__name__


# -- the envelope, and references to files --


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(
        data_dir=tmp_path, role="gateway", diagnostic_kinds=True, log_level="error"
    )
    with TestClient(
        create_app(settings, store=MemoryStore()), base_url="http://127.0.0.1"
    ) as made:
        made.headers["authorization"] = (
            f"Bearer {settings.admin_key_file.read_text().strip()}"
        )
        yield made


REFERENCES = sorted((kind, path) for kind in KINDS for path in references(kind))


@pytest.mark.parametrize(("kind", "path"), REFERENCES)
def test_a_reference_describes_the_stored_file(
    client: TestClient, kind: str, path: str
) -> None:
    stored = client.post(
        "/v1/artifacts?name=f.lp",
        content=b"content",
        headers={"content-type": "application/octet-stream"},
    ).json()
    changes = {
        "model": {"model_text": None},
        "tables_file": {"tables": None},
        "source": {"source_text": None, "language": None},
        "archive": {"instances": None},
        "measured": {"instances": [stored]},
    }.get(path, {})
    place = path.replace("runs.", "runs.0.")
    base = changed(
        BASES[kind], {**({"runs": [{}]} if path.startswith("runs") else {}), **changes}
    )

    def status(**more: Any) -> tuple[int, str]:
        reference = {**stored, **more}
        spec = changed(
            base,
            {
                place: [reference]
                if path in ("link.objects", "instances", "runs.files")
                else reference
            },
        )
        answer = client.post("/v1/jobs", json={"kind": kind, "spec": spec})
        if answer.status_code == 202:
            return 202, client.get(f"/v1/jobs/{answer.json()['id']}/input").text
        return answer.status_code, answer.json()["detail"]

    assert status()[0] == 202
    # The name is shown, and the run's file has it.
    assert "another-name.mps" in status(name="another-name.mps")[1]
    assert status(digest="sha256:" + "0" * 64)[0] == 422
    code, detail = status(size_bytes=5)
    assert code == 422
    assert "size_bytes: expected 7" in detail
    code, detail = status(media_type="text/html")
    assert code == 422
    assert "media_type: expected" in detail


def test_the_name_of_a_file_tells_its_format(tmp_path: Path) -> None:
    for number, (name, fits) in enumerate((("m.lp", True), ("m.mps", False))):
        FILES["named"] = FILES["lp"]
        digest = hashlib.sha256(FILES["lp"]).hexdigest()
        got = run(
            "ilp",
            {"model": {"digest": f"sha256:{digest}", "name": name}},
            tmp_path / str(number),
        )
        assert ("refused" in got) is not fits


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_limits_of_the_budget_are_heeded_or_refused(
    client: TestClient, kind: str
) -> None:
    spec = with_files(BASES[kind])
    for name, value in (("evaluations", 5), ("target_gap", 0.5)):
        answer = client.post(
            "/v1/jobs", json={"kind": kind, "spec": spec, "budget": {name: value}}
        )
        if name in KINDS[kind].spec.LIMITS:
            assert answer.status_code == 202, answer.text
        else:
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith(
                f"budget.{name}: expected none, because a run of kind {kind} "
            )


@pytest.mark.parametrize(
    ("kind", "budget", "limit"),
    [
        ("probe", {"seconds": 0.3}, "time"),
        ("probe", {"target_gap": 1.0}, "target_gap"),
    ],
)
def test_limits_end_a_run(
    tmp_path: Path, kind: str, budget: dict[str, Any], limit: str
) -> None:
    row = KINDS[kind]
    module, _, function = row.builder.partition(":")
    finished = pipeline.run(
        getattr(importlib.import_module(module), function)(),
        row.spec.model_validate_json('{"steps": 20, "step_seconds": 0.05}'),
        inputs={},
        workdir=tmp_path,
        stop=from_budget({"seconds": 30.0, **budget}, threading.Event()),
        seed=0,
    )
    assert finished.result.termination.limit == limit


def test_the_rest_of_the_envelope(client: TestClient) -> None:
    """Priority orders the queue, labels filter, the webhook is stored, the version is checked."""

    def post(**more: Any) -> Any:
        return client.post("/v1/jobs", json={"kind": "probe", "spec": {}, **more})

    job = post(
        labels={"a": "b"},
        webhook={"url": "https://example.com/x"},
        seed=7,
        max_attempts=2,
        priority=5,
    ).json()
    post()
    assert [item["id"] for item in client.get("/v1/jobs?label=a:b").json()["items"]] == [
        job["id"]
    ]
    shown = client.get(f"/v1/jobs/{job['id']}/input").json()
    assert (shown["seed"], shown["max_attempts"], shown["priority"]) == (7, 2, 5)
    assert post(spec={"schema_version": 2}).status_code == 422
    assert post(kind="no-such").status_code == 422


def test_the_fields_of_a_plan_reach_its_outline(tmp_path: Path) -> None:
    """A plan goes to rest instead of ending: compare the outlines, and whether they may start."""
    from search.domains.plan import build as build_plan
    from tests.search.domains.plan.outline.models import FormModel
    from tests.search.domains.plan.test_domain import attached, outline_in, rest_of, run
    from trimtab.specs.plan import PlanSpec

    goal = "Solve m.lp for 5 s"
    rest = rest_of(goal, tmp_path, "m.lp")
    assert not rest.approved
    assert rest_of(goal, tmp_path, "m.lp", approve="auto").approved
    assert rest_of("Solve m.lp for 6 s", tmp_path, "m.lp").memo != rest.memo
    with pytest.raises(InvalidInput, match="attach it with the goal"):
        rest_of(goal, tmp_path)
    references, inputs = attached(tmp_path, "m.lp")
    names = []
    for text_model in ("auto", "none"):
        spec = PlanSpec(goal=goal, files=references, text_model=text_model)
        outcome, _ = run(build_plan(FormModel()), spec, inputs, tmp_path)
        names.append(outline_in(outcome.rest).text_model)
    assert names == ["form", ""]
