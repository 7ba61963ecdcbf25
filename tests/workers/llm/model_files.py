"""Small checkpoints with random weights in the layout of Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from workers.bench.fuzz.gguf import files


def tokenizer_json() -> dict[str, Any]:
    """Return tokenizer.json of all bytes, a few words and three special tokens."""
    tokens, merges = files.vocabulary()
    level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": i, "content": token, "special": True, "normalized": False}
            | {"single_word": False, "lstrip": False, "rstrip": False}
            for i, token in enumerate(files.SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {**level, "trim_offsets": True},
        "post_processor": None,
        "decoder": {**level, "trim_offsets": True},
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in merges],
        },
    }


def write_tokenizer(folder: Path, **settings: Any) -> None:
    """Write the tokenizer's files."""
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    config = {
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "add_bos_token": False,
        "chat_template": files.CHATML,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config | settings))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2}))


def config_json(architecture: str = "llama", **changed: Any) -> dict[str, Any]:
    """Return config.json of a small decoder."""
    return {
        "model_type": architecture,
        "hidden_act": "silu",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "vocab_size": len(files.vocabulary()[0]),
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": True,
        "eos_token_id": 2,
    } | changed


def tensors(config: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    """Return random weights by name."""
    rng = torch.Generator().manual_seed(seed)
    width, inner = config["hidden_size"], config["intermediate_size"]
    queries = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=rng) * 2 * size[-1] ** -0.5

    def norm() -> torch.Tensor:
        return torch.rand(width, generator=rng) + 0.5

    found = {
        "model.embed_tokens.weight": normal(config["vocab_size"], width),
        "model.norm.weight": norm(),
    }
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = normal(config["vocab_size"], width)
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}."
        found |= {
            f"{at}input_layernorm.weight": norm(),
            f"{at}post_attention_layernorm.weight": norm(),
            f"{at}self_attn.q_proj.weight": normal(queries, width),
            f"{at}self_attn.k_proj.weight": normal(keys, width),
            f"{at}self_attn.v_proj.weight": normal(keys, width),
            f"{at}self_attn.o_proj.weight": normal(width, queries),
            f"{at}mlp.gate_proj.weight": normal(inner, width),
            f"{at}mlp.up_proj.weight": normal(inner, width),
            f"{at}mlp.down_proj.weight": normal(width, inner),
        }
        if config["model_type"] == "qwen2":
            sizes = {"q": queries, "k": keys, "v": keys}
            found |= {
                f"{at}self_attn.{name}_proj.bias": normal(n) for name, n in sizes.items()
            }
    return found


def checkpoint(folder: Path, architecture: str = "llama", **changed: Any) -> Path:
    """Write a whole checkpoint and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config_json(architecture, **changed)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors(config), folder / "model.safetensors", metadata={"format": "pt"})
    write_tokenizer(folder)
    return folder
