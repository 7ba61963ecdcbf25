"""Files that the goal names: not attached, or of no use to a job."""

from __future__ import annotations

from search.domains.plan.reading.jobs.leaf import Doubt, Found
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import words_of
from search.domains.plan.reading.tokens import Form
from search.domains.plan.types import FileRole, Reading
from trimtab.plans import NotDone

_REASON_OF_PLAN = (
    "a plan in use cannot be read from a file yet; give it in the request as "
    "constraints.current_plan"
)


def unattached(
    scene: Scene,
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


def unusable(scene: Scene, found: Found, not_done: list[NotDone]) -> None:
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


def _output_names(scene: Scene) -> set[str]:
    names = set()
    for kind in scene.lexicon.kinds:
        words = words_of(kind)
        if words is not None:
            names |= set(words.table("outputs"))
    return names
