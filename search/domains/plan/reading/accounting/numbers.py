"""Numbers that nothing accounts for, and whether they need a question."""

from __future__ import annotations

from search.domains.plan.reading.bare_times import is_time
from search.domains.plan.reading.binding.learned import UNDERLINE
from search.domains.plan.reading.file_counts import describes_file
from search.domains.plan.reading.jobs.leaf import Doubt
from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.numerals import ordinal_of
from search.domains.plan.reading.quantities.quantity import Quantity, Shape
from search.domains.plan.reading.roles.features import NOTHING
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.types import Reading

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
IGNORE = "it is only background"
_YEARS = ("in", "since", "until", "of", "by", "from", "year")
_MONEY = vocabulary(
    "euro euros eur dollar dollars usd pounds gbp bucks francs chf yen people years weeks months"
)
_NO_NOUNS = vocabulary(
    "for on in at with to of and or but please max then each per by is as the a it if so also this"
)
_COUNTERS = vocabulary(
    "times runs jobs files models programs antennas engines solvers seeds x steps "
    "things tasks instances c plans bands of designs cases options questions wishes "
    "requests variants tries"
)


def unexplained_numbers(scene: Scene, reading: Reading) -> list[Doubt]:
    """Ask about numbers that nothing accounts for."""
    doubts = []
    for quantity in scene.quantities:
        tokens = range(quantity.start, quantity.end)
        if (
            any(t in scene.used for t in quantity.tokens)
            or describes_file(scene, quantity, reading)
            or _is_harmless(scene, quantity.start, quantity, reading)
        ):
            continue
        words = scene.words(quantity.start, quantity.end)
        if _counts_something_else(scene, quantity) or _has_no_role(scene, quantity):
            continue  # underlined: no slot is named, and its noun is none of ours
        if not quantity.units and is_time(scene, quantity):
            scene.use(tokens, "asked")
            doubts.append(
                Doubt(
                    about="budget.seconds",
                    text=f"Is “{words}” a number of seconds or of minutes?",
                    options=(f"{words} seconds", f"{words} minutes", IGNORE),
                    tokens=tuple(tokens),
                    rank=1,
                )
            )
            continue
        following = scene.words(quantity.start, min(quantity.end + 2, len(scene.tokens)))
        scene.use(tokens, "asked")
        doubts.append(
            Doubt(
                about=f"number.{words}",
                text=f"What does “{following}” mean?",
                options=_meanings(scene, quantity, reading),
                tokens=tuple(tokens),
                rank=2,
            )
        )
    return doubts


def _has_no_role(scene: Scene, quantity: Quantity) -> bool:
    """Return whether the learned model takes a number for part of the story.

    A bare number behind a file or a "for" is asked about: "give a.mps 20".
    """
    share = scene.roles.get(quantity.start, {}).get(NOTHING, 0.0)
    behind_file = scene.tokens[max(0, quantity.start - 1)].form is Form.FILE
    bare = not quantity.units and (behind_file or is_time(scene, quantity))
    return share >= UNDERLINE and not bare


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
            phrase.start <= i < phrase.end
            and phrase.of(Role.HEAD, Role.VALUE, Role.COUNTED)
            for phrase in scene.items
        )
        if head or word in _NO_NOUNS:
            return False
        if len(word) >= 4 and (word.endswith("s") or i == quantity.end + 1):
            return True
    return False


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
    shares = scene.roles.get(quantity.start, {})
    likely = {
        scene.lexicon.slots[kind][path].title: share
        for kind in kinds
        for path, share in shares.items()
        if path in scene.lexicon.slots[kind]
    }
    titles.sort(key=lambda title: -round(likely.get(title, 0.0), 1))
    return (*tuple(dict.fromkeys(titles))[:4], IGNORE)


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
        for phrase in scene.items:
            if 0 <= phrase.start - quantity.end <= 1 and phrase.of(Role.COUNTED):
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
        phrase.mark("ignored")
        and scene.sentence(phrase.start) == sentence
        and low <= phrase.start <= quantity.end + 8
        for phrase in scene.items
    )


def unmatched_repetitions(scene: Scene, reading: Reading) -> list[Doubt]:
    """Ask when "three times" or "five runs" is not the number of jobs that were read."""
    doubts = []
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
        (phrase.start, phrase.end, phrase.of(Role.RELATION)[0].value)
        for phrase in scene.with_role(Role.RELATION)
        if scene.word(phrase.end - 1) == "times" and phrase.start not in scene.used
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
        doubts.append(
            Doubt(
                about="runs",
                text=f"“{words}”: with which seeds, or what differs between the runs?",
                options=(f"seeds {seeds}", "run it once"),
                tokens=tuple(range(start, end)),
                rank=2,
            )
        )
    return doubts
