"""Read a folder in the layout of Hugging Face: config.json and safetensors, whole or in shards.

Known are llama, qwen2 and mistral. What the engine would compute wrongly is refused by name:
quantised weights, biases other than qwen2's, activations other than SiLU, scalings of positions
other than Llama 3's. Pickles are never opened.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from workers.llm.decoder_types import DecoderConfig, DecoderWeights, LayerWeights
from workers.llm.gguf import BadModelFile

WEIGHTS_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"
ARCHITECTURES = ("llama", "qwen2", "mistral")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_MAX_JSON_BYTES = 64 << 20
_DTYPES = ("F32", "F16", "BF16")
_LLAMA3 = (
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a model. Raises BadModelFile."""
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise BadModelFile(
                f"{path.name}: expected at most {_MAX_JSON_BYTES >> 20} MiB; download it again"
            )
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadModelFile(
            f"{path.parent}: expected a file {path.name}, got none; name the folder of a "
            "checkpoint in the layout of Hugging Face"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise BadModelFile(
            f"{path}: expected JSON, got an error: {str(error)[:200]}; download it again"
        ) from None
    if not isinstance(content, dict):
        raise BadModelFile(f"{path}: expected an object; download it again")
    return content


class _Settings:
    """Values of a config.json, checked as they are read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values = read_json(path)

    def bad(
        self, name: str, expected: str, remedy: str = "take another model"
    ) -> BadModelFile:
        got = json.dumps(self._values.get(name))[:80]
        return BadModelFile(
            f"{self._path}: {name}: expected {expected}, got {got}; {remedy}"
        )

    def get(self, name: str, default: Any = None) -> Any:
        value = self._values.get(name)
        return default if value is None else value

    def count(self, name: str, default: int | None = None, *, most: int) -> int:
        value = self.get(name, default)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not 1 <= value <= most:
            raise self.bad(name, f"an integer from 1 to {most}", "download it again")
        return int(value)

    def positive(self, name: str, value: Any) -> float:
        real = isinstance(value, int | float) and not isinstance(value, bool)
        if not real or not math.isfinite(value) or value <= 0:
            raise self.bad(name, "a positive number", "download it again")
        return float(value)

    def must_be(self, name: str, allowed: Sequence[Any]) -> None:
        if self.get(name, allowed[0]) not in allowed:
            raise self.bad(name, " or ".join(map(json.dumps, allowed)))


def read_config(folder: Path) -> DecoderConfig:
    """Return the shape of the decoder in a folder. Raises BadModelFile."""
    settings = _Settings(folder / "config.json")
    architecture = settings.get("model_type")
    if architecture not in ARCHITECTURES:
        raise settings.bad("model_type", "one of " + ", ".join(ARCHITECTURES))
    settings.must_be("hidden_act", ("silu",))
    settings.must_be("attention_bias", (False,))
    settings.must_be("mlp_bias", (False,))
    settings.must_be("quantization_config", (None,))
    heads = settings.count("num_attention_heads", most=1024)
    width = settings.count("hidden_size", most=1 << 17)
    head_size = settings.count("head_dim", max(1, width // heads), most=1024)
    kv_heads = settings.count("num_key_value_heads", heads, most=heads)
    if heads % kv_heads:
        raise settings.bad("num_key_value_heads", f"a divisor of {heads} heads")
    if head_size % 2:
        raise settings.bad("head_dim", "an even number")
    theta, scaling = _rope(settings)
    return DecoderConfig(
        architecture=architecture,
        layers=settings.count("num_hidden_layers", most=1024),
        width=width,
        feed_forward=settings.count("intermediate_size", most=1 << 20),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        vocabulary=settings.count("vocab_size", most=1 << 22),
        context_tokens=_context(settings),
        rope_theta=theta,
        norm_eps=settings.positive("rms_norm_eps", settings.get("rms_norm_eps", 1e-6)),
        tied_head=bool(settings.get("tie_word_embeddings", False)),
        qkv_bias=architecture == "qwen2",
        rope_scaling=scaling,
    )


def _context(settings: _Settings) -> int:
    """Return the context, no longer than a sliding window.

    Within its window a model with a sliding window is one without.
    """
    context = settings.count("max_position_embeddings", 2048, most=1 << 28)
    if settings.get("model_type") == "qwen2" and not settings.get("use_sliding_window"):
        return context
    if settings.get("sliding_window") is None:
        return context
    return min(context, settings.count("sliding_window", most=1 << 28))


def _rope(settings: _Settings) -> tuple[float, tuple[tuple[str, float], ...]]:
    """Return the base of the rotations and Llama 3's scaling, or nothing."""
    # transformers 5 writes both as `rope_parameters`, earlier ones apart.
    field = "rope_parameters" if settings.get("rope_parameters") else "rope_scaling"
    rope = settings.get(field, {})
    if not isinstance(rope, Mapping):
        raise settings.bad(field, "an object")
    theta = rope.get("rope_theta", settings.get("rope_theta", 10000.0))
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", "llama3"):
        raise settings.bad(field, "rope_type default or llama3")
    scaling: tuple[tuple[str, float], ...] = ()
    if kind == "llama3":
        scaling = tuple(
            (name, settings.positive(field, rope.get(name))) for name in _LLAMA3
        )
    return settings.positive("rope_theta", theta), scaling


@contextmanager
def _opened(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Open all safetensors of a folder; yield the open file of each tensor by name."""
    with ExitStack() as stack:
        of_tensor: dict[str, Any] = {}
        for path in _files(folder):
            try:
                file = stack.enter_context(safe_open(path, framework="pt"))
                of_tensor |= dict.fromkeys(file.keys(), file)
            except (SafetensorError, OSError) as error:
                raise BadModelFile(
                    f"{path}: expected safetensors, got an error: {str(error)[:200]}; "
                    "download it again"
                ) from None
        yield of_tensor


def _files(folder: Path) -> list[Path]:
    single, index = folder / WEIGHTS_FILE, folder / INDEX_FILE
    if single.is_file():
        return [single]
    if not index.is_file():
        pickles = [p.name for pattern in _PICKLES for p in sorted(folder.glob(pattern))]
        got = f"the pickle {pickles[0]}, which can run code" if pickles else "neither"
        raise BadModelFile(
            f"{folder}: expected {WEIGHTS_FILE} or {INDEX_FILE}, got {got}; convert the "
            "checkpoint to safetensors"
        )
    names = read_json(index).get("weight_map")
    if not isinstance(names, Mapping) or not names:
        raise BadModelFile(f"{index}: weight_map: expected an object; download it again")
    shards = sorted({str(name) for name in names.values()})
    for name in shards:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise BadModelFile(
                f"{index}: weight_map: expected names of safetensors in the same folder, got "
                f"{name[:80]!r}; download it again"
            )
        if not (folder / name).is_file():
            raise BadModelFile(f"{folder}: shard {name} is missing; download it again")
    return [folder / name for name in shards]


class _Tensors:
    """Tensors of open files, checked against their expected shape."""

    def __init__(
        self, folder: Path, opened: Mapping[str, Any], dtype: torch.dtype, device: str
    ) -> None:
        self._folder, self._opened = folder, opened
        self._dtype, self._device = dtype, device

    def __contains__(self, name: str) -> bool:
        return name in self._opened

    def get(self, name: str, *shape: int) -> torch.Tensor:
        """Return a tensor of this shape."""
        file = self._opened.get(name)
        if file is None:
            raise BadModelFile(
                f"{self._folder}: expected a tensor {name!r}; download the checkpoint again"
            )
        part = file.get_slice(name)
        if part.get_dtype() not in _DTYPES or tuple(part.get_shape()) != shape:
            raise BadModelFile(
                f"{self._folder}: tensor {name!r}: expected {list(shape)} of "
                f"{', '.join(_DTYPES)}, got {part.get_shape()} of {part.get_dtype()}; "
                "take another checkpoint"
            )
        return file.get_tensor(name).to(device=self._device, dtype=self._dtype)

    def joined(
        self, fused: str, parts: Sequence[tuple[str, int]], *columns: int
    ) -> torch.Tensor:
        """Return a matrix that is stored as one, or its parts one below another."""
        if fused in self:
            return self.get(fused, sum(rows for _, rows in parts), *columns)
        return torch.cat([self.get(name, rows, *columns) for name, rows in parts])


def read_weights(
    folder: Path, config: DecoderConfig, *, dtype: torch.dtype, device: str
) -> DecoderWeights:
    """Return the weights of a folder. Tensors of `dtype` on the CPU are mapped, not copied.

    Raises BadModelFile.
    """
    with _opened(folder) as opened:
        tensors = _Tensors(folder, opened, dtype, device)
        shape = (config.vocabulary, config.width)
        embedding = tensors.get("model.embed_tokens.weight", *shape)
        return DecoderWeights(
            embedding=embedding,
            layers=tuple(
                _layer(tensors, f"model.layers.{i}.", config)
                for i in range(config.layers)
            ),
            norm=tensors.get("model.norm.weight", config.width),
            head=embedding if config.tied_head else tensors.get("lm_head.weight", *shape),
        )


def _layer(tensors: _Tensors, at: str, config: DecoderConfig) -> LayerWeights:
    width, inner = config.width, config.feed_forward
    queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
    rows = (("q", queries), ("k", keys), ("v", keys))

    def heads(kind: str, *columns: int) -> torch.Tensor:
        return tensors.joined(
            f"{at}self_attn.qkv_proj.{kind}",
            [(f"{at}self_attn.{name}_proj.{kind}", count) for name, count in rows],
            *columns,
        )

    return LayerWeights(
        attention_norm=tensors.get(f"{at}input_layernorm.weight", width),
        qkv=heads("weight", width),
        qkv_bias=heads("bias") if config.qkv_bias else None,
        attention_out=tensors.get(f"{at}self_attn.o_proj.weight", width, queries),
        feed_forward_norm=tensors.get(f"{at}post_attention_layernorm.weight", width),
        gate_up=tensors.joined(
            f"{at}mlp.gate_up_proj.weight",
            [(f"{at}mlp.{name}_proj.weight", inner) for name in ("gate", "up")],
            width,
        ),
        down=tensors.get(f"{at}mlp.down_proj.weight", width, inner),
    )
