"""The judge's sentence vectors; skipped without its package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="needs tokenizers: make setup-llm")

from workers.bench.plan.encoder import Encoder
from workers.corpus.minilm import EncoderMissing


def test_texts_of_one_meaning_are_near() -> None:
    try:
        encoder = Encoder()
    except EncoderMissing as error:
        pytest.skip(str(error))
    texts = [
        "A doctor hides a wounded soldier in her house.",
        "The physician conceals the injured fighter at home.",
        "The stock market fell by three percent.",
    ]
    near = encoder.vectors(texts) @ encoder.vectors(texts).T
    assert np.diag(near) == pytest.approx(1.0, abs=1e-5)
    assert near[0, 1] > 0.5 > 0.2 > near[0, 2]
    # Padding changes nothing.
    alone = encoder.vectors(texts[2:])
    assert alone[0] == pytest.approx(encoder.vectors(texts)[2], abs=1e-5)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(b"PK")
    with pytest.raises(EncoderMissing, match="sha256"):
        Encoder(path)
