"""Attention of a chunk of the prompt over a row's slots, and the choice of what stays.

Memory is bounded by slots and chunk, not by the prompt: each chunk attends to the slots and to
itself, adds what every token drew to its score, and keeps at most `capacity` tokens. A chunk of one
token does exactly what a decode step does; a chunk as long as the prompt is the paper's prefill.
"""

from __future__ import annotations

import torch

from cuda.kernels.chunk_attn import chunk_attn
from cuda.kernels.reference import next_slot
from cuda.kernels.slots import SlotCache, Victim
from workers.llm import policies
from workers.llm.policies import Rule


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
    # The same arithmetic for every rule: a cache that holds all equals `full` exactly.
    out, sums = chunk_attn(
        query,
        keys,
        values,
        before=n,
        hidden=gone if n == rule.capacity else None,
        weights=_query_weights(chunk, rule, key.device),
        pool=rule.pool,
    )
    scores = _add(scores, sums, chunk, rule)
    if n + chunk > rule.capacity:
        newest = sums if rule.victim == Victim.LAST else scores
        kept = _keep(newest, positions, pins, gone, first + chunk - 1, rule)
        # Rows of a head are copied whole; `gather` would go element by element.
        for head, chosen in enumerate(kept):
            for slots, read in ((cache.keys, keys), (cache.values, values)):
                slots[row, head, : rule.capacity] = read[head].index_select(0, chosen)
        scores, positions, pins, sums = (
            tensor.gather(1, kept) for tensor in (scores, positions, pins, sums)
        )
        start = 0
    else:
        start = n
        cache.keys[row, :, n : n + chunk] = keys[:, n:]
        cache.values[row, :, n : n + chunk] = values[:, n:]
    end = scores.shape[1]
    cache.positions[row, :, start:end] = positions[:, start:]
    cache.pinned[row, :, start:end] = pins[:, start:]
    cache.scores[row, :, :end] = scores
    cache.filled[row] = end
    cache.write[row] = next_slot(
        cache, row, end, first + chunk - 1, sums, policies.rows((rule,), key.device), 0
    )
    return out


def _query_weights(chunk: int, rule: Rule, device: torch.device) -> torch.Tensor:
    """Return [T] float32, how much each query of a chunk counts."""
    if not rule.scored:
        # Positions alone decide.
        return torch.zeros(chunk, device=device)
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
        return sums
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
    by_age = None
    if not bool((positions[:, 1:] > positions[:, :-1]).all()):
        # Only after generated tokens: slots are no longer in the order of the text.
        by_age = positions.argsort(dim=1)
        rank = rank.gather(1, by_age)
    least = rank.topk(rule.capacity, sorted=False).values.amin(1, keepdim=True)
    above, tied = rank > least, rank == least
    newer_ties = tied.flip(1).cumsum(1).flip(1)
    stays = above | (tied & (newer_ties <= rule.capacity - above.sum(1, keepdim=True)))
    chosen = stays.nonzero()[:, 1].view(-1, rule.capacity)
    return chosen if by_age is None else by_age.gather(1, chosen)
