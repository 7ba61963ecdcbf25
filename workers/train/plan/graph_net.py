"""The network that reads graphs, as it is trained: MiniLM's first layers and a pointing decoder.

Encoder: the first layers of all-MiniLM-L6-v2 (Wang et al. 2020, arXiv 2002.10957), its vectors of
pieces projected to fewer dimensions, with signs of numbers and files added. Decoder: two layers
over the steps so far; one softmax over labels, words and files (Rongali et al. 2020, arXiv
2001.11458); the last word of a span is a second choice. `search/.../graphs/network.py` runs it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from search.domains.plan.reading.graphs.grammar import MAX_JOBS, MAX_SPAN_WORDS, MAX_STEPS
from search.domains.plan.reading.graphs.words import FILE, MAX_FILES, MAX_PIECES, SIZES
from workers.corpus.minilm import read

WIDTH, HEADS, WIDE = 384, 12, 1536
FAR = 24  # distances to the last word pointed at, cut off here


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of the network."""

    layers: int = 6
    rank: int = 256  # dimensions of the vectors of pieces
    width: int = 256  # of the decoder
    decoder_layers: int = 2
    heads: int = 8
    dropout: float = 0.15


@dataclass
class Batch:
    """Goals side by side. b goals, p pieces, w words, t steps."""

    ids: Tensor  # [b, p]
    signs: Tensor  # [b, p, 4]
    at: Tensor  # [b, w], place of each word's first piece; 0 beyond
    words: Tensor  # [b], how many
    files: Tensor  # [b], how many
    act: Tensor  # [b, t], -1 beyond
    label: Tensor  # [b, t], label, word or file by act
    last: Tensor  # [b, t], last word of words
    job: Tensor  # [b, t], jobs begun before the step
    since: Tensor  # [b, t], last word pointed at in this job before the step; -1: none
    used: Tensor  # [b, t, w], 1: in this job, 2: in an earlier one, 3: both


