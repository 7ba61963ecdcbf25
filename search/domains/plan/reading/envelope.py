"""Parts of a job's envelope that a goal states in words: name, labels, attempts, webhook, model.

They are names and addresses of the person's own, so no list of words has them; each stands behind
a cue: "call it …", "label team=ops", "at most two attempts", "POST to https://…", "shipped model".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.building.statement import tokens_in
from search.domains.plan.reading.numerals import NUMBER_WORDS
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.tokens import Form
from trimtab.specs.common import MODEL_ID_PATTERN, MODEL_SHIPPED

NAME, LABELS, ATTEMPTS = "name", "labels", "max_attempts"
WEBHOOK, MODEL = "webhook.url", "model"
_MOST_ATTEMPTS = 10
_FEW_ATTEMPTS = 3  # without a word of workers; more are evaluations
_OF_JOB = (
    r"(?:it|them|this|that|(?:the |this |that |each )?(?:job|run|search|task|solve)s?)"
)
_QUOTED = r"\"[^\"\n]{1,120}\"|“[^”\n]{1,120}”|(?<!\w)'[^'\n]{1,120}'(?!\w)"
# Without quotation marks a name is a few words that end with the clause.
_PLAIN = (
    r"[A-Za-z0-9][\w/-]*(?: (?!(?:so|and|or|please|thank|thanks|with|for|to|in|which|because|but"
    r"|then)\b)[\w/-]+){0,5}"
)
_CALL = re.compile(
    rf"\b(?:call|name|title|titled)\s+(?:{_OF_JOB}|the (?:former|first|latter|second)(?: one)?)"
    rf"\s*:?\s+(?P<name>{_QUOTED}|{_PLAIN})"
    rf"(?:\s*,?\s*and (?:the )?(?:latter|second|other)(?: one)?\s*:?\s+"
    rf"(?P<other>{_QUOTED}|{_PLAIN}))?",
    re.I,
)
_NAMED = re.compile(
    r"\b(?:job(?:'s)? name|name of (?:the|this) (?:job|run)|(?:job|run) (?:called|named|title))"
    rf"(?: is| should be| shall be)?\s*[:=]?\s*(?P<name>{_QUOTED}|{_PLAIN})",
    re.I,
)
_NAMES = re.compile(
    rf"\b(?:names?|call(?:ed)?|name)(?: them| the jobs)?\s*:?\s+(?P<all>(?:{_QUOTED})"
    rf"(?:(?:\s*,\s*|\s*,?\s+and\s+)(?:{_QUOTED}))+)",
    re.I,
)
_MARKS = "\"'“” "
_NO_NAME = re.compile(
    r"^(?:it|a|an|the|off|back|me|us|on|when|once|after|if|done|at|as|by|from|w|with)\b",
    re.I,
)
_LABEL = re.compile(
    r"\b(?:labels?|labell?ed|tags?|tagged)\b(?:\s+(?:it|them|both|all|each|this|the jobs?|as|with"
    r"|is|are|of|job))*\s*:?\s*",
    re.I,
)
_PAIR = re.compile(
    r"[\"'`]?([A-Za-z0-9][A-Za-z0-9_.\-/]{0,62})\s?[=:]\s?([\w./-]*[\w/-])[\"'`]?"
    r"(?:\s*(?:,|and|&)\s*(?=[\w.\-/]+\s?[=:]))?"
)
_COUNT = r"(\d{1,2}|[a-z]+)"
_ATTEMPTS = (
    re.compile(rf"\b{_COUNT}\s+(?:attempts?|tries)\b", re.I),
    re.compile(r"\b(?:max[_ ]attempts|attempts)\s*(?:is|of|[:=])?\s*(\d{1,2})\b", re.I),
    re.compile(
        r"\b(?:start(?:ed)? over|try|tried|attempt(?:ed)?|start(?:ed)?)(?: it)? "
        r"(?:at most |up to |no more than )(once|twice|thrice|\w+ times)\b"
        r"(?=[^.;\n]*\b(?:worker|dies|died|crash\w*|lost|fails?|in total)\b)",
        re.I,
    ),
)
_NO_RETRY = re.compile(
    r"\b(?:no|without(?: any)?|don't|do not|never|zero)\s+(?:automatic\s+)?"
    r"(?:retry|retries|retrying|re-?tr(?:y|ies)|second attempt|further attempts?)\b",
    re.I,
)
_OF_WORKERS = re.compile(
    r"\b(?:workers?|retry|retries|crash\w*|dies|die|breaks|max[_ ]attempts)\b", re.I
)
_OFTEN = {"once": 1, "twice": 2, "thrice": 3, "single": 1, "one": 1}
_CALLS = re.compile(
    r"\b(?:web-?hooks?|call(?:s|ed|back)?|post(?:ed)?|hit|ping(?:ed)?|notif(?:y|ied)|trigger"
    r"|callback)\b",
    re.I,
)
# A webhook says that a job has ended; it carries no file.
_MOVES_DATA = re.compile(
    r"\b(?:fetch|download|wget|curl|get|load|from|upload|push|send|mail|results?|solutions?|reports?"
    r"|files?|plots?|tables?|data)\b",
    re.I,
)
_NEAR = 60  # characters between "call" and an address
_SHIPPED = re.compile(
    r"\b(?:the )?shipped(?: cost)?(?: fitted)? (?:model|one|weights)\b|\bmodel\s*[:=]\s*shipped\b",
    re.I,
)
_OWN_MODEL = re.compile(rf"\b{MODEL_ID_PATTERN}\b")
_MODEL_WORD = re.compile(r"\b(?:fitted |own )?mod(?:el|èle|ell)\b\s*$", re.I)


def envelope_of(scene: Scene) -> list[Bound]:
    """Return what a goal says about its jobs' envelopes, for every kind that it can hold for."""
    kinds = scene.lexicon.kinds
    return [
        *_names(scene, kinds),
        *_labels(scene, kinds),
        *_attempts(scene, kinds),
        *_webhook(scene, kinds),
        *_model(scene, scene.lexicon.fitted),
    ]


