"""Grammars that bound a text: JSON schema, choices or regex. The one door to xgrammar."""

from __future__ import annotations

import contextlib
import hashlib
import json
import select
import subprocess
import sys
import threading
import time
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from search.text_model import Grammar, ModelUnavailable
from workers.llm import characters, json_bounds, json_grammar, regex_grammar
from workers.llm.child_environment import child_environment
from workers.llm.grammar_error import BadGrammar
from workers.llm.tokenizer import Tokenizer

_MAX_CHOICES = 1000
_MAX_CHOICE_CHARACTERS = 4096
_MAX_SCHEMA_CHARACTERS = 256 << 10
_KEPT = 64  # compiled grammars for each tokenizer
_START_S, _ANSWER_S = 120.0, 90.0


def grammar_text(grammar: Grammar) -> str:
    """Return a grammar in xgrammar's notation. Raises BadGrammar."""
    fields = [
        name
        for name in ("json_schema", "choices", "regex")
        if getattr(grammar, name) is not None
    ]
    if len(fields) != 1:
        raise BadGrammar(
            "grammar: expected exactly one of json_schema, choices and regex, got "
            f"{' and '.join(fields) or 'none'}; set one"
        )
    if grammar.choices is not None:
        return _choices(grammar.choices)
    if grammar.regex is not None:
        tree = regex_grammar.parse(grammar.regex, field="regex")
        return f"root ::= {regex_grammar.grammar_text(tree, json=False, field='regex')}\n"
    schema = grammar.json_schema
    assert schema is not None
    size = len(json_bounds.json_text(schema, "json_schema"))
    if size > _MAX_SCHEMA_CHARACTERS:
        raise BadGrammar(
            f"json_schema: expected at most {_MAX_SCHEMA_CHARACTERS} characters, got {size}; "
            "split the request"
        )
    return json_grammar.grammar(schema)


def _choices(choices: tuple[str, ...]) -> str:
    sizes = [len(choice) for choice in choices]
    if not choices or len(choices) > _MAX_CHOICES or min(sizes) < 1:
        raise BadGrammar(
            f"choices: expected 1 to {_MAX_CHOICES} texts that are not empty, got {len(choices)}"
            f"{' with an empty one' if 0 in sizes else ''}; correct them"
        )
    if max(sizes) > _MAX_CHOICE_CHARACTERS:
        raise BadGrammar(
            f"choices: expected texts of at most {_MAX_CHOICE_CHARACTERS} characters, got one of "
            f"{max(sizes)}; shorten it"
        )
    try:
        "".join(choices).encode()
    except UnicodeEncodeError:
        raise BadGrammar(
            "choices: expected valid Unicode, got a lone surrogate"
        ) from None
    literals = " | ".join(characters.literal_text(c) for c in dict.fromkeys(choices))
    return f"root ::= {literals}\n"


