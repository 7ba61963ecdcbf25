"""Search for the likeliest legal sequence of steps: a small beam under the grammar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from search.domains.plan.reading.graphs.grammar import (
    MAX_STEPS,
    Act,
    Labels,
    Machine,
    Sort,
    Step,
)
from search.domains.plan.reading.graphs.network import (
    Memory,
    Network,
    Weights,
    after_step,
)
from search.domains.plan.reading.graphs.words import Coded


@dataclass(frozen=True, kw_only=True)
class Found:
    """A sequence of steps and its log-probability (natural logarithm)."""

    steps: tuple[Step, ...]
    log_probability: float
    least: float  # log-probability of its least likely step
    machine: Machine


@dataclass
class _Beam:
    steps: tuple[Step, ...]
    total: float
    least: float
    machine: Machine
    memory: Memory


def decoded(weights: Weights, coded: Coded, *, width: int = 1) -> list[Found]:
    """Return up to `width` sequences that end, likeliest first; none if none ends in time."""
    network = Network(weights, coded)
    beams = [
        _Beam((), 0.0, 0.0, Machine(weights.labels, coded), network.begin()),
    ]
    done: list[Found] = []
    for _ in range(MAX_STEPS):
        rows: list[tuple[float, float, _Beam, Memory, Step]] = []
        for beam in beams:
            rows += _continued(network, weights.labels, coded, beam, width)
        rows.sort(key=lambda row: -row[0])
        beams = []
        for total, one, beam, memory, step in rows[:width]:
            machine = beam.machine.copy() if width > 1 else beam.machine
            machine.push(step, one)
            begins = step.act is Act.LABEL and weights.labels.sorts[step.at] == Sort.JOB
            new = _Beam(
                (*beam.steps, step),
                total,
                min(beam.least, one),
                machine,
                after_step(memory, step, begins_job=bool(begins)),
            )
            if machine.ended:
                done.append(
                    Found(
                        steps=new.steps,
                        log_probability=total,
                        least=new.least,
                        machine=machine,
                    )
                )
            else:
                beams.append(new)
        if (
            not beams
            or (len(done) >= width)
            or (done and max(f.log_probability for f in done) > beams[0].total)
        ):
            break
    return sorted(done, key=lambda found: -found.log_probability)


def _continued(
    network: Network, labels: Labels, coded: Coded, beam: _Beam, width: int
) -> list[tuple[float, float, _Beam, Memory, Step]]:
    """Return the likeliest continuations: total, log-probability of the step, and the step."""
    memory, logits, y = network.next(
        beam.memory, beam.steps[-1] if beam.steps else None, beam.machine
    )
    allowed, words, files = beam.machine.legal()
    n, w, f = len(labels.names), len(coded.words), len(coded.files)
    mask = np.concatenate([allowed, np.full(w, words), np.full(f, files)])
    if not mask.any():
        return []
    scores = log_softmax(np.where(mask, logits.astype(np.float64), -np.inf))
    rows = []
    for at in np.argsort(-scores, kind="stable")[:width]:
        score = float(scores[at])
        if not np.isfinite(score):
            break
        if at < n:
            step = Step(act=Act.LABEL, at=int(at))
            rows.append((beam.total + score, score, beam, memory, step))
        elif at < n + w:
            lasts = network.last_words(y, int(at) - n)
            for more in np.argsort(-lasts, kind="stable")[: min(width, 2)]:
                first = int(at) - n
                step = Step(act=Act.WORDS, at=first, last=first + int(more))
                both = score + float(lasts[more])
                rows.append((beam.total + both, both, beam, memory, step))
        else:
            step = Step(act=Act.FILE, at=int(at) - n - w)
            rows.append((beam.total + score, score, beam, memory, step))
    return rows
