"""`python -m workers.bench plan adherence`: passages of reports with and without control.

A leaf is a passage of a report of random results: its sentences without their figures. The model
writes the passage from the report's topic and the leaf, under a grammar without digits, in two
arms: free, and held to the leaf by `search.control`. Passages are stored, so that an arm that was
interrupted goes on and a judge can be changed. A passage keeps to its leaf when its
similarity to it is above the cut that 5 % of shuffled pairs pass. There are two judges: word
vectors weighted by inverse document frequency, and MiniLM (`workers.bench.plan.encoder`) where it
is installed.
Slots are filled by templates in both arms, so they are present in all passages.
"""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.condition import Condition
from search.domains.plan.ledger import ledger_of
from search.domains.plan.report.prose import lexicons
from search.domains.plan.report.write import OF_LEAF, written
from search.text_model import (
    Ended,
    Grammar,
    Message,
    Sampling,
    TextModel,
    TextRequest,
)
from workers.bench.lines import earlier_lines
from workers.bench.plan.encoder import Encoder
from workers.bench.plan.report import passages_of
from workers.bench.plan.results import plan_of
from workers.bench.stats import bootstrap_interval
from workers.corpus.minilm import EncoderMissing

Line = dict[str, Any]
Similarity = Callable[[Sequence[str], Sequence[str]], NDArray[np.float64]]
TOKENS = 28
BATCH = 16
FALSE_POSITIVES = 0.05
_PASSAGE = Grammar(regex=r"[A-Z][a-zA-Z ,;:'()-]+\.")
_SYSTEM = (
    "You write passages of a technical report in plain words. You never write numbers."
)
_LEAST_WORDS = 8  # of a leaf
_MOST_WORDS = 40  # of a condition; training reads items of about as many
_RESAMPLES = 2000
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A passage to be written."""

    topic: str
    text: str  # what it has to tell, without figures

    @property
    def event(self) -> str:
        """Return its beginning, which a condition can hold."""
        return " ".join(self.text.split()[:_MOST_WORDS])


@dataclass(frozen=True, kw_only=True)
class Written:
    """Text that a model wrote for a leaf."""

    text: str
    tokens: int
    nats: float  # of the text under the model, without control
    cpu_s: float  # of writing it, as a share of its batch


def leaves(count: int, *, seed: int) -> list[Leaf]:
    """Return different leaves of reports of random results."""
    by_text: dict[str, Leaf] = {}
    number = seed
    while len(by_text) < count:
        outline, jobs = plan_of(number)
        report = written(outline, jobs, ledger_of(outline, jobs), seed=number)
        kinds = {f.leaf: str(f.value) for f in report.facts if f.name == "kind"}
        labels = {f.id: f"the {f.label}" if f.label else f.shown for f in report.facts}
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
            long = len(text.split()) >= _LEAST_WORDS
            if passage.about in OF_LEAF and kind in lexicons() and long:
                topic = lexicons()[kind].topic
                by_text.setdefault(text, Leaf(topic=topic, text=text))
        number += 1
    rows = list(by_text.values())
    random.Random(seed).shuffle(rows)
    return rows[:count]


def arm(
    model: TextModel, rows: Sequence[Leaf], store: Path, *, strength: float, seed: int
) -> list[Written]:
    """Return what the model writes for leaves; passages in `store` are not written again."""
    done = _stored(store, strength, seed)
    streams = max(1, min(8, model.capabilities.streams))
    with ThreadPoolExecutor(streams) as pool, store.open("a") as file:
        for first in range(len(done), len(rows), BATCH):
            batch = rows[first : first + BATCH]
            began = time.process_time()
            texts = list(
                pool.map(
                    lambda row: _passage(model, row[1], strength, seed + row[0]),
                    enumerate(batch, start=first),
                )
            )
            spent = (time.process_time() - began) / len(batch)
            for (text, count), row in zip(texts, batch, strict=True):
                nats = -model.score(f"A report about {row.topic}. ", [text])[0]
                passage = Written(text=text, tokens=count, nats=nats, cpu_s=spent)
                done.append(passage)
                line = {"strength": strength, "seed": seed, **asdict(passage)}
                file.write(json.dumps(line) + "\n")
            file.flush()
    return done[: len(rows)]


def _stored(store: Path, strength: float, seed: int) -> list[Written]:
    store.parent.mkdir(parents=True, exist_ok=True)
    fields = ("text", "tokens", "nats", "cpu_s")
    return [
        Written(**{name: row[name] for name in fields})
        for row in earlier_lines(store)
        if (row["strength"], row["seed"]) == (strength, seed)
    ]


def _passage(model: TextModel, row: Leaf, strength: float, seed: int) -> tuple[str, int]:
    user = (
        f"The report is about {row.topic}. The next passage tells this: {row.text} "
        "Write the passage."
    )
    request = TextRequest(
        messages=(Message(role="system", text=_SYSTEM), Message(role="user", text=user)),
        sampling=Sampling(max_tokens=TOKENS, temperature=0.8, top_p=0.95, seed=seed),
        grammar=_PASSAGE,
        control=(Condition(text=row.event, strength=strength),) if strength else (),
    )
    ended = Ended()
    tokens = list(model.generate(request, ended))
    return "".join(token.text for token in tokens).strip(), len(tokens)


def judged(
    model: TextModel, store: Path, *, count: int, seed: int, strengths: Sequence[float]
) -> Iterator[Line]:
    """Yield the lines of all arms, by MiniLM where it is installed, else by word vectors."""
    rows = leaves(count, seed=seed)
    arms = {
        sub: arm(model, rows, store, strength=sub, seed=seed)
        for sub in strengths
        if not sub or model.capabilities.control
    }
    for judge, similarity in judges(rows):
        yield from lines(rows, arms, similarity, judge=judge, seed=seed)


def judges(rows: Sequence[Leaf]) -> Iterator[tuple[str, Similarity]]:
    """Yield the names and similarities of the judges at hand."""
    yield "word vectors", word_vectors([row.text for row in rows])
    try:
        encoder = Encoder()
    except EncoderMissing:
        return

    vectors: dict[str, NDArray[np.float32]] = {}

    def similarity(first: Sequence[str], second: Sequence[str]) -> NDArray[np.float64]:
        # Of like lengths together: the encoder pads a batch to its longest text.
        new = sorted({*first, *second} - vectors.keys(), key=len)
        if new:
            vectors.update(zip(new, encoder.vectors(new), strict=True))
        pairs = zip(first, second, strict=True)
        return np.array([float(vectors[a] @ vectors[b]) for a, b in pairs])

    yield "MiniLM", similarity


def lines(
    rows: Sequence[Leaf],
    arms: Mapping[float, Sequence[Written]],
    similarity: Similarity,
    *,
    judge: str,
    seed: int,
) -> Iterator[Line]:
    """Yield a line for each arm by its strength; 0 is without control, and comes first."""
    texts = [row.text for row in rows]
    shuffled = [*texts[1:], texts[0]]
    cut = float(
        np.quantile(
            np.concatenate(
                [similarity([w.text for w in ws], shuffled) for ws in arms.values()]
            ),
            1 - FALSE_POSITIVES,
        )
    )
    free: NDArray[np.bool_] | None = None
    for strength, passages in arms.items():
        adherent = similarity([w.text for w in passages], texts) > cut
        tokens = sum(w.tokens for w in passages)
        spent = sum(w.cpu_s for w in passages)
        line: Line = {
            "figure": "adherence",
            "judge": judge,
            "cut": cut,
            "strength": strength,
            "leaves": len(rows),
            "adherence": float(adherent.mean()),
            "perplexity": math.exp(sum(w.nats for w in passages) / max(1, tokens)),
            "rep4": float(np.mean([repeated(w.text) for w in passages])),
            "tokens": tokens,
            "tokens_per_cpu_s": tokens / max(spent, 1e-9),
            "examples": [w.text for w in passages[:3]],
        }
        if free is None:
            free = adherent
        else:
            line["gain_points"], line["interval"] = _gain(adherent, free, seed)
        yield line


def _gain(
    held: NDArray[np.bool_], free: NDArray[np.bool_], seed: int
) -> tuple[float, list[float]]:
    """Return the difference in points and its 95 % interval, by a paired bootstrap."""
    differences = held.astype(float) - free.astype(float)
    ends = bootstrap_interval(differences.tolist(), resamples=_RESAMPLES, seed=seed)
    return 100 * float(differences.mean()), [100 * end for end in ends]


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
