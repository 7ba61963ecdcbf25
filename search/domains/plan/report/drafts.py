"""Joining sentences by a language model: candidates, filter, choice by the model's own scores.

For each place four candidates are drawn under the grammar of `prose`. Of those that the filter
passes, the most relevant one is taken: a sentence is relevant when the model finds it likelier
after the topic than without it, per token (pointwise mutual information). Words that stood in an
earlier sentence count against it. Without a relevant one, the template's own joiner stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from search.condition import Condition
from search.domains.plan.report.prose import Lexicon, fault_of, lexicons
from search.domains.plan.reports import Part, Passage, Piece, Report, Section, Sentence
from search.stop import StoppingCriterion
from search.text_model import (
    Ended,
    Finish,
    Message,
    Sampling,
    TextModel,
    TextModelError,
    TextRequest,
)

CANDIDATES = 4
MOST_TOKENS = 40
TEMPERATURE, TOP_P = 0.4, 0.95
# Nats per token. Sentences that a person would let pass had 2.1 to 2.8, others 0.7 to 1.6; of 14
# that passed a limit of 2.0, three read badly (SmolLM2-135M, read on 30 November 2026).
LEAST_RELEVANCE = 2.4
REPETITION = 0.5  # nats per token, for a sentence of words that have all been used before
_RESERVE_S, _RESERVE_SHARE = 5.0, 0.15  # left for the check and the files
# Of the control: 1 samples the exact posterior for an exact head. At 3, leaves gain more than 10
# points of adherence at no more perplexity; at 5 perplexity rises by 13 % (deploy/docs/measured,
# plans).
_STRENGTH = 3.0
_SYSTEM = "You write one plain sentence for a technical report. You never write numbers."
# Joiners that say what a part is about. Those that explain a figure stay: a small model explains
# badly.
_REPLACED = ("asked", "comparison")
OnPassage = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A joining sentence that may be replaced."""

    passage: str
    kind: str  # of its words: a kind of job, or `comparison`
    number: int


@dataclass(kw_only=True)
class Drafts:
    """Drafted sentences by place, and how many of them were kept."""

    sentences: dict[tuple[str, int], str] = field(default_factory=dict)
    drafted: int = 0
    refused: dict[str, int] = field(default_factory=dict)  # by reason


def with_joiners(report: Report, drafts: Drafts, model: TextModel) -> Report:
    """Return a report with the drafted sentences in place of the templates' joiners."""
    sections = tuple(_section(section, drafts) for section in report.sections)
    return report.model_copy(
        update={
            "sections": sections,
            "text_model": model.capabilities.name if drafts.sentences else "",
            "sends_text": bool(drafts.drafted) and not model.capabilities.local,
            "drafted": drafts.drafted,
            "kept": len(drafts.sentences),
        }
    )


def places_in(report: Report) -> Iterator[Place]:
    """Yield the joining sentences of a report that a model may replace."""
    kinds = {f.leaf: str(f.value) for f in report.facts if f.name == "kind"}
    for section in report.sections:
        for part in section.parts:
            for passage in part.passages:
                about = passage.about
                kind = about if about == "comparison" else kinds.get(passage.leaf, "")
                for number, sentence in enumerate(passage.sentences):
                    if (
                        sentence.source == "joiner"
                        and about in _REPLACED
                        and kind in lexicons()
                    ):
                        yield Place(passage=passage.id, kind=kind, number=number)


