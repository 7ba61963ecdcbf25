"""Tokenizer of a GGUF file as the files of a Hugging Face folder.

Two kinds are known: byte-level BPE with merges (`gpt2`), split by the pattern that
`tokenizer.ggml.pre` names, and SentencePiece BPE (`llama`), whose merges follow from its scores.
Patterns are those of llama.cpp's llama-vocab.cpp and of the models' own tokenizer.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from workers.llm.gguf import BadModelFile, GgufFile

Json = dict[str, Any]

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 1, 2, 3, 4, 6
_LONGEST_PIECE = 256  # characters; SentencePiece makes none longer than 16

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _byte_level(*, use_regex: bool) -> Json:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def _split(pattern: str) -> Json:
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


def _by_pattern(pattern: str) -> Json:
    return {
        "type": "Sequence",
        "pretokenizers": [_split(pattern), _byte_level(use_regex=False)],
    }


_DIGITS_FIRST = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        _byte_level(use_regex=True),
    ],
}
_LLAMA3 = _by_pattern(rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}")
_QWEN2 = _by_pattern(rf"{_WORDS}|\p{{N}}|{_REST}")
PRE_TOKENIZERS: Mapping[str, Json] = MappingProxyType(
    {
        "gpt-2": _byte_level(use_regex=True),
        "smollm": _DIGITS_FIRST,
        "starcoder": _DIGITS_FIRST,
        "llama-bpe": _LLAMA3,
        "qwen2": _QWEN2,
        "deepseek-r1-qwen": _QWEN2,
        "tekken": _by_pattern(_TEKKEN),
    }
)
"""Pre-tokenizer by `tokenizer.ggml.pre`."""
# Take a piece that is a token whole, whatever its merges.
_WHOLE_PIECES = ("llama-bpe", "tekken")
# Normalise to NFC first.
_COMPOSED = ("qwen2", "deepseek-r1-qwen")


def tokenizer_files(gguf: GgufFile) -> dict[str, Json]:
    """Return tokenizer.json, tokenizer_config.json and generation_config.json by file name.

    Raises BadModelFile.
    """
    reader = _Reader(gguf)
    return {
        "tokenizer.json": reader.tokenizer(),
        "tokenizer_config.json": reader.settings(),
        "generation_config.json": {"eos_token_id": reader.ends()},
    }


class _Reader:
    def __init__(self, gguf: GgufFile) -> None:
        self._gguf, self._keys = gguf, gguf.metadata
        self.tokens: Sequence[str] = self._strings("tokenizer.ggml.tokens")
        self._types = self._token_types()
        self._ids = {token: i for i, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens):
            raise self._bad("tokenizer.ggml.tokens: expected distinct tokens")

    def _bad(self, reason: str) -> BadModelFile:
        return BadModelFile(
            f"{self._gguf.path.name}: {reason}; convert the model again with a current converter"
        )

    def _strings(self, key: str) -> Sequence[str]:
        value = self._keys.get(key)
        if not isinstance(value, list) or not value:
            raise self._bad(
                f"{key}: expected a list of strings, got {type(value).__name__}"
            )
        return value

    def _token_types(self) -> Sequence[int]:
        types = self._keys.get("tokenizer.ggml.token_type")
        if types is None:
            return [_NORMAL] * len(self.tokens)
        if not isinstance(types, np.ndarray) or len(types) != len(self.tokens):
            raise self._bad(
                "tokenizer.ggml.token_type: expected one number for each token"
            )
        return [int(kind) for kind in types]

    def tokenizer(self) -> Json:
        """Return tokenizer.json."""
        kind = self._keys.get("tokenizer.ggml.model")
        if kind == "gpt2":
            parts = self._byte_level()
        elif kind == "llama":
            parts = self._sentence_piece()
        else:
            raise self._bad(
                f"tokenizer.ggml.model: expected 'gpt2' or 'llama', got {str(kind)[:40]!r}"
            )
        return {"version": "1.0", "truncation": None, "padding": None} | parts

    def _added(self) -> list[Json]:
        return [
            {
                "id": i,
                "content": self.tokens[i],
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": kind != _USER_DEFINED,
            }
            for i, kind in enumerate(self._types)
            if kind in (_CONTROL, _USER_DEFINED, _UNKNOWN) and self.tokens[i]
        ]

    def _byte_level(self) -> Json:
        pre = str(self._keys.get("tokenizer.ggml.pre", "nothing"))
        if pre not in PRE_TOKENIZERS:
            pre_tokenizers = ", ".join(PRE_TOKENIZERS)
            raise self._bad(
                f"tokenizer.ggml.pre: expected one of {pre_tokenizers}, got {pre[:40]!r}"
            )
        merges = []
        for merge in self._strings("tokenizer.ggml.merges"):
            left, _, right = merge.partition(" ")
            if not {left, right, left + right} <= self._ids.keys():
                raise self._bad(f"tokenizer.ggml.merges: {merge[:40]!r} joins no tokens")
            merges.append([left, right])
        return {
            "added_tokens": self._added(),
            "normalizer": {"type": "NFC"} if pre in _COMPOSED else None,
            "pre_tokenizer": PRE_TOKENIZERS[pre],
            "post_processor": None,
            "decoder": _byte_level(use_regex=True),
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": pre in _WHOLE_PIECES,
                "vocab": self._ids,
                "merges": merges,
            },
        }

    def _sentence_piece(self) -> Json:
        normalizers: list[Json] = [
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
        ]
        decoders: list[Json] = [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
        ]
        if self._keys.get("tokenizer.ggml.add_space_prefix", True):
            normalizers.insert(0, {"type": "Prepend", "prepend": "▁"})
            decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
        unknown = self._token("unknown")
        return {
            "added_tokens": self._added(),
            "normalizer": {"type": "Sequence", "normalizers": normalizers},
            "pre_tokenizer": None,
            "post_processor": None,
            "decoder": {"type": "Sequence", "decoders": decoders},
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": unknown,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": True,
                "byte_fallback": True,
                "ignore_merges": False,
                "vocab": self._ids,
                "merges": self._merges_by_score(),
            },
        }

    def _merges_by_score(self) -> list[tuple[str, str]]:
        """Return all pairs of pieces that make a piece, best result first.

        SentencePiece joins the neighbours whose result has the highest score; merges of a BPE model
        are applied in order, which is the same.
        """
        scores = self._keys.get("tokenizer.ggml.scores")
        if not isinstance(scores, np.ndarray) or len(scores) != len(self.tokens):
            raise self._bad("tokenizer.ggml.scores: expected one number for each token")
        if not np.isfinite(scores).all():
            raise self._bad("tokenizer.ggml.scores: expected finite numbers")
        pieces = {
            token: i
            for i, token in enumerate(self.tokens)
            if self._types[i] == _NORMAL and len(token) <= _LONGEST_PIECE
        }
        merges = []
        for piece, i in pieces.items():
            for cut in range(1, len(piece)):
                left, right = piece[:cut], piece[cut:]
                if left in pieces and right in pieces:
                    rank = (-float(scores[i]), i, pieces[left], pieces[right])
                    merges.append((rank, (left, right)))
        return [pair for _, pair in sorted(merges)]

    def _token(self, role: str) -> str | None:
        """Return the token of a role: bos, eos, eot, eom, unknown; None without one."""
        number = self._keys.get(f"tokenizer.ggml.{role}_token_id")
        if number is None:
            return None
        if not isinstance(number, int) or not 0 <= number < len(self.tokens):
            raise self._bad(
                f"tokenizer.ggml.{role}_token_id: expected a token from 0 to "
                f"{len(self.tokens) - 1}, got {str(number)[:40]}"
            )
        return self.tokens[number]

    def ends(self) -> list[int]:
        """Return ids of the tokens that end an answer."""
        named = {self._token(role) for role in ("eos", "eot", "eom")} - {None}
        if not named:
            raise self._bad("tokenizer.ggml.eos_token_id: expected a token, got nothing")
        return sorted(self._ids[token] for token in named if token is not None)

    def settings(self) -> Json:
        """Return tokenizer_config.json."""
        template = self._keys.get("tokenizer.chat_template")
        kind = self._keys.get("tokenizer.ggml.model")
        settings: Json = {
            "bos_token": self._token("bos"),
            "eos_token": self._token("eos"),
            "add_bos_token": bool(
                self._keys.get("tokenizer.ggml.add_bos_token", kind == "llama")
            ),
        }
        if isinstance(template, str):
            settings["chat_template"] = template
        return settings
