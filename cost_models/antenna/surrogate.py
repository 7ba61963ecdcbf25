"""Surrogate of the field solver for one board: S11 from an image of the metal, in numpy.

A file holds the weights, the facts as JSON, and anchors: designs on which a fine-tuned copy is held
near the original.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cost_models.antenna.cavity import Cavity
from cost_models.antenna.facts import BoardFacts, SurrogateFacts, outside
from cost_models.antenna.heads import Head, decode
from cost_models.antenna.image import oriented
from cost_models.antenna.modal import corrections
from cost_models.antenna.modal import decode as decode_modal
from cost_models.antenna.mode_gradients import reduced_nodes
from cost_models.antenna.modes import (
    NODES,
    TABLES,
    BoardTables,
    Modes,
    Reduced,
    reduce_many,
    rows_of,
    turned_input,
)
from cost_models.antenna.nets import initial_weights, numbers
from cost_models.antenna.tape import Node, NumpyOps, gradients
from cost_models.weights import FOLDER, manifest, read_learned

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Cells = NDArray[np.int64]
SlopeOf = Callable[[Complex], tuple[Real, Complex]]

PREFIX = "antenna-"  # of the manifest's rows
FLOOR = 0.05  # of |S11| in the loss, -26 dB
_CHUNK = 8  # designs at once: what fits the cache
_LOG_WEIGHT = 0.1
# Of fine-tuning. Tuned on two searches (tasks 2 and 8 of `workers.bench antenna surrogate-ranks`,
# seed 0): 3e-4 and half a batch of anchors learned too little.
_RATE, _BATCH = 1e-3, 16
_DECAYS = 0.9, 0.98
_ANCHOR_SHARE = 0.25  # of a batch in fine-tuning
_FACTS, _ANCHORS, _ANCHOR_FEEDS = "facts", "anchors", "anchor_feeds"
_TABLE = "table_"  # before the names of a board's tables
_MOST_MODES, _MOST_MARGIN = 64, 4  # that a file may have
OPS = NumpyOps()


class SurrogateRefused(ValueError):
    """A file is not a surrogate, or its weights do not fit its facts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Surrogate:
    """A trained surrogate. Predictions are deterministic; nothing is changed in place."""

    facts: SurrogateFacts
    weights: Mapping[str, np.ndarray]
    anchors: NDArray[np.bool_]  # (anchors, cells, cells)
    anchor_feeds: Cells  # (anchors, 2)
    tables: BoardTables | None = None  # of head `modal`

    @classmethod
    def load(cls, path: Path) -> Surrogate:
        """Read a file, e.g. of a board of your own. Raises SurrogateRefused or OSError."""
        return cls.from_bytes(path.read_bytes(), name=path.name)

    @classmethod
    def shipped(cls, name: str) -> Surrogate:
        """Read a shipped surrogate. Raises WeightsRefused when it differs from its row."""
        return cls.from_bytes(read_learned(f"{name}.safetensors"), name=name)

    @classmethod
    def from_bytes(cls, content: bytes, *, name: str) -> Surrogate:
        """Read the content of a file. Raises SurrogateRefused."""
        try:
            arrays = load(content)
            facts = SurrogateFacts.from_json(arrays.pop(_FACTS).tobytes().decode())
            packed, feeds = arrays.pop(_ANCHORS), arrays.pop(_ANCHOR_FEEDS)
            tables = _tables(arrays, facts) if facts.head is Head.MODAL else None
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise SurrogateRefused(
                f"surrogate {name!r}: expected a file made by `python -m workers.train antenna`, "
                f"got {type(error).__name__}: {error}"
            ) from error
        expected = initial_weights(facts.net, np.random.default_rng(0))
        for key in sorted(expected.keys() ^ arrays.keys()):
            raise SurrogateRefused(
                f"surrogate {name!r}: array {key!r} is missing or not expected"
            )
        for key, array in arrays.items():
            if array.shape != expected[key].shape or not np.isfinite(array).all():
                raise SurrogateRefused(
                    f"surrogate {name!r}: {key}: expected finite numbers of shape "
                    f"{expected[key].shape}, got shape {array.shape}"
                )
        cells = facts.board.cells
        bits = np.unpackbits(packed, axis=1, count=cells[0] * cells[1])
        return cls(
            facts=facts,
            weights={key: array.astype(np.float32) for key, array in arrays.items()},
            anchors=bits.reshape(-1, *cells).astype(bool),
            anchor_feeds=feeds.astype(np.int64),
            tables=tables,
        )

    def to_bytes(self) -> bytes:
        """Serialise as safetensors."""
        text = np.frombuffer(self.facts.to_json().encode(), np.uint8)
        flat = self.anchors.reshape(len(self.anchors), -1)
        extra = {
            _FACTS: text,
            _ANCHORS: np.packbits(flat, axis=1),
            _ANCHOR_FEEDS: self.anchor_feeds.astype(np.uint8),
        }
        if self.tables is not None:
            for name, table in vars(self.tables).items():
                if name in TABLES:
                    extra[_TABLE + name] = np.stack([table.real, table.imag])
        arrays = {**self.weights, **extra}
        return save({key: np.ascontiguousarray(arrays[key]) for key in sorted(arrays)})

    def predict(
        self,
        masks: NDArray[np.bool_],
        feeds: Cells,
        frequencies_hz: Real,
        *,
        fine: bool = True,
        z0_ohm: float = 50.0,
    ) -> Complex:
        """Return S11, (n, f), or (n, m, f) for m feeds of each design.

        masks: (n, cells, cells). feeds: (n, 2), or (n, m, 2), which costs hardly more. fine: as
        the fine mesh would give it. Raises ValueError for shapes or frequencies out of range.
        """
        x, single = self._checked(masks, feeds, frequencies_hz), feeds.ndim == 2
        cells = feeds[:, None] if single else feeds
        nodes = {key: Node(value) for key, value in self.weights.items()}
        parts = [
            self._response(
                nodes,
                Node(some),
                cells[rows],
                self._given(some, cells[rows]),
                x,
                fine=fine,
            ).value
            for rows, some in _chunks(masks)
        ]
        s11 = np.concatenate(parts).astype(complex)
        s11 = renormalised(s11, self.facts.z0_ohm, z0_ohm)
        return s11[:, 0] if single else s11

    def gradient(
        self,
        masks: Real,
        feeds: Cells,
        frequencies_hz: Real,
        slope_of: SlopeOf,
        *,
        fine: bool = True,
    ) -> tuple[Real, Real]:
        """Return a loss of S11 and its gradient by the metal of each cell, (n,), (n, c, c).

        masks: metal in [0, 1]. slope_of: takes S11 (n, f) of a few designs; returns their losses
        (n,) and ∂loss/∂Re S11 + j·∂loss/∂Im S11, (n, f). Called once for each chunk, in order.
        """
        x = self._checked(masks, feeds, frequencies_hz)
        nodes = {key: Node(value) for key, value in self.weights.items()}
        losses, slopes = [], []
        for rows, some in _chunks(masks):
            metal, cells = Node(some), feeds[rows, None]
            given = self._given_by(metal, cells)
            s11 = self._response(nodes, metal, cells, given, x, fine=fine)
            loss, slope = slope_of(s11.value[:, 0].astype(complex))
            outer = np.asarray(slope, np.complex64)[:, None]
            scalar = Node(np.zeros((), np.float32), ((s11, _constant(outer)),))
            losses.append(loss)
            slopes.append(gradients(scalar, [metal])[0])
        return np.concatenate(losses), np.concatenate(slopes).astype(float)

    def refined(
        self,
        masks: NDArray[np.bool_],
        feeds: Cells,
        s11: Complex,
        frequencies_hz: Real,
        *,
        rng: np.random.Generator,
        steps: int = 100,
        seconds: float = math.inf,
        fine: bool = True,
    ) -> Surrogate:
        """Return a copy that is fine-tuned on solved designs (active learning).

        Three quarters of each batch are the new designs, turned and mirrored; the rest are anchors,
        which keep the original's predictions. Equal arguments give equal copies unless `seconds`
        ends it before `steps`.
        """
        x = self._checked(masks, feeds, frequencies_hz)
        if s11.shape != (len(masks), len(frequencies_hz)) or not np.isfinite(s11).all():
            raise ValueError(
                f"s11: expected finite numbers of shape {(len(masks), len(frequencies_hz))}, got "
                f"shape {s11.shape}"
            )
        own = max(1, round((1 - _ANCHOR_SHARE) * _BATCH))
        ended = time.monotonic() + seconds
        weights = {key: value.copy() for key, value in self.weights.items()}
        moments = {
            key: (np.zeros_like(v), np.zeros_like(v)) for key, v in weights.items()
        }
        targets = np.zeros((0, s11.shape[1]), complex)
        if len(self.anchors):
            targets = self.predict(
                self.anchors, self.anchor_feeds, frequencies_hz, fine=fine
            )
        both = np.concatenate([masks, self.anchors])
        cells = np.concatenate([feeds, self.anchor_feeds])[:, None]
        truth = np.concatenate([s11, targets])
        fixed: Reduced | np.ndarray | None = None
        for step in range(steps):
            if time.monotonic() >= ended:
                break
            if fixed is None:  # the same for all steps and orientations
                fixed = self._values(both, cells)
            mine = rng.integers(len(masks), size=own)
            replayed = rng.integers(
                max(1, len(targets)), size=min(len(targets), _BATCH - own)
            )
            rows = np.concatenate([mine, len(masks) + replayed])
            orientation = int(rng.integers(8))
            turned, at = oriented(both[rows], cells[rows], orientation)
            target = truth[rows]
            given = _nodes(turned_input(rows_of(fixed, rows), orientation))
            nodes = {key: Node(value) for key, value in weights.items()}
            metal = Node(turned.astype(np.float32))
            predicted = self._response(nodes, metal, at, given, x, fine=fine)
            slopes = gradients(_loss(predicted, target[:, None]), list(nodes.values()))
            rate = _RATE * min(1.0, (step + 1) / 10) * (1 - step / steps)
            _adam(weights, dict(zip(nodes, slopes, strict=True)), moments, step, rate)
        facts = replace(self.facts, refinements=self.facts.refinements + 1)
        return replace(self, facts=facts, weights=weights)

    def _values(self, masks: np.ndarray, cells: Cells) -> Reduced | np.ndarray | None:
        """Return what the net reads beside the image: reduced models, cavity features or none."""
        if self.tables is not None:
            return reduce_many(self.tables, masks, cells, self.facts.poles)
        cavity = self.facts.cavity_model
        if cavity is None:
            return None
        pairs = zip(masks.astype(float), cells, strict=True)
        return np.stack([cavity.features(m, c) for m, c in pairs]).astype(np.float32)

    def _given(self, masks: np.ndarray, cells: Cells) -> Any:
        return _nodes(self._values(masks, cells))

    def _given_by(self, metal: Node, cells: Cells) -> Any:
        """Return `_given` with gradients by the metal."""
        if self.tables is not None:
            return reduced_nodes(self.tables, metal, cells, self.facts.poles)
        cavity = self.facts.cavity_model
        return None if cavity is None else _modes(cavity, metal, cells)

    def _response(
        self,
        weights: Mapping[str, Node],
        metal: Node,
        cells: Cells,
        given: Any,
        x: Real,
        *,
        fine: bool,
    ) -> Node:
        shape = self.facts.net
        if shape.head.head is Head.MODAL:
            corrected = corrections(OPS, shape, weights, metal, cells, given, fine=fine)
            response: Node = decode_modal(
                OPS, shape.head.half_width, corrected, given, x[None]
            )
            return response
        read = numbers(OPS, shape, weights, metal, cells, given, fine=fine)
        return _as_complex(decode(OPS, shape.head, read, x[None]))

    def _checked(self, masks: np.ndarray, feeds: Cells, frequencies_hz: Real) -> Real:
        """Return the frequencies as x in [−1, 1]. Raises ValueError."""
        board = self.facts.board
        if masks.ndim != 3 or masks.shape[1:] != board.cells:
            raise ValueError(
                f"masks: expected shape (n, {board.cells[0]}, {board.cells[1]}), got {masks.shape}"
            )
        if (
            feeds.shape[0] != len(masks)
            or feeds.ndim not in (2, 3)
            or feeds.shape[-1] != 2
        ):
            raise ValueError(
                f"feeds: expected two numbers for each of {len(masks)} designs, got shape "
                f"{feeds.shape}"
            )
        if feeds.size and not (feeds.min() >= 0 and feeds.max() < board.cells[0]):
            raise ValueError(
                f"feeds: expected cells from 0 to {board.cells[0] - 1}, got "
                f"{feeds.min()} to {feeds.max()}"
            )
        low, high = board.f_min_hz, board.f_max_hz
        frequencies = np.asarray(frequencies_hz, float)
        tolerance = 1e-9 * high
        if not (
            (frequencies >= low - tolerance) & (frequencies <= high + tolerance)
        ).all():
            raise ValueError(
                f"frequencies_hz: expected {low:g} to {high:g} Hz, got {frequencies.min():g} to "
                f"{frequencies.max():g}; the surrogate means nothing beyond its training range"
            )
        return (2 * frequencies - low - high) / (high - low)