def drafted(
    places: Sequence[Place],
    model: TextModel,
    stop: StoppingCriterion,
    on_passage: OnPassage,
    *,
    seed: int,
) -> Drafts:
    """Return drafts for places, several at once where the model takes several calls.

    A model that fails or is too slow costs nothing but its sentences.
    """
    drafts = Drafts()
    streams = max(1, model.capabilities.streams)
    at_once = max(1, streams // CANDIDATES)
    reserve = _RESERVE_S + _RESERVE_SHARE * min(stop.remaining_s(), 3600.0)
    used: set[str] = set()
    with ThreadPoolExecutor(min(streams, at_once * CANDIDATES)) as pool:
        for first in range(0, len(places), at_once):
            if stop(None) or stop.remaining_s() < reserve:
                break
            batch = places[first : first + at_once]
            waiting = [
                (
                    place,
                    [
                        pool.submit(candidate, model, place.kind, stop, seed=draw)
                        for draw in _draws(seed, first + i)
                    ],
                )
                for i, place in enumerate(batch)
            ]
            try:
                for place, futures in waiting:
                    texts = [future.result() for future in futures]
                    drafts.drafted += 1
                    text = _chosen(texts, lexicons()[place.kind], model, used, drafts)
                    if text:
                        drafts.sentences[place.passage, place.number] = text
                        used |= set(text.rstrip(".").lower().split())
            except TextModelError:
                break
            on_passage(min(first + at_once, len(places)), len(places))
    return drafts


def _draws(seed: int, place: int) -> range:
    first = (seed + 7919 * place) * CANDIDATES % 2**31
    return range(first, first + CANDIDATES)


def candidate(model: TextModel, kind: str, stop: StoppingCriterion, *, seed: int) -> str:
    """Return one drafted sentence; empty when it was cut off. Raises TextModelError."""
    lexicon, capabilities = lexicons()[kind], model.capabilities
    request = TextRequest(
        messages=(
            Message(role="system", text=_SYSTEM, pinned=True),
            Message(
                role="user",
                text=f"This part of the report is about {lexicon.topic}. "
                "Say in one sentence what it explains.",
            ),
        ),
        sampling=Sampling(
            max_tokens=MOST_TOKENS,
            temperature=TEMPERATURE,
            top_p=TOP_P,
            seed=seed,
            stop=("\n",),
        ),
        grammar=lexicon.grammar() if capabilities.grammar else None,
        control=_control(lexicon) if capabilities.control else (),
    )
    ended = Ended()
    text = "".join(token.text for token in model.generate(request, ended, stop=stop))
    return text.strip() if ended.finish is Finish.STOP else ""


def _control(lexicon: Lexicon) -> tuple[Condition, ...]:
    return (Condition(text=lexicon.topic, strength=_STRENGTH),)


def _chosen(
    texts: Sequence[str],
    lexicon: Lexicon,
    model: TextModel,
    used: set[str],
    drafts: Drafts,
) -> str:
    """Return the most relevant text that may stand; empty when none may."""
    passed = []
    for text in dict.fromkeys(texts):
        fault = fault_of(text, lexicon)
        if not fault and text in drafts.sentences.values():
            fault = "it was said before"
        if fault:
            drafts.refused[fault] = drafts.refused.get(fault, 0) + 1
        else:
            passed.append(text)
    if not passed or not model.capabilities.logprobs:
        return passed[0] if passed else ""
    scores = relevance(passed, lexicon.topic, model)
    ranked = [
        (score - REPETITION * _repeated(text, used), score, text)
        for score, text in zip(scores, passed, strict=True)
    ]
    _, score, best = max(ranked)
    if score < LEAST_RELEVANCE:
        drafts.refused["not relevant"] = drafts.refused.get("not relevant", 0) + 1
        return ""
    return best


def relevance(texts: Sequence[str], topic: str, model: TextModel) -> list[float]:
    """Return how much a topic raises the log-probability of each text, nats per token."""
    about = model.score(f"A part of a report about {topic}. ", texts)
    plain = model.score("A part of a report. ", texts)
    return [
        (with_topic - without) / max(1, len(model.tokenize(text)))
        for with_topic, without, text in zip(about, plain, texts, strict=True)
    ]


def _repeated(text: str, used: set[str]) -> float:
    words = set(text.rstrip(".").lower().split())
    return len(words & used) / len(words)


def _section(section: Section, drafts: Drafts) -> Section:
    parts = tuple(_part(part, drafts) for part in section.parts)
    return section.model_copy(update={"parts": parts})


def _part(part: Part, drafts: Drafts) -> Part:
    passages = tuple(_passage(passage, drafts) for passage in part.passages)
    return part.model_copy(update={"passages": passages})


def _passage(passage: Passage, drafts: Drafts) -> Passage:
    sentences = tuple(
        Sentence(source="model", pieces=(Piece(text=text),))
        if (text := drafts.sentences.get((passage.id, number)))
        else sentence
        for number, sentence in enumerate(passage.sentences)
    )
    return passage.model_copy(update={"sentences": sentences})
