"""Models as files: conversion in a child, its cache, and what a user sees when it fails."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search.text_model import ModelUnavailable
from workers.bench.fuzz.gguf import files
from workers.llm import weights
from workers.llm.gguf import BadModelFile
from workers.llm.weights import ModelSource


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(weights.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(folder: Path, content: bytes, name: str = "model.gguf") -> ModelSource:
    path = folder / name
    path.write_bytes(content)
    return ModelSource(path=path, name="small")


def small(kind: int = files.F32, **changed: object) -> bytes:
    rng = np.random.default_rng(1)
    return files.model_file(files.Shape(), kind=kind, rng=rng, **changed)


def test_converted_once_and_again_when_damaged(tmp_path: Path, cache: Path) -> None:
    source = written(tmp_path, small())
    config, loaded = weights.load(source, dtype=torch.float32)
    assert (config.layers, config.heads, config.kv_heads, config.head_size) == (
        1,
        4,
        2,
        8,
    )
    assert config.tied_head
    assert config.context_tokens == 256
    assert loaded.head is loaded.embedding
    (folder,) = cache.iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert weights.model_folder(source, dtype=torch.float32) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    _, again = weights.load(source, dtype=torch.float32)
    assert torch.equal(again.layers[0].down, loaded.layers[0].down)
    assert [path.name for path in cache.iterdir()] == [folder.name]


def test_rows_of_queries_and_keys_are_put_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    shape = files.Shape()
    tensors = {
        name: (files.F32, size, files.random_blocks(files.F32, size, rng))
        for name, size in files.shapes(shape).items()
    }
    source = written(tmp_path, files.gguf(files.metadata(shape), tensors))
    _, loaded = weights.load(source, dtype=torch.float32)
    wide = loaded.layers[0].qkv
    for name, first, heads in (("attn_q", 0, 4), ("attn_k", 32, 2)):
        raw = np.frombuffer(tensors[f"blk.0.{name}.weight"][2], "<f4").reshape(-1, 32)
        for head in range(heads):
            for pair in range(4):
                at = first + head * 8 + pair
                # Rotation pairs neighbours in a file, halves in a checkpoint.
                assert np.array_equal(wide[at], raw[head * 8 + 2 * pair])
                assert np.array_equal(wide[at + 4], raw[head * 8 + 2 * pair + 1])
    values = np.frombuffer(tensors["blk.0.attn_v.weight"][2], "<f4").reshape(-1, 32)
    assert np.array_equal(wide[48:], values)


def test_bfloat16_is_rounded_to_even(tmp_path: Path) -> None:
    source = written(tmp_path, small())
    _, exact = weights.load(source, dtype=torch.float32)
    _, rounded = weights.load(source, dtype=torch.bfloat16)
    assert torch.equal(rounded.embedding, exact.embedding.bfloat16())
    assert torch.equal(rounded.layers[0].gate_up, exact.layers[0].gate_up.bfloat16())


def test_qwen2_keeps_its_biases_and_its_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shape = files.Shape(architecture="qwen2", layers=2)
    content = files.model_file(shape, kind=files.Q4_0, rng=rng)
    config, loaded = weights.load(written(tmp_path, content), dtype=torch.float32)
    assert config.qkv_bias
    assert loaded.layers[1].qkv_bias is not None
    assert loaded.layers[1].qkv_bias.shape == (64,)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"general__architecture": "gemma"},
            "general.architecture: expected one of llama",
        ),
        ({"llama__rope__scaling__type": "yarn"}, "rope.scaling.type"),
        ({"llama__rope__dimension_count": 4}, "all of a head"),
        ({"llama__block_count": 2}, "blk.1.attn_norm.weight"),
        ({"llama__feed_forward_length": 63}, "expected shape"),
        ({"tokenizer__ggml__pre": "strange"}, "tokenizer.ggml.pre: expected one of"),
        ({"tokenizer__ggml__model": "t5"}, "expected 'gpt2' or 'llama'"),
        ({"tokenizer__ggml__merges": ["x yy"]}, "joins no tokens"),
        ({"tokenizer__ggml__eos_token_id": 9999}, "expected a token from 0 to"),
        ({"tokenizer__ggml__eos_token_id": None}, "eos_token_id"),
    ],
)
def test_refused_by_name(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    with pytest.raises(BadModelFile) as caught:
        weights.load(written(tmp_path, small(**changed)), dtype=torch.bfloat16)
    assert said in str(caught.value)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    content = bytearray(small(files.F16))
    content[-4096:] = b"\xff" * 4096
    with pytest.raises(BadModelFile, match="finite weights"):
        weights.load(written(tmp_path, bytes(content)), dtype=torch.bfloat16)


def test_expected_digest(tmp_path: Path) -> None:
    source = replace(written(tmp_path, small()), sha256="0" * 64)
    with pytest.raises(BadModelFile, match="expected sha256 0000"):
        weights.load(source, dtype=torch.bfloat16)


def test_the_child_cannot_be_stopped_from_reporting(tmp_path: Path) -> None:
    missing = ModelSource(path=tmp_path / "gone.gguf", name="gone")
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        weights.load(missing, dtype=torch.bfloat16)


def test_checkpoint_names_a_file_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="nothing there"):
        weights.checkpoint(tmp_path / "nothing")
    with pytest.raises(ModelUnavailable, match="neither"):
        weights.checkpoint(tmp_path)
    source = written(tmp_path, small(), "one.gguf")
    assert weights.checkpoint(tmp_path).path == source.path
    assert weights.checkpoint(source.path).name == "one"
    written(tmp_path, small(), "two.gguf")
    with pytest.raises(ModelUnavailable, match=r"2 \.gguf files"):
        weights.checkpoint(tmp_path)
