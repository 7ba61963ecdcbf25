"""Every op in plain torch: what kernels are tested against, and the fallback without them."""

from __future__ import annotations

import torch

from cuda.kernels.slots import EvictionRows, SlotCache, Victim


def h2o_decode(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cache: SlotCache,
    rows: torch.Tensor,
    step: torch.Tensor,
    rules: EvictionRows,
) -> torch.Tensor:
    """Write one token per sequence, attend over its slots, update scores and choose the victim.

    Source: H2O, arXiv 2306.14048, Algorithm 1. The token of step t always attends to itself; the
    victim of step t is overwritten at step t + 1, so nothing is moved.

    Args:
        query: [A, KV, G, D] after the rotary embedding; G query heads share a key-value head.
        key: [A, KV, D] after the rotary embedding.
        value: [A, KV, D].
        cache: changed in place.
        rows: [A] int64, the row of each live sequence in the cache, all different.
        step: [A] int32, true position of the new token.
        rules: one per live sequence.

    Returns:
        [A, KV, G, D] in the query's dtype.

    Raises:
        ValueError: a sequence has no free slot; nothing is changed then.
    """
    check_room(cache, rows, rules)
    out = torch.empty_like(query)
    heads = torch.arange(key.shape[1], device=key.device)
    for i, row in enumerate(rows.tolist()):
        slot = cache.write[row].long()  # [KV]
        cache.keys[row, heads, slot] = key[i].to(cache.keys.dtype)
        cache.values[row, heads, slot] = value[i].to(cache.values.dtype)
        cache.scores[row, heads, slot] = 0
        cache.positions[row, heads, slot] = step[i].to(torch.int32)
        cache.pinned[row, heads, slot] = False
        n = max(int(cache.filled[row]), int(slot.max()) + 1)
        cache.filled[row] = n
        keys = cache.keys[row, :, :n].float()  # [KV, n, D]
        logits = query[i].float() @ keys.mT * query.shape[-1] ** -0.5  # [KV, G, n]
        weights = torch.softmax(logits, -1)
        out[i] = (weights @ cache.values[row, :, :n].float()).to(out.dtype)
        newest = weights.sum(1)  # [KV, n]
        scores = cache.scores[row, :, :n]
        scores.mul_(rules.decay[i]).add_(newest)
        cache.write[row] = next_slot(cache, row, n, int(step[i]), newest, rules, i)
    return out


def check_shapes(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cache: SlotCache,
    rows: torch.Tensor,
    step: torch.Tensor,
    rules: EvictionRows,
) -> None:
    """Raise ValueError when an argument of `h2o_decode` does not fit the cache."""
    live, (_, kv_heads, _, size) = len(rows), cache.keys.shape
    if query.ndim != 4 or (*query.shape[:2], query.shape[3]) != (live, kv_heads, size):
        raise ValueError(
            f"query: expected [{live}, {kv_heads}, group, {size}], got {list(query.shape)}"
        )
    for name, tensor in (("key", key), ("value", value)):
        if tensor.shape != (live, kv_heads, size):
            raise ValueError(
                f"{name}: expected [{live}, {kv_heads}, {size}], got {list(tensor.shape)}"
            )
    each = {"step": step, **vars(rules)}
    for name, tensor in each.items():
        if tensor.shape != (live,):
            raise ValueError(f"{name}: expected [{live}], got {list(tensor.shape)}")


def check_room(cache: SlotCache, rows: torch.Tensor, rules: EvictionRows) -> None:
    """Raise ValueError when a sequence has no free slot for its next token."""
    next_slots = cache.write[rows].amax(-1)  # [A]
    for slot, capacity in zip(next_slots.tolist(), rules.capacity.tolist(), strict=True):
        if slot >= capacity:
            raise ValueError(
                f"cache: expected a free slot among {capacity}, got none; "
                "a rule without eviction needs a slot per token"
            )


def next_slot(
    cache: SlotCache,
    row: int,
    filled: int,
    step: int,
    newest: torch.Tensor,
    rules: EvictionRows,
    i: int,
) -> torch.Tensor:
    """Return [KV] int32: the slot that the next token of a sequence overwrites.

    A sequence below its capacity takes a free slot. A rule that may let no slot go is an error of
    the caller: capacity must be at least sinks + pins + recent + 1.
    """
    kv_heads = cache.write.shape[1]
    if filled < int(rules.capacity[i]) or int(rules.victim[i]) == Victim.NONE:
        return torch.full((kv_heads,), filled, dtype=torch.int32, device=newest.device)
    positions = cache.positions[row, :, :filled]
    scores = cache.scores[row, :, :filled]
    rank = {
        Victim.AGE: positions.float(),
        Victim.SUM: scores,
        Victim.MEAN: scores / (step - positions + 1),
        Victim.DECAY: scores,
        Victim.LAST: newest,
    }[Victim(int(rules.victim[i]))]
    kept = (
        (positions > step - rules.recent[i])
        | (positions < rules.sinks[i])
        | cache.pinned[row, :, :filled]
    )
    # A poisoned score (NaN) goes first instead of freezing the choice.
    rank = rank.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    rank = rank.masked_fill(kept, torch.inf)
    least = rank.amin(-1, keepdim=True)
    oldest = positions.masked_fill(rank != least, torch.iinfo(torch.int32).max)
    return oldest.argmin(-1).to(torch.int32)