def shipped() -> tuple[str, ...]:
    """Return the names of the shipped surrogates."""
    return tuple(name for name in sorted(manifest()) if name.startswith(PREFIX))


def find(wanted: BoardFacts) -> tuple[Surrogate | None, str]:
    """Return the shipped surrogate that covers a job, and its name; or None and the reasons."""
    reasons = []
    for name in shipped():
        surrogate = Surrogate.shipped(name)
        why = outside(surrogate.facts, wanted)
        if why is None:
            return surrogate, name
        reasons.append(f"{name} is {why}")
    return None, "; ".join(reasons) or f"no surrogate is in {FOLDER.name}"


def renormalised(s11: Complex, from_ohm: float, to_ohm: float) -> Complex:
    """Return S11 for another reference impedance: (S − Γ)/(1 − ΓS), Γ = (Z′ − Z)/(Z′ + Z)."""
    if from_ohm == to_ohm:
        return s11
    gamma = (to_ohm - from_ohm) / (to_ohm + from_ohm)
    return (s11 - gamma) / (1 - gamma * s11)


def _tables(arrays: dict[str, np.ndarray], facts: SurrogateFacts) -> BoardTables:
    """Take the board's tables out of a file's arrays. Raises KeyError or ValueError."""
    if not 1 <= facts.poles <= _MOST_MODES:
        raise ValueError(f"poles: expected 1 to {_MOST_MODES} modes, got {facts.poles}")
    cells = facts.board.cells[0]
    made = {}
    for name in TABLES:
        both = arrays.pop(_TABLE + name).astype(float)
        rest = both.shape[2:]
        square = rest == () if name == "port" else rest in _squares(cells)
        if both.shape[:2] != (2, NODES) or not square or not np.isfinite(both).all():
            raise ValueError(
                f"{_TABLE}{name}: expected finite numbers for {cells} cells, got shape {both.shape}"
            )
        made[name] = both[0] + 1j * both[1]
    tables = BoardTables(**made)
    try:
        Modes(tables, np.ones((cells, cells)), np.array([[0, 0]]), 1)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"tables: expected positive energies, got {error}") from error
    return tables


