"""The stages in order: calibrate, choose a proposal, test it, and the card."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from workers.bench.llm.advisor.calibration import calibrate
from workers.bench.llm.advisor.card import card
from workers.bench.llm.advisor.divergence import divergences, layered
from workers.bench.llm.advisor.lines import Line
from workers.bench.llm.advisor.proposals import proposals
from workers.bench.llm.cpu import CpuClock
from workers.bench.llm.oracle import FULL
from workers.bench.llm.quality import Model
from workers.bench.llm.texts import Segment

SHARES = (0.2, 0.1)


def run(
    model: Model,
    segments: Mapping[str, Sequence[Segment]],
    *,
    shares: Sequence[float] = SHARES,
    lines: Sequence[Line] = (),
) -> Iterator[Line]:
    """Yield the lines of all stages that are not among `lines`, and last the card.

    segments: of the stages `calibrate`, `choose` and `test`.
    """
    earlier = list(lines)

    def of(stage: str) -> list[Line]:
        return [line for line in earlier if line["stage"] == stage]

    def left(stage: str) -> list[Segment]:
        done = {(line["type"], line["segment"]) for line in of(stage)}
        return [s for s in segments[stage] if (s.type.value, s.number) not in done]

    for line in calibrate(model, left("calibrate")):
        earlier.append(line)
        yield line
    advice = {share: proposals(of("calibrate"), share) for share in shares}
    for stage in ("choose", "test"):
        for line in compare(model, left(stage), advice, stage=stage):
            earlier.append(line)
            yield line
    yield card(of("calibrate"), of("choose"), of("test"), advice)


def compare(
    model: Model,
    segments: Iterable[Segment],
    advice: Mapping[float, Mapping[str, Sequence[int]]],
    *,
    stage: str,
    done: Collection[tuple[str, int]] = (),
) -> Iterator[Line]:
    """Yield a line for each text: divergence of every proposal at every share.

    advice: proposals by share. done: (type, number) of texts that are left out.
    """
    for segment in segments:
        if (segment.type.value, segment.number) in done:
            continue
        clock = CpuClock()
        named = [
            (share, name, slots)
            for share, by_name in advice.items()
            for name, slots in by_name.items()
        ]
        arms = [FULL, *(layered(segment, slots) for _, _, slots in named)]
        values = divergences(model, segment, arms)[1:]
        yield {
            "stage": stage,
            "type": segment.type.value,
            "segment": segment.number,
            "tokens": len(segment.ids),
            "digest": segment.digest,
            "kl": [
                {"share": share, "proposal": name, "nats": round(value, 6)}
                for (share, name, _), value in zip(named, values, strict=True)
            ],
            "cpu_s": round(clock.seconds(), 2),
        }
