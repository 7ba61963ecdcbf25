"""Put messages through a model's chat template, so that no user text becomes special tokens.

The template sees a mark in place of each message's text; what it writes between marks is its own,
and only there special tokens are recognised. Templates are Jinja2, run in its sandbox with bounds
on their size, loops and output.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
import jinja2.exceptions
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

from search.text_model import Message, TextModelError
from workers.llm.gguf import BadModelFile
from workers.llm.tokenizer import Piece, Tokenizer

_MAX_TEMPLATE_CHARACTERS = 64 << 10
_MAX_OUTPUT_CHARACTERS = 1 << 20  # without the messages' own text
_MAX_LOOPS = 4  # one within another
_MAX_RANGE = 1000
_MAX_PRODUCT = 1 << 16


def prompt(
    tokenizer: Tokenizer, messages: Sequence[Message]
) -> tuple[list[int], list[bool]]:
    """Return the ids of a conversation up to where the answer begins, and which are pinned.

    A pinned message pins its text and what the template writes before it. Raises TextModelError.
    """
    pieces = _ChatTemplate(tokenizer).pieces(messages)
    return tokenizer.encode_pieces(pieces)


def has_template(tokenizer: Tokenizer) -> bool:
    """Return whether the model declares a chat template."""
    return _source(tokenizer) is not None


def _source(tokenizer: Tokenizer) -> str | None:
    source = tokenizer.settings.get("chat_template")
    if isinstance(source, list):
        # Several by name, of which `default` is the one for chat.
        named = [entry for entry in source if isinstance(entry, dict)]
        source = next(
            (e.get("template") for e in named if e.get("name") == "default"), None
        )
    path: Path = tokenizer.folder / "chat_template.jinja"
    if not isinstance(source, str) and path.is_file():
        if path.stat().st_size > 4 * _MAX_TEMPLATE_CHARACTERS:
            raise BadModelFile(
                f"{path}: expected at most {_MAX_TEMPLATE_CHARACTERS} characters"
            )
        source = path.read_text(encoding="utf-8", errors="replace")
    return source if isinstance(source, str) else None


class _ChatTemplate:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        source = _source(tokenizer)
        if source is None:
            raise TextModelError(
                "messages: expected a model with a chat template, got one without; send `prompt` "
                "instead"
            )
        if len(source) > _MAX_TEMPLATE_CHARACTERS:
            raise self._bad(f"{len(source)} characters")
        self._environment = _Environment()
        try:
            tree = self._environment.parse(source)
            if _loops(tree) > _MAX_LOOPS:
                raise self._bad(f"{_loops(tree)} loops within one another")
            self._template = self._environment.from_string(source)
        except (jinja2.TemplateError, RecursionError) as error:
            raise self._bad(str(error)[:200]) from None

    def _bad(self, reason: str) -> BadModelFile:
        return BadModelFile(
            f"{self._tokenizer.folder}: chat_template: expected a Jinja2 template of at most "
            f"{_MAX_TEMPLATE_CHARACTERS} characters and {_MAX_LOOPS} nested loops, got {reason}; "
            "take another checkpoint"
        )

    def pieces(self, messages: Sequence[Message]) -> list[Piece]:
        if not messages:
            raise TextModelError("messages: expected at least one, got none; add one")
        texts = [message.text for message in messages]
        if self._trims():
            texts = [text.strip() for text in texts]
        mark = f"\ue000{secrets.token_hex(8)}."
        marked = [f"{mark}{i}\ue001" for i in range(len(messages))]
        rendered = self._render(messages, marked)
        pieces: list[Piece] = []
        while rendered:
            before, separator, rest = rendered.partition(mark)
            if not separator:
                pieces.append(Piece(text=before, trusted=True))
                break
            number, _, rendered = rest.partition("\ue001")
            i = int(number)
            pinned = messages[i].pinned
            pieces.append(Piece(text=before, trusted=True, pinned=pinned))
            pieces.append(Piece(text=texts[i], pinned=pinned))
        if sum(not piece.trusted for piece in pieces) < len(messages):
            raise TextModelError(
                "messages: expected roles that this model's chat template writes, got one that it "
                "leaves out; put its text into another message"
            )
        return pieces

    def _trims(self) -> bool:
        """Return whether the template takes white space off the ends of a message."""
        probe = Message(role="user", text="")
        return "\ue002" in self._render([probe], ["  \ue002  "]) and "  \ue002  " not in (
            self._render([probe], ["  \ue002  "])
        )

    def _render(self, messages: Sequence[Message], texts: Sequence[str]) -> str:
        settings = self._tokenizer.settings

        def named(role: str) -> str:
            value = settings.get(role)
            name = value.get("content") if isinstance(value, dict) else value
            return name if isinstance(name, str) else ""

        pairs = zip(messages, texts, strict=True)
        try:
            parts = self._template.generate(
                messages=[{"role": m.role, "content": text} for m, text in pairs],
                add_generation_prompt=True,
                bos_token=named("bos_token"),
                eos_token=named("eos_token"),
                tools=None,
                documents=None,
            )
            return "".join(_bounded(parts))
        except _Refused as error:
            raise TextModelError(
                f"messages: this model's chat template refuses them: {str(error)[:300]}; change "
                "the order of roles"
            ) from None
        except (jinja2.TemplateError, RecursionError, ArithmeticError) as error:
            raise self._bad(str(error)[:200]) from None
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise self._bad(f"{type(error).__name__}: {str(error)[:200]}") from None


class _Refused(Exception):
    """A template called `raise_exception`."""


class _Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Jinja2's sandbox with the functions that chat templates call, and bounds on work."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[jinja2.ext.loopcontrols],
        )
        self.filters["tojson"] = _to_json
        self.globals["raise_exception"] = _refuse
        self.globals["strftime_now"] = _now
        self.globals["range"] = _range
        # Whole texts are made from these.
        for name in ("lipsum", "cycler", "joiner"):
            self.globals.pop(name, None)
        for name in (
            "center",
            "indent",
            "wordwrap",
            "format",
            "pprint",
            "xmlattr",
            "urlize",
        ):
            if name != "indent":
                self.filters.pop(name, None)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Apply an operator to numbers, or refuse a result that could be huge."""
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        small = numbers and abs(left) <= _MAX_PRODUCT and abs(right) <= _MAX_PRODUCT
        if not small or operator == "**":
            raise jinja2.exceptions.SecurityError(
                f"operator {operator} on large numbers or on text"
            )
        return super().call_binop(context, operator, left, right)


def _bounded(parts: Iterator[str]) -> Iterator[str]:
    size = 0
    for part in parts:
        size += len(part)
        if size > _MAX_OUTPUT_CHARACTERS:
            raise jinja2.exceptions.SecurityError(
                f"more than {_MAX_OUTPUT_CHARACTERS} characters of output"
            )
        yield part


def _loops(node: jinja2.nodes.Node) -> int:
    """Return how many loops stand one within another."""
    inner = max((_loops(child) for child in node.iter_child_nodes()), default=0)
    return inner + isinstance(node, jinja2.nodes.For)


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > _MAX_RANGE:
        raise jinja2.exceptions.SecurityError(
            f"a range of more than {_MAX_RANGE} numbers"
        )
    return numbers


def _refuse(message: object) -> None:
    raise _Refused(str(message))


def _now(layout: str) -> str:
    with contextlib.suppress(ValueError):
        return datetime.datetime.now(tz=datetime.UTC).strftime(layout)
    return ""


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
