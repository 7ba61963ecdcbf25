"""Words that can mean several values, or that nothing accounts for."""

from __future__ import annotations

from search.domains.plan.reading.accounting.numbers import IGNORE
from search.domains.plan.reading.drafting.draft import Drafts
from search.domains.plan.reading.jobs.leaf import Doubt
from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import words_of
from search.domains.plan.reading.tokens import Form


def earlier_jobs(scene: Scene) -> list[Doubt]:
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


def unexplained_choices(scene: Scene) -> list[Doubt]:
    """Ask about engines, hardware and files that nothing accounts for."""
    doubts = []
    for phrase in scene.with_role(Role.VALUE):
        tokens = range(phrase.start, phrase.end)
        sense = phrase.of(Role.VALUE)[0]
        if any(t in scene.used for t in tokens) or sense.path not in (
            "spec.engine",
            "spec.devices.0.hardware",
        ):
            continue
        words = scene.words(phrase.start, phrase.end)
        scene.use(tokens, "asked")
        doubts.append(
            Doubt(
                about=f"word.{words}",
                text=f"What is “{words}” for?",
                options=(IGNORE,),
                tokens=tuple(tokens),
                rank=3,
            )
        )
    return doubts


def ambiguous_words(scene: Scene, drafts: Drafts) -> list[Doubt]:
    """Ask about words that can mean several values of a slot that nothing else sets."""
    doubts = []
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
                doubts.append(
                    Doubt(
                        about=row["about"],
                        text=row["text"],
                        options=tuple(row["options"]),
                        tokens=tuple(places),
                        rank=3,
                    )
                )
    return doubts


def left_over(scene: Scene) -> set[int]:
    """Return tokens that matter and that nothing accounts for; they are underlined."""
    phrases = {i for phrase in scene.items for i in range(phrase.start, phrase.end)}
    left = set()
    for i, token in enumerate(scene.tokens):
        if i in scene.used or token.form in (Form.MARK, Form.QUOTE):
            continue
        if token.form is Form.NUMBER:
            if token.exact:
                left.add(i)
        elif token.form is not Form.WORD or (
            i not in phrases and not scene.lexicon.knows(token.word)
        ):
            left.add(i)
    for phrase in scene.marks("not", "except", "instead"):
        if not any(i in scene.used for i in range(phrase.start, phrase.end)):
            left |= set(range(phrase.start, phrase.end))
    return left
