"""The account: every number, engine, file and negation is used, asked about, or shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from search.domains.plan.reading.answers import about_of
from search.domains.plan.reading.binding.bound import HARDWARE
from search.domains.plan.reading.drafting.draft import Drafts
from search.domains.plan.reading.file_counts import describes_file
from search.domains.plan.reading.leaves import Doubt, Found
from search.domains.plan.reading.lexicon import Item, Role
from search.domains.plan.reading.numerals import ordinal_of
from search.domains.plan.reading.quantities import Quantity, Shape
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import words_of
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.reading.units import Dimension
from search.domains.plan.types import FileRole, Reading
from trimtab.plans import NotDone, Question

MAX_QUESTIONS = 3
_LABELS = (
    "step",
    "phase",
    "stage",
    "task",
    "job",
    "run",
    "part",
    "case",
    "goal",
    "problem",
    "nr",
    "no",
)
_REPEATS = ("times", "runs", "repetitions", "repeats")
_REASON_OF_PLAN = (
    "a plan in use cannot be read from a file yet; give it in the request as "
    "constraints.current_plan"
)
_IGNORE = "it is only background"
_YEARS = ("in", "since", "until", "of", "by", "from", "year")
_MONEY = vocabulary(
    "euro euros eur dollar dollars usd pounds gbp bucks francs chf yen people years weeks months"
)
_AND_AS_WELL = vocabulary("and & the both also as")
_NO_NOUNS = vocabulary(
    "for on in at with to of and or but please max then each per by is as the a it if so also this"
)
_COUNTERS = vocabulary(
    "times runs jobs files models programs antennas engines solvers seeds x steps "
    "things tasks instances c plans bands of designs cases options questions wishes "
    "requests variants tries"
)


def complete(
    scene: Scene,
    reading: Reading,
    found: Found,
    drafts: Drafts,
    doubts: Sequence[Doubt],
    answers: Mapping[str, str],
) -> Reading:
    """Return the reading with questions, parts not done and words not understood."""
    doubts = list(doubts)
    not_done = list(reading.not_done)
    _unattached(scene, found, reading, doubts, not_done)
    _unusable(scene, found, not_done)
    doubts += _earlier(scene)
    for tokens, why in scene.beyond:
        spans = scene.spans(tokens)
        said = scene.text.goal[spans[0].start : spans[-1].end]
        not_done.append(NotDone(text=said[:200], reason=why, spans=spans))
    if not reading.wishes:
        return _nothing(scene, reading, doubts, not_done, answers)
    doubts += _missing(scene, drafts)
    doubts += _numbers(scene, reading)
    doubts += _repetitions(scene, reading)
    doubts += _words_with_values(scene)
    doubts += _ambiguous(scene, drafts)
    doubts += _unknown_devices(scene, drafts)
    doubts += _programs(scene, drafts)
    doubts += _both_ends(scene, drafts)
    doubts += _nameless_bands(scene, drafts)
    asked = [d for d in doubts if not _is_answered(d, answers)]
    asked.sort(key=lambda d: d.rank)
    unique = list({d.about: d for d in reversed(asked)}.values())[::-1]
    return replace(
        reading,
        not_done=tuple(not_done),
        questions=tuple(_question(scene, d) for d in unique[:MAX_QUESTIONS]),
        not_understood=scene.spans(_left_over(scene)),
        notes=tuple(dict.fromkeys((*reading.notes, *scene.notes))),
    )


def _earlier(scene: Scene) -> list[Doubt]:
    """Ask what "same as last time" stands for: earlier goals are not remembered."""
    return [
        Doubt(
            about="settings",
            text=f"“{scene.words(m.start, m.end)}”: earlier jobs are not remembered. "
            "Which limits hold?",
            options=("the defaults",),
            tokens=tuple(range(m.start, m.end)),
            rank=1,
        )
        for m in scene.marks("earlier")[:1]
    ]


def _is_answered(doubt: Doubt, answers: Mapping[str, str]) -> bool:
    # A slot's answer is in the jobs already; if it could not be read, the slot is still missing.
    return (doubt.about in answers and doubt.rank != 1) or (
        doubt.rank == 1 and doubt.about in answers and not doubt.text.endswith("?!")
    )


def _question(scene: Scene, doubt: Doubt) -> Question:
    return Question(
        text=doubt.text,
        about=doubt.about,
        options=doubt.options[:5],
        spans=scene.spans(t for t in doubt.tokens if t < len(scene.tokens)),
    )


def _nothing(
    scene: Scene,
    reading: Reading,
    doubts: Sequence[Doubt],
    not_done: list[NotDone],
    answers: Mapping[str, str],
) -> Reading:
    """Finish a reading without jobs: everything is impossible, or the goal is unclear."""
    if not not_done and not doubts:
        cues = [i for i in scene.items if i.of(Role.VERB, Role.NOUN, Role.FILE_NOUN)]
        unknown = any(
            token.form is Form.WORD and not scene.lexicon.knows(token.word)
            for token in scene.tokens
        )
        if unknown and not cues and not scene.files:
            not_done.append(
                NotDone(
                    text=scene.text.goal[:200],
                    reason="no kind of job here does this; the kinds are "
                    + ", ".join(scene.lexicon.kinds),
                    spans=(scene.text.span(0, len(scene.text.folded)),),
                )
            )
        else:
            doubts = [_what(scene, cues)]
    asked = [d for d in doubts if d.about not in answers]
    return replace(
        reading,
        not_done=tuple(not_done),
        questions=tuple(_question(scene, d) for d in asked[:MAX_QUESTIONS]),
        not_understood=scene.spans(_left_over(scene)),
    )


def _what(scene: Scene, cues: Sequence[Item]) -> Doubt:
    """Ask what is wanted, or which file is meant."""
    names = tuple(scene.files)[:5]
    asks = bool(cues) or len(names) > 1
    return Doubt(
        about="file" if asks else "goal",
        text=("Which file is this about?" if asks else "What is to be done?")
        + ("" if names else " No file is attached."),
        options=names
        if asks
        else tuple(f"{verb} {name}" for name in names for verb in ("work on",))[:5],
        tokens=tuple(i for item in cues[:1] for i in range(item.start, item.end)),
        rank=0,
    )


def _unattached(
    scene: Scene,
    found: Found,
    reading: Reading,
    doubts: list[Doubt],
    not_done: list[NotDone],
) -> None:
    """Ask about names of files that are not attached."""
    spare = [
        n for n in scene.files if not any(n in w.files.values() for w in reading.wishes)
    ]
    for i, token in enumerate(scene.tokens):
        if (
            token.form is not Form.NAME
            or i in scene.used
            or token.word in _output_names(scene)
        ):
            continue
        scene.use([i], "asked")
        if spare and len(reading.wishes) < 1:
            doubts.append(
                Doubt(
                    about="file",
                    text=f"{token.text} is not attached. Which file is meant?",
                    options=tuple(spare[:5]),
                    tokens=(i,),
                    rank=0,
                )
            )
        else:
            not_done.append(
                NotDone(
                    text=token.text,
                    reason="no file of this name is attached; attach it with the goal",
                    spans=scene.spans([i]),
                )
            )
    del found


def _output_names(scene: Scene) -> set[str]:
    names = set()
    for kind in scene.lexicon.kinds:
        words = words_of(kind)
        if words is not None:
            names |= set(words.table("outputs"))
    return names


def _unusable(scene: Scene, found: Found, not_done: list[NotDone]) -> None:
    """Name attached files that the goal mentions and no job reads."""
    for name, tokens in found.unusable.items():
        if any(scene.used.get(t, "").startswith("not done") for t in tokens):
            continue
        scene.use(tokens, "not done: file")
        not_done.append(
            NotDone(
                text=name,
                reason=_REASON_OF_PLAN
                if FileRole.PLAN in scene.files[name].roles
                else "by its content this is no model, list of tables or program",
                spans=scene.spans(tokens),
            )
        )


def _missing(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask for required slots without a value."""
    found = []
    for job in drafts.jobs:
        words = words_of(job.kind)
        assert words is not None
        options = words.table("options")
        for path, text in words.table("required").items():
            if path in job.settings:
                continue
            found.append(
                Doubt(
                    about=about_of(path),
                    text=text,
                    options=tuple(options.get(path, ())),
                    tokens=tuple(job.mentions[:1]),
                    rank=1,
                )
            )
    return [d for d in found if d is not None]


