"""From cached states to a head file and its figures."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from workers.train.text.batches import Embedded, Texts, mean_embedding, norms
from workers.train.text.figures import auc_by_length, drift
from workers.train.text.fit import FitParams, fit, fit_scalars
from workers.train.text.net import HeadNet
from workers.train.text.passages import Part, Section, digest
from workers.train.text.states import PARTS, load_items, load_states

_SCALAR_EPOCHS = 12


def train_head(
    found: Sequence[Section],
    reader: Embedded,
    params: FitParams,
    *,
    work: Path,
    command: str,
    say: Callable[[str], object],
    shipped: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Train, write `head.safetensors` and `head.json` (`plain-head.*` without hard texts).

    shipped: a head whose matrices and norms are taken over; scalars alone are fitted.

    Returns the content of the JSON file: command, digest of the data, figures on held-out texts.
    """
    if shipped is None:
        center = mean_embedding(load_states(work, "train"), reader.embedding)
    else:
        center = shipped["mean"][1]
    texts = {part: load_texts(found, reader, work, part, center=center) for part in PARTS}
    name = "head" if params.hard else "plain-head"
    if shipped is None:
        net = fit(
            texts["train"],
            texts["valid"],
            params,
            norms=norms(texts["train"].states, texts["train"].rows),
            state=work / f"{name}-{key(params)}.state",
            say=say,
        )
    else:
        net = HeadNet.of(shipped)
    net = fit_scalars(net, texts["valid"], epochs=_SCALAR_EPOCHS, seed=params.seed)
    measured = {
        "command": command,
        "data": digest(found),
        "texts": {part: len(texts[part].states) for part in PARTS},
        "sections": len(found),
        "auc": auc_by_length(net, texts["test"]),
        "drift": drift(net, texts["test"]),
    }
    write_head(work / f"{name}.safetensors", net)
    (work / f"{name}.json").write_text(json.dumps(measured, indent=1) + "\n")
    return measured


def load_texts(
    found: Sequence[Section],
    reader: Embedded,
    work: Path,
    part: Part,
    *,
    center: NDArray[np.float32] | None = None,
) -> Texts:
    """Return the cached texts of a part; `center` is the mean embedding that a head has."""
    if center is None:
        center = mean_embedding(load_states(work, "train"), reader.embedding)
    states, items = load_states(work, part), load_items(work)
    return Texts.of(states, items, reader, found, part, center=center)


def key(params: FitParams) -> str:
    """Return a name for the checkpoints of these parameters: others do not resume them."""
    return hashlib.sha256(repr(params).encode()).hexdigest()[:12]


def write_head(path: Path, net: HeadNet) -> None:
    """Write a head's file whole."""
    part = path.with_suffix(".part")
    arrays = {name: np.ascontiguousarray(value) for name, value in net.arrays().items()}
    save_file(arrays, part)
    os.replace(part, path)
