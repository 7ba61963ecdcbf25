"""Tables of the controller: posterior, held-out texts, parity, speed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workers.bench.plan.published import CONTROL
from workers.bench.tables.page import Table
from workers.bench.tables.results import Row, rows_of, source
from workers.train.text.figures import LENGTHS

_COMMAND = "python -m workers.bench plan control"
_SPANS = ((0, 1), (1, 4), (4, 8), (8, 16))


def tables() -> tuple[Table, ...]:
    """Return the tables in their order."""
    rows = rows_of(CONTROL)
    return (_posterior(rows), _head(rows), _drift(rows), _engine(rows))


def one(rows: Sequence[Row], **fields: object) -> Row:
    """Return the line that has these fields."""
    return next(row for row in rows if all(row.get(k) == v for k, v in fields.items()))


def _posterior(rows: Sequence[Row]) -> Table:
    return Table(
        title="Controller: law of the text beside the posterior",
        intro="A Markov model of 5 tokens and 6 places, and an attribute that 5.4 % of its texts "
        "have; the discriminator is exact, by enumeration. Total variation is to the law of texts "
        "with the attribute. Truncation is to the likeliest tokens.",
        columns=(
            "strength",
            "truncation",
            "total variation",
            "attribute",
            "entropy, nats",
        ),
        rows=[
            [
                str(row["strength"]),
                "none" if row["top"] is None else f"{row['top']} of 5",
                f"{row['total_variation']:.2g}",
                f"{row['hits']:.3f}",
                f"{row['entropy']:.2f}",
            ]
            for row in rows
            if row["figure"] == "posterior"
        ],
        notes=("Goal: below 1e-12 at strength 1 without truncation.",),
        command=_COMMAND,
        source=source(CONTROL),
    )


def _head(rows: Sequence[Row]) -> Table:
    found = [row for row in rows if row["figure"] == "auc"]
    spans = ("all", *LENGTHS, "far", "near", "hard")
    parity = one(rows, figure="parity")
    agreement = (
        f"Over the {parity['top']} likeliest tokens of {parity['positions']} positions the "
        f"one-pass head ranks tokens as the exact form does with a mean Spearman correlation of "
        f"{parity['rank_correlation']:.2f}. The laws of the next token under the two differ by a "
        f"total variation of {parity['total_variation_1']:.3f} at strength 1 and "
        f"{parity['total_variation_3']:.3f} at strength 3; the exact form moves the free law by "
        f"{parity['moved_1']:.3f} and {parity['moved_3']:.3f}."
    )
    return Table(
        title="Controller: does a text fit its item?",
        intro="AUC on documents that training has not seen, for each token of a text against "
        "items that fit and that do not (1 to 3), by tokens of the text that were read, and by "
        "what does not fit: items of other documents (`far`), of the same document (`near`), of "
        "the part before a splice (`hard`). The exact form judges a text after reading the token; "
        "the one-pass head before.",
        columns=("form", *spans),
        rows=[
            [row["form"].replace("_", "-"), *(f"{row[span]:.3f}" for span in spans)]
            for row in found
        ],
        notes=(
            f"Goal: at least 0.85 for the one-pass head. Against other documents it has "
            f"{one(rows, figure='auc', form='one_pass')['far, 17-48']:.3f} after 16 tokens.",
            agreement,
        ),
        command=_COMMAND,
        source=source(CONTROL),
    )


def _drift(rows: Sequence[Row]) -> Table:
    cells = []
    for row in (row for row in rows if row["figure"] == "drift"):
        for name in ("kept", "spliced"):
            means = [float(np.mean(row[name][low:high])) for low, high in _SPANS]
            cells.append([row["head"], name, *(f"{mean:.2f}" for mean in means)])
    return Table(
        title="Controller: drift",
        intro="Mean log D of the first part's item, by tokens after the boundary: texts that go on "
        "(`kept`), and texts that leave for another section there (`spliced`).",
        columns=("head", "texts", "1", "2 to 4", "5 to 8", "9 to 16"),
        rows=cells,
        notes=(
            "Goals: the spliced texts drop within 16 tokens, and do not under a head that was "
            "trained without spliced texts.",
        ),
        command=_COMMAND,
        source=source(CONTROL),
    )


def _engine(rows: Sequence[Row]) -> Table:
    base = one(rows, figure="base")
    return Table(
        title="Controller: in the engine",
        intro="CPU time a token on one thread with and without two conditions, in turns.",
        columns=(
            "answers at once",
            "free, ms",
            "controlled, ms",
            "loss of tokens a second",
        ),
        rows=[
            [
                str(row["batch"]),
                f"{row['ms_free']:.1f}",
                f"{row['ms_controlled']:.1f}",
                f"{row['loss']:.1%}",
            ]
            for row in rows
            if row["figure"] == "speed"
        ],
        notes=(
            "Goal: at most 30 %.",
            f"Strength 0 beside no control: {base['different']} of {base['tokens']} tokens and "
            "their log-probabilities differ. Goal: none.",
        ),
        command=_COMMAND,
        source=source(CONTROL),
    )