class Constraint:
    """A grammar and how much of it has been written. One for each generated text."""

    def __init__(self, grammar: Grammar, tokenizer: Tokenizer) -> None:
        """Compile, or take what was compiled before.

        Raises BadGrammar, and ModelUnavailable where xgrammar is not installed.
        """
        self._grammars = _grammars(tokenizer)
        self._tokenizer = tokenizer
        import xgrammar  # here, as it imports torch and takes a second

        self._matcher = xgrammar.GrammarMatcher(self._grammars.compiled(grammar))
        self._mask = np.zeros((1, -(-tokenizer.vocabulary // 32)), np.int32)
        self._filled = False

    def mask(self) -> NDArray[np.int32]:
        """Return the tokens that may follow as bits, [ceil(vocabulary / 32)], lowest bit first.

        Valid until the next token is accepted. All bits are zero once the text has ended.
        """
        if not self._filled:
            if self._matcher.is_terminated():
                self._mask[:] = 0
            else:
                self._matcher.fill_next_token_bitmask(self._mask)
            self._filled = True
        return self._mask[0]

    def allowed(self) -> torch.Tensor:
        """Return [m] int64: tokens that may follow, ascending; none once the text has ended.

        The tokens that end an answer are among them when the text may end here.
        """
        bits = np.unpackbits(self.mask().view(np.uint8), bitorder="little")
        return torch.from_numpy(np.flatnonzero(bits[: self._tokenizer.vocabulary]))

    def accept(self, token: int) -> None:
        """Take the next token. Raises ValueError when it is not allowed."""
        if not self._matcher.accept_token(token):
            raise ValueError(f"token: expected one that the grammar allows, got {token}")
        self._filled = False

    @property
    def complete(self) -> bool:
        """True where the text may end."""
        return bool(self._matcher.is_terminated() or self._matcher.is_completed())

    @property
    def done(self) -> bool:
        """True where the text must end."""
        if not self.complete:
            return False
        count = int(np.unpackbits(self.mask().view(np.uint8)).sum())
        if count > len(self._tokenizer.eos):
            return False
        return set(self.allowed().tolist()) <= self._tokenizer.eos

    def forced(self) -> list[int]:
        """Return tokens of the text that must follow, as this model's tokenizer splits it.

        The last token of it is left out where a longer one could come in its place. The tokens
        are not accepted yet.
        """
        if self._matcher.is_terminated():
            return []
        text = self._matcher.find_jump_forward_string()
        ids = self._tokenizer.encode(text) if text else []
        joined = b"".join(map(self._tokenizer.token_bytes, ids))
        if joined != text.encode():
            ids = list(self._matcher.find_jump_forward_tokens())
        taken: list[int] = []
        for token in ids:
            if not self._matcher.accept_token(token):
                break
            taken.append(token)
        ends = bool(taken) and len(taken) == len(ids) and self._must_end()
        if taken:
            self._matcher.rollback(len(taken))
        self._filled = False
        return taken if ends or not taken else taken[:-1]

    def _must_end(self) -> bool:
        self._filled = False
        return self.done


def warm(tokenizer: Tokenizer) -> None:
    """Start what the first grammar needs, some seconds of work. Raises ModelUnavailable."""
    _grammars(tokenizer).warm()


class _Grammars:
    """Compiled grammars of one tokenizer, and the process that tries new ones first."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        import xgrammar

        # xgrammar's own table of bytes would read tokens as GPT-2 writes them; these are raw.
        self._info = xgrammar.TokenizerInfo(
            [_bytes_for_text(tokenizer, i) for i in range(tokenizer.vocabulary)],
            vocab_type=xgrammar.VocabType.RAW,
            vocab_size=tokenizer.vocabulary,
            stop_token_ids=sorted(tokenizer.eos),
        )
        self._compiler = xgrammar.GrammarCompiler(
            self._info, max_threads=1, cache_enabled=False
        )
        self._guard = _Guard(self._info.serialize_json())
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Start the process that tries grammars."""
        with self._lock:
            self._guard.refusal('root ::= "a"\n')

    def compiled(self, grammar: Grammar) -> Any:
        """Return a compiled grammar, as it was kept or after a trial. Raises BadGrammar."""
        text = grammar_text(grammar)
        key = hashlib.sha256(text.encode()).hexdigest()
        with self._lock:
            if key not in self._kept:
                reason = self._guard.refusal(text)
                if reason is not None:
                    raise BadGrammar(
                        f"grammar: expected one that compiles within 2 s and 256 MiB and is quick "
                        f"to follow, got {reason}; make it smaller"
                    )
                self._kept[key] = self._compiler.compile_grammar(text)
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


def _bytes_for_text(tokenizer: Tokenizer, token: int) -> bytes:
    """Return what a token adds to a text; nothing for tokens that a grammar must not use."""
    if tokenizer.is_special(token):
        return b""
    text = tokenizer.token_bytes(token)
    # After an incomplete ED or F4 a surrogate, or a character beyond Unicode, could be made up:
    # xgrammar's negated classes take them.
    for lead in (0xED, 0xF4):
        at = text.rfind(lead)
        if at >= 0 and len(text) - at < (3 if lead == 0xED else 4):
            return b""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        if error.reason == "invalid continuation byte":
            return b""
    return text


class _Guard:
    """Parent of `workers.llm.grammar_guard`."""

    def __init__(self, tokenizer: str) -> None:
        self._tokenizer = tokenizer
        self._process: subprocess.Popen[str] | None = None

    def refusal(self, text: str) -> str | None:
        """Return why a grammar is refused; None when it is not. Raises ModelUnavailable."""
        process = self._running()
        answer = None if process is None else self._exchange(process, text, _ANSWER_S)
        if answer is None:
            self._stop()
            raise ModelUnavailable(
                "grammar: the process that tries grammars first ended without an answer; try again"
            )
        refused = answer.get("refused")
        return None if refused is None else str(refused)

    def _running(self) -> subprocess.Popen[str] | None:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workers.llm.grammar_guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=child_environment(),
        )
        weakref.finalize(self, _end, self._process)
        ready = self._exchange(self._process, self._tokenizer, _START_S)
        return self._process if ready is not None else None

    def _exchange(
        self, process: subprocess.Popen[str], text: str, seconds: float
    ) -> dict[str, Any] | None:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(text) + "\n")
            process.stdin.flush()
            deadline = time.monotonic() + seconds
            if not select.select([process.stdout], [], [], deadline - time.monotonic())[
                0
            ]:
                return None
            answer = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            return None
        return answer if isinstance(answer, dict) else None

    def _stop(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


_OF_TOKENIZER: weakref.WeakKeyDictionary[Tokenizer, _Grammars] = (
    weakref.WeakKeyDictionary()
)
_LOCK = threading.Lock()


def _grammars(tokenizer: Tokenizer) -> _Grammars:
    """Return the compiled grammars of a tokenizer. Raises ModelUnavailable without xgrammar."""
    with _LOCK:
        try:
            if tokenizer not in _OF_TOKENIZER:
                _OF_TOKENIZER[tokenizer] = _Grammars(tokenizer)
        except ModuleNotFoundError:
            raise ModelUnavailable(
                "grammar: expected the package xgrammar, got none; run `make setup-llm`"
            ) from None
        return _OF_TOKENIZER[tokenizer]
