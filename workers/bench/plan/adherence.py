"""`python -m workers.bench plan adherence`: passages of reports with and without control.

A leaf is a passage of a report of random results: its sentences without their figures. The model
writes the passage from the report's topic and its predecessor, under a grammar without digits, in
two arms: free, and held to the leaf by `search.control`. A passage keeps to its leaf when its
similarity to it is above the cut that 5 % of shuffled pairs pass; the judge is MiniLM
(`workers.bench.plan.encoder`), or word vectors weighted by inverse document frequency without it.
Slots are filled by templates in both arms, so they are present in all passages.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.control import leaf_conditions
from search.domains.plan.ledger import ledger_of
from search.domains.plan.report.prose import lexicons
from search.domains.plan.report.write import written
from search.text_model import (
    Ended,
    Grammar,
    Message,
    Sampling,
    TextModel,
    TextRequest,
)
from workers.bench.plan.report import passages_of
from workers.bench.plan.results import plan_of

Line = dict[str, Any]
Similarity = Callable[[Sequence[str], Sequence[str]], NDArray[np.float64]]
TOKENS = 40
FALSE_POSITIVES = 0.05
_PASSAGE = Grammar(regex=r"[A-Z][a-zA-Z ,;:'()-]{30,240}\.")
_SYSTEM = (
    "You write passages of a technical report in plain words. You never write numbers."
)
_RESAMPLES = 2000
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A passage to be written."""

    topic: str
    before: str  # the passage before it
    text: str  # what it has to tell, without figures


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a model wrote for a leaf."""

    text: str
    tokens: int
    nats: float  # of the text under the model, without control


def leaves(count: int, *, seed: int) -> list[Leaf]:
    """Return different leaves of reports of random results."""
    found: dict[str, Leaf] = {}
    number = seed
    while len(found) < count:
        outline, jobs = plan_of(number)
        report = written(outline, jobs, ledger_of(outline, jobs), seed=number)
        kinds = {f.leaf: str(f.value) for f in report.facts if f.name == "kind"}
        labels = {f.id: f"the {f.label}" if f.label else f.shown for f in report.facts}
        before = ""
        for passage in passages_of(report):
            kind = kinds.get(passage.leaf, "")
            text = " ".join(
                "".join(
                    labels[piece.fact] if piece.fact else piece.text
                    for piece in sentence.pieces
                )
                for sentence in passage.sentences
                if sentence.source == "template" and sentence.template != "figures"
            )
            text = " ".join(re.sub(r"[^A-Za-z ,;:'.-]", " ", text).split())
            if passage.about in ("asked", "outcome", "check", "limits") and text:
                if before and kind in lexicons() and len(text.split()) >= 8:
                    topic = lexicons()[kind].topic
                    found.setdefault(text, Leaf(topic=topic, before=before, text=text))
                before = text
        number += 1
    rows = list(found.values())
    random.Random(seed).shuffle(rows)
    return rows[:count]


def arm(
    model: TextModel, rows: Sequence[Leaf], *, substep: int, seed: int
) -> tuple[list[Written], float]:
    """Return what the model writes for leaves, and the processor seconds of writing."""
    began = time.process_time()
    with ThreadPoolExecutor(max(1, min(8, model.capabilities.streams))) as pool:
        texts = list(
            pool.map(
                lambda row: _passage(model, row[1], substep, seed + row[0]),
                enumerate(rows),
            )
        )
    spent = time.process_time() - began
    scored = [
        Written(text=text, tokens=count, nats=-model.score(_plain(row), [text])[0])
        for (text, count), row in zip(texts, rows, strict=True)
    ]
    return scored, spent


def _plain(row: Leaf) -> str:
    return f"A report about {row.topic}. {row.before} "


def _passage(model: TextModel, row: Leaf, substep: int, seed: int) -> tuple[str, int]:
    user = (
        f"The report is about {row.topic}. The passage before reads: {row.before} "
        f"The next passage tells this: {row.text} Write the next passage."
    )
    request = TextRequest(
        messages=(Message(role="system", text=_SYSTEM), Message(role="user", text=user)),
        sampling=Sampling(max_tokens=TOKENS, temperature=0.8, top_p=0.95, seed=seed),
        grammar=_PASSAGE,
        control=leaf_conditions(row.text, substep) if substep else (),
    )
    ended = Ended()
    tokens = list(model.generate(request, ended))
    return "".join(token.text for token in tokens).strip(), len(tokens)


def judged(
    model: TextModel, *, count: int, seed: int, substeps: Sequence[int]
) -> Iterator[Line]:
    """Yield the lines of all arms, judged by word vectors over the leaves."""
    corpus = [row.text for row in leaves(count, seed=seed)]
    yield from lines(
        model,
        count=count,
        seed=seed,
        substeps=substeps if model.capabilities.control else substeps[:1],
        similarity=word_vectors(corpus),
        judge="word vectors",
    )


def lines(
    model: TextModel,
    *,
    count: int,
    seed: int,
    substeps: Sequence[int],
    similarity: Similarity,
    judge: str,
) -> Iterator[Line]:
    """Yield a line for each arm; substep 0 is without control, and comes first."""
    rows = leaves(count, seed=seed)
    results = {sub: arm(model, rows, substep=sub, seed=seed) for sub in substeps}
    texts = [row.text for row in rows]
    shuffled = [*texts[1:], texts[0]]
    cut = float(
        np.quantile(
            np.concatenate(
                [similarity([w.text for w in ws], shuffled) for ws, _ in results.values()]
            ),
            1 - FALSE_POSITIVES,
        )
    )
    free: NDArray[np.bool_] | None = None
    for substep, (passages, spent) in results.items():
        kept = similarity([w.text for w in passages], texts) > cut
        tokens = sum(w.tokens for w in passages)
        line: Line = {
            "figure": "adherence",
            "judge": judge,
            "cut": cut,
            "substep": substep,
            "leaves": len(rows),
            "adherence": float(kept.mean()),
            "perplexity": math.exp(sum(w.nats for w in passages) / max(1, tokens)),
            "rep4": float(np.mean([repeated(w.text) for w in passages])),
            "tokens": tokens,
            "tokens_per_cpu_s": tokens / spent,
            "examples": [w.text for w in passages[:3]],
        }
        if free is None:
            free = kept
        else:
            line["gain_points"], line["interval"] = _gain(kept, free, seed)
        yield line


def _gain(
    held: NDArray[np.bool_], free: NDArray[np.bool_], seed: int
) -> tuple[float, list[float]]:
    """Return the difference in points and its 95 % interval, by a paired bootstrap."""
    differences = held.astype(float) - free.astype(float)
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(differences), size=(_RESAMPLES, len(differences)))
    means = differences[draws].mean(axis=1)
    ends = np.quantile(means, [0.025, 0.975])
    return 100 * float(differences.mean()), [100 * float(end) for end in ends]


def repeated(text: str, n: int = 4) -> float:
    """Return the share of n-grams of words that occurred before in the text (rep-n)."""
    words = _WORD.findall(text.lower())
    grams = list(zip(*(words[i:] for i in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def word_vectors(corpus: Sequence[str]) -> Similarity:
    """Return the cosine of word counts, weighted by inverse document frequency in a corpus."""
    documents = Counter(w for text in corpus for w in set(_WORD.findall(text.lower())))

    def weights(text: str) -> dict[str, float]:
        counts = Counter(_WORD.findall(text.lower()))
        raw = {
            w: n * math.log((1 + len(corpus)) / (1 + documents[w]))
            for w, n in counts.items()
        }
        length = math.sqrt(sum(v * v for v in raw.values())) or 1.0
        return {w: v / length for w, v in raw.items()}

    def similarity(first: Sequence[str], second: Sequence[str]) -> NDArray[np.float64]:
        pairs = zip(map(weights, first), map(weights, second), strict=True)
        return np.array([sum(v * b.get(w, 0.0) for w, v in a.items()) for a, b in pairs])

    return similarity
