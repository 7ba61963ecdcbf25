"""`python -m workers.train compile STEP`: coresets and networks of kind compile.

The corpus has to be built first, by `python -m workers.corpus`.

Product mode: mine, mean, screen, keep, matrix, race, matrix again, coreset and policy, in this
order; `encoders` compares networks.
`own` mines a coreset on your own modules alone, and needs no corpus.
Paper mode: paper-discover, paper-table, paper-learn and paper-publish, in this order.
All steps resume, except `race`, which continues from the best pipeline so far.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cost_models.weights import FOLDER
from solvers.llvm.types import Metric
from workers.train.steps import (
    Run,
    StepError,
    Steps,
    add_step,
    progress,
    run_step,
    step_parser,
)

RESULTS = Path("bench-results")


def parser() -> argparse.ArgumentParser:
    """Return the command line of this kind."""
    root, steps = step_parser("compile", __doc__)
    _add_own_step(steps)
    _add_mining_steps(steps)
    _add_ordering_steps(steps)
    _add_paper_steps(steps)
    return root


def main(argv: list[str]) -> int:
    """Run one step."""
    return run_step(parser(), argv)


def _add_own_step(steps: Steps) -> None:
    own = add_step(steps, "own", _own, "mine a coreset on your own modules")
    own.add_argument(
        "--modules", type=Path, nargs="+", required=True, help="bitcode or textual IR"
    )
    own.add_argument("--out", type=Path, required=True, help="coreset, JSON")
    own.add_argument(
        "--work",
        type=Path,
        default=RESULTS / "train/compile-own",
        help="folder of the measurements, which a rerun replays",
    )
    own.add_argument("--evaluations", type=int, default=4000, help="compilations")
    own.add_argument("--seconds", type=float, help="time limit; default: none")
    own.add_argument("--count", type=int, default=12, help="number of pipelines")
    own.add_argument("--seed", type=int, default=0, help="of the changes")
    _add_metric(own)


def _add_mining_steps(steps: Steps) -> None:
    mine = _add(steps, "mine", _mine, "(1+1) search on every training module")
    mean = _add(
        steps, "mean", _mean, "the pipeline that is best on the mean, change by change"
    )
    screen = _add(
        steps, "screen", _screen, "measure all mined pipelines on small modules"
    )
    _add(
        steps, "keep", _keep, "keep the screened pipelines that are worth more measuring"
    )
    matrix = _add(steps, "matrix", _matrix, "measure the kept pipelines on every module")
    race = _add(
        steps, "race", _race, "the pipeline that is best on the mean, by racing changes"
    )
    race.add_argument("--seconds", type=float, default=900.0, help="duration")
    race.add_argument("--seed", type=int, default=0, help="of the changes")
    for step in (mine, mean, race):
        _add_metric(step)
    for step in (mine, screen, matrix):
        _add_part(step)


def _add_ordering_steps(steps: Steps) -> None:
    coreset = _add(
        steps, "coreset", _coreset, "publish the greedy coreset of each metric"
    )
    coreset.add_argument("--count", type=int, default=20, help="number of pipelines")
    policy = _add(steps, "policy", _policy, "train a network that orders the coreset")
    encoders = _add(steps, "encoders", _encoders, "compare GEAN, GRMP and Autophase")
    encoders.add_argument(
        "--results",
        type=Path,
        default=RESULTS / "compile-encoders.jsonl",
        help="output file",
    )
    encoders.add_argument("--seed", type=int, default=0, help="of weights and batches")
    encoders.add_argument(
        "--encoder",
        nargs="+",
        default=(),
        metavar="WORD",
        help="autophase, gean, grmp, rgcn, gat, gine, or paper (gean); default: the first three",
    )
    linked = _add(
        steps, "linked", _linked, "measure the coreset on linked programs, and publish it"
    )
    linked.add_argument("--programs", nargs="*", help="default: all for training")
    firmware = _add(
        steps,
        "firmware",
        _firmware,
        "measure coreset and code generation on firmware, and publish both orders",
    )
    firmware.add_argument("--programs", nargs="*", help="default: all for training")
    firmware.add_argument("--machines", nargs="*", help="default: all")
    for step in (coreset, policy, linked, firmware):
        step.add_argument(
            "--out", type=Path, default=FOLDER, help="folder of the weights"
        )
    for step in (policy, encoders):
        _add_metric(step)


def _add_paper_steps(steps: Steps) -> None:
    discover = _add(
        steps, "paper-discover", _paper_discover, "random sequences of flat passes"
    )
    table = _add(
        steps, "paper-table", _paper_table, "IR instructions of programs × sequences"
    )
    learn = _add(
        steps,
        "paper-learn",
        _paper_learn,
        "train and compare; report on held-out packages",
    )
    learn.add_argument(
        "--out", type=Path, default=RESULTS / "compile-paper.jsonl", help="output file"
    )
    publish = _add(
        steps,
        "paper-publish",
        _paper_publish,
        "publish the coreset of 50 and its network",
    )
    publish.add_argument(
        "--weights", type=Path, default=FOLDER, help="folder of the weights"
    )
    for step in (discover, table, learn):
        _add_part(step)
    for step in (learn, publish):
        step.add_argument(
            "--seed", type=int, default=0, help="of initial weights and batches"
        )


def _add(steps: Steps, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    step = add_step(steps, name, run, text)
    step.add_argument(
        "--work", type=Path, default=RESULTS / "train/compile", help="the corpus folder"
    )
    return step


def _add_metric(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--metric", type=Metric, choices=list(Metric), default=Metric.LOADABLE_BYTES
    )


def _add_part(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--part",
        type=int,
        default=0,
        help="index of this process, when several share the work",
    )
    step.add_argument(
        "--parts", type=int, default=1, help="number of processes that share the work"
    )


def _part(options: argparse.Namespace) -> tuple[int, int]:
    return options.part, options.parts


def _own(options: argparse.Namespace) -> None:
    import time

    from workers.train.compile.own import (
        MiningLimits,
        MiningProgress,
        mine_own,
        read_modules,
        write_coreset,
    )

    say = progress(options)
    ends = time.monotonic() + options.seconds if options.seconds else float("inf")

    def report(step: MiningProgress) -> None:
        say(f"{step.stage}: {step.saved:.2%} after {step.evaluations} compilations")

    try:
        coreset = mine_own(
            read_modules(options.modules),
            options.work,
            metric=options.metric,
            seed=options.seed,
            limits=MiningLimits(
                evaluations=options.evaluations,
                count=options.count,
                stopped=lambda: time.monotonic() >= ends,
            ),
            report=report,
        )
    except ValueError as error:
        raise StepError(str(error)) from None
    write_coreset(coreset, options.out)
    say(
        f"first pipeline {coreset.saved[:, :1].mean():.2%}, shipped {coreset.shipped:.2%}; "
        f"{len(coreset.candidates)} pipelines in {options.out}"
    )


def _mine(options: argparse.Namespace) -> None:
    from workers.train.compile.mine import mine

    mine(options.work, metric=options.metric, say=progress(options), part=_part(options))


def _mean(options: argparse.Namespace) -> None:
    from workers.train.compile.mine import best_on_mean

    best_on_mean(options.work, metric=options.metric, say=progress(options))


def _screen(options: argparse.Namespace) -> None:
    from workers.train.compile.screen import screen

    screen(options.work, say=progress(options), part=_part(options))


def _keep(options: argparse.Namespace) -> None:
    from workers.train.compile.screen import keep

    keep(options.work, say=progress(options))


def _matrix(options: argparse.Namespace) -> None:
    from workers.train.compile.matrix import measure

    measure(
        options.work, splits=("train", "val"), say=progress(options), part=_part(options)
    )


def _race(options: argparse.Namespace) -> None:
    from workers.train.compile.race import race

    race(
        options.work,
        metric=options.metric,
        seconds=options.seconds,
        seed=options.seed,
        say=progress(options),
    )


def _coreset(options: argparse.Namespace) -> None:
    from workers.train.compile.coreset import publish_coreset

    publish_coreset(
        options.work,
        count=options.count,
        out=options.out,
        command=f"python -m workers.train compile coreset --count {options.count}",
        say=progress(options),
    )


def _linked(options: argparse.Namespace) -> None:
    from workers.corpus.training_images import TRAINING
    from workers.train.compile.linked import measure_linked, publish_linked

    programs = options.programs or list(TRAINING)
    if wrong := [name for name in programs if name not in TRAINING]:
        raise StepError(
            f"programs: expected some of {', '.join(TRAINING)}, got {wrong[0]!r}"
        )
    say = progress(options)
    options.work.mkdir(parents=True, exist_ok=True)
    measure_linked(options.work, programs=programs, say=say)
    try:
        publish_linked(
            options.work,
            out=options.out,
            command="python -m workers.train compile linked",
            say=say,
        )
    except ValueError as error:
        raise StepError(str(error)) from None


def _firmware(options: argparse.Namespace) -> None:
    from workers.corpus.training_firmware import TRAINING
    from workers.train.compile.firmware import (
        ARCHITECTURES,
        measure_firmware,
        publish_firmware,
    )

    say = progress(options)
    options.work.mkdir(parents=True, exist_ok=True)
    for words, known in ((options.programs, TRAINING), (options.machines, ARCHITECTURES)):
        if wrong := [name for name in words or () if name not in known]:
            raise StepError(f"expected some of {', '.join(known)}, got {wrong[0]!r}")
    for machine in ARCHITECTURES if options.machines is None else options.machines:
        names = TRAINING if options.programs is None else options.programs
        measure_firmware(options.work, machine=machine, programs=list(names), say=say)
    try:
        publish_firmware(
            options.work,
            out=options.out,
            command="python -m workers.train compile firmware",
            say=say,
        )
    except (ValueError, TypeError) as error:
        raise StepError(f"nothing to publish: {error}") from None


def _policy(options: argparse.Namespace) -> None:
    from workers.train.compile.policy import train

    train(
        options.work,
        metric=options.metric,
        out=options.out,
        command=f"python -m workers.train compile policy --metric {options.metric.value}",
        say=progress(options),
    )


def _encoders(options: argparse.Namespace) -> None:
    import torch  # only the networks need it

    from workers.train.compile.encoders import ENCODERS, compare

    if wrong := [word for word in options.encoder if word not in ENCODERS]:
        raise StepError(
            f"encoder: expected one of {', '.join(ENCODERS)}, got {wrong[0]!r}"
        )
    torch.set_num_threads(1)
    compare(
        options.work,
        metric=options.metric,
        out=options.results,
        seed=options.seed,
        say=progress(options),
        encoders=options.encoder,
    )


def _paper_discover(options: argparse.Namespace) -> None:
    from workers.train.compile.paper.discover import discover

    discover(options.work, say=progress(options), part=_part(options))


def _paper_table(options: argparse.Namespace) -> None:
    from workers.train.compile.paper.discover import table

    table(options.work, say=progress(options), part=_part(options))


def _paper_learn(options: argparse.Namespace) -> None:
    import torch  # only the networks need it

    from workers.train.compile.paper.learn import compare

    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    compare(
        options.work,
        out=options.out,
        seed=options.seed,
        say=progress(options),
        part=_part(options),
    )


def _paper_publish(options: argparse.Namespace) -> None:
    from workers.train.compile.paper.learn import publish_paper

    publish_paper(
        options.work, out=options.weights, seed=options.seed, say=progress(options)
    )