def prefill_attn(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    before: int,
    hidden: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend from a chunk of queries to the slots before it and to itself.

    Args:
        query: [KV, G, T, D] after the rotary embedding.
        keys: [KV, before + T, D]: slots, then the chunk.
        values: [KV, before + T, D].
        before: number of slots; query t sees the columns up to `before` + t.
        hidden: [KV, before + T] bool, columns that no query sees. Each query sees its own.

    Returns:
        [KV, G, T, D] in the query's dtype, and the row log-sum-exp [KV, G, T] float32.
    """
    logits = _chunk_logits(query, keys, before, hidden)
    mixed = torch.softmax(logits, -1) @ values.float()[:, None]
    return mixed.to(query.dtype), logits.logsumexp(-1)


def colsum(
    query: torch.Tensor,
    keys: torch.Tensor,
    lse: torch.Tensor,
    *,
    before: int,
    weights: torch.Tensor | None = None,
    hidden: torch.Tensor | None = None,
    pool: int = 1,
) -> torch.Tensor:
    """Sum what each column draws from a chunk's queries, from their log-sum-exp.

    Sources: H2O, arXiv 2306.14048 (all queries count); SnapKV, arXiv 2404.14469 (the last ones,
    pooled over neighbours).

    Args:
        query: [KV, G, T, D], keys [KV, n, D] and `hidden` [KV, n]: as `prefill_attn` got them.
        keys: see above.
        lse: [KV, G, T] float32, from `prefill_attn`.
        before: see `prefill_attn`.
        weights: [T] float32, how much each query counts; None: 1. Leading zeros cost nothing.
        hidden: see above.
        pool: odd number of neighbouring columns to average over, zeros beyond the ends.

    Returns:
        [KV, n] float32, summed over the group.
    """
    logits = _chunk_logits(query, keys, before, hidden)
    drawn = (logits - lse[..., None]).exp()
    if weights is not None:
        drawn = drawn * weights[:, None]
    return pooled(drawn.sum((1, 2)), pool)


def chunk_attn(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    before: int,
    hidden: torch.Tensor | None = None,
    weights: torch.Tensor | None = None,
    pool: int = 1,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend from a chunk, and sum what each column draws: `prefill_attn` and `colsum` at once.

    Arguments: as those two take them.

    Returns:
        [KV, G, T, D] in the query's dtype, and [KV, before + T] float32.
    """
    out, lse = prefill_attn(query, keys, values, before=before, hidden=hidden)
    sums = colsum(
        query, keys, lse, before=before, weights=weights, hidden=hidden, pool=pool
    )
    return out, sums


def pooled(sums: torch.Tensor, pool: int) -> torch.Tensor:
    """Return [KV, n] averages over `pool` neighbours, zeros beyond the ends."""
    if pool < 1 or pool % 2 == 0:
        raise ValueError(f"pool: expected an odd number, got {pool}")
    if pool == 1:
        return sums
    return torch.nn.functional.avg_pool1d(sums[:, None], pool, 1, pool // 2)[:, 0]


def _chunk_logits(
    query: torch.Tensor, keys: torch.Tensor, before: int, hidden: torch.Tensor | None
) -> torch.Tensor:
    """Return [KV, G, T, n] float32, -inf where a query does not see a column."""
    chunk, columns, size = query.shape[2], keys.shape[1], query.shape[3]
    logits = query.float() @ keys.float().mT[:, None] * size**-0.5
    column = torch.arange(columns, device=query.device)
    own = before + torch.arange(chunk, device=query.device)
    unseen = column > own[:, None]  # [T, n]
    if hidden is not None:
        unseen = unseen | hidden[:, None, None]
    return logits.masked_fill(unseen, -torch.inf)


def slot_gather(cache: SlotCache, row: int, kept: torch.Tensor) -> None:
    """Keep some slots of a row, moved to its beginning in their order.

    Args:
        cache: changed in place; `write` is left alone.
        row: of the sequence.
        kept: [KV, m] int64 slots, ascending in each head.
    """
    count = kept.shape[1]
    wide = kept[..., None].expand(-1, -1, cache.keys.shape[-1])
    for tensor in (cache.keys, cache.values):
        tensor[row, :, :count] = tensor[row].gather(1, wide)
    for tensor in (cache.scores, cache.positions, cache.pinned):
        tensor[row, :, :count] = tensor[row].gather(1, kept)
    cache.filled[row] = count


def rope_qk(
    mixed: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor, turned: int
) -> None:
    """Rotate the first heads of every row in place: (a, b) -> (a cos - b sin, b cos + a sin).

    Args:
        mixed: [A, heads, D], queries, keys, values; halves of a head are a and b.
        cosine: [A, D / 2] float32 of true positions.
        sine: [A, D / 2] float32.
        turned: heads to rotate: queries and keys.
    """
    first, second = mixed[:, :turned].float().chunk(2, -1)
    c, s = cosine[:, None], sine[:, None]
    mixed[:, :turned] = torch.cat(
        [first * c - second * s, second * c + first * s], -1
    ).to(mixed.dtype)


def rmsnorm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """Return x / sqrt(mean(x²) + eps) * weight, [rows, width] in x's dtype, computed in float32."""
    wide = x.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return (wide * scale * weight.float()).to(x.dtype)


def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    """Return silu(gate) * up, [rows, width], for gate_up [rows, 2 width]; float32 inside."""
    gate, up = gate_up.float().chunk(2, -1)
    return (torch.nn.functional.silu(gate) * up).to(gate_up.dtype)
