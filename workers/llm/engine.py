"""Continuous batching over a bounded cache: admit, read one chunk or decode one step, draw, emit.

No thread, setting or file is touched at import. An engine is driven by `step()` by hand, or by its
own thread after `start()`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from search.condition import Condition
from search.stop import StoppingCriterion
from search.text_model import (
    CacheBudget,
    CachePolicy,
    Ended,
    Finish,
    Grammar,
    LogitHook,
    Message,
    ModelBusy,
    PromptTooLong,
    Sampling,
    TextModelError,
    TextRequest,
    Token,
)
from workers.llm import budgets, policies, sampling
from workers.llm.decoder import Decoder
from workers.llm.decoder_types import DecoderConfig, DecoderWeights
from workers.llm.emission import Emission
from workers.llm.handle import Handle
from workers.llm.kv_cache import KeyValueCache, slot_bytes
from workers.llm.sequence import Bound, Control, Live, chunk_ends, leading_pins
from workers.llm.snapshots import MIN_TOKENS, Key, Snapshots

_SCORED_ROWS = 64
"""Tokens whose logits are in memory at once when continuations are scored."""
_HEAD_SHARE = 4
"""With more than a fourth of the vocabulary allowed, the whole output head is cheaper."""


class Tokens(Protocol):
    """Parts of a tokenizer that an engine needs."""

    @property
    def eos(self) -> frozenset[int]:
        """Tokens that end an answer."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without special tokens."""
        ...

    def encode_prompt(self, text: str) -> list[int]:
        """Return the ids of a text that begins a sequence."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """Return a token's bytes; b"" for a special token."""
        ...


@dataclass(frozen=True, kw_only=True)
class Options:
    """Size and habits of an engine."""

    sequences: int = 8  # at once
    slots: int = 2048  # of each sequence by default
    # Slots of all sequences together; None: what `sequences` of `slots` need.
    memory_bytes: int | None = None
    snapshot_bytes: int = 64 << 20
    chunk: int = 256  # tokens of a prompt read at once
    decode_steps: int = 4  # between two chunks
    ahead: int = 256  # unread tokens beyond which a sequence pauses
    waiting: int = 64  # requests not yet started
    # `full` reads a prompt as the paper does: all of it attends to all, then the cache is cut.
    prefill: Literal["chunked", "full"] = "chunked"
    # Same tokens whatever is in the batch: sequences run one by one, no snapshots.
    deterministic: bool = False
    cache_dtype: torch.dtype | None = None  # None: of the weights
    # Weights of 4 or 8 bits and one native call per step, on a CPU; None: unless they are float32.
    packed: bool | None = None
    default: CacheBudget | None = None  # None: the measured one, over `slots`
    threads: int | None = None  # of torch in this process; None: as it is

    def __post_init__(self) -> None:
        """Raise TextModelError for a field out of its range."""
        for name in ("sequences", "slots", "chunk", "ahead", "waiting"):
            if getattr(self, name) < 1:
                raise TextModelError(
                    f"engine.{name}: expected at least 1, got {getattr(self, name)}"
                )


@dataclass(frozen=True, kw_only=True)
class Front:
    """Parts that stand between text and tokens. Replaced in tests."""

    chat: Callable[[Sequence[Message]], tuple[list[int], list[bool]]]
    """Messages -> tokens of the prompt, and which are pinned."""
    bound: Callable[[Grammar], Bound]
    control: Callable[[Sequence[Condition]], Control | None] | None = None
    """Conditions -> control, None where none has a strength. None: the model has no head."""


