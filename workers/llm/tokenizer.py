"""Tokenizer of a model's folder, in which user text can never become special tokens."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from search.text_model import TextModelError
from workers.llm.checkpoint_folder import read_json
from workers.llm.gguf import BadModelFile

Json = Mapping[str, Any]

_MAX_VOCABULARY = 1 << 22
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, kw_only=True)
class SpecialToken:
    """A token that stands for itself and not for text, as `<|im_end|>`."""

    id: int
    content: str
    strips_left: bool = False  # takes the white space before it
    strips_right: bool = False


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a text that is encoded as one: is it the template's or a user's, and pinned."""

    text: str
    trusted: bool = False  # special tokens in it are read as such
    pinned: bool = False


class Tokenizer:
    """Text to ids and back."""

    def __init__(self, folder: Path) -> None:
        """Read tokenizer.json and the files beside it. Raises BadModelFile."""
        self.folder = folder
        content = read_json(folder / "tokenizer.json")
        settings = folder / "tokenizer_config.json"
        self.settings: Json = read_json(settings) if settings.is_file() else {}
        try:
            self._read(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._bad(f"{type(error).__name__}: {str(error)[:200]}") from None

    def _bad(self, reason: str) -> BadModelFile:
        return BadModelFile(
            f"{self.folder / 'tokenizer.json'}: expected a BPE tokenizer, got {reason}; "
            "take another checkpoint"
        )

    def _read(self, content: dict[str, Any]) -> None:
        model = content["model"]
        if model.get("type", "BPE") != "BPE":
            raise self._bad(f"model.type {str(model.get('type'))[:40]!r}")
        vocabulary: dict[str, int] = dict(model["vocab"])
        added = [token for token in content.get("added_tokens") or () if token["content"]]
        self.special: Mapping[str, SpecialToken] = {
            token["content"]: SpecialToken(
                id=int(token["id"]),
                content=token["content"],
                strips_left=bool(token.get("lstrip")),
                strips_right=bool(token.get("rstrip")),
            )
            for token in added
            if token.get("special") or not token["content"].isspace()
        }
        ids = [*vocabulary.values(), *(token["id"] for token in added)]
        self.vocabulary: int = max(ids) + 1
        if not 0 <= min(ids) <= self.vocabulary <= _MAX_VOCABULARY:
            raise self._bad(f"ids from {min(ids)} to {max(ids)}")
        self._byte_level = "ByteLevel" in json.dumps(content.get("decoder"))
        self._pieces: dict[int, str] = {i: piece for piece, i in vocabulary.items()}
        self._pieces |= {int(token["id"]): token["content"] for token in added}
        self._special_ids = frozenset(token.id for token in self.special.values())
        plain = self._without_special(content, vocabulary)
        self._first = _load(plain)
        inner = _without_first_space(plain)
        self._inner = self._first if inner is plain else _load(inner)
        self._pattern = re.compile(
            "|".join(map(re.escape, sorted(self.special, key=len, reverse=True)))
            or r"(?!)"
        )
        self.bos: int | None = self._named("bos_token")
        self.adds_bos: bool = self.bos is not None and self._starts_with_bos(content)
        self.eos: frozenset[int] = self._ends()
        # SentencePiece puts a space before a text, which is not part of it.
        self._adds_space = bool(self.encode("a")) and self._raw(self.encode("a")) == b" a"

    def _without_special(self, content: Json, vocabulary: Mapping[str, int]) -> Json:
        """Return tokenizer.json of an encoder that does not know the special tokens."""
        unknown = content["model"].get("unk_token")
        kept = {
            piece: i
            for piece, i in vocabulary.items()
            if piece not in self.special or piece == unknown
        }
        spaces = [
            token
            for token in content.get("added_tokens") or ()
            if token["content"] and token["content"] not in self.special
        ]
        model = {**content["model"], "vocab": kept}
        return {
            **content,
            "model": model,
            # Their ids hold only when the vocabulary has them; the others are rare runs of space.
            "added_tokens": [token for token in spaces if token["content"] in kept],
            "post_processor": None,
            "truncation": None,
            "padding": None,
        }

    def _named(self, role: str) -> int | None:
        """Return the id of the token that tokenizer_config.json names; None without one."""
        value = self.settings.get(role)
        name = value.get("content") if isinstance(value, Mapping) else value
        if not isinstance(name, str):
            return None
        special = self.special.get(name)
        return special.id if special else None

    def _starts_with_bos(self, content: Json) -> bool:
        """Return whether the model expects its first token before every text."""
        declared = self.settings.get("add_bos_token")
        if declared is not None:
            return bool(declared)
        name = self._pieces.get(self.bos if self.bos is not None else -1)
        processor = json.dumps(content.get("post_processor"), ensure_ascii=False)
        return (
            f'"SpecialToken": {{"id": {json.dumps(name, ensure_ascii=False)}' in processor
        )

    def _ends(self) -> frozenset[int]:
        """Return ids that end an answer, from generation_config.json, config.json and eos_token."""
        ids: set[int] = set()
        for name in ("generation_config.json", "config.json"):
            path = self.folder / name
            value = read_json(path).get("eos_token_id") if path.is_file() else None
            ids |= {
                i
                for i in (value if isinstance(value, list) else [value])
                if i is not None
            }
        named = self._named("eos_token")
        if named is not None:
            ids.add(named)
        if not ids or any(i not in self._pieces for i in ids):
            raise self._bad(f"eos_token_id {sorted(ids)[:8]}")
        return frozenset(ids)

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Return the ids of a text.

        special: read `<|im_end|>` and its like as special tokens; never for text of a user.
        """
        return self.encode_pieces([Piece(text=text, trusted=special)])[0]

    def encode_prompt(self, text: str) -> list[int]:
        """Return the ids of a text that begins a sequence: after the first token, if one is due."""
        ids = self.encode(text)
        return [self.bos, *ids] if self.adds_bos and self.bos is not None else ids

    def encode_pieces(self, pieces: Sequence[Piece]) -> tuple[list[int], list[bool]]:
        """Return the ids of texts one after another, and which belong to a pinned one.

        Special tokens are recognised only within a trusted piece. Between two of them, text is
        encoded as one, so that words may span pieces as they do for the model's own tokenizer.
        """
        ids: list[int] = []
        pinned: list[bool] = []
        run: list[Piece] = []
        strip_next = False

        def flush(*, strip_right: bool) -> None:
            if run:
                run_ids, run_pinned = self._encode_run(
                    run, first=not ids, strip=(strip_next, strip_right)
                )
                ids.extend(run_ids)
                pinned.extend(run_pinned)
                run.clear()

        for piece in pieces:
            at = 0
            matches = self._pattern.finditer(piece.text) if piece.trusted else ()
            for match in matches:
                token = self.special[match.group()]
                if match.start() > at:
                    run.append(
                        Piece(text=piece.text[at : match.start()], pinned=piece.pinned)
                    )
                flush(strip_right=token.strips_left)
                ids.append(token.id)
                pinned.append(piece.pinned)
                strip_next = token.strips_right
                at = match.end()
            if at < len(piece.text):
                run.append(Piece(text=piece.text[at:], pinned=piece.pinned))
        flush(strip_right=False)
        return ids, pinned

    def _encode_run(
        self, run: Sequence[Piece], *, first: bool, strip: tuple[bool, bool]
    ) -> tuple[list[int], list[bool]]:
        text = "".join(piece.text for piece in run)
        offset = len(text) - len(text.lstrip()) if strip[0] else 0
        text = text[offset:]
        if strip[1]:
            text = text.rstrip()
        try:
            encoding = (self._first if first else self._inner).encode(
                text, add_special_tokens=False
            )
        except (TypeError, UnicodeEncodeError):
            raise TextModelError(
                "text: expected valid Unicode, got a lone surrogate; remove it"
            ) from None
        ids = list(encoding.ids)
        if not self._special_ids.isdisjoint(ids):
            raise TextModelError(
                "text: expected plain text, got characters that this model's tokenizer turns into "
                "a special token; rephrase it"
            )
        if not any(piece.pinned for piece in run):
            return ids, [False] * len(ids)
        spans, at = [], -offset
        for piece in run:
            if piece.pinned:
                spans.append((at, at + len(piece.text)))
            at += len(piece.text)
        pinned = [
            any(begin < max(last, start + 1) and start < end for begin, end in spans)
            for start, last in encoding.offsets
        ]
        return ids, pinned

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids without special tokens; invalid UTF-8 becomes U+FFFD."""
        text = self._raw(i for i in ids if i not in self._special_ids)
        return text.removeprefix(b" " if self._adds_space else b"").decode(
            "utf-8", "replace"
        )

    def _raw(self, ids: Iterable[int]) -> bytes:
        return b"".join(map(self.token_bytes, ids))

    def token_bytes(self, id: int) -> bytes:
        """Return the bytes that a token adds to a text; of a special token, its name."""
        piece = self._pieces.get(id)
        if piece is None:
            return b""
        if id in self._special_ids:
            return piece.encode()
        if self._byte_level:
            return _from_byte_level(piece)
        byte = _BYTE_TOKEN.fullmatch(piece)
        if byte:
            return bytes([int(byte.group(1), 16)])
        return piece.replace("▁", " ").encode()

    def texts(self) -> list[str]:
        """Return the texts of all tokens in their order."""
        return [
            self.token_bytes(i).decode("utf-8", "replace") for i in range(self.vocabulary)
        ]

    def is_special(self, id: int) -> bool:
        """Return whether a token stands for itself and not for text."""
        return id in self._special_ids or id not in self._pieces


def _load(content: Json) -> Any:
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(content, ensure_ascii=False))
    # The library raises bare Exception, and PanicException, which is a BaseException.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise ValueError(str(error)) from None


def _without_first_space(content: Json) -> Json:
    """Return the tokenizer for text after a special token.

    Metaspace with `prepend_scheme: first` puts a space only before the beginning of a text.
    """
    text = json.dumps(content, ensure_ascii=False)
    changed = text.replace('"prepend_scheme": "first"', '"prepend_scheme": "never"')
    return content if changed == text else json.loads(changed)


@functools.cache
def _byte_of_character() -> dict[str, int]:
    """Return GPT-2's table: printable bytes stand for themselves, others for U+0100 and up."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(256 + i): byte for i, byte in enumerate(others)}


def _from_byte_level(piece: str) -> bytes:
    table = _byte_of_character()
    try:
        return bytes(table[character] for character in piece)
    except KeyError:  # an added token that was not written in the table's characters
        return piece.encode()