def _squares(cells: int) -> list[tuple[int, int]]:
    """Return the shapes that a table of offsets may have."""
    return [(size, size) for size in range(cells, cells + _MOST_MARGIN + 1)]


def _nodes(values: Reduced | np.ndarray | None) -> Any:
    if isinstance(values, Reduced):
        return Reduced(**{name: Node(value) for name, value in vars(values).items()})
    return None if values is None else Node(values)


def _modes(cavity: Cavity, metal: Node, cells: Cells) -> Node:
    """Return the cavity model's features, (batch, feeds, numbers)."""
    masks = metal.value.astype(float)
    features = np.stack(
        [cavity.features(mask, feeds) for mask, feeds in zip(masks, cells, strict=True)]
    )

    def back(slope: np.ndarray) -> np.ndarray:
        result = np.zeros_like(masks)
        for k, feeds in enumerate(cells):
            for cell, row in zip(feeds, slope[k].astype(float), strict=True):
                result[k] += cavity.pullback(masks[k], cell, row)
        return result.astype(np.float32)

    return Node(features.astype(np.float32), ((metal, back),))


def _chunks(masks: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, len(masks), _CHUNK):
        rows = slice(start, start + _CHUNK)
        yield rows, masks[rows].astype(np.float32)


def _constant(value: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda _: value


def _as_complex(response: Node) -> Node:
    """Return S11; a head of the magnitude alone gives |S11| as a real part, with phase 0."""
    if np.iscomplexobj(response.value):
        return response
    size = OPS.exp(response)
    return OPS.complex(size, size * 0.0)


def _loss(predicted: Node, wanted: Complex) -> Node:
    """Mean |ΔS|² + 0.1·mean (Δ log max(|S|, 0.05))², as in training."""
    s, t = predicted.value, wanted.astype(np.complex64)
    count = s.size
    size = np.maximum(np.abs(s), FLOOR)
    logs = np.log(size) - np.log(np.maximum(np.abs(t), FLOOR))
    value = (np.abs(s - t) ** 2).mean() + _LOG_WEIGHT * (logs**2).mean()

    def back(_: np.ndarray) -> np.ndarray:
        of_logs = np.where(np.abs(s) > FLOOR, logs * s / size**2, 0)
        return (2 / count) * (s - t + _LOG_WEIGHT * of_logs)

    return Node(np.asarray(value, np.float32), ((predicted, back),))


def _adam(
    weights: dict[str, np.ndarray],
    slopes: Mapping[str, np.ndarray],
    moments: Mapping[str, tuple[np.ndarray, np.ndarray]],
    step: int,
    rate: float,
) -> None:
    """Take one step of Adam (Kingma and Ba, 2015) in place, the gradient clipped to norm 1."""
    norm = math.sqrt(sum(float((slope**2).sum()) for slope in slopes.values()))
    if not math.isfinite(norm):
        return
    clip, (b1, b2) = min(1.0, 1.0 / (norm + 1e-12)), _DECAYS
    for key, (mean, square) in moments.items():
        slope = slopes[key] * np.float32(clip)
        mean += (1 - b1) * (slope - mean)
        square += (1 - b2) * (slope**2 - square)
        scale = rate / (1 - b1 ** (step + 1))
        weights[key] -= scale * mean / (np.sqrt(square / (1 - b2 ** (step + 1))) + 1e-8)