class Engine:
    """Generates for many sequences at once.

    `submit`, `score` and `Handle.cancel` may be called by any thread; `step` by one.
    """

    def __init__(
        self,
        config: DecoderConfig,
        weights: DecoderWeights,
        tokenizer: Tokens,
        front: Front,
        options: Options | None = None,
    ) -> None:
        """Prepare weights and reserve the cache."""
        options = options or Options()
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        self.config = config
        self.options = options
        self.tokenizer = tokenizer
        self._front = front
        dtype = options.cache_dtype or weights.embedding.dtype
        device = weights.embedding.device
        fair = options.sequences * options.slots * slot_bytes(config, dtype)
        memory = fair if options.memory_bytes is None else options.memory_bytes
        self.slots = memory // slot_bytes(config, dtype)  # of all sequences together
        # On a CPU a row may come to hold the whole context: memory is committed where written.
        row = config.context_tokens if device.type == "cpu" else options.slots
        self.row_slots = max(1, min(row, self.slots))
        cache = KeyValueCache(
            config,
            sequences=options.sequences,
            slots=self.row_slots,
            dtype=dtype,
            device=device,
        )
        self.decoder = Decoder(
            config,
            weights,
            cache,
            packed=options.packed,
            deterministic=options.deterministic,
        )
        keeps = not options.deterministic and options.prefill == "chunked"
        self.snapshots = Snapshots(options.snapshot_bytes if keeps else 0)
        self.default = options.default or budgets.default(
            slots=options.slots, layers=config.layers
        )
        self._changed = threading.Condition()
        self._waiting: list[Live] = []
        self._active: list[Live] = []
        self._free = list(range(options.sequences))
        self._since_chunk = 0
        self._thread: threading.Thread | None = None
        self._closed = False
        self._news = False  # something has changed since the thread last looked

    # Requests.

    def submit(
        self,
        request: TextRequest,
        ended: Ended | None = None,
        *,
        stop: StoppingCriterion | None = None,
        hook: LogitHook | None = None,
    ) -> Handle:
        """Queue a generation. Raises TextModelError where the request cannot be served."""
        if bool(request.messages) == (request.prompt is not None):
            raise TextModelError(
                "request: expected messages or prompt, got "
                + ("both" if request.messages else "neither")
            )
        if request.prompt is not None:
            ids = self.tokenizer.encode_prompt(request.prompt)
            pinned = [False] * len(ids)
        else:
            ids, pinned = self._front.chat(request.messages)
        bound = None if request.grammar is None else self._front.bound(request.grammar)
        live = self._live(ids, pinned, request.sampling, request.cache or self.default)
        live.bound, live.hook, live.stop = bound, hook, stop
        live.control = self._control(request.control)
        return self._queue(live, ended)

    @property
    def controls(self) -> bool:
        """True where requests may have conditions."""
        return self._front.control is not None

    def _control(self, conditions: Sequence[Condition]) -> Control | None:
        if not conditions:
            return None
        if self._front.control is None:
            raise TextModelError(
                f"control: expected no conditions with this model, which has no head for them, "
                f"got {len(conditions)}; use the embedded model"
            )
        control = self._front.control(conditions)
        if control is not None and control.longest > self.row_slots:
            raise PromptTooLong(
                f"control: expected texts of at most {self.row_slots} tokens, the slots of a "
                f"sequence, got {control.longest}; shorten them"
            )
        return control

    def submit_tokens(
        self,
        ids: Sequence[int],
        pinned: Sequence[bool],
        how: Sampling,
        cache: CacheBudget | None = None,
    ) -> Handle:
        """Queue a generation after tokens. Raises TextModelError as `submit` does."""
        live = self._live(list(ids), list(pinned), how, cache or self.default)
        return self._queue(live, None)

    def _queue(self, live: Live, ended: Ended | None) -> Handle:
        live.handle = Handle(
            ahead=self.options.ahead,
            usage=live.usage,
            wake=self._wake,
            drive=self._drive,
            ended=ended,
        )
        with self._changed:
            if self._closed:
                raise TextModelError(
                    "engine: expected a running engine, got a closed one"
                )
            if len(self._waiting) >= self.options.waiting:
                raise ModelBusy(
                    f"engine: expected fewer than {self.options.waiting} waiting requests, got "
                    f"{len(self._waiting)}; try again later"
                )
            self._waiting.append(live)
        self._wake()
        return live.handle

    def _live(
        self, ids: list[int], pinned: list[bool], how: Sampling, budget: CacheBudget
    ) -> Live:
        """Return a checked sequence that is not yet queued."""
        sampling.check(how)
        n, total = len(ids), len(ids) + how.max_tokens
        if n == 0:
            raise TextModelError("prompt: expected at least one token, got none")
        if total > self.config.context_tokens:
            raise PromptTooLong(
                f"prompt: expected at most {self.config.context_tokens} tokens with max_tokens, "
                f"got {n} + {how.max_tokens}; shorten the prompt or ask for fewer tokens"
            )
        if len(budget.layer_weights) not in (0, self.config.layers):
            raise TextModelError(
                f"cache.layer_weights: expected {self.config.layers}, one for each layer, got "
                f"{len(budget.layer_weights)}"
            )
        rule = policies.resolve(budget, pinned=pinned, tokens=total, limit=self.row_slots)
        # The end of the pinned beginning: many requests share it.
        prefix = min(leading_pins(pinned), n - 1)
        # A snapshot has as many slots in every layer.
        if prefix < MIN_TOKENS or not self.snapshots.max_bytes or rule.layers:
            prefix = 0
        chunk = n if self.options.prefill == "full" else self.options.chunk
        return Live(
            ids=ids,
            pinned=pinned,
            rule=rule,
            sampling=how,
            endings=self.tokenizer.eos,
            slots=min(rule.capacity, total),
            emission=Emission(how.stop),
            chunks=chunk_ends(n, prefix, chunk, rule.window),
            prefix=prefix,
            prompt_tokens=n,
        )

    # Driving.

    def start(self) -> None:
        """Run the engine in a thread of its own until `close`."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="text-engine", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Cancel what runs and end the thread."""
        with self._changed:
            self._closed = True
            lives = self._waiting + self._active
        self._wake()
        if self._thread is not None:
            self._thread.join()
        for live in lives:
            live.handle.finish(Finish.CANCELLED)
        self._waiting.clear()
        self._reap()

    def _run(self) -> None:
        while not self._closed:
            try:
                worked = self.step()
            except Exception as error:
                # Without this thread every reader would wait for ever.
                self._fail_all(error)
                continue
            if not worked:
                with self._changed:
                    # Deadlines of waiting and paused sequences are looked at in between.
                    limit = 0.02 if self._waiting or self._active else None
                    self._changed.wait_for(lambda: self._news, limit)
                    self._news = False

    def _fail_all(self, error: Exception) -> None:
        """End what runs, or else what waits, by an error of a whole step."""
        with self._changed:
            lives = list(self._active or self._waiting)
        for live in lives:
            live.handle.fail(error)

    def _drive(self) -> bool:
        """Advance by hand; False when the engine's thread does, or nothing can be done."""
        if self._thread is not None:
            return False
        return self.step()

    def _wake(self) -> None:
        with self._changed:
            self._news = True
            self._changed.notify_all()

    @property
    def load(self) -> tuple[int, int]:
        """Sequences that run, and that wait."""
        return len(self._active), len(self._waiting)

    def step(self) -> bool:
        """Read one chunk of one prompt or decode one token of every sequence; False when idle."""
        with torch.inference_mode():
            return self._step()

    def _step(self) -> bool:
        self._look_at_limits()
        self._reap()
        self._admit()
        ready = [live for live in self._active if not live.handle.full]
        reading = [live for live in ready if live.reading]
        decoding = [live for live in ready if not live.reading]
        if not ready:
            return False
        if reading and (not decoding or self._since_chunk >= self.options.decode_steps):
            self._since_chunk = 0
            self._read(reading[0])
        else:
            self._since_chunk += 1
            self._decode(decoding)
        self._reap()
        return True

    def _look_at_limits(self) -> None:
        """Cancel the sequences whose criterion says so."""
        with self._changed:
            lives = self._waiting + self._active
        for live in lives:
            if live.stop is not None and not live.handle.over:
                with _failing(live):
                    if live.stop(None):
                        live.handle.finish(Finish.CANCELLED)

    def _reap(self) -> None:
        """Free the rows of sequences that are over."""
        with self._changed:
            self._waiting = [live for live in self._waiting if not live.handle.over]
            over = [live for live in self._active if live.handle.over]
            self._active = [live for live in self._active if not live.handle.over]
        for live in over:
            self.decoder.cache.clear(live.row, self.options.slots)
            self._free.append(live.row)

    def _admit(self) -> None:
        """Give rows to waiting sequences, in order, while rows and memory last."""
        with self._changed:
            used = sum(live.slots for live in self._active)
            while (
                self._waiting
                and self._free
                and (used + self._waiting[0].slots <= self.slots)
            ):
                live = self._waiting.pop(0)
                live.row = self._free.pop()
                used += live.slots
                self._active.append(live)

    def _start(self, live: Live) -> None:
        """Read the conditions, and load the snapshot of a prompt's beginning, if there is one."""
        live.started = True
        if live.control is not None:
            live.control.prepare(partial(self._alone, live), self.decoder.embeddings)
        if not live.prefix:
            return
        saved = self.snapshots.get(self._key(live))
        if saved is not None:
            self.decoder.cache.load(live.row, saved)
            live.position = live.cached_tokens = live.prefix
            live.chunks = [end for end in live.chunks if end > live.prefix]

    def _alone(self, live: Live, ids: Sequence[int]) -> torch.Tensor:
        """Return [T, width] states of a text that is read in a sequence's empty row."""
        budget = CacheBudget(policy=CachePolicy.FULL, slots=0)
        pinned = [False] * len(ids)
        rule = policies.resolve(
            budget, pinned=pinned, tokens=len(ids), limit=self.row_slots
        )
        hidden = self.decoder.read(ids, live.row, 0, pinned, rule)
        self.decoder.cache.clear(live.row, self.options.slots)
        return hidden

    def _key(self, live: Live) -> Key:
        return Key.of(live.ids[: live.prefix], live.pinned[: live.prefix], live.rule)

    # Work.

    def _read(self, live: Live) -> None:
        """Read the next chunk of a prompt; after the last one, draw the first token."""
        with _failing(live):
            if not live.started:
                self._start(live)
            end = live.chunks.pop(0)
            hidden = self._append(live, end, live.rule)
            if live.position == live.prefix:
                self.snapshots.put(self._key(live), self.decoder.cache.save(live.row))
            if live.reading:
                return
            if live.continuations is None:
                self._draw([live], hidden[-1:])
            else:
                live.last_hidden = hidden[-1:]

    def _append(self, live: Live, end: int, rule: policies.Rule) -> torch.Tensor:
        """Put the tokens up to `end` into a sequence's cache; [T, width]."""
        start = live.position
        pinned = live.pinned[start:end]
        pinned = pinned + [False] * (end - start - len(pinned))
        hidden = self.decoder.read(live.ids[start:end], live.row, start, pinned, rule)
        live.position = end
        return hidden

    def _decode(self, lives: list[Live]) -> None:
        """Append one token to every sequence, or those that the grammar forced, and draw."""
        for live in lives:
            if live.continuations is not None:
                with _failing(live):
                    self._score(live)
        lives = [live for live in lives if live.continuations is None]
        forced = [live for live in lives if live.pending > 1]
        for live in forced:
            with _failing(live):
                hidden = self._append(live, len(live.ids), live.rule.generating)
                if live.control is not None:
                    ids = live.ids[-len(hidden) : -1]
                    live.control.observe(ids, hidden[:-1], self.decoder.embeddings(ids))
                self._draw([live], hidden[-1:])
        lives = [live for live in lives if live.pending == 1 and live not in forced]
        if not lives:
            return
        try:
            hidden = self.decoder.decode(
                [live.ids[-1] for live in lives],
                [live.row for live in lives],
                [live.position for live in lives],
                [live.rule for live in lives],
            )
        except Exception as error:
            for live in lives:
                live.handle.fail(error)
            return
        for live in lives:
            live.position += 1
        self._draw(lives, hidden)

    def _draw(self, lives: list[Live], hidden: torch.Tensor) -> None:
        """Draw a token for each of A sequences from [A, width]."""
        whole: list[tuple[int, torch.Tensor | None]] = []  # those that need all logits
        for i, live in enumerate(lives):
            with _failing(live):
                if live.control is not None:
                    last = live.ids[-1:]
                    live.control.observe(
                        last, hidden[i : i + 1], self.decoder.embeddings(last)
                    )
                allowed = None if live.bound is None else live.bound.allowed()
                if allowed is None or not self._few(live, allowed):
                    whole.append((i, allowed))
                else:
                    logits = self.decoder.logits(hidden[i : i + 1], allowed)[0]
                    row = logits.cpu().numpy()
                    if live.control is not None:
                        row = live.control.steer(row, allowed.numpy())
                    chosen = sampling.draw(row, live.sampling, live.completion_tokens)
                    self._emit(
                        live, sampling.Drawn(id=int(allowed[chosen]), logprob=None)
                    )
        if not whole:
            return
        rows = hidden[[i for i, _ in whole]]
        logits = self.decoder.logits(rows).cpu().numpy()  # [B, vocabulary]
        for (i, allowed), row in zip(whole, logits, strict=True):
            with _failing(lives[i]):
                self._emit(lives[i], _drawn(lives[i], row, allowed))

    def _few(self, live: Live, allowed: torch.Tensor) -> bool:
        """Return whether the logits of the allowed tokens alone will do."""
        small = len(allowed) * _HEAD_SHARE < self.config.vocabulary
        return small and live.hook is None and not live.wants_logprobs

    def _emit(self, live: Live, drawn: sampling.Drawn) -> None:
        """Add a drawn token, and those that the grammar forces after it, to the answer."""
        goes_on = self._add(live, drawn)
        bound = live.bound
        if bound is None or not goes_on or live.wants_logprobs or live.hook:
            return
        for token in bound.forced():
            if not self._add(live, sampling.Drawn(id=token, logprob=None)):
                return

    def _add(self, live: Live, drawn: sampling.Drawn) -> bool:
        """Add one token to the answer, and end it where it ends. Return whether it goes on."""
        live.ids.append(drawn.id)
        ending = drawn.id in live.endings
        text = ""
        if not ending:
            text = live.emission.push(self.tokenizer.token_bytes(drawn.id))
            if live.bound is not None:
                live.bound.accept(drawn.id)
        done = live.bound is not None and live.bound.done
        stopped = ending or done or live.emission.stopped
        over = stopped or live.completion_tokens >= live.sampling.max_tokens
        if over:
            text += live.emission.flush()
        top = tuple(
            (self.tokenizer.token_bytes(i).decode("utf-8", "replace"), logprob)
            for i, logprob in drawn.top
        )
        live.handle.put(Token(id=drawn.id, text=text, logprob=drawn.logprob, top=top))
        if over:
            stopped = stopped or live.emission.stopped
            live.handle.finish(Finish.STOP if stopped else Finish.LENGTH)
        return not over

    # Likelihoods.

    def score(
        self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]
    ) -> list[float]:
        """Return the log-probability of each continuation after a prompt, in nats.

        Nothing is evicted. Raises PromptTooLong, and TextModelError for an empty prompt.
        """
        longest = max((len(tokens) for tokens in continuations), default=0)
        how = Sampling(max_tokens=max(1, longest))
        budget = CacheBudget(policy=CachePolicy.FULL, slots=0)
        live = self._live(list(prompt), [False] * len(prompt), how, budget)
        live.continuations = [list(tokens) for tokens in continuations]
        for _ in self._queue(live, None):
            pass
        if live.handle.ended.finish is Finish.CANCELLED:
            raise TextModelError("score: expected a running engine, got a closed one")
        return live.scores

    def _score(self, live: Live) -> None:
        """Score the next continuation of a sequence whose prompt has been read."""
        assert live.continuations is not None
        if len(live.scores) == len(live.continuations):
            live.handle.finish(Finish.STOP)
            return
        tokens = live.continuations[len(live.scores)]
        hidden = [live.last_hidden]
        if len(tokens) > 1:
            start = live.prompt_tokens
            more = self.decoder.read(
                tokens[:-1], live.row, start, [False] * (len(tokens) - 1), live.rule
            )
            hidden.append(more)
            self.decoder.cache.truncate(live.row, start)
        total = 0.0
        # A block at a time: logits of a long continuation would not be small.
        for block, chosen in zip(
            torch.cat(hidden).split(_SCORED_ROWS), _blocks(tokens), strict=False
        ):
            logprobs = self.decoder.logits(block).log_softmax(-1)
            total += float(logprobs.gather(1, chosen.to(logprobs.device)).double().sum())
        live.scores.append(total)


