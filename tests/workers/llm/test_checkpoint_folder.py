"""Checkpoint folders: parity with transformers, shards, and refusals by name."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.workers.llm import model_files
from tests.workers.llm.random_model import Bytes, unbounded
from workers.llm import weights
from workers.llm.checkpoint_folder import read_config
from workers.llm.engine import Engine, Front, Options
from workers.llm.gguf import BadModelFile

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def theirs(folder: Path, ids: list[int]) -> torch.Tensor:
    """Return transformers' log-probabilities [T, vocabulary]."""
    transformers = pytest.importorskip("transformers", reason="comes with xgrammar")
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        )
        return torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)


def ours(folder: Path, ids: list[int]) -> list[float]:
    """Return the engine's log-probability of each token after the first."""
    config, loaded = weights.load(weights.checkpoint(folder), dtype=torch.float32)
    tokenizer = Bytes()
    front = Front(chat=tokenizer.chat, bound=unbounded)
    engine = Engine(config, loaded, tokenizer, front, Options(sequences=2, slots=64))
    scored = [engine.score(ids[:t], [ids[t : t + 1]])[0] for t in range(1, len(ids))]
    engine.close()
    return scored


@pytest.mark.parametrize(
    ("architecture", "changed"),
    [
        ("llama", {}),
        ("llama", {"rope_scaling": LLAMA3, "tie_word_embeddings": False}),
        ("qwen2", {"use_sliding_window": False, "sliding_window": 8}),
        ("mistral", {"sliding_window": None, "rope_theta": 1e6, "head_dim": 16}),
    ],
)
def test_as_transformers_computes(
    tmp_path: Path, architecture: str, changed: dict[str, Any]
) -> None:
    folder = model_files.checkpoint(tmp_path / "model", architecture, **changed)
    ids = torch.randint(
        3, 250, (40,), generator=torch.Generator().manual_seed(1)
    ).tolist()
    expected = theirs(folder, ids)
    expected = [expected[t - 1, ids[t]].item() for t in range(1, len(ids))]
    assert ours(folder, ids) == pytest.approx(expected, abs=2e-4)


def test_parameters_in_the_place_of_transformers_5(tmp_path: Path) -> None:
    folder = model_files.checkpoint(tmp_path / "model")
    changed = model_files.config_json() | {
        "rope_parameters": LLAMA3 | {"rope_theta": 5e5}
    }
    (folder / "config.json").write_text(json.dumps(changed))
    config = read_config(folder)
    assert config.rope_theta == 5e5
    assert dict(config.rope_scaling)["factor"] == 8.0


def test_shards_equal_one_file(tmp_path: Path) -> None:
    folder = model_files.checkpoint(tmp_path / "model")
    _, whole = weights.load(weights.checkpoint(folder), dtype=torch.float32)
    content = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(content)
    index = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        name = f"model-{number:05d}-of-00002.safetensors"
        save_file({key: content[key] for key in part}, folder / name)
        index |= dict.fromkeys(part, name)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": index}))
    _, shards = weights.load(weights.checkpoint(folder), dtype=torch.float32)
    assert torch.equal(shards.layers[1].qkv, whole.layers[1].qkv)
    assert torch.equal(shards.embedding, whole.embedding)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BadModelFile, match="shard model-00002"):
        weights.load(weights.checkpoint(folder), dtype=torch.float32)
    path.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    with pytest.raises(BadModelFile, match="in the same folder"):
        weights.load(weights.checkpoint(folder), dtype=torch.float32)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model_type": "gemma3"}, "model_type: expected one of llama, qwen2, mistral"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"hidden_size": "many"}, "hidden_size"),
        ({"num_hidden_layers": True}, "num_hidden_layers"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps"),
        ({"rope_scaling": {"type": "yarn", "factor": 4}}, "rope_type default or llama3"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "rope_scaling"),
        ({"head_dim": 7}, "head_dim"),
    ],
)
def test_refused_by_name(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    config = model_files.config_json() | changed
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadModelFile) as caught:
        read_config(tmp_path)
    assert said in str(caught.value)


def test_a_sliding_window_bounds_the_context(tmp_path: Path) -> None:
    config = model_files.config_json("mistral", sliding_window=64)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_config(tmp_path).context_tokens == 64
    config = model_files.config_json("qwen2", sliding_window=64, use_sliding_window=True)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_config(tmp_path).context_tokens == 64


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    folder = model_files.checkpoint(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadModelFile, match=r"the pickle pytorch_model\.bin"):
        weights.load(weights.checkpoint(folder), dtype=torch.float32)


def test_damaged_tensors(tmp_path: Path) -> None:
    folder = model_files.checkpoint(tmp_path / "model")
    path = folder / "model.safetensors"
    content = load_file(path)
    name = "model.layers.1.mlp.down_proj.weight"
    save_file({**content, name: content[name][:-1].contiguous()}, path)
    with pytest.raises(BadModelFile, match=r"down_proj\.weight.*expected \[32, 48\]"):
        weights.load(weights.checkpoint(folder), dtype=torch.float32)
    save_file({key: value for key, value in content.items() if key != name}, path)
    with pytest.raises(BadModelFile, match="expected a tensor"):
        weights.load(weights.checkpoint(folder), dtype=torch.float32)
    save_file({**content, name: content[name].to(torch.int8)}, path)
    with pytest.raises(BadModelFile, match=r"got .* of I8"):
        weights.load(weights.checkpoint(folder), dtype=torch.float32)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadModelFile, match="expected safetensors"):
        weights.load(weights.checkpoint(folder), dtype=torch.float32)


def test_broken_json(tmp_path: Path) -> None:
    for text in ("", "[1]", "{", "[" * 100_000):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(BadModelFile, match=r"expected JSON|expected an object"):
            read_config(tmp_path)
