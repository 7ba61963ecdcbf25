"""`python -m workers.bench plan control`: the controller against theory, new texts and a clock.

* `posterior`: laws of an enumerated model under control, beside the exact posterior;
* `base`: strength 0 beside no control, token by token;
* `auc`, `drift`: the shipped head on documents that it has not seen, from the cached states of
  `python -m workers.train text control`;
* `parity`: the one-pass head beside the exact form, which reads every continuation;
* `speed`: tokens a second of CPU time with and without control.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from cost_models.text.head import ControlHead, Trace, condition_tokens, head_name
from cost_models.text.words import Said, Tokens, different
from cost_models.weights import load_weights
from search.condition import Condition
from search.control import controlled, law, likeliest
from search.text_model import CacheBudget, CachePolicy, Sampling, TextRequest
from workers.bench.plan.posterior import TOKENS, Chain, distance, entropy, hits
from workers.llm import local, policies, weights
from workers.llm.engine import Options
from workers.train.text.figures import auc_by_length, drift
from workers.train.text.net import HeadNet
from workers.train.text.passages import sections
from workers.train.text.reader import EmbeddedReader
from workers.train.text.states import load_items, load_states
from workers.train.text.train import load_texts

Line = dict[str, Any]
_SLOTS = 512


def posterior() -> Iterator[Line]:
    """Yield a line for each strength and truncation."""
    chain = Chain()
    for strength, top in ((0, 5), (1, 5), (2, 5), (10, 5), (1, 3), (2, 3)):
        laws = chain.under_control(float(strength), top)
        yield {
            "figure": "posterior",
            "strength": strength,
            "top": None if top == TOKENS else top,
            "total_variation": distance(chain, laws),
            "hits": hits(chain, laws),
            "entropy": entropy(laws),
        }


def base(*, prompts: Sequence[str], tokens: int) -> Iterator[Line]:
    """Yield how many tokens and log-probabilities differ between strength 0 and no control."""
    model = local.load(weights.embedded(), Options(deterministic=True, threads=1))
    different = compared = 0
    for seed, prompt in enumerate(prompts):
        how = Sampling(max_tokens=tokens, temperature=0.8, seed=seed, top_logprobs=5)
        plain = TextRequest(prompt=prompt, sampling=how)
        held = TextRequest(
            prompt=prompt, sampling=how, control=(Condition(text=prompt, strength=0.0),)
        )
        first, second = (list(model.engine.submit(each)) for each in (plain, held))
        compared += max(len(first), len(second))
        different += sum(a != b for a, b in zip(first, second, strict=False))
        different += abs(len(first) - len(second))
    model.close()
    yield {"figure": "base", "tokens": compared, "different": different}


def held_out(work: Path, *, share: float) -> Iterator[Line]:
    """Yield AUC and drift of the shipped head, and drift of the one without hard texts."""
    from safetensors.numpy import load_file

    reader = EmbeddedReader()
    pages = sections(share=share)
    shipped = load_weights(head_name(weights.EMBEDDED.name))
    texts = load_texts(pages, reader, work, "test", center=shipped["mean"][1])
    net = HeadNet.of(shipped)
    for form, row in auc_by_length(net, texts).items():
        yield {"figure": "auc", "form": form, "texts": len(texts.states), **row}
    yield {"figure": "drift", "head": "shipped", **drift(net, texts)}
    plain = work / "plain-head.safetensors"
    if plain.is_file():
        net = HeadNet.of(load_file(plain))
        yield {"figure": "drift", "head": "without hard texts", **drift(net, texts)}
        row = auc_by_length(net, texts)["one_pass"]
        yield {"figure": "auc", "form": "one_pass without hard texts", **row}


def parity(
    work: Path, *, share: float, positions: int, top: int, seed: int
) -> Iterator[Line]:
    """Yield how the one-pass head agrees with the exact form over the likeliest tokens.

    Every continuation is read by the language model for the exact form; one position a text.
    """
    reader = EmbeddedReader()
    states, items = load_states(work, "test"), load_items(work)
    pages = sections(share=share)
    head = ControlHead(load_weights(head_name(weights.EMBEDDED.name)))
    rng = np.random.default_rng(seed)
    ranks: list[float] = []
    laws: dict[float, list[float]] = {1.0: [], 3.0: []}
    moved: dict[float, list[float]] = {1.0: [], 3.0: []}
    for number in rng.permutation(len(states))[:positions]:
        ids, _ = states.text(int(number))
        boundary = int(states.boundary[number])
        cut = int(rng.integers(boundary, len(ids)))
        item = int(states.item[number])
        condition = head.condition(items[item])[None]
        _, own = condition_tokens(reader.encode, pages[item].item)
        state = Said(different(_tokens(reader, head, own)))
        read = ids[:cut].tolist()
        fast, exact, logits = _both(reader, head, read, boundary, condition, state, top)
        ranks.append(float(spearmanr(fast, exact).statistic))
        for strength in laws:
            free = law(logits, 1.0)
            held = [
                law(controlled(logits, np.arange(top), terms[None], [strength]), 1.0)
                for terms in (fast, exact)
            ]
            laws[strength].append(0.5 * np.abs(held[0] - held[1]).sum())
            moved[strength].append(0.5 * np.abs(held[1] - free).sum())
    yield {
        "figure": "parity",
        "positions": len(ranks),
        "top": top,
        "rank_correlation": float(np.mean(ranks)),
        **{f"total_variation_{s:g}": float(np.mean(v)) for s, v in laws.items()},
        **{f"moved_{s:g}": float(np.mean(v)) for s, v in moved.items()},
    }


def _tokens(reader: EmbeddedReader, head: ControlHead, ids: Sequence[int]) -> Tokens:
    return reader.vocabulary.tokens(ids, head.units(reader.embeddings(ids)))


def _both(
    reader: EmbeddedReader,
    head: ControlHead,
    ids: list[int],
    boundary: int,
    condition: NDArray[np.float32],
    said: Said,
    top: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """Return log D of the likeliest tokens in both forms, and their logits, [top] each."""
    decoder = reader.decoder
    budget = CacheBudget(policy=CachePolicy.FULL, slots=0)
    rule = policies.resolve(budget, pinned=[], tokens=_SLOTS, limit=_SLOTS)
    with torch.inference_mode():
        hidden = decoder.read(ids, 0, 0, [False] * len(ids), rule)
        logits = decoder.logits(hidden[-1:])[0].numpy()
        chosen = likeliest(logits, top)
        trace = Trace(head.width)
        rows = reader.embeddings(ids)
        for place in range(boundary - 1, len(ids)):
            trace.add(hidden[place].numpy(), rows[place])
        if ids[boundary:]:
            said.add(_tokens(reader, head, ids[boundary:]))
        words = said.after(_tokens(reader, head, chosen.tolist()))  # [top, features]
        count = len(ids) - boundary + 1
        near = reader.embeddings(chosen.tolist())
        text = head.text(trace.vector)
        fast = head.log_chances(text, head.aims(condition), near, words[None], count)[0]
        exact = []
        for token, features in zip(chosen.tolist(), words, strict=True):
            after = decoder.read([token], 0, len(ids), [False], rule)
            decoder.cache.truncate(0, len(ids))
            longer = trace.copy()
            longer.add(after[0].numpy(), reader.embeddings([token])[0])
            judged = head.text(longer.vector)
            exact.append(
                head.exact_log_chance(judged, condition, features[None], count)[0]
            )
        decoder.cache.clear(0, _SLOTS)
    return fast.astype(float), np.array(exact, float), logits[chosen]


def speed(*, prompts: Sequence[str], tokens: int, rounds: int) -> Iterator[Line]:
    """Yield CPU seconds a token with and without two conditions, in turns, for 1 and 8 answers."""
    control = (
        Condition(text=prompts[0], strength=6.0),
        Condition(text=prompts[1], strength=3.0),
    )
    model = local.load(weights.embedded(), Options(sequences=8, threads=1))
    engine = model.engine
    for batch in (1, 8):
        spent: dict[bool, list[float]] = {False: [], True: []}
        for seed in range(rounds):
            for held in (False, True):
                how = Sampling(max_tokens=tokens, temperature=0.8, seed=seed)
                requests = [
                    TextRequest(prompt=p, sampling=how, control=control if held else ())
                    for p in prompts[:batch]
                ]
                began = time.process_time()
                handles = [engine.submit(each) for each in requests]
                count = sum(len(list(handle)) for handle in handles)
                spent[held].append((time.process_time() - began) / count)
        free, under = (float(np.median(spent[held])) for held in (False, True))
        yield {
            "figure": "speed",
            "batch": batch,
            "ms_free": 1e3 * free,
            "ms_controlled": 1e3 * under,
            "loss": 1 - free / under,
        }
    model.close()
