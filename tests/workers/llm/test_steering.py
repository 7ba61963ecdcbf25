"""Control inside the engine, against a plain recomputation of every token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from search.condition import Condition
from search.text_model import (
    CacheBudget,
    CachePolicy,
    Grammar,
    Message,
    PromptTooLong,
    Sampling,
    TextModelError,
    TextRequest,
)
from tests.workers.llm import random_model
from workers.llm.engine import Engine, Options
from workers.llm.policies import resolve
from workers.llm.sampling import draw
from workers.llm.steering import Steering

SMALL = Options(sequences=3, slots=160, chunk=16)
FULL = CacheBudget(policy=CachePolicy.FULL, slots=0)
EVENT = Condition(text="the event", strength=4.0)
SETTING = Condition(text="the setting", strength=2.0)


def request(*control: Condition, **changed: object) -> TextRequest:
    how = Sampling(**({"max_tokens": 12, "temperature": 0.8, "seed": 5} | changed))  # type: ignore[arg-type]
    return TextRequest(prompt="a prompt", sampling=how, cache=FULL, control=control)


def engine(options: Options = SMALL, **more: object) -> Engine:
    return random_model.engine(options, head=random_model.control_head(), **more)  # type: ignore[arg-type]


def answer(made: Engine, asked: TextRequest) -> list[int]:
    return [token.id for token in made.submit(asked)]


class Plain:
    """Draws an answer under control with nothing kept between tokens: all is read again."""

    def __init__(self) -> None:
        self.engine = random_model.engine(Options(sequences=1, slots=400))
        self.arrays = random_model.control_arrays(random_model.config())
        units = self.embeddings(range(random_model.VOCABULARY)) - self.arrays["mean"][1]
        self.units = units / np.linalg.norm(units, axis=1, keepdims=True)

    def states(self, ids: Sequence[int]) -> np.ndarray:
        rule = resolve(FULL, pinned=[], tokens=len(ids), limit=400)
        with torch.inference_mode():
            hidden = self.engine.decoder.read(list(ids), 0, 0, [False] * len(ids), rule)
            self.engine.decoder.cache.clear(0, 400)
        return hidden.double().numpy()

    def embeddings(self, ids: Sequence[int]) -> np.ndarray:
        return self.engine.decoder.embeddings(ids).double().numpy()

    def norm(self, vector: np.ndarray, part: int) -> np.ndarray:
        return (vector - self.arrays["mean"][part]) / self.arrays["scale"][part]

    def condition(self, text: str) -> np.ndarray:
        lead, own = list(b"Summary:"), list(f" {text}".encode())
        states = self.states([*lead, *own])[len(lead) :]
        return np.concatenate(
            [self.norm(states.mean(0), 0), self.norm(self.embeddings(own).mean(0), 1)]
        )

    def words(self, answer: Sequence[int], text: str) -> np.ndarray:
        """[2]: match and cover of an answer, from nothing that is kept between tokens."""
        size = random_model.VOCABULARY
        rank = np.log(np.arange(size) + 1.0) - math.log(size // 2)
        weight = (rank / (math.log(size) - math.log(size // 2))).clip(0.02, 1)
        units = self.units

        def form(token: int) -> str:
            return chr(token).strip().lower() if token < random_model.EOS else ""

        wanted = {form(token): token for token in reversed(f" {text}".encode())}
        near = [
            1.0
            if form(token) in wanted
            else max(float(units[token] @ units[other]) for other in wanted.values())
            for token in answer
        ]
        said = {form(token) for token in answer} & wanted.keys()
        return np.array(
            [
                np.average(near, weights=weight[list(answer)]),
                sum(weight[wanted[word]] for word in said)
                / sum(weight[token] for token in wanted.values()),
            ]
        )

    def terms(
        self, ids: Sequence[int], prompt: int, condition: np.ndarray, event: str
    ) -> np.ndarray:
        """[vocabulary] log D of each next token."""
        states = self.states(ids)[prompt - 1 :]
        embeddings = self.embeddings(ids)[prompt - 1 :]
        age = np.arange(len(states))[::-1]
        weight = (0.9**age / (0.9**age).sum())[:, None]
        text = np.concatenate(
            [
                self.norm(states[-1], 0),
                self.norm((weight * states).sum(0), 0),
                self.norm((weight * embeddings).sum(0), 1),
            ]
        )
        w = self.arrays
        g = np.tanh(w["a"] @ text + w["c"] @ condition + w["a0"])
        said, meant = w["u"] @ text + w["u0"], w["w"] @ condition + w["w0"]
        match = said @ meant / math.sqrt((said @ said) * (meant @ meant))
        s = w["g"] @ g + w["k"][0] * match + w["s0"][0]
        every = self.embeddings(range(random_model.VOCABULARY))
        width = every.shape[1]
        own = (every - w["mean"][1]) * w["d"]
        meant = (condition[:width] - w["item"]) * w["scale"][0] * w["d"]
        near = own @ meant / np.linalg.norm(own, axis=1) / np.linalg.norm(meant)
        answer = list(ids[prompt:])
        grown = math.log(len(answer) + 1)
        words = np.array([self.words([*answer, v], event) for v in range(len(every))])
        logits = w["t"][0] * near + s + grown * w["length"][0]
        logits += words @ (w["words"][0] + grown * w["words"][1])
        chances: np.ndarray = -np.log1p(np.exp(-logits))
        return chances

    def answer(self, asked: TextRequest) -> list[int]:
        assert asked.prompt is not None
        ids = list(asked.prompt.encode())
        prompt = len(ids)
        vectors = [self.condition(condition.text) for condition in asked.control]
        for index in range(asked.sampling.max_tokens):
            logits = self.engine.decoder.logits(
                torch.from_numpy(self.states(ids)[-1:]).float()
            )[0].numpy()
            order = np.argsort(-logits)
            ruled = np.full_like(logits, -np.inf)
            kept, end = order[:100], random_model.EOS
            kept = kept[logits[kept] >= logits.max() - 4]
            ruled[kept] = logits[kept]
            for condition, vector in zip(asked.control, vectors, strict=True):
                terms = self.terms(ids, prompt, vector, condition.text)
                others = kept[kept != end]
                share = np.exp(logits[others]) / np.exp(logits[others]).sum()
                terms[end] = (share * terms[others]).sum()
                ruled[kept] += condition.strength * terms[kept]
            ids.append(draw(ruled, asked.sampling, index))
            if ids[-1] == end:
                break
        return ids[prompt:]


@pytest.mark.parametrize("seed", range(4))
def test_tokens_are_those_of_the_plain_form(seed: int) -> None:
    asked = request(EVENT, SETTING, seed=seed)
    assert answer(engine(), asked) == Plain().answer(asked)
    assert answer(engine(), request(seed=seed)) != answer(engine(), asked)


def test_strength_0_is_the_base_sampler_bit_for_bit() -> None:
    held = request(
        replace(EVENT, strength=0.0), replace(SETTING, strength=0.0), top_logprobs=3
    )
    assert list(engine().submit(held)) == list(engine().submit(replace(held, control=())))
    # A condition without strength changes nothing beside one that has some.
    strong = request(EVENT, top_logprobs=3)
    both = replace(strong, control=(replace(SETTING, strength=0.0), EVENT))
    assert list(engine().submit(strong)) == list(engine().submit(both))


def test_log_probabilities_are_the_models_own() -> None:
    plain, held = engine(), engine()
    (free,) = plain.submit(request(max_tokens=1, top_logprobs=20))
    (ruled,) = held.submit(request(EVENT, max_tokens=1, top_logprobs=20))
    assert ruled.top == free.top


def test_answers_do_not_depend_on_their_batch() -> None:
    asked = [
        request(EVENT, seed=1),
        request(seed=2),
        request(SETTING, seed=3),
        request(EVENT),
    ]
    alone = [answer(engine(), one) for one in asked]
    made = engine()
    handles = [made.submit(one) for one in asked]
    assert [[token.id for token in handle] for handle in handles] == alone


def test_a_snapshot_changes_nothing() -> None:
    messages = (
        Message(role="system", text="A system prompt of many tokens.", pinned=True),
        Message(role="user", text="One question?"),
    )
    asked = replace(request(EVENT), messages=messages, prompt=None)
    made = engine()
    first = answer(made, asked)
    handle = made.submit(asked)
    assert [token.id for token in handle] == first
    assert handle.ended.usage is not None
    assert handle.ended.usage.cached_tokens > 0


class Letters:
    """A grammar that allows some tokens, with a forced pair after the first."""

    def __init__(self, allowed: Sequence[int]) -> None:
        self._allowed = torch.tensor(sorted(allowed))
        self._written: list[int] = []

    @property
    def done(self) -> bool:
        return len(self._written) == 10

    def allowed(self) -> torch.Tensor:
        return self._allowed

    def accept(self, token: int) -> None:
        self._written.append(token)

    def forced(self) -> list[int]:
        return [65, 66] if len(self._written) == 1 else []


@pytest.mark.parametrize("count", [20, 200])
def test_a_grammar_comes_first(count: int) -> None:
    """Few allowed tokens and many take different ways through the output head."""
    rng = np.random.default_rng(3)
    allowed = {65, 66, *rng.choice(256, count, replace=False).tolist()}

    def run(*control: Condition, **changed: object) -> list[int]:
        made = engine(bound=lambda grammar: Letters(list(allowed)))
        asked = replace(request(*control, **changed), grammar=Grammar(choices=("x",)))
        return answer(made, asked)

    held = run(EVENT)
    assert len(held) == 10
    assert set(held) <= allowed
    assert held[1:3] == [65, 66]
    assert held != run()
    # Drawn from all logits instead of the allowed ones alone, and without forced tokens.
    assert run(EVENT, top_logprobs=1)[0] == held[0]


def test_a_token_that_ends_the_answer_gets_the_mean() -> None:
    head = random_model.control_head()
    tokens = random_model.Bytes()
    guide = Steering(head, tokens.encode, tokens.texts, {7}).guide([EVENT])
    assert guide is not None
    decoder = random_model.engine().decoder
    rule = resolve(FULL, pinned=[], tokens=60, limit=512)

    def states(ids: Sequence[int]) -> torch.Tensor:
        return decoder.read(ids, 0, 0, [False] * len(ids), rule)

    with torch.inference_mode():
        guide.prepare(states, decoder.embeddings)
    guide.observe([1], torch.zeros(1, head.width), torch.zeros(1, head.width))
    logits = np.array([0.0, 1.0, 2.0], np.float32)
    gain = guide.steer(logits, np.array([3, 5, 7])) - logits
    share = np.exp([0.0, 1.0]) / np.exp([0.0, 1.0]).sum()
    assert gain[2] == pytest.approx(float(share @ gain[:2]), abs=1e-4)
    assert gain[0] != pytest.approx(float(gain[1]), abs=1e-3)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([Condition(text="", strength=1)], r"control\[0\].text: expected a text"),
        ([EVENT, Condition(text="x", strength=-1)], r"control\[1\].strength"),
        ([Condition(text="x" * 300, strength=0)], "at most 256 tokens, got 301"),
        ([EVENT] * 9, "at most 8 conditions"),
    ],
)
def test_bad_conditions_are_refused(conditions: list[Condition], message: str) -> None:
    with pytest.raises(TextModelError, match=message):
        engine().submit(request(*conditions))


def test_a_model_without_a_head_refuses_conditions() -> None:
    with pytest.raises(TextModelError, match="no conditions with this model"):
        random_model.engine(SMALL).submit(request(EVENT))


def test_conditions_longer_than_a_row_are_refused() -> None:
    small = Options(sequences=1, slots=60, chunk=16)
    with pytest.raises(PromptTooLong, match="at most 60 tokens"):
        engine(small).submit(request(replace(EVENT, text="long " * 20)))