def within(bounds: Sequence[Bound], kinds: Sequence[str]) -> Iterator[Bound]:
    """Yield the values that some of these kinds can have, for these kinds alone."""
    for bound in bounds:
        paths = {kind: path for kind, path in bound.paths.items() if kind in kinds}
        if paths:
            yield replace(
                bound, paths=paths, values={kind: bound.values[kind] for kind in paths}
            )


def _stated(
    scene: Scene, kinds: Sequence[str], path: str, value: Any, *places: tuple[int, int]
) -> Iterator[Bound]:
    """Yield a value with the tokens of some places in the folded text, the value's own first."""
    tokens = [
        t
        for start, end in places
        for t in tokens_in(scene, start, end)
        if scene.tokens[t].form is not Form.FILE
    ]
    if tokens and kinds:
        yield Bound(
            paths=dict.fromkeys(kinds, path),
            values={kind: (value,) for kind in kinds},
            tokens=tuple(dict.fromkeys(tokens)),
        )


def _is_data(scene: Scene, start: int) -> bool:
    """Return whether a place lies inside quoted text, which is data."""
    return any(
        token.form is Form.QUOTE and token.start < start < token.end
        for token in scene.tokens
    )


def _names(scene: Scene, kinds: Sequence[str]) -> Iterator[Bound]:
    text = scene.text.folded
    for match in _NAMES.finditer(text):
        if _is_data(scene, match.start()):
            continue
        # Several names in a row are of the jobs in their order; the first ends before the others.
        for number, each in enumerate(re.finditer(_QUOTED, match["all"])):
            start = match.start("all") + each.start()
            places = [(start, match.start("all") + each.end())]
            places += [(match.start(), match.start("all"))] if not number else []
            yield from _stated(scene, kinds, NAME, each[0][1:-1], *places)
        return
    for pattern in (_CALL, _NAMED):
        for match in pattern.finditer(text):
            name = match["name"].strip(_MARKS)
            if _is_data(scene, match.start()) or _NO_NAME.match(name):
                continue
            start, end = match.span("name")
            yield from _stated(
                scene, kinds, NAME, name, (start, end), (match.start(), start)
            )
            if other := match.groupdict().get("other"):
                place = match.span("other")
                yield from _stated(scene, kinds, NAME, other.strip(_MARKS), place)


def _labels(scene: Scene, kinds: Sequence[str]) -> Iterator[Bound]:
    text = scene.text.folded
    for cue in _LABEL.finditer(text):
        labels: dict[str, str] = {}
        end = cue.end()
        while (pair := _PAIR.match(text, end)) is not None:
            labels[pair[1]] = pair[2]
            end = pair.end()
        if labels and not _is_data(scene, cue.start()):
            places = ((cue.end(), end), (cue.start(), cue.end()))
            yield from _stated(scene, kinds, LABELS, labels, *places)
            return


def _attempts(scene: Scene, kinds: Sequence[str]) -> Iterator[Bound]:
    text = scene.text.folded
    never = _NO_RETRY.search(text)
    for pattern in _ATTEMPTS:
        for match in pattern.finditer(text):
            count = _number(match[1].lower().removesuffix(" times"))
            most = _MOST_ATTEMPTS if _OF_WORKERS.search(text) else _FEW_ATTEMPTS
            if _is_data(scene, match.start()) or not 1 <= count <= most:
                continue
            places = [match.span()] + ([never.span()] if never else [])
            yield from _stated(scene, kinds, ATTEMPTS, count, *places)
            return
    if never is not None and not _is_data(scene, never.start()):
        yield from _stated(scene, kinds, ATTEMPTS, 1, never.span())


def _number(word: str) -> int:
    if word.isdigit():
        return int(word)
    return int(_OFTEN.get(word) or NUMBER_WORDS.get(word, 0))


def _webhook(scene: Scene, kinds: Sequence[str]) -> Iterator[Bound]:
    text = scene.text.folded
    for token in scene.tokens:
        if token.form is not Form.ID or not token.text.startswith(
            ("http://", "https://")
        ):
            continue
        around = text[max(0, token.start - _NEAR) : token.start].rpartition("\n")[2]
        behind = text[token.end : token.end + _NEAR // 2]
        cues = list(_CALLS.finditer(around))
        if not cues:
            called = re.match(r"\s+(?:should|is to|must|wants) be (?:called|hit)", behind)
            cues = [called] if called else []
        if cues and not _MOVES_DATA.search(around):
            url = token.text.rstrip(".,;:!?")
            end = token.start + len(url)
            yield from _stated(scene, kinds, WEBHOOK, url, (token.start, end))
            return


def _model(scene: Scene, kinds: Sequence[str]) -> Iterator[Bound]:
    text = scene.text.folded
    shipped = _SHIPPED.search(text)
    if shipped is not None:
        yield from _stated(scene, kinds, MODEL, MODEL_SHIPPED, shipped.span())
        return
    own = _OWN_MODEL.search(text)
    if own is not None:
        cue = _MODEL_WORD.search(text, 0, own.start())
        places = [own.span()] + ([cue.span()] if cue else [])
        yield from _stated(scene, kinds, MODEL, own[0], *places)
