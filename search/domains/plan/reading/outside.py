"""Parts of a goal that no job does: named with a reason, and kept away from the jobs."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace

from search.domains.plan.reading.lexicon import Phrase, Role, Sense
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import COMMON, words_of
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form
from trimtab.plans import NotDone

# Tags that are about a thing, not an action, and spoil the whole clause around them.
_REQUESTS = vocabulary(
    "and , : ( & to please you we i then also or - ; could can would * just kindly "
    "should must somebody someone first finally next let's don't me us"
)
_INTRODUCTIONS = frozenset(
    [
        "and",
        "then",
        "also",
        "please",
        "to",
        ",",
        ".",
        ";",
        "!",
        ":",
        "\n",
        "but",
        "first",
        "finally",
        "afterwards",
        "next",
        "could",
        "you",
        "can",
        "i",
        "we",
        "me",
        "would",
        "like",
        "want",
        "them",
        "it",
        "kindly",
        "don't",
        "not",
        "just",
        "now",
        "that",
        "which",
        "who",
        "must",
        "should",
        "will",
        "-",
        "&",
        "(",
        "want",
    ]
)


_CONDITION = (
    "a job cannot depend on a figure of another; both run, or drop one from the plan"
)
_SUBJECTS = vocabulary(
    "it that this ends takes gap finishes is gets remains stays result needs"
)
_RESULTS = vocabulary(
    "gap better worse smaller larger faster slower more less above below"
)
_NAMED = 4  # tokens between "compress" and what is to be compressed
_SMALLER = vocabulary("smaller tiny smallest compressed shrunk optimized optimised")
_OBJECT = 9  # tokens behind "train" or "translate" in which its file is named


@dataclass(frozen=True, kw_only=True)
class Outside:
    """A part of the goal that nothing here does."""

    part: NotDone
    tokens: frozenset[int]
    tag: str
    files: frozenset[int] = frozenset()  # names of files that it is about


def outside_parts(
    scene: Scene, excluded: set[int], stated: Set[int] = frozenset()
) -> list[Outside]:
    """Return the parts of a goal that ask for something else, one for each clause.

    stated: tokens of values, such as the address of a webhook; no part has them.
    """
    parts: list[Outside] = []
    taken: set[int] = set(stated)
    soft = _soft()
    takers = _takers()
    for phrase in scene.with_role(Role.OUTSIDE):
        sense = phrase.of(Role.OUTSIDE)[0]
        if phrase.start in taken or phrase.start in excluded or _negated(scene, phrase):
            continue
        words = " ".join(scene.word(i) for i in range(phrase.start, phrase.end))
        if words in soft or not _is_asked(scene, phrase, sense):
            continue
        tokens = _clause(scene, phrase, sense.path)
        if tokens & taken:
            tokens -= taken
        taken |= tokens
        part = _part(scene, tokens, sense.path, sense.value)
        if sense.path in takers:
            files = {t for t in tokens if scene.tokens[t].form is Form.FILE}
            part = replace(
                part, files=frozenset(t for t in files if t - phrase.end <= _OBJECT)
            )
        parts.append(part)
    for tokens in _conditions(scene):
        if not tokens & taken:
            taken |= tokens
            parts.append(_part(scene, tokens, "condition", _CONDITION))
    for i, token in enumerate(scene.tokens):
        if token.form is Form.ID and i not in taken:
            tag, reason = _of_id(token.text)
            tokens = _request_before(scene, i) - taken
            taken |= tokens
            parts.append(_part(scene, tokens, tag, reason))
    return parts


def _request_before(scene: Scene, i: int) -> set[int]:
    """Return the words of a request that ends at a path or an address: "the first lines of ..."."""
    start = i
    while start > 0 and not scene.ends_sentence(start - 1) and i - start < 12:
        word, form = scene.word(start - 1), scene.tokens[start - 1].form
        if word in (",", ";", ":", "and", "then", "(", "also") or form is Form.FILE:
            break
        start -= 1
    return set(range(start, i + 1)) if start and scene.word(start - 1) != "(" else {i}


def _conditions(scene: Scene) -> list[set[int]]:
    """Return the clauses "if it ends with more than 1 % gap": a figure that nothing waits for."""
    conditions = []
    for i in range(len(scene.tokens)):
        if scene.word(i) not in ("if", "unless", "provided", "whenever"):
            continue
        end, numbers, about_results = i + 1, False, False
        while end < len(scene.tokens) and not scene.ends_sentence(end):
            closed = scene.word(end) in (",", "then", ";")
            if closed and (numbers or about_results):
                break
            numbers = numbers or any(end in q.tokens for q in scene.quantities)
            about_results = about_results or scene.word(end) in _RESULTS
            end += 1
        about = {scene.word(t) for t in range(i, end)} & _SUBJECTS
        if (
            about
            and (numbers or about_results)
            and end < len(scene.tokens)
            and not scene.ends_sentence(end)
        ):
            conditions.append(set(range(i, end)))
    return conditions


def _soft() -> frozenset[str]:
    common = words_of(COMMON)
    assert common is not None
    return frozenset(
        w for row in common.table("outside").values() for w in row.get("soft", ())
    )


def _takers() -> frozenset[str]:
    common = words_of(COMMON)
    assert common is not None
    return frozenset(
        t for t, row in common.table("outside").items() if row.get("takes_files")
    )


def _of_id(text: str) -> tuple[str, str]:
    if text.startswith(("job_", "01")):
        return "control", "files of other jobs are not read by their id; attach the file"
    if "@" in text:
        return "message", "trimtab sends no messages; use the job's webhook"
    return "web", "files of the server and of the web are not read; attach the file"


def _negated(scene: Scene, phrase: Phrase) -> bool:
    """Return whether "do not", "no need to" stands directly in front."""
    return any(
        mark.mark("not") and mark.end <= phrase.start and phrase.start - mark.end <= 1
        for mark in scene.items
    )


def _is_asked(scene: Scene, phrase: Phrase, sense: Sense) -> bool:
    """Return whether a phrase asks for the thing, rather than being part of the story.

    A thing that nothing here does counts anywhere; a verb only where a request begins.
    """
    if sense.path == "image":
        return _is_altered(scene, phrase)
    if sense.strong:
        return True
    if scene.word(phrase.end) == "with" and any(
        other.of(Role.VALUE) and 0 < other.start - phrase.end <= 3
        for other in scene.items
    ):
        return False  # "we train with Adam" describes, "train on our logs" asks
    before = scene.word(phrase.start - 1)
    if phrase.start == 0 or scene.ends_sentence(phrase.start - 1) or before in _REQUESTS:
        return True
    return any(other.end == phrase.start and other.mark("then") for other in scene.items)


def _is_altered(scene: Scene, phrase: Phrase) -> bool:
    """Return whether a picture or sound is to be changed: "compress the photos".

    "the video link is 5.725 GHz" and "two images for the same chip" only name one.
    """
    return any(
        0 <= phrase.start - other.end <= _NAMED and not _between(scene, other, phrase)
        for other in scene.with_role(Role.VERB, Role.OUTSIDE)
    ) or any(
        0 <= other.start - phrase.end <= _NAMED and not _between(scene, phrase, other)
        for other in scene.with_role(Role.VERB)
        if scene.word(other.end - 1) in _SMALLER
    )


def _between(scene: Scene, left: Phrase, right: Phrase) -> bool:
    """Return whether a clause ends, or a file or number stands, between two phrases."""
    return any(
        scene.ends_sentence(i)
        or scene.word(i) in (",", ";", "for")
        or scene.tokens[i].form in (Form.FILE, Form.NUMBER)
        for i in range(left.end, right.start)
    )


def _clause(scene: Scene, phrase: Phrase, tag: str) -> set[int]:
    """Return the words that belong to the request: to the end of its clause."""
    if tag in ("engine", "device"):
        end = phrase.end
        if (
            end < len(scene.tokens)
            and scene.tokens[end].form is Form.NUMBER
            and scene.word(end + 1) in (",", ".", "", ";", "and")
        ):
            end += 1
        return set(range(phrase.start, end))
    verbs = {
        other.start
        for other in scene.items
        if other.of(Role.VERB, Role.VALUE) or other.mark("then")
    }
    start, end = phrase.start, phrase.end
    while (
        start > 0
        and scene.word(start - 1) not in _INTRODUCTIONS
        and (
            scene.tokens[start - 1].form is Form.WORD
            and start - 1 not in verbs
            and not any(
                o.start <= start - 1 < o.end and o.of(Role.HEAD) for o in scene.items
            )
        )
    ):
        start -= 1
    while end < len(scene.tokens):
        word = scene.word(end)
        if scene.ends_sentence(end):
            break
        if word in (
            ",",
            ":",
            "(",
            "and",
            "then",
            "n",
            "before",
            "after",
            "but",
        ) and _starts_request(scene, end + 1):
            break
        end += 1
    return set(range(start, end))


def _starts_request(scene: Scene, i: int) -> bool:
    """Return whether a clause about a job begins within a few words."""
    for k in range(i, min(i + 6, len(scene.tokens))):
        if scene.ends_sentence(k):
            return False
        if scene.tokens[k].form in (Form.FILE,):
            return True
        if any(q.start == k and q.units for q in scene.quantities):
            return True
        for phrase in scene.items:
            if phrase.start == k and (
                phrase.of(Role.VERB, Role.VALUE, Role.OUTSIDE) or phrase.mark("then")
            ):
                return True
    return False


def _part(scene: Scene, tokens: set[int], tag: str, reason: str) -> Outside:
    spans = scene.spans(tokens)
    text = scene.text.goal[spans[0].start : spans[-1].end]
    return Outside(
        part=NotDone(text=text[:200], reason=reason, spans=spans),
        tokens=frozenset(tokens),
        tag=tag,
    )
