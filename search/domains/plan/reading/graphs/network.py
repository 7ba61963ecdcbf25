"""The network of the graph reader, run with numpy: encoder, decoder with memory, pointers.

It computes what `workers/train/plan/graph_net.py` computes, without dropout; a test compares them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, log_softmax

from search.domains.plan.reading.graphs.grammar import Labels, Machine, Step
from search.domains.plan.reading.graphs.words import FILE, MAX_FILES, Coded

Array = NDArray[np.float32]
Stored = NDArray[Any]

FAR, HEADS, DECODER_HEADS, MAX_SPAN_WORDS = 24, 12, 8, 24
_EPS_ENCODER, _EPS_DECODER = 1e-12, 1e-5
_SCALE = ".scale"  # suffix of the scales of rows kept as whole numbers of 8 bits


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Arrays by the names of the trained network, labels, vocabulary and calibration."""

    arrays: Mapping[str, Array]
    labels: Labels
    vocabulary: Mapping[str, int]
    calibration: tuple[float, ...]  # of the confidence: see `predict.py`
    layers: int
    decoder_layers: int

    @classmethod
    def of(cls, stored: Mapping[str, Stored]) -> Weights:
        """Return the weights of a stored file: rows × scales, `meta` as text."""
        meta = json.loads(stored["meta"].tobytes().decode())
        arrays: dict[str, Array] = {}
        for name, array in stored.items():
            if name == "meta" or name.endswith(_SCALE):
                continue
            values = array.astype(np.float32)
            if name + _SCALE in stored:
                values *= stored[name + _SCALE].astype(np.float32)[:, None]
            arrays[name] = values
        return cls(
            arrays=arrays,
            labels=Labels(
                names=tuple(meta["labels"]),
                kinds={name: tuple(kinds) for name, kinds in meta["kinds"].items()},
            ),
            vocabulary={piece: int(i) for piece, i in meta["vocabulary"].items()},
            calibration=tuple(meta["calibration"]),
            layers=int(meta["layers"]),
            decoder_layers=int(meta["decoder_layers"]),
        )