def _numbers(scene: Scene, reading: Reading) -> list[Doubt]:
    """Ask about numbers that nothing accounts for."""
    found = []
    for quantity in scene.quantities:
        tokens = range(quantity.start, quantity.end)
        if (
            any(t in scene.used for t in quantity.tokens)
            or describes_file(scene, quantity, reading)
            or _is_harmless(scene, quantity.start, quantity, reading)
        ):
            continue
        words = scene.words(quantity.start, quantity.end)
        if _counts_something_else(scene, quantity):
            continue  # underlined: no slot is named, and its noun is none of ours
        if not quantity.units and _is_time(scene, quantity):
            scene.use(tokens, "asked")
            found.append(
                Doubt(
                    about="budget.seconds",
                    text=f"Is “{words}” a number of seconds or of minutes?",
                    options=(f"{words} seconds", f"{words} minutes", _IGNORE),
                    tokens=tuple(tokens),
                    rank=1,
                )
            )
            continue
        following = scene.words(quantity.start, min(quantity.end + 2, len(scene.tokens)))
        scene.use(tokens, "asked")
        found.append(
            Doubt(
                about=f"number.{words}",
                text=f"What does “{following}” mean?",
                options=_meanings(scene, quantity, reading),
                tokens=tuple(tokens),
                rank=2,
            )
        )
    return found