def _blocks(tokens: Sequence[int]) -> Iterator[torch.Tensor]:
    return iter(torch.tensor(tokens, dtype=torch.int64)[:, None].split(_SCORED_ROWS))


@contextmanager
def _failing(live: Live) -> Iterator[None]:
    """Give an error to the reader of one sequence; the others go on."""
    try:
        yield
    except Exception as error:
        live.handle.fail(error)


def _drawn(
    live: Live, logits: NDArray[np.float32], allowed: torch.Tensor | None
) -> sampling.Drawn:
    """Return a token drawn from all logits: grammar, control, hook, then sampling."""
    ruled = logits
    if allowed is not None:
        ruled = np.full_like(logits, -np.inf)
        ruled[allowed.numpy()] = logits[allowed.numpy()]
    if live.control is not None:
        ruled = live.control.steer(ruled)
    if live.hook is not None:
        ruled = np.asarray(live.hook(live.ids, ruled.copy()), dtype=np.float32)
        if ruled.shape != logits.shape:
            raise TextModelError(
                f"hook: expected logits of shape {logits.shape}, got {ruled.shape}"
            )
    token = sampling.draw(ruled, live.sampling, live.completion_tokens)
    if not live.wants_logprobs:
        return sampling.Drawn(id=token, logprob=None)
    logprob, top = sampling.logprobs(logits, token, live.sampling.top_logprobs)
    return sampling.Drawn(id=token, logprob=logprob, top=top)
