"""Steps of sequences that have a row of the cache: read a chunk, decode, draw, emit, score.

Errors of one sequence go to its reader; the others go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from search.text_model import CacheBudget, CachePolicy, Finish, TextModelError, Token
from workers.llm import policies, sampling
from workers.llm.decoder import Decoder
from workers.llm.sequence import Live
from workers.llm.snapshots import Key, Snapshots

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


class Steps:
    """Advances sequences over one decoder and its cache. One thread calls it."""

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokens,
        snapshots: Snapshots,
        *,
        slots: int,
        row_slots: int,
        vocabulary: int,
    ) -> None:
        """Take the parts.

        slots: of a row after it is cleared.
        row_slots: the most that a row may hold.
        """
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._snapshots = snapshots
        self._slots = slots
        self._row_slots = row_slots
        self._vocabulary = vocabulary

    def read(self, live: Live) -> None:
        """Read the next chunk of a prompt; after the last one, draw the first token."""
        with failing(live):
            if not live.started:
                self._start(live)
            end = live.chunks.pop(0)
            hidden = self._append(live, end, live.rule)
            if live.position == live.prefix:
                self._snapshots.put(self._key(live), self._decoder.cache.save(live.row))
            if live.reading:
                return
            if live.continuations is None:
                self._draw([live], hidden[-1:])
            else:
                live.last_hidden = hidden[-1:]

    def decode(self, lives: list[Live]) -> None:
        """Append one token to every sequence, or those that the grammar forced, and draw."""
        for live in lives:
            if live.continuations is not None:
                with failing(live):
                    self._score(live)
        lives = [live for live in lives if live.continuations is None]
        forced = [live for live in lives if live.pending > 1]
        for live in forced:
            with failing(live):
                hidden = self._append(live, len(live.ids), live.rule.generating)
                if live.control is not None:
                    ids = live.ids[-len(hidden) : -1]
                    live.control.observe(ids, hidden[:-1], self._decoder.embeddings(ids))
                self._draw([live], hidden[-1:])
        lives = [live for live in lives if live.pending == 1 and live not in forced]
        if not lives:
            return
        try:
            hidden = self._decoder.decode(
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

    def _start(self, live: Live) -> None:
        """Read the conditions, and load the snapshot of a prompt's beginning, if there is one."""
        live.started = True
        if live.control is not None:
            live.control.prepare(partial(self._alone, live), self._decoder.embeddings)
        if not live.prefix:
            return
        saved = self._snapshots.get(self._key(live))
        if saved is not None:
            self._decoder.cache.load(live.row, saved)
            live.position = live.cached_tokens = live.prefix
            live.chunks = [end for end in live.chunks if end > live.prefix]

    def _alone(self, live: Live, ids: Sequence[int]) -> torch.Tensor:
        """Return [T, width] states of a text that is read in a sequence's empty row."""
        budget = CacheBudget(policy=CachePolicy.FULL, slots=0)
        pinned = [False] * len(ids)
        rule = policies.resolve(
            budget, pinned=pinned, tokens=len(ids), limit=self._row_slots
        )
        hidden = self._decoder.read(ids, live.row, 0, pinned, rule)
        self._decoder.cache.clear(live.row, self._slots)
        return hidden

    def _key(self, live: Live) -> Key:
        return Key.of(live.ids[: live.prefix], live.pinned[: live.prefix], live.rule)

    def _append(self, live: Live, end: int, rule: policies.Rule) -> torch.Tensor:
        """Put the tokens up to `end` into a sequence's cache; [T, width]."""
        start = live.position
        pinned = live.pinned[start:end]
        pinned = pinned + [False] * (end - start - len(pinned))
        hidden = self._decoder.read(live.ids[start:end], live.row, start, pinned, rule)
        live.position = end
        return hidden

    def _draw(self, lives: list[Live], hidden: torch.Tensor) -> None:
        """Draw a token for each of A sequences from [A, width]."""
        whole: list[tuple[int, torch.Tensor | None]] = []  # those that need all logits
        for i, live in enumerate(lives):
            with failing(live):
                if live.control is not None:
                    last = live.ids[-1:]
                    live.control.observe(
                        last, hidden[i : i + 1], self._decoder.embeddings(last)
                    )
                allowed = None if live.bound is None else live.bound.allowed()
                if allowed is None or not self._few(live, allowed):
                    whole.append((i, allowed))
                else:
                    logits = self._decoder.logits(hidden[i : i + 1], allowed)[0]
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
        logits = self._decoder.logits(rows).cpu().numpy()  # [B, vocabulary]
        for (i, allowed), row in zip(whole, logits, strict=True):
            with failing(lives[i]):
                self._emit(lives[i], _drawn(lives[i], row, allowed))

    def _few(self, live: Live, allowed: torch.Tensor) -> bool:
        """Return whether the logits of the allowed tokens alone will do."""
        small = len(allowed) * _HEAD_SHARE < self._vocabulary
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
            text = live.emission.push(self._tokenizer.token_bytes(drawn.id))
            if live.bound is not None:
                live.bound.accept(drawn.id)
        done = live.bound is not None and live.bound.done
        stopped = ending or done or live.emission.stopped
        over = stopped or live.completion_tokens >= live.sampling.max_tokens
        if over:
            text += live.emission.flush()
        top = tuple(
            (self._tokenizer.token_bytes(i).decode("utf-8", "replace"), logprob)
            for i, logprob in drawn.top
        )
        live.handle.put(Token(id=drawn.id, text=text, logprob=drawn.logprob, top=top))
        if over:
            stopped = stopped or live.emission.stopped
            live.handle.finish(Finish.STOP if stopped else Finish.LENGTH)
        return not over

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
            more = self._decoder.read(
                tokens[:-1], live.row, start, [False] * (len(tokens) - 1), live.rule
            )
            hidden.append(more)
            self._decoder.cache.truncate(live.row, start)
        total = 0.0
        # A block at a time: logits of a long continuation would not be small.
        for block, chosen in zip(
            torch.cat(hidden).split(_SCORED_ROWS), _blocks(tokens), strict=False
        ):
            logprobs = self._decoder.logits(block).log_softmax(-1)
            total += float(logprobs.gather(1, chosen.to(logprobs.device)).double().sum())
        live.scores.append(total)


def _blocks(tokens: Sequence[int]) -> Iterator[torch.Tensor]:
    return iter(torch.tensor(tokens, dtype=torch.int64)[:, None].split(_SCORED_ROWS))


@contextmanager
def failing(live: Live) -> Iterator[None]:
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
