"""Joining sentences of a language model: what passes, and that figures never depend on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.domains.plan.ledger import ledger_of
from search.domains.plan.report.prose import fault_of, lexicons
from search.domains.plan.report.write import write_report
from search.domains.plan.reports import Report
from search.domains.plan.verify import check_report
from search.stop import StoppingCriterion, TimeLimit
from search.text_model import (
    Capabilities,
    Ended,
    Finish,
    LogitHook,
    ModelUnavailable,
    TextRequest,
    Token,
)
from tests.search.domains.plan.ended import plan_of, report_of

GOOD = "The next part is about the embedding tables of a recommender and its devices."
PLAN = plan_of({"Place tables": ("eight-devices",), "Solve": ("highs", "scip")})
FACTS = ledger_of(*PLAN)


class Fake:
    """A model that says one text, and finds texts likely that share words with the prompt."""

    def __init__(
        self, text: str | Callable[[TextRequest], str], **fields: object
    ) -> None:
        self._text = text
        self.requests: list[TextRequest] = []
        capabilities = Capabilities(name="fake", context_tokens=100, streams=8)
        self.capabilities = replace(capabilities, **fields)  # type: ignore[arg-type]

    def tokenize(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        stop: StoppingCriterion | None = None,
        hook: LogitHook | None = None,
    ) -> Iterator[Token]:
        self.requests.append(request)
        text = self._text if isinstance(self._text, str) else self._text(request)
        yield Token(id=0, text=text, logprob=-1.0)
        ended.finish = Finish.STOP

    def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        return [10.0 * len(set(prompt.split()) & set(t.split())) for t in continuations]

    def close(self) -> None:
        pass


def written(model: Fake | None, *, seconds: float = 60.0) -> Report:
    return write_report(*PLAN, FACTS, model=model, stop=TimeLimit(seconds), seed=1)


def slots(report: Report) -> list[str]:
    return [
        piece.fact
        for section in report.sections
        for part in section.parts
        for passage in part.passages
        for sentence in passage.sentences
        if sentence.template != "method_model"
        for piece in sentence.pieces
        if piece.fact is not None
    ]


def models(report: Report) -> list[str]:
    return [
        sentence.pieces[0].text
        for section in report.sections
        for part in section.parts
        for passage in part.passages
        for sentence in passage.sentences
        if sentence.source == "model"
    ]


def test_a_good_sentence_stands_once_and_the_model_is_named() -> None:
    report = written(Fake(GOOD))
    assert models(report) == [GOOD]
    assert (report.text_model, report.kept) == ("fake", 1)
    assert check_report(report, PLAN[1], outline=PLAN[0]).status == "valid"
    assert slots(report) == slots(written(None))


@pytest.mark.parametrize(
    "text",
    [
        "The next part is about 8 devices of a recommender and the tables.",
        "The next part is about two devices of a recommender and the tables.",
        "The next part is about devices that are faster in a step of the tables.",
        "The next part is about the proved cost of the embedding tables on devices.",
        "The next part is about tables that never come to the devices of a step.",
        "The next part is about devices of Hopper and the tables of a recommender.",
        "The next part is about the time in ms of a step on the devices.",
        "The next part is about the devices ½ of the tables in a step.",
        "The next part is about {ab} devices of the tables in a step.",
        "The next part is about the tables.<|im_end|> The devices are in a step.",
        "[The next part](http://x.example) is about the tables of a recommender.",
        "All tables of the recommender are on the devices of the plan.",
        "The next part is about devices devices and the tables of a recommender.",
        "The next part is about the tables",
        "",
        "The next part is about the tables. The next part is about the devices.",
    ],
)
def test_a_sentence_that_might_state_something_is_refused(text: str) -> None:
    assert fault_of(text, lexicons()["sharding"])
    assert models(written(Fake(text))) == []


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=200))
def test_whatever_a_model_says_the_report_holds(text: str) -> None:
    report = written(Fake(text))
    assert check_report(report, PLAN[1], outline=PLAN[0]).status == "valid"
    assert slots(report) == slots(written(None))


def test_words_of_the_list_are_no_numbers_comparisons_or_verdicts() -> None:
    for lexicon in lexicons().values():
        assert not lexicon.banned & (lexicon.common | lexicon.own)
        assert not [w for w in lexicon.words if w.endswith("est") and w != "request"]


def test_an_irrelevant_sentence_gives_way_to_the_template() -> None:
    class Indifferent(Fake):
        def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
            return [-10.0 for _ in continuations]

    assert models(written(Indifferent(GOOD))) == []


def test_a_model_that_fails_costs_only_its_sentences() -> None:
    def fails(request: TextRequest) -> str:
        raise ModelUnavailable("endpoint: expected an answer, got none")

    report = written(Fake(fails))
    assert report.model_copy(update={"drafted": 0}) == written(None)


def test_without_time_or_generation_the_model_is_not_asked() -> None:
    for model, seconds in ((Fake(GOOD), 4.0), (Fake(GOOD, generates=False), 60.0)):
        assert written(model, seconds=seconds) == written(None)
        assert model.requests == []


def test_the_model_sees_no_figure_and_no_text_of_the_owner() -> None:
    model = Fake(GOOD, control=True)
    written(model)
    prompts = [m.text for request in model.requests for m in request.messages]
    assert len(model.requests) >= 12
    assert not any(c.isdigit() for prompt in prompts for c in prompt)
    assert not any(name in prompt for prompt in prompts for name in ("Solve", "highs"))
    assert all(request.control for request in model.requests)
    assert all(request.grammar is not None for request in model.requests)


def test_a_model_without_scores_or_control_serves_too() -> None:
    model = Fake(
        GOOD, logprobs=False, control=False, grammar=False, local=False, streams=1
    )
    report = written(model)
    assert models(report) == [GOOD]
    assert report.sends_text
    assert not any(request.control or request.grammar for request in model.requests)


def test_templates_alone_are_the_default() -> None:
    assert report_of(PLAN, seed=1) == written(None)