def _counts_something_else(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a number counts things that no job has: "our 37 people"."""
    if quantity.units or quantity.suffix or quantity.shape is not Shape.SINGLE:
        return False
    year = (
        1950 <= quantity.numbers[0] <= 2090 and scene.word(quantity.start - 1) in _YEARS
    )
    if year or scene.word(quantity.end) in _MONEY:
        return True
    for i in (quantity.end, quantity.end + 1):
        word = scene.word(i)
        if i >= len(scene.tokens) or scene.tokens[i].form is not Form.WORD:
            return False
        head = any(
            item.start <= i < item.end and item.of(Role.HEAD, Role.VALUE, Role.COUNTED)
            for item in scene.items
        )
        if head or word in _NO_NOUNS:
            return False
        if len(word) >= 4 and (word.endswith("s") or i == quantity.end + 1):
            return True
    return False


def _repetitions(scene: Scene, reading: Reading) -> list[Doubt]:
    """Ask when "three times" or "five runs" is not the number of jobs that were read."""
    found = []
    counted = [
        (q.start, q.end + 1, q.numbers[0])
        for q in scene.quantities
        if not q.units
        and q.exact
        and (
            scene.word(q.end) in _REPEATS
            or "seeds" in (scene.word(q.end), scene.word(q.end + 1))
        )
        and not any(t in scene.used for t in q.tokens)
    ]
    counted += [
        (item.start, item.end, item.of(Role.RELATION)[0].value)
        for item in scene.with_role(Role.RELATION)
        if scene.word(item.end - 1) == "times" and item.start not in scene.used
    ]
    for start, end, count in counted:
        related = scene.word(end) in ("as", "that", "the", "longer", "more")
        jobs = len(reading.wishes)
        runs = {
            len(value.value)
            for wish in reading.wishes
            for value in wish.values
            if value.path == "spec.runs"
        }
        if (
            related
            or count < 2
            or count in runs
            or any(jobs == count * k for k in range(1, 9))
        ):
            continue
        words = scene.words(start, end)
        seeds = ", ".join(str(k) for k in range(1, min(int(count), 5) + 1))
        found.append(
            Doubt(
                about="runs",
                text=f"“{words}”: with which seeds, or what differs between the runs?",
                options=(f"seeds {seeds}", "run it once"),
                tokens=tuple(range(start, end)),
                rank=2,
            )
        )
    return found


def _is_time(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a number without a unit stands where a time does: "for 20", "timeout=60"."""
    at = quantity.start - 1
    while at > 0 and scene.word(at) in ("=", ":", "of", "is", "at", "most", "to"):
        at -= 1
    if scene.word(at) == "for":
        return scene.word(quantity.end) in (",", ".", "", ";", "and", "\n", "max", ")")
    return any(
        item.start <= at < item.end
        and any(s.path == "budget.seconds" for s in item.of(Role.HEAD))
        for item in scene.items
    )


def _meanings(scene: Scene, quantity: Quantity, reading: Reading) -> tuple[str, ...]:
    kinds = dict.fromkeys(w.kind for w in reading.wishes)
    titles: list[str] = []
    for kind in kinds:
        titles += [
            slot.title
            for slot in scene.lexicon.slots[kind].values()
            if slot.dimension is not None and quantity.reading(slot.dimension) is not None
        ]
    if not quantity.units:
        titles = ["seconds", "minutes", *titles]
    return (*tuple(dict.fromkeys(titles))[:4], _IGNORE)


def _is_harmless(scene: Scene, i: int, quantity: Quantity, reading: Reading) -> bool:
    """Return whether a number counts what is there, marks a list, or is no number."""
    if not quantity.exact:
        return True
    following = scene.word(quantity.end)
    same = [
        q
        for q in scene.quantities
        if q is not quantity and q.numbers == quantity.numbers and abs(q.start - i) <= 2
    ]
    if same and scene.word(quantity.end) in ("(", ")"):
        return True  # "eight (8) threads"
    written = not any(c.isdigit() for c in scene.tokens[quantity.tokens[0]].text)
    if (
        written
        and not quantity.units
        and scene.word(i - 1) in ("the", "these", "those", "other", "all")
    ):
        return True  # "compare the two"
    if (
        written
        and not quantity.units
        and any(
            scene.tokens[t].form is Form.WORD
            and scene.word(t).endswith("s")
            and len(scene.word(t)) > 3
            for t in range(quantity.end, min(quantity.end + 3, len(scene.tokens)))
            if not scene.ends_sentence(t)
        )
    ):
        return True  # "two things", "three independent runs"
    if not quantity.units:
        for item in scene.items:
            if 0 <= item.start - quantity.end <= 1 and item.of(Role.COUNTED):
                return True
        if following in _COUNTERS and quantity.numbers[0] <= 60:
            return True
        runs = [
            v.value for w in reading.wishes for v in w.values if v.path == "spec.runs"
        ]
        if any(quantity.numbers[0] == len(row) for row in runs):
            return True
        if quantity.numbers[0] == len(reading.wishes) and len(reading.wishes) > 1:
            return True
        if scene.word(i - 1) in _LABELS and (
            following in (":", ".", ")", ",", "-") or quantity.numbers[0] <= 9
        ):
            return True
        starts_line = i == 0 or scene.word(i - 1) in ("\n", "(")
        if (starts_line and following in (".", ")", ":")) or ordinal_of(scene.tokens, i):
            return True
    low = max(0, i - 12)
    sentence = scene.sentence(i)
    return any(
        item.mark("ignored")
        and scene.sentence(item.start) == sentence
        and low <= item.start <= quantity.end + 8
        for item in scene.items
    )


def _words_with_values(scene: Scene) -> list[Doubt]:
    """Ask about engines, hardware and files that nothing accounts for."""
    found = []
    for item in scene.with_role(Role.VALUE):
        tokens = range(item.start, item.end)
        sense = item.of(Role.VALUE)[0]
        if any(t in scene.used for t in tokens) or sense.path not in (
            "spec.engine",
            "spec.devices.0.hardware",
        ):
            continue
        words = scene.words(item.start, item.end)
        scene.use(tokens, "asked")
        found.append(
            Doubt(
                about=f"word.{words}",
                text=f"What is “{words}” for?",
                options=(_IGNORE,),
                tokens=tuple(tokens),
                rank=3,
            )
        )
    return found


def _both_ends(scene: Scene, drafts: Drafts) -> list[Doubt]:
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
    for item in scene.with_role(Role.VERB):
        small = scene.word(item.start) in (
            "smallest",
            "smaller",
            "small",
            "tiny",
            "tiniest",
        )
        low, high = sorted((item.start, fast))
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


def _nameless_bands(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask for the edges of a band to reject that is named without numbers."""
    if not any(job.kind == "antenna" for job in drafts.jobs):
        return []
    for item in scene.with_role(Role.HEAD):
        avoids = any(s.path == "spec.avoid.0.f_lo_hz" for s in item.of(Role.HEAD))
        clear = item.end - item.start > 1 or scene.word(item.start) in ("reject", "avoid")
        here = [
            q
            for q in scene.quantities
            if scene.sentence(q.start) == scene.sentence(item.start)
            and q.reading(Dimension.FREQUENCY) is not None
            and q.start > item.start
        ]
        end = item.end
        said = scene.word(end) in ("at", "in", "near", "around", "the")
        if avoids and clear and said and not here:
            return [
                Doubt(
                    about="avoid.f_lo_hz",
                    text=f"“{scene.words(item.start, item.end)}”: from which frequency to which?",
                    options=(),
                    tokens=tuple(range(item.start, item.end)),
                    rank=1,
                )
            ]
    return []


def _programs(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask for what a program needs: runs to measure its time by, the target of a processor."""
    found = []
    for job in drafts.jobs:
        said = {path: setting.value for path, setting in job.settings.items()}
        if said.get("spec.objective") == "run_time" and "spec.runs" not in said:
            found.append(
                Doubt(
                    about="runs",
                    text="With which arguments or input is the program run to measure its time?",
                    options=("without arguments",),
                    tokens=job.settings["spec.objective"].tokens,
                    rank=1,
                )
            )
        cpu = str(said.get("spec.target.cpu", ""))
        if cpu.startswith(("cortex", "neoverse")) and "spec.target.triple" not in said:
            small = cpu.startswith("cortex-m")
            found.append(
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
    return found


def _unknown_devices(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask which measured device stands for one that is not offered: "8 TPU v5e"."""
    items = [
        item
        for item in scene.with_role(Role.OUTSIDE)
        if item.of(Role.OUTSIDE)[0].path == "device"
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


def _ambiguous(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask about words that can mean several values of a slot that nothing else sets."""
    found = []
    for kind in dict.fromkeys(job.kind for job in drafts.jobs):
        words = words_of(kind)
        assert words is not None
        for word, row in words.table("ambiguous").items():
            free = [
                j for j in drafts.jobs if j.kind == kind and row["path"] not in j.settings
            ]
            places = [
                i
                for i, t in enumerate(scene.tokens)
                if t.word == word and i not in scene.used
            ]
            if free and places:
                found.append(
                    Doubt(
                        about=row["about"],
                        text=row["text"],
                        options=tuple(row["options"]),
                        tokens=tuple(places),
                        rank=3,
                    )
                )
    return found


def _left_over(scene: Scene) -> set[int]:
    """Return tokens that matter and that nothing accounts for; they are underlined."""
    known = {i for item in scene.items for i in range(item.start, item.end)}
    left = set()
    for i, token in enumerate(scene.tokens):
        if i in scene.used or token.form in (Form.MARK, Form.QUOTE):
            continue
        if token.form is Form.NUMBER:
            if token.exact:
                left.add(i)
        elif token.form is not Form.WORD or (
            i not in known and not scene.lexicon.knows(token.word)
        ):
            left.add(i)
    for item in scene.marks("not", "except", "instead"):
        if not any(i in scene.used for i in range(item.start, item.end)):
            left |= set(range(item.start, item.end))
    return left
