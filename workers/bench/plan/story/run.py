"""`python -m workers.bench plan story`: write stories for all premises and arms, and judge them.

A line is an outline, or one story: premise, arm, seed, its passages, and figures that need no other
story. What is there is not written again, so an interrupted run goes on with the outlines that it
has: a new one would differ, since answers of a batch differ in their last bits. `judged` adds what
needs all stories: adherence to the leaves, and differences of the arms.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from search.text_model import TextModel
from workers.bench.plan.story.draft import ARMS, Passage, draft
from workers.bench.plan.story.outline import Node, outline_of
from workers.bench.plan.story.premises import PREMISES
from workers.bench.plan.story.words import distinct, rep
from workers.bench.stats import bootstrap_interval

Line = dict[str, Any]
FALSE_POSITIVES = 0.05
"""Share of shuffled pairs of passage and leaf that the judge's cut lets through."""


class Judge(Protocol):
    """Sentence vectors of a model that neither wrote nor controlled the text."""

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return [n, width] vectors of length 1."""
        ...


def write_stories(
    model: TextModel,
    stored: Sequence[Line],
    *,
    premises: int = len(PREMISES),
    seeds: int = 1,
    arms: Sequence[str] = ARMS,
    threads: int = 8,
) -> Iterator[Line]:
    """Yield a line for each outline and story that is not `stored`, several side by side."""
    stories = [(premise, seed) for seed in range(seeds) for premise in range(premises)]
    done = {(line["premise"], line["seed"], line.get("arm")) for line in stored}
    outlines = {
        (line["premise"], line["seed"]): Node.of(line["outline"])
        for line in stored
        if "outline" in line
    }

    def outlined(key: tuple[int, int]) -> tuple[tuple[int, int], Node]:
        return key, outline_of(PREMISES[key[0]], model, seed=key[1])

    def told(key: tuple[int, int], arm: str) -> Line:
        began = time.monotonic()
        passages = draft(arm, outlines[key], model, seed=key[1])
        return story_line(model, key, arm, outlines[key], passages) | {
            "seconds": round(time.monotonic() - began, 1)
        }

    with ThreadPoolExecutor(threads) as pool:
        missing = [key for key in stories if key not in outlines]
        for key, outline in pool.map(outlined, missing):
            outlines[key] = outline
            yield {"premise": key[0], "seed": key[1], "outline": outline.as_data()}
        jobs = [
            pool.submit(told, key, arm)
            for key in stories
            for arm in arms
            if (*key, arm) not in done and outlines[key].leaves()
        ]
        for job in as_completed(jobs):
            yield job.result()


def story_line(
    model: TextModel,
    key: tuple[int, int],
    arm: str,
    outline: Node,
    passages: Sequence[Passage],
) -> Line:
    """Return what is stored of a story."""
    text = "".join(passage.text for passage in passages).strip()
    return {
        "premise": key[0],
        "arm": arm,
        "seed": key[1],
        "leaves": [node.text for node in outline.leaves()],
        "items": [node.text for node in outline.children],
        "passages": [{"leaf": p.leaf, "text": p.text} for p in passages],
        "words": len(text.split()),
        "rep4": round(rep(text, 4), 4),
        "distinct2": round(distinct(text, 2), 4),
        "perplexity": round(perplexity(model, text), 3),
    }


def perplexity(model: TextModel, text: str) -> float:
    """Return the perplexity of a text under the language model, without control or prompt."""
    first, _, rest = text.partition(" ")
    if not rest:
        return math.nan
    tokens = len(model.tokenize(f" {rest}"))
    return math.exp(-model.score(first, [f" {rest}"])[0] / tokens)


def windows(text: str, count: int) -> list[str]:
    """Cut a story into `count` passages of equal numbers of words."""
    all_words = text.split()
    cuts = [round(i * len(all_words) / count) for i in range(count + 1)]
    return [" ".join(all_words[a:b]) for a, b in itertools.pairwise(cuts)]


def adherence(
    lines: Sequence[Line], judge: Judge
) -> dict[tuple[int, str, int], list[bool]]:
    """Return for each story which leaves its passages tell, by the judge.

    A story is cut into as many windows as the outline has leaves, whatever its arm; window i is
    judged against leaf i. The cut lets 5 % of shuffled pairs through, over all stories: a passage
    with a leaf of another premise.
    """
    passages, leaves, owner = [], [], []
    for line in lines:
        text = "".join(passage["text"] for passage in line["passages"])
        passages += windows(text, len(line["leaves"]))
        leaves += line["leaves"]
        owner += [(line["premise"], line["arm"], line["seed"])] * len(line["leaves"])
    written, meant = judge.vectors(passages), judge.vectors(leaves)
    near = written @ meant.T
    premise = np.array([key[0] for key in owner])
    foreign = near[premise[:, None] != premise[None]]
    cut = np.quantile(foreign, 1 - FALSE_POSITIVES)
    verdicts: dict[tuple[int, str, int], list[bool]] = {}
    for i, key in enumerate(owner):
        verdicts.setdefault(key, []).append(bool(near[i, i] > cut))
    return verdicts


def judged(lines: Sequence[Line], judge: Judge) -> Iterator[Line]:
    """Yield a line of figures for each story, its text left out."""
    verdicts = adherence(lines, judge)
    for line in lines:
        key = (line["premise"], line["arm"], line["seed"])
        head = {
            name: line[name] for name in ("premise", "arm", "words", "rep4", "distinct2")
        }
        yield head | {
            "story_seed": line["seed"],
            "perplexity": line["perplexity"],
            "told": verdicts[key],
        }


def paired(
    lines: Sequence[Mapping[str, Any]],
    figure: str,
    arm: str,
    base: str,
    *,
    draws: int = 4000,
) -> tuple[float, float, float]:
    """Return the mean difference of two arms over premises, with a bootstrap interval of 95 %."""
    values: dict[str, dict[int, list[float]]] = {arm: {}, base: {}}
    for line in lines:
        if line["arm"] in values:
            value = np.mean(line["told"]) if figure == "told" else line[figure]
            values[line["arm"]].setdefault(line["premise"], []).append(float(value))
    both = sorted(set(values[arm]) & set(values[base]))
    gaps = np.array([np.mean(values[arm][p]) - np.mean(values[base][p]) for p in both])
    low, high = bootstrap_interval(gaps.tolist(), resamples=draws)
    return float(gaps.mean()), low, high