def stored(arrays: Mapping[str, Array], meta: Mapping[str, object]) -> dict[str, Stored]:
    """Return what `Weights.of` reads: matrices as rows of 8 bits with scales, the rest as 16."""
    found: dict[str, Stored] = {}
    for name, array in arrays.items():
        if array.ndim == 2 and array.size > 4096:
            scale = np.maximum(np.abs(array).max(1) / 127, 1e-12).astype(np.float32)
            found[name] = np.round(array / scale[:, None]).astype(np.int8)
            found[name + _SCALE] = scale
        else:
            found[name] = array.astype(np.float32)
    found["meta"] = np.frombuffer(
        json.dumps(meta, sort_keys=True).encode(), dtype=np.uint8
    )
    return found


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the decoder remembers of one sequence of steps."""

    keys: tuple[Array, ...]  # per layer [heads, t, d / heads]
    values: tuple[Array, ...]
    count: int = 0
    since: int = -1  # last word pointed at in this job
    here: frozenset[int] = frozenset()  # words pointed at in this job
    before: frozenset[int] = frozenset()  # in earlier jobs


class Network:
    """Logits of steps for one goal."""

    def __init__(self, weights: Weights, coded: Coded) -> None:
        """Encode the goal."""
        self._w, self._coded = weights.arrays, coded
        self._decoder_layers = weights.decoder_layers
        self._states = self._encoded(weights.layers)  # [p, 384]
        self._at = self._states[list(coded.at)]  # [words + files, 384]
        n = len(coded.words)
        self._words = self._at[:n]
        self._d = self._w["label.weight"].shape[1]
        self._first = self._linear("first", self._words)
        self._final = self._linear("final", self._words)
        self._file_in = self._linear("file_in", self._at[n:])
        self._word_key = self._linear("word_key", self._words)
        self._last_key = self._linear("last_key", self._words)
        place = np.flatnonzero(np.array(coded.ids) == FILE)
        self._file_key = self._linear("file_key", self._states[place])
        self._file_of = np.array([coded.signs[i][1] - 1 for i in place], dtype=np.int64)
        self._cross = []
        for i in range(self._decoder_layers):
            kv = self._linear(f"decoder.{i}.kv", self._states)
            kv = kv.reshape(len(kv), 2, DECODER_HEADS, -1).transpose(1, 2, 0, 3)
            self._cross.append((kv[0], kv[1]))

    def begin(self) -> Memory:
        """Return the memory before the first step."""
        empty = np.zeros((DECODER_HEADS, 0, self._d // DECODER_HEADS), dtype=np.float32)
        rows = (empty,) * self._decoder_layers
        return Memory(keys=rows, values=rows)

    def input_of(self, step: Step | None) -> Array:
        """Return the decoder's input for a step; None begins."""
        table = self._w["label.weight"]
        if step is None:
            return table[-1]
        if step.act == 0:
            return table[step.at]
        if step.act == 1:
            return self._first[step.at] + self._final[step.last]
        return self._file_in[step.at]

    def next(
        self, memory: Memory, step: Step | None, machine: Machine
    ) -> tuple[Memory, Array, Array]:
        """Return memory after a step, logits [labels + words + files], and the output [d]."""
        x = self.input_of(step) + self._w["steps"][memory.count]
        x = x + self._w["jobs.weight"][machine.job]
        keys, values = [], []
        for i in range(self._decoder_layers):
            x, key, value = self._decoded(i, x, memory)
            keys.append(key)
            values.append(value)
        y = self._norm("norm_out", x, _EPS_DECODER)
        after = replace(
            memory, keys=tuple(keys), values=tuple(values), count=memory.count + 1
        )
        return after, self._logits(y, after), y

    def last_words(self, y: Array, first: int) -> Array:
        """Return log-probabilities of a span's last word: the first itself, the next, …"""
        both = np.concatenate([y, self._words[first]])
        query = self._linear("last_query", both)
        key = self._last_key[first : first + MAX_SPAN_WORDS]
        scores = key @ query * self._d**-0.5 + self._w["last_bias"][: len(key)]
        found: Array = log_softmax(scores)
        return found

    def _logits(self, y: Array, memory: Memory) -> Array:
        scale = self._d**-0.5
        n = len(self._words)
        pointed = self._word_key @ self._linear("word_query", y) * scale
        far = np.clip(np.arange(n) - memory.since, -FAR, FAR) + FAR
        pointed = pointed + self._linear("near", y)[far]
        used = np.zeros(n, dtype=np.int64)
        used[list(memory.here)] += 1
        used[list(memory.before)] += 2
        pointed = pointed + self._linear("again", y)[used]
        found = self._file_key @ self._linear("file_query", y) * scale
        files = np.full(len(self._coded.files), -1e4, dtype=np.float32)
        for k in range(min(len(files), MAX_FILES)):
            row = found[self._file_of == k]
            if len(row):
                files[k] = np.logaddexp.reduce(row)
        return np.concatenate([self._linear("to_label", y), pointed, files])

    def _decoded(self, i: int, x: Array, memory: Memory) -> tuple[Array, Array, Array]:
        name, h = f"decoder.{i}.", DECODER_HEADS
        qkv = self._linear(f"{name}qkv", self._norm(f"{name}norm1", x, _EPS_DECODER))
        q, k, v = qkv.reshape(3, h, -1)
        keys = np.concatenate([memory.keys[i], k[:, None]], 1)
        values = np.concatenate([memory.values[i], v[:, None]], 1)
        x = x + self._linear(f"{name}out", _attended(q[:, None], keys, values)[0])
        q = self._linear(f"{name}query", self._norm(f"{name}norm2", x, _EPS_DECODER))
        mixed = _attended(q.reshape(h, 1, -1), *self._cross[i])[0]
        x = x + self._linear(f"{name}over", mixed)
        wide = self._linear(f"{name}up", self._norm(f"{name}norm3", x, _EPS_DECODER))
        return x + self._linear(f"{name}down", _gelu(wide)), keys, values

    def _encoded(self, layers: int) -> Array:
        w, coded = self._w, self._coded
        x = w["pieces.weight"][list(coded.ids)] @ w["raise_.weight"].T
        x = x + w["places"][: len(coded.ids)]
        signs = np.array(coded.signs)
        for i in range(signs.shape[1]):
            x = x + w[f"signs.{i}.weight"][signs[:, i]]
        x = self._norm("norm", x, _EPS_ENCODER)
        for i in range(layers):
            name = f"layers.{i}."
            qkv = self._linear(f"{name}qkv", x)
            q, k, v = qkv.reshape(len(x), 3, HEADS, -1).transpose(1, 2, 0, 3)
            x = self._norm(
                f"{name}norm1",
                x + self._linear(f"{name}out", _attended(q, k, v)),
                _EPS_ENCODER,
            )
            wide = _gelu(self._linear(f"{name}up", x))
            x = self._norm(
                f"{name}norm2", x + self._linear(f"{name}down", wide), _EPS_ENCODER
            )
        return x

    def _linear(self, name: str, x: Array) -> Array:
        found: Array = x @ self._w[f"{name}.weight"].T + self._w[f"{name}.bias"]
        return found

    def _norm(self, name: str, x: Array, eps: float) -> Array:
        mean = x.mean(-1, keepdims=True)
        spread = np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + eps)
        found: Array = (x - mean) / spread
        return found * self._w[f"{name}.weight"] + self._w[f"{name}.bias"]


def _attended(q: Array, k: Array, v: Array) -> Array:
    """Return mixed values, [queries, d], of [heads, queries or keys, d / heads]."""
    scores = q @ k.transpose(0, 2, 1) * q.shape[-1] ** -0.5
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ v
    return mixed.transpose(1, 0, 2).reshape(q.shape[1], -1)


def _gelu(x: Array) -> Array:
    found: Array = (0.5 * x * (1.0 + erf(x * np.float32(0.5**0.5)))).astype(np.float32)
    return found


def after_step(memory: Memory, step: Step, *, begins_job: bool) -> Memory:
    """Return a memory that knows which words a step has used."""
    if step.act == 1:
        words = frozenset(range(step.at, step.last + 1))
        return replace(memory, since=step.last, here=memory.here | words)
    if begins_job:
        return replace(
            memory, since=-1, here=frozenset(), before=memory.before | memory.here
        )
    return memory