class Layer(nn.Module):
    """Encoder layer of BERT: attention and feed-forward, each added and then normed."""

    def __init__(self, dropout: float) -> None:
        """Make an empty layer."""
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up, self.down = nn.Linear(WIDTH, WIDE), nn.Linear(WIDE, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Shapes: x [b, p, d]; there [b, 1, 1, p], true where a piece is."""
        b, p, d = x.shape
        q, k, v = self.qkv(x).view(b, p, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=there)
        mixed = mixed.transpose(1, 2).reshape(b, p, d)
        x = self.norm1(x + self.drop(self.out(mixed)))
        return self.norm2(x + self.drop(self.down(functional.gelu(self.up(x)))))


class Decoding(nn.Module):
    """Decoder layer, normed first: steps so far, then the goal, then feed-forward."""

    def __init__(self, sizes: Sizes) -> None:
        """Make an untrained layer."""
        super().__init__()
        d, self.heads = sizes.width, sizes.heads
        self.norm1, self.norm2, self.norm3 = (
            nn.LayerNorm(d),
            nn.LayerNorm(d),
            nn.LayerNorm(d),
        )
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.query, self.kv, self.over = (
            nn.Linear(d, d),
            nn.Linear(WIDTH, 2 * d),
            nn.Linear(d, d),
        )
        self.up, self.down = nn.Linear(d, 3 * d), nn.Linear(3 * d, d)
        self.drop = nn.Dropout(sizes.dropout)

    def forward(self, x: Tensor, goal: Tensor, there: Tensor) -> Tensor:
        """Shapes: x [b, t, d]; goal [b, p, 384]; there [b, 1, 1, p]."""
        b, t, d = x.shape
        h = self.heads
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, h, d // h).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.drop(self.out(mixed.transpose(1, 2).reshape(b, t, d)))
        q = self.query(self.norm2(x)).view(b, t, h, d // h).transpose(1, 2)
        k, v = self.kv(goal).view(b, -1, 2, h, d // h).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=there)
        x = x + self.drop(self.over(mixed.transpose(1, 2).reshape(b, t, d)))
        return x + self.drop(self.down(functional.gelu(self.up(self.norm3(x)))))


class GraphNet(nn.Module):
    """Goal and steps so far → logits of the next step."""

    def __init__(self, labels: int, sizes: Sizes, pieces: int) -> None:
        """Make an untrained network."""
        super().__init__()
        d, self.sizes = sizes.width, sizes
        self.pieces = nn.Embedding(pieces, sizes.rank)
        self.raise_ = nn.Linear(sizes.rank, WIDTH, bias=False)
        self.places = nn.Parameter(torch.zeros(MAX_PIECES, WIDTH))
        self.signs = nn.ModuleList(nn.Embedding(size, WIDTH) for size in SIZES)
        for table in self.signs:
            nn.init.normal_(table.weight, std=0.01)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer(sizes.dropout) for _ in range(sizes.layers))
        self.label = nn.Embedding(labels + 1, d)  # the last one begins
        nn.init.normal_(self.label.weight, std=0.05)
        self.first, self.final = nn.Linear(WIDTH, d), nn.Linear(WIDTH, d)
        self.file_in = nn.Linear(WIDTH, d)
        self.steps = nn.Parameter(torch.randn(MAX_STEPS + 1, d) * 0.02)
        self.jobs = nn.Embedding(MAX_JOBS + 1, d)
        nn.init.normal_(self.jobs.weight, std=0.02)
        self.decoder = nn.ModuleList(Decoding(sizes) for _ in range(sizes.decoder_layers))
        self.norm_out = nn.LayerNorm(d)
        self.to_label = nn.Linear(d, labels)
        self.word_query, self.word_key = nn.Linear(d, d), nn.Linear(WIDTH, d)
        self.file_query, self.file_key = nn.Linear(d, d), nn.Linear(WIDTH, d)
        self.last_query, self.last_key = nn.Linear(d + WIDTH, d), nn.Linear(WIDTH, d)
        self.last_bias = nn.Parameter(torch.zeros(MAX_SPAN_WORDS))
        self.near = nn.Linear(d, 2 * FAR + 1)  # by distance to the last word pointed at
        self.again = nn.Linear(d, 4)  # by use of the word so far
        nn.init.zeros_(self.near.weight), nn.init.zeros_(self.near.bias)
        nn.init.zeros_(self.again.weight), nn.init.zeros_(self.again.bias)
        self.drop = nn.Dropout(sizes.dropout)

    def encoded(self, ids: Tensor, signs: Tensor) -> tuple[Tensor, Tensor]:
        """Return states [b, p, 384] and where pieces are, [b, 1, 1, p]."""
        there = (ids != 0)[:, None, None]
        x = self.raise_(self.pieces(ids)) + self.places[: ids.shape[1]]
        for i, table in enumerate(self.signs):
            x = x + table(signs[:, :, i])
        x = self.drop(self.norm(x))
        for layer in self.layers:
            x = layer(x, there)
        return x, there

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits of every step, [b, t, labels + w + files], and of last words."""
        states, there = self.encoded(batch.ids, batch.signs)
        rows = torch.arange(len(states))[:, None]
        words = states[rows, batch.at]  # [b, w, 384]
        entries = _entries(states, batch)  # [b, files, 384]
        x = self._inputs(batch, words, entries)
        for layer in self.decoder:
            x = layer(x, states, there)
        y = self.norm_out(x)
        return self._logits(y, batch, states, words), self._last(y, batch, words)

    def _inputs(self, batch: Batch, words: Tensor, entries: Tensor) -> Tensor:
        """Return the decoder's input: the step before each, [b, t, d]."""
        b, t = batch.act.shape
        begin = self.label.weight[-1].expand(b, 1, -1)
        rows = torch.arange(b)[:, None]
        at, last = batch.label.clamp(min=0), batch.last.clamp(min=0)
        w = words.shape[1]
        said = self.label(at.clamp(max=self.label.num_embeddings - 2))
        first = self.first(words)[rows, at.clamp(max=w - 1)]
        final = self.final(words)[rows, last.clamp(max=w - 1)]
        file = self.file_in(entries)[rows, at.clamp(max=MAX_FILES - 1)]
        act = batch.act[:, :, None]
        x = torch.where(act == 0, said, torch.where(act == 1, first + final, file))
        x = torch.cat([begin, x[:, :-1]], 1)
        return self.drop(x + self.steps[:t] + self.jobs(batch.job))

    def _logits(self, y: Tensor, batch: Batch, states: Tensor, words: Tensor) -> Tensor:
        scale = y.shape[-1] ** -0.5
        w = words.shape[1]
        # [b, t, w]
        pointed = self.word_query(y) @ self.word_key(words).transpose(1, 2) * scale
        place = torch.arange(w)
        far = (place - batch.since[:, :, None]).clamp(-FAR, FAR) + FAR
        pointed = pointed + self.near(y).gather(2, far)
        pointed = pointed + self.again(y).gather(2, batch.used)
        beyond = place >= batch.words[:, None]
        pointed = pointed.masked_fill(beyond[:, None], -1e4)
        # [b, t, p]
        found = self.file_query(y) @ self.file_key(states).transpose(1, 2) * scale
        # [b, 1, p]
        of_file = (batch.ids == FILE)[:, None] * batch.signs[:, :, 1][:, None]
        number = torch.arange(1, MAX_FILES + 1)[:, None]
        mask = torch.where(of_file == number, 0.0, -1e4)  # [b, files, p]
        files = torch.stack(
            [(found + mask[:, k][:, None]).logsumexp(2) for k in range(MAX_FILES)], 2
        )
        return torch.cat([self.to_label(y), pointed, files], 2)

    def _last(self, y: Tensor, batch: Batch, words: Tensor) -> Tensor:
        b, w = words.shape[:2]
        rows = torch.arange(b)[:, None]
        at = batch.label.clamp(0, w - 1)
        start = words[rows, at]  # [b, t, 384]
        query = self.last_query(torch.cat([y, start], 2))  # [b, t, d]
        key = self.last_key(words)  # [b, w, d]
        place = at[:, :, None] + torch.arange(MAX_SPAN_WORDS)  # [b, t, 24]
        scores = query @ key.transpose(1, 2) * y.shape[-1] ** -0.5  # [b, t, w]
        scores = scores.gather(2, place.clamp(max=w - 1)) + self.last_bias
        return scores.masked_fill(place >= batch.words[:, None, None], -1e4)


def _entries(states: Tensor, batch: Batch) -> Tensor:
    """Return the states of the files' entries, [b, files, 384]."""
    b = len(states)
    place = batch.words[:, None] + torch.arange(MAX_FILES)
    at = batch.at.gather(1, place.clamp(max=batch.at.shape[1] - 1))
    return states[torch.arange(b)[:, None], at]


def loss_of(net: GraphNet, batch: Batch, labels: int) -> tuple[Tensor, Tensor]:
    """Return the mean loss of a step, and the log-probability of each goal's steps, [b]."""
    logits, lasts = net(batch)
    w = batch.used.shape[2]
    offset = torch.tensor([0, labels, labels + w])
    there = batch.act >= 0
    target = batch.label + offset[batch.act.clamp(min=0)]
    b, t = target.shape
    one = functional.cross_entropy(
        logits.reshape(b * t, -1), target.clamp(min=0).reshape(-1), reduction="none"
    ).view(b, t)
    length = (batch.last - batch.label).clamp(0, MAX_SPAN_WORDS - 1)
    two = functional.cross_entropy(
        lasts.reshape(b * t, -1), length.reshape(-1), reduction="none"
    ).view(b, t)
    total = one * there + two * (batch.act == 1)
    return total.sum() / there.sum(), -total.sum(1)


def from_minilm(labels: int, sizes: Sizes) -> tuple[GraphNet, dict[str, int]]:
    """Return a network whose encoder begins as MiniLM's, and MiniLM's vocabulary.

    The vectors of pieces are projected on their first principal axes. Raises EncoderMissing.
    """
    model, tokenizer = read()
    given = load(model)
    vocabulary = json.loads(tokenizer)["model"]["vocab"]
    net = GraphNet(labels, sizes, len(vocabulary))
    table = given["embeddings.word_embeddings.weight"].float()
    kept = table[999:]  # those before are special or unused
    mean = kept.mean(0)
    _, _, axes = torch.linalg.svd(kept[:6000] - mean, full_matrices=False)
    axes = axes[: sizes.rank]  # [rank, 384]
    with torch.no_grad():
        net.pieces.weight.copy_((table - mean) @ axes.T)
        net.raise_.weight.copy_(axes.T)
        places = given["embeddings.position_embeddings.weight"][:MAX_PIECES]
        net.places.copy_(
            places + given["embeddings.token_type_embeddings.weight"][0] + mean
        )
        _copy(net.norm, given, "embeddings.LayerNorm")
        for i, layer in enumerate(net.layers):
            _layer(layer, given, f"encoder.layer.{i}.")
    return net, {str(k): int(v) for k, v in vocabulary.items()}


def _layer(layer: nn.Module, given: Mapping[str, Tensor], name: str) -> None:
    parts = [f"{name}attention.self.{part}" for part in ("query", "key", "value")]
    layer.qkv.weight.copy_(torch.cat([given[f"{part}.weight"] for part in parts]))
    layer.qkv.bias.copy_(torch.cat([given[f"{part}.bias"] for part in parts]))
    _copy(layer.out, given, f"{name}attention.output.dense")
    _copy(layer.norm1, given, f"{name}attention.output.LayerNorm")
    _copy(layer.up, given, f"{name}intermediate.dense")
    _copy(layer.down, given, f"{name}output.dense")
    _copy(layer.norm2, given, f"{name}output.LayerNorm")


def _copy(part: nn.Module, given: Mapping[str, Tensor], name: str) -> None:
    part.weight.copy_(given[f"{name}.weight"])
    part.bias.copy_(given[f"{name}.bias"])
