"""Independent check of a card: it follows from its own rows, and belongs to model and data.

It derives interval and decision again (`trimtab.cards`), reads the model file's header, hashes
the file, and splits the instances again: every row must be one that was held out.
"""

from __future__ import annotations

import hashlib

from pydantic import ValidationError

from search.domains.learn.problem import LearnProblem, split
from search.domains.learn.state import LearnState
from trimtab.cards import Card, disagreements, means
from trimtab.model_file import ModelRefused, check_header
from trimtab.results import Verification, VerificationStatus


def verify(problem: LearnProblem, state: LearnState) -> Verification:
    """Check card and model file."""
    faults = _faults(problem, state)
    if faults:
        return Verification(
            status=VerificationStatus.INVALID, detail="; ".join(faults)[:2000]
        )
    return Verification(
        status=VerificationStatus.VALID,
        objective=means(Card.model_validate(state.card))[1],
        detail="interval and decision follow from the card's rows; all rows were held out; the "
        "model file is safetensors with the card's hash",
    )


def _faults(problem: LearnProblem, state: LearnState) -> list[str]:
    if state.card is None or state.model is None:
        return [
            "the run ended before its card was computed: there is no model to adopt. Give more "
            "time, or send fewer instances"
        ]
    try:
        card = Card.model_validate(state.card)
    except ValidationError as error:
        return [f"card: {error.errors()[0]['msg']}"]
    faults = disagreements(card)
    if card.model_sha256 != hashlib.sha256(state.model).hexdigest():
        faults.append("model_sha256: expected the hash of the model file, got another")
    if card.data_sha256 != problem.data_sha256:
        faults.append(
            "data_sha256: expected the hash of the job's instances, got another"
        )
    try:
        header = check_header(state.model)
    except ModelRefused as error:
        faults.append(str(error))
    else:
        if not header.target == card.target == problem.spec.target.value:
            faults.append(
                f"target: expected {problem.spec.target.value} in card and file"
            )
        if dict(header.scope) != dict(card.scope):
            faults.append("scope: expected that of the model file, got another")
    parts = split(problem.instances, share=problem.spec.held_out, seed=card.seed)
    held_out = {one.key for one in parts.held_out}
    if strangers := sum(row.key not in held_out for row in card.rows):
        faults.append(f"rows: expected held-out instances only, got {strangers} others")
    return faults
