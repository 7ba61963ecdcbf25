"""Attention of a chunk of the prompt over a row's slots, and the choice of what stays.

Memory is bounded by slots and chunk, not by the prompt: each chunk attends to the slots and to
itself, adds what every token drew to its score, and keeps at most `capacity` tokens. A chunk of one
token does exactly what a decode step does; a chunk as long as the prompt is the paper's prefill.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional

from cuda.kernels.reference import next_slot
from cuda.kernels.slots import SlotCache, Victim
from workers.llm import policies
from workers.llm.policies import Rule

QUERY_BLOCK = 256
"""Queries whose probabilities are in memory at once."""


def attend_chunk(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cache: SlotCache,
    row: int,
    first: int,
    pinned: torch.Tensor,
    rule: Rule,
) -> torch.Tensor:
    """Attend from a chunk to the slots and to itself, update scores, and evict.

    Args:
        query: [KV, G, T, D] after the rotary embedding.
        key: [KV, T, D] after the rotary embedding.
        value: [KV, T, D].
        cache: of one layer, changed in place.
        row: of the sequence.
        first: true position of the chunk's first token.
        pinned: [T] bool, tokens that never go.
        rule: of the sequence.

    Returns:
        [KV, G, T, D] in the query's dtype.
    """
    kv_heads, chunk = key.shape[:2]
    n = int(cache.filled[row])
    if rule.victim == Victim.NONE and n + chunk > rule.capacity:
        raise ValueError(
            f"cache: expected at most {rule.capacity} tokens without eviction, got {n + chunk}"
        )
    dtype = cache.keys.dtype
    keys = torch.cat([cache.keys[row, :, :n], key.to(dtype)], 1)
    values = torch.cat([cache.values[row, :, :n], value.to(dtype)], 1)
    arange = torch.arange(chunk, dtype=torch.int32, device=key.device)
    positions = torch.cat(
        [cache.positions[row, :, :n], (first + arange).expand(kv_heads, -1)], 1
    )
    pins = torch.cat([cache.pinned[row, :, :n], pinned.expand(kv_heads, -1)], 1)
    fresh = torch.zeros(kv_heads, chunk, device=key.device)
    scores = torch.cat([cache.scores[row, :, :n], fresh], 1)
    gone = torch.zeros_like(pins)
    if n == rule.capacity:
        # The victim of the step before is overwritten by the first token that comes.
        gone.scatter_(1, cache.write[row, :, None].long(), True)
    out, sums = _attend(query, keys, values, n, gone, rule)
    scores = _add(scores, sums, chunk, rule)
    if n + chunk > rule.capacity:
        newest = sums if rule.victim == Victim.LAST else scores
        kept = _keep(newest, positions, pins, gone, first + chunk - 1, rule)
        keys, values = (
            tensor.gather(1, kept[..., None].expand(-1, -1, tensor.shape[-1]))
            for tensor in (keys, values)
        )
        scores, positions, pins, sums = (
            tensor.gather(1, kept) for tensor in (scores, positions, pins, sums)
        )
        start = 0
    else:
        start = n
    end = keys.shape[1]
    cache.keys[row, :, start:end] = keys[:, start:]
    cache.values[row, :, start:end] = values[:, start:]
    cache.positions[row, :, start:end] = positions[:, start:]
    cache.pinned[row, :, start:end] = pins[:, start:]
    cache.scores[row, :, :end] = scores
    cache.filled[row] = end
    cache.write[row] = next_slot(
        cache, row, end, first + chunk - 1, sums, policies.rows((rule,), key.device), 0
    )
    return out


def _attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    n: int,
    gone: torch.Tensor,
    rule: Rule,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [KV, G, T, D], and [KV, n + T]: what each token drew from the chunk's queries.

    Queries count by the rule: all, fading, the last few, or the last one. The arithmetic of the
    output is the same for every rule, so that a cache that holds everything equals `full` exactly.
    """
    kv_heads, group, chunk, head_size = query.shape
    total = n + chunk
    sums = torch.zeros(kv_heads, total, device=keys.device)
    out = torch.empty_like(query)
    weight = _query_weights(chunk, rule, keys.device)
    keys = keys.float().mT  # [KV, D, n + T]
    values = values.float()
    column = torch.arange(total, device=keys.device)
    for begin in range(0, chunk, QUERY_BLOCK):
        end = min(begin + QUERY_BLOCK, chunk)
        # Later columns are hidden from the whole block.
        seen = n + end
        block = query[:, :, begin:end].float().reshape(kv_heads, -1, head_size)
        logits = (block @ keys[..., :seen]).mul_(head_size**-0.5)
        logits = logits.view(kv_heads, group, end - begin, seen)
        own = torch.arange(n + begin, n + end, device=keys.device)
        logits.masked_fill_(column[:seen] > own[:, None], -torch.inf)
        if n == rule.capacity:
            logits.masked_fill_(gone[:, None, None, :seen], -torch.inf)
        drawn = torch.softmax(logits, -1)  # [KV, G, block, seen]
        mixed = drawn.view(kv_heads, -1, seen) @ values[:, :seen]
        out[:, :, begin:end] = mixed.view(kv_heads, group, end - begin, head_size)
        if weight is not None and bool(weight[begin:end].any()):
            sums[:, :seen] += torch.einsum("kgts,t->ks", drawn, weight[begin:end])
    return out, sums


def _query_weights(chunk: int, rule: Rule, device: torch.device) -> torch.Tensor | None:
    """Return [T] float32, how much each query of a chunk counts; None: positions alone decide."""
    if not rule.scored:
        return None
    weight = torch.ones(chunk, device=device)
    if rule.victim == Victim.LAST:
        weight[:-1] = 0
    elif rule.window:
        weight[: -rule.window] = 0
    elif rule.decay != 1:
        age = torch.arange(chunk - 1, -1, -1, dtype=torch.float64, device=device)
        weight = (rule.decay**age).float()
    return weight


def _add(
    scores: torch.Tensor, sums: torch.Tensor, chunk: int, rule: Rule
) -> torch.Tensor:
    """Return [KV, n + T] scores after a chunk."""
    if not rule.scored:
        return scores
    if rule.window:
        # While the prompt is read, its last queries alone count.
        if rule.pool > 1:
            sums = functional.avg_pool1d(
                sums[:, None], rule.pool, 1, rule.pool // 2, count_include_pad=True
            )[:, 0]
        return sums.clone()
    return scores * rule.decay**chunk + sums


def _keep(
    scores: torch.Tensor,
    positions: torch.Tensor,
    pins: torch.Tensor,
    gone: torch.Tensor,
    last: int,
    rule: Rule,
) -> torch.Tensor:
    """Return [KV, capacity] int64: tokens that stay, by position. Ties: the older one goes."""
    rank = scores
    if rule.victim == Victim.AGE:
        rank = positions.float()
    elif rule.victim == Victim.MEAN:
        rank = scores / (last - positions + 1)
    kept = (positions > last - rule.recent) | (positions < rule.sinks) | pins
    rank = rank.masked_fill(kept, torch.inf).masked_fill(gone, -torch.inf)
    # Stable sort over positions: among equal ranks the newer token comes first.
    by_age = positions.argsort(dim=1, descending=True, stable=True)
    order = rank.gather(1, by_age).argsort(dim=1, descending=True, stable=True)
    chosen = by_age.gather(1, order)[:, : rule.capacity]  # [KV, capacity]
    return chosen.gather(1, positions.gather(1, chosen).argsort(dim=1))
