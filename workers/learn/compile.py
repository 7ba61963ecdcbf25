"""Target `compile`: pipelines mined on the user's modules, and a ranker where it helps.

An instance is a module: a C or C++ source, bitcode, or textual IR. The metric is the share of bytes
(or instructions) that one pipeline saves against `clang -Oz`, 0 where the program is larger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from search.domains.compile.search.coreset import load_coreset
from search.domains.compile.search.edits import Candidate
from search.domains.compile.search.fitted import FittedCoreset, read_fitted
from search.domains.compile.search.policy import describe
from search.domains.learn.types import FitRun, Fitted, Instance, Point, Source
from search.model_files import FittedModel, write_model
from search.types import InvalidInput
from solvers.llvm.engine import CandidateFailed
from solvers.llvm.frontend import (
    C_SUFFIXES,
    CXX_SUFFIXES,
    Control,
    SourceError,
    SourceTree,
    compile_to_bitcode,
)
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import BadModule, EngineDied, Metric, Outcome, Recipe, Target
from trimtab.cards import Better
from trimtab.cards import Metric as CardMetric
from trimtab.specs.learn import CompileLearnOptions
from workers.train.compile.own import MiningLimits, MiningProgress, OwnCoreset, mine_own
from workers.train.compile.own_ranker import RankerTrial, try_ranker
from workers.train.compile.replay import MeasurementLog, OwnModule, ReplayEngine

TARGET = "compile"
MOST_MODULES = 2_000
_IR_SUFFIXES = (".bc", ".ll")
_HEADERS = (".h", ".hh", ".hpp", ".hxx", ".inc", ".def")
_FRONTEND_S = 300.0
_SAVE_EVERY = 200  # compilations between two savings


class CompileLearner:
    """`Learner` of pipelines for a code base."""

    target = TARGET
    metric = CardMetric(
        name="share saved against -Oz with one pipeline", unit="%", better=Better.HIGHER
    )
    least_instances = 10
    most_sources = None
    judge_share = 0.15
    packages = ("numpy",)
    labels_from = "sizes are measured here"

    def __init__(self) -> None:
        self._metric = Metric.LOADABLE_BYTES
        self._folder: Path | None = None

    @cached_property
    def _shipped(self) -> FittedCoreset:
        return FittedCoreset(
            metric=self._metric, candidates=load_coreset(self._metric)[:1]
        )

    def prepare(
        self,
        sources: Sequence[Source],
        options: CompileLearnOptions,
        workdir: Path,
    ) -> list[Instance]:
        """Compile every source to bitcode as `clang -Oz` does. Raises InvalidInput."""
        self._metric = Metric(options.objective.value)
        self._folder = workdir / "judged"
        chosen = [one for one in sources if not one.name.lower().endswith(_HEADERS)]
        if len(chosen) > MOST_MODULES:
            raise InvalidInput(
                f"instances: expected at most {MOST_MODULES:,} modules, got {len(chosen):,}; a few "
                "dozen are enough"
            )
        return [_instance(one, options, sources, workdir) for one in chosen]

    def fit(
        self, instances: Sequence[Instance], run: FitRun, options: CompileLearnOptions
    ) -> Fitted:
        """Mine pipelines, then try a ranker. Resumes by replaying the sizes in the folder."""
        metric = Metric(options.objective.value)
        modules = [instance.data for instance in instances]
        evaluations = options.evaluations * len(modules)
        saved_at = 0

        def report(step: MiningProgress) -> None:
            nonlocal saved_at
            run.report(
                Point(
                    step=max(1, step.evaluations),
                    steps=evaluations,
                    loss=1.0 - step.saved,
                    stage=step.stage,
                )
            )
            if step.evaluations >= saved_at + _SAVE_EVERY:
                saved_at = step.evaluations
                run.save()

        try:
            mined = mine_own(
                modules,
                run.folder,
                metric=metric,
                seed=run.seed % 2**32,
                limits=MiningLimits(
                    evaluations=evaluations, count=options.pipelines, stopped=run.stop
                ),
                report=report,
            )
        except ValueError as error:
            raise InvalidInput(f"instances: {error}") from None
        run.save()
        trial = _ranker(modules, mined, MeasurementLog(run.folder), run)
        coreset = FittedCoreset(
            metric=metric,
            candidates=mined.candidates or load_coreset(metric)[:1],
            ranker=trial.ranker,
        )
        path = run.workdir / "fitted.safetensors"
        scope = {
            "objective": metric.value,
            "llvm": mined.llvm,
            "triple": Target().triple,
            "pipelines": len(coreset.candidates),
            "modules": len(mined.modules),
        }
        write_model(path, coreset.arrays(), target=TARGET, scope=scope)
        return Fitted(
            path=path,
            notes=(trial.sentence, *mined.notes),
            figures={
                "compilations": mined.evaluations,
                "saved_on_fit": _first_mean(mined),
                "saved_on_fit_shipped": mined.shipped,
            },
        )

    def evaluate(
        self, instance: Instance, model: FittedModel | None, *, seed: int, limit_s: float
    ) -> float:
        """Return the percentage saved on a module by the first pipeline."""
        coreset = self._shipped if model is None else read_fitted(model.arrays)
        assert self._folder is not None  # `prepare` ran before
        with ReplayEngine(instance.data, MeasurementLog(self._folder)) as engine:
            return 100.0 * _saved_first(engine, coreset)


def _instance(
    source: Source, options: CompileLearnOptions, every: Sequence[Source], workdir: Path
) -> Instance:
    name = source.name.lower()
    if name.endswith(_IR_SUFFIXES):
        bitcode = source.path.read_bytes()
    elif name.endswith((*C_SUFFIXES, *CXX_SUFFIXES)):
        bitcode = _compiled(source, options, every, workdir)
    else:
        raise InvalidInput(
            f"instances: {source.name}: expected a module (.c, .cc, .cpp, .cxx, .bc, .ll) or a "
            "header, got another file; leave it out"
        )
    return Instance(
        key=hashlib.sha256(bitcode).hexdigest(),
        name=source.name,
        data=OwnModule(name=source.name, bitcode=bitcode),
    )


def _compiled(
    source: Source, options: CompileLearnOptions, every: Sequence[Source], workdir: Path
) -> bytes:
    """Return a source's bitcode; headers are found beside it and in `include`."""
    root = _root(source)
    include = []
    for folder in options.include:
        path = root / folder
        if not path.is_dir():
            raise InvalidInput(
                f"compile.include: expected a folder of the archive, got {folder!r}"
            )
        include.append(path)
    copy = source.path
    if copy.suffix != Path(source.name).suffix:
        # A single upload has no name on disk, and the compiler goes by the suffix.
        copy = workdir / "sources" / f"{source.path.name}{Path(source.name).suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.path.read_bytes())
        root = copy.parent
    try:
        (bitcode,) = compile_to_bitcode(
            [copy],
            workdir=workdir / "front-end",
            target=Target(),
            flags=[f"-D{define}" for define in options.defines],
            tree=SourceTree(root=root, include=include),
            control=Control(timeout_s=_FRONTEND_S),
        )
    except SourceError as error:
        raise InvalidInput(
            f"instances: {source.name}: expected a source that compiles, got: {error}\nSend "
            "bitcode instead (-Oz -c -emit-llvm -Xclang -disable-llvm-passes), or add its headers "
            "to the archive and name their folders in compile.include"
        ) from None
    return bitcode


