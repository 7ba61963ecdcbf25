"""Continuous batching: admission, interleaving, random numbers, cancel, back-pressure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from search.stop import OwnerStop, TimeLimit
from search.text_model import (
    CacheBudget,
    CachePolicy,
    Ended,
    Finish,
    Grammar,
    Message,
    ModelBusy,
    PromptTooLong,
    Sampling,
    ScoreRule,
    TextModelError,
    TextRequest,
    Token,
)
from tests.waiting import PATIENCE_S
from tests.workers.llm import random_model
from workers.llm.engine import Engine, Options
from workers.llm.handle import Handle
from workers.llm.policies import Rule, resolve

SMALL = Options(sequences=3, slots=40, chunk=16)


def request(prompt: str = "a prompt", **changed: object) -> TextRequest:
    how = Sampling(**({"max_tokens": 12, "temperature": 1.0, "seed": 5} | changed))  # type: ignore[arg-type]
    return TextRequest(prompt=prompt, sampling=how)


def ids(tokens: Sequence[Token]) -> list[int]:
    return [token.id for token in tokens]


def run(engine: Engine, *handles: Handle) -> list[list[int]]:
    """Drive the engine until every handle is over; return their tokens."""
    got: list[list[int]] = [[] for _ in handles]
    while any(not handle.over for handle in handles):
        engine.step()
        for out, handle in zip(got, handles, strict=True):
            out += ids(handle.take())
    return got


def test_counts_and_ends() -> None:
    engine = random_model.engine(SMALL)
    ended = Ended()
    tokens = list(engine.submit(request(), ended))
    assert len(tokens) == 12
    assert ended.finish is Finish.LENGTH
    assert ended.usage is not None
    assert ended.usage.prompt_tokens == 8
    assert ended.usage.completion_tokens == 12
    assert ended.usage.evicted_tokens == 0
    assert all(token.logprob is not None and token.logprob <= 0 for token in tokens)


def test_usage_says_what_the_cache_evicted() -> None:
    engine = random_model.engine(SMALL)
    handle = engine.submit(request("x" * 60))
    list(handle)
    assert handle.ended.usage is not None
    # The last token is drawn and not put into the cache.
    assert handle.ended.usage.evicted_tokens == 60 + 11 - 40
    assert handle.ended.usage.policy == "h2o"


@pytest.mark.parametrize("policy", list(CachePolicy))
def test_a_seed_draws_the_same_alone_and_in_a_batch(policy: CachePolicy) -> None:
    budget = CacheBudget(policy=policy, slots=30, window=8)
    options = replace(SMALL, default=budget, slots=80)
    alone = run(engine := random_model.engine(options), engine.submit(request("z" * 37)))[
        0
    ]
    engine = random_model.engine(options)
    handles = [
        engine.submit(request("another", max_tokens=20, seed=1)),
        engine.submit(request("z" * 37)),
        engine.submit(request("y" * 50, temperature=0.0)),
        engine.submit(request("waits for a row", seed=3)),
    ]
    assert run(engine, *handles)[1] == alone
    again = random_model.engine(options)
    assert run(again, again.submit(request("z" * 37, seed=6)))[0] != alone


def test_a_deterministic_engine_writes_the_same_in_any_batch() -> None:
    """Also with packed weights and bfloat16, whose products round by the shape of a batch."""
    options = replace(SMALL, deterministic=True)
    engine = random_model.engine(options, dtype=torch.bfloat16)
    alone = run(engine, engine.submit(request("z" * 37)))[0]
    engine = random_model.engine(options, dtype=torch.bfloat16)
    handles = [engine.submit(request(text)) for text in ("one", "z" * 37, "y" * 50)]
    assert run(engine, *handles)[1] == alone


def test_more_requests_than_rows_wait_their_turn() -> None:
    engine = random_model.engine(SMALL)
    handles = [engine.submit(request(seed=i)) for i in range(8)]
    engine.step()
    assert engine.load == (3, 5)
    assert [len(tokens) for tokens in run(engine, *handles)] == [12] * 8
    assert engine.load == (0, 0)


def test_admission_by_memory() -> None:
    """Rows alone would allow both; the slots do not."""
    engine = random_model.engine(Options(sequences=3, slots=40, chunk=16))
    full = CacheBudget(policy=CachePolicy.FULL, slots=0)
    long = replace(request("x" * 60), cache=full)
    first, second = engine.submit(long), engine.submit(long)
    engine.step()
    assert engine.load == (1, 1)
    assert [len(tokens) for tokens in run(engine, first, second)] == [12, 12]


def test_chunks_and_steps_interleave() -> None:
    """A long prompt does not stop the sequences that already answer."""
    engine = random_model.engine(Options(sequences=2, slots=400, chunk=16))
    short = engine.submit(request(max_tokens=60))
    engine.step()
    long = engine.submit(request("x" * 160, max_tokens=2))
    gaps, last = [], 0
    while not long.over:
        engine.step()
        count = len(short.take())
        last = 0 if count else last + 1
        gaps.append(last)
    assert max(gaps) == 1
    assert len(gaps) >= 10 * 5


def test_full_prefill_reads_the_prompt_at_once() -> None:
    engine = random_model.engine(replace(SMALL, prefill="full"))
    handle = engine.submit(request("x" * 100))
    engine.step()
    assert len(handle.take()) == 1
    assert len(run(engine, handle)[0]) == 11


def test_cancel_ends_at_once_and_frees_the_row() -> None:
    engine = random_model.engine(SMALL)
    handle, other = engine.submit(request()), engine.submit(request(seed=9))
    for _ in range(4):
        engine.step()
    before = ids(handle.take())
    handle.cancel()
    assert handle.ended.finish is Finish.CANCELLED
    assert handle.ended.usage is not None
    assert handle.ended.usage.completion_tokens == len(before)
    engine.step()
    assert engine.load == (1, 0)
    assert handle.take() == []
    alone = random_model.engine(SMALL)
    assert run(engine, other)[0][-5:] == run(alone, alone.submit(request(seed=9)))[0][-5:]


def test_closing_the_iterator_cancels() -> None:
    engine = random_model.engine(SMALL)
    handle = engine.submit(request())
    tokens = iter(handle)
    next(tokens)
    tokens.close()  # type: ignore[attr-defined]
    assert handle.ended.finish is Finish.CANCELLED
    engine.step()
    assert engine.load == (0, 0)


def test_a_criterion_stops_running_and_waiting_sequences() -> None:
    now = [0.0]
    engine = random_model.engine(Options(sequences=1, slots=40))
    stop = TimeLimit(5.0, clock=lambda: now[0])
    running, waiting = (
        engine.submit(request(), stop=stop),
        engine.submit(request(), stop=stop),
    )
    engine.step()
    now[0] = 6.0
    engine.step()
    assert running.ended.finish is waiting.ended.finish is Finish.CANCELLED
    assert len(running.take()) == 1
    assert engine.load == (0, 0)


def test_a_slow_reader_pauses_its_own_sequence_alone() -> None:
    engine = random_model.engine(replace(SMALL, ahead=3))
    slow, fast = (
        engine.submit(request(max_tokens=10)),
        engine.submit(request(max_tokens=20)),
    )
    assert len(run(engine, fast)[0]) == 20
    assert not slow.over
    assert engine.step() is False
    assert len(slow.take()) == 3
    assert engine.step() is True
    assert len(run(engine, slow)[0]) == 7


def test_the_queue_is_bounded() -> None:
    engine = random_model.engine(Options(sequences=1, slots=40, waiting=2))
    engine.submit(request())
    engine.submit(request())
    with pytest.raises(ModelBusy, match="fewer than 2 waiting"):
        engine.submit(request())


def test_own_thread_serves_several_readers() -> None:
    engine = random_model.engine(SMALL)
    engine.start()
    got: dict[int, list[int]] = {}

    def read(seed: int) -> None:
        got[seed] = ids(list(engine.submit(request(seed=seed))))

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(5)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(PATIENCE_S)
    engine.close()
    for seed in range(5):
        alone = random_model.engine(SMALL)
        assert got[seed] == run(alone, alone.submit(request(seed=seed)))[0]


def test_a_step_that_fails_as_a_whole_ends_its_sequences_and_the_thread_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = random_model.engine(SMALL)
    whole = engine.decoder.logits
    failures = [RuntimeError("out of memory")]

    def logits(hidden: torch.Tensor, *allowed: torch.Tensor) -> torch.Tensor:
        if failures and len(hidden) == 2:
            raise failures.pop()
        return whole(hidden, *allowed)

    monkeypatch.setattr(engine.decoder, "logits", logits)
    handles = [engine.submit(request(seed=seed, max_tokens=200)) for seed in range(2)]
    engine.start()
    outcomes: list[str] = []

    def read(handle: Handle) -> None:
        try:
            outcomes.append(f"{len(list(handle))} tokens")
        except RuntimeError as error:
            outcomes.append(str(error))

    readers = [threading.Thread(target=read, args=(one,), daemon=True) for one in handles]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(PATIENCE_S)
    assert outcomes == ["out of memory"] * 2
    assert len(list(engine.submit(request(max_tokens=5)))) == 5
    engine.close()


def test_close_cancels_and_refuses() -> None:
    engine = random_model.engine(SMALL)
    engine.start()
    handle = engine.submit(request(max_tokens=400))
    handle.take(5.0)
    engine.close()
    assert handle.ended.finish is Finish.CANCELLED
    with pytest.raises(TextModelError, match="closed"):
        engine.submit(request())


def test_owner_stop_from_another_thread() -> None:
    owner = threading.Event()
    engine = random_model.engine(SMALL)
    engine.start()
    handle = engine.submit(request(max_tokens=400), stop=OwnerStop(owner))
    handle.take(5.0)
    owner.set()
    asked = time.monotonic()
    while not handle.over and time.monotonic() < asked + PATIENCE_S:
        handle.take(0.01)
    assert handle.ended.finish is Finish.CANCELLED
    engine.close()


# Hooks, stop strings, grammar.


def only(
    *allowed: int,
) -> Callable[[Sequence[int], NDArray[np.float32]], NDArray[np.float32]]:
    def hook(tokens: Sequence[int], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.full_like(logits, -np.inf)
        out[list(allowed)] = logits[list(allowed)]
        return out

    return hook


def test_a_hook_sees_the_tokens_and_decides() -> None:
    engine = random_model.engine(SMALL)
    tokens = list(engine.submit(request(), hook=only(65, 66)))
    assert set(ids(tokens)) <= {65, 66}
    # The log-probability is the model's own, before the hook.
    assert min(token.logprob or 0 for token in tokens) < -1


@pytest.mark.parametrize("wrong", ["shape", "nothing", "raises"])
def test_a_broken_hook_fails_its_own_sequence(wrong: str) -> None:
    def hook(tokens: Sequence[int], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        if wrong == "raises":
            raise RuntimeError("hook")
        return logits[:5] if wrong == "shape" else np.full_like(logits, -np.inf)

    engine = random_model.engine(SMALL)
    broken, sound = engine.submit(request(), hook=hook), engine.submit(request())
    kind = RuntimeError if wrong == "raises" else TextModelError
    with pytest.raises(kind, match="hook"):
        list(broken)
    assert len(run(engine, sound)[0]) == 12


def spell(
    text: str,
) -> Callable[[Sequence[int], NDArray[np.float32]], NDArray[np.float32]]:
    """Return a hook that makes the model write the bytes of a text."""
    start: list[int] = []

    def hook(tokens: Sequence[int], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        start.append(len(tokens)) if not start else None
        out = np.full_like(logits, -np.inf)
        at = len(tokens) - start[0]
        out[text.encode()[at] if at < len(text.encode()) else random_model.EOS] = 0
        return out

    return hook


def test_text_comes_in_whole_characters_up_to_the_stop_string() -> None:
    engine = random_model.engine(SMALL)
    handle = engine.submit(
        request(max_tokens=60, stop=("END", "x" * 9)), hook=spell("aé €😀 E END rest")
    )
    tokens = list(handle)
    assert "".join(token.text for token in tokens) == "aé €😀 E "
    assert handle.ended.finish is Finish.STOP
    assert not any("\ufffd" in token.text for token in tokens)


def test_held_back_text_comes_with_the_end() -> None:
    engine = random_model.engine(SMALL)
    handle = engine.submit(request(max_tokens=60, stop=("END",)), hook=spell("some EN"))
    assert "".join(token.text for token in handle) == "some EN"
    assert handle.ended.finish is Finish.STOP


class Word:
    """A grammar: a word of a few, whose rest is forced once it is known."""

    def __init__(self, words: Sequence[bytes]) -> None:
        self._words = list(words)
        self._at = 0

    @property
    def done(self) -> bool:
        return len(self._words) == 1 and self._at == len(self._words[0])

    def allowed(self) -> torch.Tensor:
        return torch.tensor(sorted({word[self._at] for word in self._words}))

    def accept(self, token: int) -> None:
        self._words = [word for word in self._words if word[self._at] == token]
        assert self._words
        self._at += 1

    def forced(self) -> list[int]:
        return list(self._words[0][self._at :]) if len(self._words) == 1 else []


WORDS = [b"sharding", b"compile", b"convex"]


def bounded(**changed: object) -> tuple[Engine, TextRequest]:
    engine = random_model.engine(SMALL, bound=lambda grammar: Word(WORDS))
    return engine, replace(
        request(max_tokens=20, **changed), grammar=Grammar(choices=("x",))
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_grammar_bounds_the_text(seed: int) -> None:
    engine, asked = bounded(seed=seed)
    handle = engine.submit(asked)
    tokens = list(handle)
    assert bytes(ids(tokens)) in WORDS
    assert handle.ended.finish is Finish.STOP
    assert all(token.logprob is None for token in tokens)


@pytest.mark.parametrize("seed", range(3))
def test_forced_tokens_and_the_restricted_head_change_nothing(seed: int) -> None:
    """The same word comes when every token is drawn from all logits."""
    engine, asked = bounded(seed=seed)
    fast = ids(list(engine.submit(asked)))
    engine, asked = bounded(seed=seed, top_logprobs=2)
    tokens = list(engine.submit(asked))
    assert ids(tokens) == fast
    assert all(token.logprob is not None and len(token.top) == 2 for token in tokens)


def test_forced_tokens_count_against_max_tokens() -> None:
    engine, asked = bounded()
    asked = replace(asked, sampling=replace(asked.sampling, max_tokens=3))
    handle = engine.submit(asked)
    assert len(list(handle)) == 3
    assert handle.ended.finish is Finish.LENGTH


# Snapshots.


def chat(question: str, policy: CachePolicy = CachePolicy.H2O) -> TextRequest:
    return TextRequest(
        messages=(
            Message(role="system", text="A system prompt of many tokens.", pinned=True),
            Message(role="user", text=question),
        ),
        sampling=Sampling(max_tokens=30, temperature=1.0),
        cache=CacheBudget(policy=policy, slots=60, window=8),
    )


@pytest.mark.parametrize("policy", list(CachePolicy))
def test_a_pinned_beginning_is_read_once(policy: CachePolicy) -> None:
    options = Options(sequences=2, slots=120, chunk=16)
    engine = random_model.engine(options)
    first = engine.submit(chat("One question?", policy))
    list(first)
    second = engine.submit(chat("Another, longer question than before?", policy))
    tokens = ids(list(second))
    assert first.ended.usage is not None
    assert second.ended.usage is not None
    assert first.ended.usage.cached_tokens == 0
    assert second.ended.usage.cached_tokens == 31
    fresh = random_model.engine(options)
    alone = fresh.submit(chat("Another, longer question than before?", policy))
    assert ids(list(alone)) == tokens
    # Other scores belong to another rule.
    other = CachePolicy.TOVA if policy is CachePolicy.H2O else CachePolicy.H2O
    third = engine.submit(chat("One question?", other))
    list(third)
    assert third.ended.usage is not None
    assert third.ended.usage.cached_tokens == 0


def test_deterministic_engines_take_no_snapshots() -> None:
    engine = random_model.engine(replace(SMALL, slots=120, deterministic=True))
    for _ in range(2):
        handle = engine.submit(chat("One question?"))
        list(handle)
        assert handle.ended.usage is not None
        assert handle.ended.usage.cached_tokens == 0


# Likelihoods.


def test_scores_are_sums_of_log_probabilities() -> None:
    engine = random_model.engine(SMALL)
    prompt, words = [1, 2, 3] * 7, [[4], [5, 6, 7], [], list(range(90))]
    busy = engine.submit(request())
    got = engine.score(prompt, words)
    assert len(list(busy)) == 12
    for word, value in zip(words, got, strict=True):
        plain = random_model.engine(Options(sequences=1, slots=200))
        hidden = plain.decoder.read(
            [*prompt, *word], 0, 0, [False] * (21 + len(word)), _full(21 + len(word))
        )
        logprobs = plain.decoder.logits(hidden).log_softmax(-1)
        expected = sum(float(logprobs[20 + i, token]) for i, token in enumerate(word))
        assert value == pytest.approx(expected, abs=1e-3)


def _full(tokens: int) -> Rule:
    budget = CacheBudget(policy=CachePolicy.FULL, slots=0)
    return resolve(budget, pinned=[], tokens=tokens, limit=500)


# Bad input.


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (TextRequest(sampling=Sampling(max_tokens=1)), "messages or prompt, got neither"),
        (request(""), "at least one token, got none"),
        (request("x" * 510), "at most 512 tokens with max_tokens, got 510 [+] 12"),
        (request(max_tokens=0), "max_tokens: expected at least 1"),
        (request(temperature=float("nan")), "temperature"),
        (request(temperature=-1.0), "temperature"),
        (request(top_p=0.0), "top_p"),
        (request(min_p=1.5), "min_p"),
        (request(stop=("",)), "empty string"),
        (request(top_logprobs=21), "top_logprobs: expected 0 to 20"),
        (
            replace(
                request("x" * 200), cache=CacheBudget(policy=CachePolicy.FULL, slots=0)
            ),
            "full keeps 212 tokens .* 120 slots",
        ),
        (
            replace(
                request("x" * 200), cache=CacheBudget(policy=CachePolicy.H2O, slots=8)
            ),
            "cache.slots: expected at least 9 .* got 8",
        ),
        (
            replace(
                request("x" * 200),
                cache=CacheBudget(
                    policy=CachePolicy.H2O, slots=20, score=ScoreRule.DECAY, decay=0.0
                ),
            ),
            "cache.decay",
        ),
    ],
)
def test_bad_requests(asked: TextRequest, message: str) -> None:
    engine = random_model.engine(SMALL)
    with pytest.raises(TextModelError, match=message):
        engine.submit(asked)
    assert engine.load == (0, 0)


def test_pins_beyond_their_share_of_the_cache() -> None:
    engine = random_model.engine(SMALL)
    messages = (
        Message(role="system", text="p" * 31, pinned=True),
        Message(role="user", text="u" * 60),
    )
    asked = TextRequest(messages=messages, sampling=Sampling(max_tokens=5))
    with pytest.raises(PromptTooLong, match="31 pinned tokens exceed 75% of 40 slots"):
        engine.submit(asked)


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    engine = random_model.engine(SMALL, dtype=dtype)
    assert len(list(engine.submit(request("x" * 70)))) == 12
