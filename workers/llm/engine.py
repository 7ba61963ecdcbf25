"""Continuous batching over a bounded cache: queue requests, admit them, choose the next step.

No thread, setting or file is touched at import. An engine is driven by `step()` by hand, or by its
own thread after `start()`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

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
)
from workers.llm import budgets, policies, sampling
from workers.llm.decoder import Decoder
from workers.llm.decoder_types import DecoderConfig, DecoderWeights
from workers.llm.emission import Emission
from workers.llm.handle import Handle
from workers.llm.kv_cache import KeyValueCache, slot_bytes
from workers.llm.sequence import Bound, Control, Live, chunk_ends, leading_pins
from workers.llm.snapshots import MIN_TOKENS, Snapshots
from workers.llm.steps import Steps, Tokens, failing


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
        self._steps = Steps(
            self.decoder,
            tokenizer,
            self.snapshots,
            slots=options.slots,
            row_slots=self.row_slots,
            vocabulary=config.vocabulary,
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
            self._steps.read(reading[0])
        else:
            self._since_chunk += 1
            self._steps.decode(decoding)
        self._reap()
        return True

    def _look_at_limits(self) -> None:
        """Cancel the sequences whose criterion says so."""
        with self._changed:
            lives = self._waiting + self._active
        for live in lives:
            if live.stop is not None and not live.handle.over:
                with failing(live):
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