def _root(source: Source) -> Path:
    """Folder of the archive, of which a source's name is a path; else the file's own."""
    depth = len(Path(source.name).parts)
    inside = source.path.parts[-depth:] == Path(source.name).parts
    return source.path.parents[depth - 1] if inside else source.path.parent


def _ranker(
    modules: Sequence[OwnModule], mined: OwnCoreset, log: MeasurementLog, run: FitRun
) -> RankerTrial:
    """Describe the mined modules and try a ranker on them; none when the time is up."""
    by_name = {module.name: module for module in modules}
    features, rows = [], []
    for number, name in enumerate(mined.modules):
        if run.stop():
            break
        with ReplayEngine(by_name[name], log) as engine:
            described = _described(engine)
        if described is not None:
            features.append(described)
            rows.append(number)
    if not features:
        return RankerTrial(ranker=None, gain=0.0, error=0.0)
    return try_ranker(np.array(features), mined.saved[rows])


def _described(engine: ReplayEngine) -> np.ndarray | None:
    """Features of a module, with what -Oz made of it; None when it cannot be described."""
    try:
        oz = Recipe(pipeline=engine.default_pipelines()["Oz"])
        # Not from the log, which keeps no sections.
        (measured,) = engine.engine.measure([oz])
        if measured.sizes is None:
            return None
        return describe(engine.engine.features(), measured.sizes)
    except (BadModule, CandidateFailed, EngineDied):
        return None


def _saved_first(engine: ReplayEngine, coreset: FittedCoreset) -> float:
    """Share saved by the pipeline that a coreset tries first; 0 where larger or refused."""
    features = _described(engine) if coreset.ranker is not None else None
    candidate: Candidate = coreset.candidates[coreset.order(features)[0]]
    try:
        defaults = engine.default_pipelines()
        recipes = [Recipe(pipeline=defaults["Oz"]), candidate.recipe(defaults)]
        oz, measured = engine.measure(recipes)
    except (BadModule, BadPipeline, EngineDied):
        return 0.0
    if oz.sizes is None or measured.outcome is not Outcome.OK or measured.sizes is None:
        return 0.0
    base = oz.sizes.of(coreset.metric)
    return max(0.0, 1.0 - measured.sizes.of(coreset.metric) / base) if base else 0.0


def _first_mean(mined: OwnCoreset) -> float:
    return float(mined.saved[:, 0].mean()) if mined.saved.shape[1] else 0.0
