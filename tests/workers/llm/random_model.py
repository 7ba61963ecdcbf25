"""Small decoders with random weights, and a tokenizer of bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cost_models.text.head import ControlHead
from search.text_model import Grammar, Message
from workers.llm.decoder_types import DecoderConfig, DecoderWeights, LayerWeights
from workers.llm.engine import Engine, Front, Options
from workers.llm.sequence import Bound
from workers.llm.steering import Steering

EOS = 256
VOCABULARY = 260


def config(**changed: Any) -> DecoderConfig:
    """Return the shape of a small decoder."""
    fields: dict[str, Any] = {
        "architecture": "llama",
        "layers": 2,
        "width": 32,
        "feed_forward": 48,
        "heads": 6,
        "kv_heads": 2,
        "head_size": 8,
        "vocabulary": VOCABULARY,
        "context_tokens": 512,
        "rope_theta": 10_000.0,
        "norm_eps": 1e-5,
        "tied_head": True,
    }
    return DecoderConfig(**(fields | changed))


def weights(
    shape: DecoderConfig, seed: int = 0, dtype: torch.dtype = torch.float32
) -> DecoderWeights:
    """Return random weights whose attention is far from even."""
    rng = torch.Generator().manual_seed(seed)

    def normal(*size: int, scale: float = 1.0) -> torch.Tensor:
        return (torch.randn(*size, generator=rng) * scale * size[-1] ** -0.5).to(dtype)

    wide = (shape.heads + 2 * shape.kv_heads) * shape.head_size
    embedding = normal(shape.vocabulary, shape.width, scale=1.5)
    layers = tuple(
        LayerWeights(
            attention_norm=torch.rand(shape.width, generator=rng) + 0.5,
            qkv=normal(wide, shape.width, scale=2.0),
            qkv_bias=normal(wide, scale=2.0) if shape.qkv_bias else None,
            attention_out=normal(shape.width, shape.heads * shape.head_size),
            feed_forward_norm=torch.rand(shape.width, generator=rng) + 0.5,
            gate_up=normal(2 * shape.feed_forward, shape.width),
            down=normal(shape.width, shape.feed_forward),
        )
        for _ in range(shape.layers)
    )
    return DecoderWeights(
        embedding=embedding,
        layers=layers,
        norm=torch.rand(shape.width, generator=rng) + 0.5,
        head=embedding if shape.tied_head else normal(shape.vocabulary, shape.width),
    )


class Bytes:
    """Tokenizer of bytes: token i is byte i, and `EOS` ends an answer."""

    eos = frozenset({EOS})

    def encode(self, text: str) -> list[int]:
        """Return the bytes of a text."""
        return list(text.encode())

    def encode_prompt(self, text: str) -> list[int]:
        """Return the bytes of a text: there is no token before the first."""
        return self.encode(text)

    def token_bytes(self, token: int) -> bytes:
        """Return a token's byte."""
        return bytes([token]) if token < EOS else b""

    def texts(self) -> list[str]:
        """Return the texts of all tokens."""
        return [self.token_bytes(i).decode("latin-1") for i in range(VOCABULARY)]

    def chat(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        """Return messages one after another."""
        ids: list[int] = []
        pinned: list[bool] = []
        for message in messages:
            ids += self.encode(message.text)
            pinned += [message.pinned] * (len(ids) - len(pinned))
        return ids, pinned


def unbounded(grammar: Grammar) -> Bound:
    """Refuse grammars."""
    raise NotImplementedError


def engine(
    options: Options | None = None,
    *,
    shape: DecoderConfig | None = None,
    seed: int = 0,
    bound: Callable[[Grammar], Bound] = unbounded,
    head: ControlHead | None = None,
    dtype: torch.dtype = torch.float32,
) -> Engine:
    """Return an engine over a random model."""
    shape = shape or config()
    tokenizer = Bytes()
    control = (
        None
        if head is None
        else Steering(head, tokenizer.encode, tokenizer.texts, tokenizer.eos).guide
    )
    return Engine(
        shape,
        weights(shape, seed, dtype),
        tokenizer,
        Front(chat=tokenizer.chat, bound=bound, control=control),
        options,
    )


def control_arrays(
    shape: DecoderConfig, *, rank: int = 5, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """Return random weights of a control head, whose terms differ much between tokens."""
    rng = np.random.default_rng(seed)
    width = shape.width

    def normal(*size: int) -> NDArray[np.float32]:
        return (rng.standard_normal(size) * size[-1] ** -0.5).astype(np.float32)

    arrays = {
        "mean": normal(2, width),
        "scale": rng.uniform(0.5, 2.0, (2, width)).astype(np.float32),
        "d": rng.uniform(0.5, 2.0, width).astype(np.float32),
        "item": normal(width),
        "t": np.array([40.0], np.float32),
    }
    for lead in ("", "exact_"):
        arrays |= {f"{lead}{name}": normal(rank, 3 * width) for name in ("a", "u")}
        arrays |= {f"{lead}{name}": normal(rank, 2 * width) for name in ("c", "w")}
        arrays |= {f"{lead}{name}": normal(rank) for name in ("a0", "u0", "w0", "g")}
        arrays |= {f"{lead}{name}": 2 * normal(1) for name in ("k", "s0", "length")}
        arrays[f"{lead}words"] = 4 * normal(2, 2)
    return arrays


def control_head(seed: int = 0) -> ControlHead:
    """Return a random head for models of `config()`."""
    return ControlHead(control_arrays(config(), seed=seed))
