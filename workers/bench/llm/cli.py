"""`python -m workers.bench llm NAME`: cache quality, recall, speed, memory, soak, grammars."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workers.bench.lines import earlier_lines, write_lines

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = (
    ("agreement",),
    ("quality",),
    ("advisor",),
    ("recall",),
    ("speed",),
    ("eviction",),
    ("memory",),
    ("prefix",),
    ("cancel",),
    ("soak",),
    ("grammar",),
)
Line = dict[str, Any]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output. A line that is there is not redone."""
    options = _parser().parse_args(argv)
    for name in _THREADS:  # before a suite imports torch
        os.environ.setdefault(name, "1")
    out = options.out or Path(f"bench-results/llm-{options.suite}.jsonl")
    done = earlier_lines(out)
    write_lines(
        SUITES[options.suite](options, done),
        suite=f"llm-{options.suite}",
        seed=options.seed,
        out=out,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench llm", description=__doc__
    )
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument(
        "--tokens",
        type=int,
        default=512,
        help="length of a text of `quality`, `tuning`, `advisor`, `agreement`",
    )
    parser.add_argument("--segments", type=int, default=20, help="texts of each type")
    parser.add_argument(
        "--types",
        nargs="*",
        default=["prose", "code", "ledger"],
        choices=["prose", "code", "ledger"],
        help="types of text of `quality`, `tuning` and `advisor`",
    )
    parser.add_argument("--draws", type=int, default=10, help="cases of each recall task")
    parser.add_argument(
        "--slots", type=int, default=0, help="of `agreement` (64) and `memory` (2048)"
    )
    parser.add_argument(
        "--scenarios", nargs="*", help="of `speed` and `eviction`, as 8x2048"
    )
    parser.add_argument("--contenders", nargs="*", help="of `speed`; default all")
    parser.add_argument(
        "--rounds", type=int, default=10, help="of `speed` and `eviction`"
    )
    parser.add_argument(
        "--rivals",
        type=Path,
        default=Path(sys.executable),
        help="interpreter that has xllamacpp and openvino-genai",
    )
    parser.add_argument(
        "--prompt-tokens", type=int, default=8000, help="of each prompt of `memory`"
    )
    parser.add_argument("--sequences", type=int, default=8, help="of `memory`")
    parser.add_argument(
        "--repeats", type=int, default=10, help="of `prefix`; ten times as many cancels"
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="of `soak`")
    parser.add_argument("--schemas", type=int, default=1000, help="of `grammar`")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write the cards of `advisor` for the engine",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default bench-results/llm-NAME.jsonl")
    return parser


def _quality(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    from workers.bench.llm import quality, texts
    from workers.bench.llm.model import load

    model = load()
    tuning = options.suite == "tuning"
    return quality.run(
        model,
        texts.segments(
            model.encode,
            tokens=options.tokens,
            numbers=(texts.TUNING if tuning else texts.TEST)[: options.segments],
            types=[texts.TextType(name) for name in options.types],
        ),
        budgets=quality.TUNED if tuning else quality.BUDGETS,
        done={(line["type"], line["segment"]) for line in lines},
    )


def _advisor(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    from workers.bench.llm import texts
    from workers.bench.llm.advisor.card import layer_budgets
    from workers.bench.llm.advisor.stages import run
    from workers.bench.llm.model import load
    from workers.llm.budgets import LAYERS_FILE

    model = load()
    numbers = {
        "calibrate": texts.TUNING[:1],
        "choose": texts.TUNING[2:3],
        "test": texts.TEST[: options.segments],
    }
    cards: dict[str, Line] = {}
    for name in options.types:  # a card for each: the default rules differ
        kinds = [texts.TextType(name)]
        segments = {
            stage: list(
                texts.segments(
                    model.encode, tokens=options.tokens, numbers=chosen, types=kinds
                )
            )
            for stage, chosen in numbers.items()
        }
        measured = [r for r in lines if r["type"] == name and r["stage"] != "card"]
        for line in run(model, segments, lines=measured):
            line["type"] = name
            if line["stage"] == "card":
                cards[name] = line
            yield line
    if options.publish:
        text = json.dumps(layer_budgets(cards), indent=1) + "\n"
        LAYERS_FILE.write_text(text)


def _recall(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    from workers.bench.llm import recall
    from workers.bench.llm.model import load

    model = load()
    return recall.run(
        model,
        itertools.chain(
            recall.copies(model, options.draws),
            recall.needles(model, options.draws, seed=options.seed),
        ),
        done={(line["task"], line["draw"]) for line in lines},
    )


def _agreement(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    import torch

    from workers.bench.llm import agreement, texts
    from workers.bench.llm.model import load

    model = load(torch.float32)
    prose = model.encode(texts.prose())[: options.tokens]
    return agreement.run(model, list(prose), slots=options.slots or 64)


def _speed(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    from workers.bench.llm import beside
    from workers.llm import weights

    model = weights.embedded().path
    done = {line["scenario"] for line in lines}
    for name in options.scenarios or beside.SCENARIOS:
        scenario = beside.SCENARIOS[name]
        if name not in done:
            yield from beside.run(
                scenario,
                _prompts(scenario.sequences, scenario.tokens),
                model=model,
                rounds=options.rounds,
                python=options.rivals,
                names=options.contenders or beside.ALL,
            )


def _eviction(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    from workers.bench.llm import beside, eviction

    done = {line["scenario"] for line in lines}
    for name in options.scenarios or ("1x7936", "8x2048"):
        scenario = beside.SCENARIOS[name]
        if name not in done:
            prompt = _prompts(1, scenario.tokens)[0]
            yield from eviction.run(scenario, prompt, rounds=options.rounds)


def _prompts(count: int, tokens: int) -> list[list[int]]:
    """Return different texts of the language reference, one after another when they run out."""
    from workers.bench.llm import texts
    from workers.bench.llm.model import tokenizer

    ids = tokenizer().encode(texts.prose())
    start = len(ids) // max(count, 1)
    return [(ids[i * start :] + ids)[:tokens] for i in range(count)]


def _memory(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    from workers.bench.llm import serving

    prompts = _prompts(options.sequences, options.prompt_tokens)
    return serving.memory(prompts=prompts, slots=options.slots or 2048)


def _prefix(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    from workers.bench.llm import serving

    return serving.prefix(prompt=_prompts(1, 600)[0], repeats=options.repeats)


def _cancel(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    from workers.bench.llm import serving

    return serving.cancel(
        prompt=_prompts(1, 64)[0], count=10 * options.repeats, seed=options.seed
    )


def _soak(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    from workers.bench.llm import serving

    rng = random.Random(f"soak {options.seed}")
    prompts = [prompt[: rng.randrange(16, 400)] for prompt in _prompts(32, 400)]
    return serving.soak(prompts=prompts, seconds=options.seconds, seed=options.seed)


def _grammar(options: argparse.Namespace, lines: list[Line]) -> Iterator[Line]:
    from workers.bench.llm import grammar

    return grammar.lines(schemas=options.schemas, seed=options.seed)


Suite = Callable[[argparse.Namespace, list[Line]], Iterator[Line]]
SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        "agreement": _agreement,
        "quality": _quality,
        "tuning": _quality,
        "advisor": _advisor,
        "recall": _recall,
        "speed": _speed,
        "eviction": _eviction,
        "memory": _memory,
        "prefix": _prefix,
        "cancel": _cancel,
        "soak": _soak,
        "grammar": _grammar,
    }
)
