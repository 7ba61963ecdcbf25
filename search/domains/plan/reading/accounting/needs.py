"""Questions about what a job of each kind needs: required slots, programs, devices, bands."""

from __future__ import annotations

from search.domains.plan.reading.answers import about_of
from search.domains.plan.reading.binding.bound import HARDWARE
from search.domains.plan.reading.drafting.draft import Drafts
from search.domains.plan.reading.jobs.leaf import Doubt
from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import words_of
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.units import Dimension

_AND_AS_WELL = vocabulary("and & the both also as")


def missing_slots(drafts: Drafts) -> list[Doubt]:
    """Ask for required slots without a value."""
    doubts = []
    for job in drafts.jobs:
        words = words_of(job.kind)
        assert words is not None
        options = words.table("options")
        for path, text in words.table("required").items():
            if path in job.settings:
                continue
            doubts.append(
                Doubt(
                    about=about_of(path),
                    text=text,
                    options=tuple(options.get(path, ())),
                    tokens=tuple(job.mentions[:1]),
                    rank=1,
                )
            )
    return doubts


def program_runs_and_targets(drafts: Drafts) -> list[Doubt]:
    """Ask for what a program needs: runs to measure its time by, the target of a processor."""
    doubts = []
    for job in drafts.jobs:
        settings = {path: setting.value for path, setting in job.settings.items()}
        if settings.get("spec.objective") == "run_time" and "spec.runs" not in settings:
            doubts.append(
                Doubt(
                    about="runs",
                    text="With which arguments or input is the program run to measure its time?",
                    options=("without arguments",),
                    tokens=job.settings["spec.objective"].tokens,
                    rank=1,
                )
            )
        cpu = str(settings.get("spec.target.cpu", ""))
        if (
            cpu.startswith(("cortex", "neoverse"))
            and "spec.target.triple" not in settings
        ):
            small = cpu.startswith("cortex-m")
            doubts.append(
                Doubt(
                    about="target.triple",
                    text=f"{cpu} is no processor of x86-64. Which target triple is meant?",
                    options=(
                        "thumbv7em-none-eabi",
                        "thumbv6m-none-eabi",
                        "thumbv7m-none-eabi",
                    )
                    if small
                    else ("aarch64-unknown-linux-gnu", "armv7-unknown-linux-gnueabihf"),
                    tokens=job.settings["spec.target.cpu"].tokens,
                    rank=1,
                )
            )
    return doubts


def smallest_and_fastest(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask which quantity counts when a program is to be smallest and fastest at once."""
    jobs = [
        j
        for j in drafts.jobs
        if j.kind == "compile"
        and "spec.objective" in j.settings
        and j.settings["spec.objective"].value == "run_time"
        and j.settings["spec.objective"].tokens
    ]
    if len(jobs) != 1:
        return []
    fast = jobs[0].settings["spec.objective"].tokens[0]
    for phrase in scene.with_role(Role.VERB):
        small = scene.word(phrase.start) in (
            "smallest",
            "smaller",
            "small",
            "tiny",
            "tiniest",
        )
        low, high = sorted((phrase.start, fast))
        between = {scene.word(i) for i in range(low + 1, high)}
        if small and between & {"and", "&"} and between <= _AND_AS_WELL:
            return [
                Doubt(
                    about="objective",
                    text="One quantity is minimised. Which: size or run time?",
                    options=("loadable bytes", "run time"),
                    tokens=(low, high),
                    rank=1,
                )
            ]
    return []


def vague_improvements(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask what "optimise prog.c" or "make it better" is to improve: nothing says size or speed."""
    jobs = [
        job
        for job in drafts.jobs
        if job.kind == "compile" and "spec.objective" not in job.settings
    ]
    words = words_of("compile")
    if not jobs or words is None:
        return []
    vague = words.table("vague")
    verbs, size = frozenset(vague["verbs"]), frozenset(vague["size"])
    spoken = {token.word for token in scene.tokens}
    places = [i for i, token in enumerate(scene.tokens) if token.word in verbs]
    others = [
        phrase
        for phrase in scene.with_role(Role.VERB)
        if any(s.kind == "compile" for s in phrase.of(Role.VERB))
        and not any(scene.word(i) in verbs for i in range(phrase.start, phrase.end))
    ]
    stated = any(path.startswith("_size") for job in jobs for path in job.settings)
    if not places or others or stated or spoken & size:
        return []
    return [
        Doubt(
            about="objective",
            text=f"“{scene.words(places[0], places[0] + 1)}”: what is to be improved?",
            options=("loadable bytes", "code bytes", "run time"),
            tokens=(places[0],),
            rank=1,
        )
    ]


def unnamed_processors(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask for the target of a program that is for a microcontroller without a name."""
    free = [
        job
        for job in drafts.jobs
        if job.kind == "compile"
        and not {"spec.target.triple", "spec.target.cpu"} & set(job.settings)
    ]
    words = words_of("compile")
    if not free or words is None:
        return []
    names = frozenset(words.table("vague")["processors"])
    for i, token in enumerate(scene.tokens):
        if token.word in names and i not in scene.used:
            return [
                Doubt(
                    about="target.triple",
                    text=f"“{scene.words(i, i + 1)}”: which target triple is meant?",
                    options=(
                        "thumbv7em-none-eabi",
                        "thumbv6m-none-eabi",
                        "thumbv7m-none-eabi",
                        "riscv32-unknown-elf",
                    ),
                    tokens=(i,),
                    rank=1,
                )
            ]
    return []


def bands_without_edges(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask for the edges of a band to reject that is named without numbers."""
    if not any(job.kind == "antenna" for job in drafts.jobs):
        return []
    for phrase in scene.with_role(Role.HEAD):
        avoids = any(s.path == "spec.avoid.0.f_lo_hz" for s in phrase.of(Role.HEAD))
        clear = phrase.end - phrase.start > 1 or scene.word(phrase.start) in (
            "reject",
            "avoid",
        )
        here = [
            q
            for q in scene.quantities
            if scene.sentence(q.start) == scene.sentence(phrase.start)
            and q.reading(Dimension.FREQUENCY) is not None
            and q.start > phrase.start
        ]
        end = phrase.end
        at_frequency = scene.word(end) in ("at", "in", "near", "around", "the")
        if avoids and clear and at_frequency and not here:
            return [
                Doubt(
                    about="avoid.f_lo_hz",
                    text=f"“{scene.words(phrase.start, phrase.end)}”: from which frequency to "
                    "which?",
                    options=(),
                    tokens=tuple(range(phrase.start, phrase.end)),
                    rank=1,
                )
            ]
    return []


def unknown_devices(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask which measured device stands for one that is not offered: "8 TPU v5e"."""
    items = [
        phrase
        for phrase in scene.with_role(Role.OUTSIDE)
        if phrase.of(Role.OUTSIDE)[0].path == "device"
    ]
    free = [j for j in drafts.jobs if j.kind == "sharding" and HARDWARE not in j.settings]
    if not items or not free:
        return []
    words = scene.words(items[0].start, items[0].end)
    return [
        Doubt(
            about="devices.hardware",
            text=f"“{words}” has no measured costs. Which device comes nearest?",
            options=("h100", "a100", "v100"),
            tokens=tuple(range(items[0].start, items[0].end)),
            rank=1,
        )
    ]
