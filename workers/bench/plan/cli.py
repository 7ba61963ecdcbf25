"""`python -m workers.bench plan NAME`: outlines, reports, the controller, stories."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workers.bench.lines import earlier_lines, write_lines

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = (
    ("goals",),
    ("report",),
    ("adherence",),
    ("hostile",),
    ("control",),
    ("story",),
)
Line = dict[str, Any]


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    options = _parser().parse_args(argv)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before a suite imports numpy
    out = options.out or Path(f"bench-results/plan-{options.suite}.jsonl")
    lines = SUITES[options.suite](options)
    write_lines(lines, suite=f"plan-{options.suite}", seed=options.seed, out=out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench plan", description=__doc__
    )
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument("--goals", type=Path, help="JSON lines of `goals`; default: ours")
    parser.add_argument(
        "--held-out", type=Path, help="sealed JSON lines of `goals`: only sums are shown"
    )
    parser.add_argument(
        "--arms", nargs="*", default=["templates"], help="see workers.bench.plan.arms"
    )
    parser.add_argument(
        "--unseen",
        type=Path,
        help="folder of `python -m workers.train plan roles` with models that have not seen an "
        "author, for `authors`",
    )
    parser.add_argument("--limit", type=int, help="goals, plans or leaves")
    parser.add_argument(
        "--model",
        default="embedded",
        help="language model of `report`, `adherence`; or none",
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train/text"),
        help="states of `python -m workers.train text control`, for `control`",
    )
    parser.add_argument(
        "--share", type=float, default=0.5, help="of the documents, as in training"
    )
    parser.add_argument(
        "--positions", type=int, default=300, help="of `control`'s parity"
    )
    parser.add_argument(
        "--tokens", type=int, default=64, help="of each answer of `control`"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="of `control`'s tokens a second"
    )
    parser.add_argument(
        "--passages", type=Path, help="texts of `adherence`, to resume and to judge"
    )
    parser.add_argument(
        "--strengths",
        type=float,
        nargs="*",
        default=[0.0, 2.0, 3.0, 5.0],
        help="of `adherence`; 0 is without control, and comes first",
    )
    parser.add_argument("--parts", nargs="*", help="of `control`; default all")
    parser.add_argument("--premises", type=int, default=20, help="of `story`")
    parser.add_argument("--seeds", type=int, default=1, help="of `story`")
    parser.add_argument("--story-arms", nargs="*", help="of `story`; default all")
    parser.add_argument(
        "--stories", type=Path, help="texts of `story`, to resume and to judge"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default bench-results/plan-NAME.jsonl")
    return parser


def _goals(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.plan import arms, goals
    from workers.corpus.goals import references
    from workers.corpus.goals.files import FOLDER, contents

    path = options.held_out or options.goals or FOLDER / "developer.jsonl"
    return goals.lines(
        {name: arms.planner(name) for name in options.arms},
        references.load(path)[: options.limit],
        contents(),
        held_out=options.held_out is not None,
        seed=options.seed,
    )


def _hostile(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.plan import arms, hostile

    return hostile.lines({name: arms.planner(name) for name in options.arms})


def _durations(options: argparse.Namespace) -> Iterator[Line]:
    from trimtab.estimates import TABLE
    from workers.bench.plan import durations

    return durations.lines(TABLE)


def _report(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.plan import report

    yield from report.fuzz(count=options.limit or 1000, seed=options.seed)
    plan = report.recorded(report.RECORDED)
    yield from report.long_report(plan, None, seed=options.seed)
    if options.model != "none":
        from workers.llm.open import open_model

        model = open_model(options.model)
        yield from report.long_report(plan, model, seed=options.seed)
        model.close()


def _adherence(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.plan import adherence
    from workers.llm.open import open_model

    model = open_model(options.model if options.model != "none" else "embedded")
    yield from adherence.judged(
        model,
        options.passages or Path("bench-results/plan-passages.jsonl"),
        count=options.limit or 390,
        seed=options.seed,
        strengths=options.strengths,
    )
    model.close()


def _authors(options: argparse.Namespace) -> Iterator[Line]:
    """Run the planner on the goals of each author: only sums, one line for each set.

    With `--unseen`, the authors that have a model which never saw them, with that model.
    """
    from workers.bench.plan import goals
    from workers.bench.plan.arms import planner, unseen
    from workers.corpus.goals.files import FOLDER, contents
    from workers.corpus.goals.references import load

    content = contents()
    for path in sorted(FOLDER.glob("*.jsonl")):
        if path.stem in goals.NO_GOALS:
            continue
        file = options.unseen and options.unseen / f"without-{path.stem}.npz"
        if file and not file.is_file():
            continue
        rows = goals.lines(
            {"unseen": unseen(file)} if file else {"templates": planner("templates")},
            load(path),
            content,
            held_out=True,
            seed=options.seed,
        )
        for row in rows:
            yield {"set": path.stem, **row}


def _control(options: argparse.Namespace) -> Iterator[Line]:
    import torch

    from workers.bench.plan import control
    from workers.bench.plan.story.premises import PREMISES

    torch.set_num_threads(1)
    prompts = list(PREMISES)
    parts: dict[str, Iterator[Line]] = {
        "posterior": control.posterior(),
        "base": control.base(prompts=prompts[:8], tokens=options.tokens),
        "held-out": control.held_out(options.work, share=options.share),
        "parity": control.parity(
            options.work,
            share=options.share,
            positions=options.positions,
            top=20,
            seed=options.seed,
        ),
        "speed": control.speed(
            prompts=prompts[:8], tokens=options.tokens, rounds=options.rounds
        ),
    }
    for part in options.parts or parts:
        yield from parts[part]


def _story(options: argparse.Namespace) -> Iterator[Line]:
    """Write what is missing of --stories, then judge all of them."""
    import torch

    from workers.bench.plan.encoder import Encoder
    from workers.bench.plan.story import run
    from workers.bench.plan.story.draft import ARMS
    from workers.llm.open import open_model

    torch.set_num_threads(1)
    texts = options.stories or Path("bench-results/plan-story-texts.jsonl")
    lines = earlier_lines(texts)
    model = open_model("embedded")
    made = run.write_stories(
        model,
        lines,
        premises=options.premises,
        seeds=options.seeds,
        arms=options.story_arms or ARMS,
    )
    write_lines(made, suite="plan-story-texts", seed=options.seed, out=texts)
    model.close()
    stories = [line for line in earlier_lines(texts) if "arm" in line]
    yield from run.judged(stories, Encoder())


SUITES: Mapping[str, Callable[[argparse.Namespace], Iterator[Line]]] = MappingProxyType(
    {
        "goals": _goals,
        "authors": _authors,
        "hostile": _hostile,
        "durations": _durations,
        "report": _report,
        "adherence": _adherence,
        "control": _control,
        "story": _story,
    }
)
