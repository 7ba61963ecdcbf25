"""Work of the check process: read the original file exactly, then answer commands.

Nothing here is shared with the search (an import contract checks it): the file is read again by
`solvers.exact`, and every check and proof is made in rational arithmetic
(deploy/docs/design/ilp.md, "Exact check").
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from search.domains.ilp import model_file
from search.domains.ilp.tagged import pack
from search.domains.ilp.verify.messages import (
    COMMANDS,
    Answer,
    Check,
    Checked,
    Command,
    Compare,
    Compared,
    ProofEnded,
    Prove,
    Refused,
)
from search.domains.ilp.verify.verification import as_float, verify
from search.isolation import Say
from solvers.compare import refuse_differences
from solvers.errors import ModelError
from solvers.exact import ExactModel, check, read_exact
from solvers.exact.prove import prove
from solvers.types import FEASIBILITY_TOLERANCE, MilpModel

_PROOF_GAP = Fraction(1, 10**7)  # relative; a tenth of the gap that "optimal" allows


def serve(
    file: Path,
    *,
    file_format: str,
    name: str,
    searched: MilpModel | None,
    commands: int,
    say: Say,
    tolerance: float = FEASIBILITY_TOLERANCE,
) -> None:
    """Read the file and answer commands from the pipe `commands` until it is closed.

    searched: the model of the search, which a process that is started again compares at once.
    tolerance: violation of rows and bounds that is allowed, relative.
    """
    try:
        exact = read_exact(file, format=file_format, name=name)
        if searched is not None:
            refuse_differences(exact, searched)
        for command in _received(commands):
            say(pack(_answer(exact, command, Fraction(str(tolerance)))))
    except ModelError as error:
        say(pack(Refused(reason=str(error))))


def _received(commands: int) -> Iterator[Command]:
    with os.fdopen(commands) as lines:
        while line := lines.readline():
            yield COMMANDS.unpack(json.loads(line))


def _answer(exact: ExactModel, command: Command, tolerance: Fraction) -> Answer:
    match command:
        case Compare():
            path = Path(command.path)
            refuse_differences(exact, model_file.load(path, command.scalars))
            model_file.remove(path)
            return Compared()
        case Check():
            values = json.loads(Path(command.path).read_text())
            verification = verify(
                exact, values, claimed=command.claimed, tolerance=tolerance
            )
            return Checked(verification=verification.model_dump_json())
        case Prove():
            return _prove(exact, command, tolerance)
        case _:
            raise TypeError(f"command: expected Compare, Check or Prove, got {command!r}")


def _prove(exact: ExactModel, command: Prove, tolerance: Fraction) -> ProofEnded:
    """Run the exact branch and bound; write a better point over the incumbent's values."""
    path = Path(command.path)
    incumbent = None
    if command.has_incumbent:
        values = json.loads(path.read_text())
        checked = check(exact, values, tolerance=tolerance)
        incumbent = checked.objective if checked.feasible else None
    proof = prove(exact, incumbent=incumbent, gap=_PROOF_GAP, seconds=command.seconds)
    if proof.x is not None:
        nonzeros = {
            name: float(value)
            for name, value in zip(exact.col_names, proof.x, strict=True)
            if value
        }
        path.write_text(json.dumps(nonzeros))
    return ProofEnded(
        claim=proof.claim.value,
        bound=None if proof.bound is None else as_float(proof.bound),
        nodes=proof.nodes,
        has_point=proof.x is not None,
    )
