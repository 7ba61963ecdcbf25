"""Edits change their place alone, and candidates are known by their edits."""

from __future__ import annotations

import pytest

from search.domains.compile.search.edits import Candidate, Edit, Op
from solvers.llvm.pipeline import BadPipeline
from trimtab.specs.compile import Tier

OZ = {"Oz": "globalopt,function(sroa<modify-cfg>,gvn<>,simplifycfg<keep-loops>,gvn<>)"}


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (
            Edit(op=Op.DROP, anchor="gvn"),
            "globalopt,function(sroa<modify-cfg>,simplifycfg<keep-loops>)",
        ),
        (
            Edit(op=Op.DROP, anchor="gvn", occurrence=1),
            "globalopt,function(sroa<modify-cfg>,gvn<>,simplifycfg<keep-loops>)",
        ),
        (
            Edit(op=Op.SET, anchor="simplifycfg", text="no-keep-loops"),
            "globalopt,function(sroa<modify-cfg>,gvn<>,simplifycfg<no-keep-loops>,gvn<>)",
        ),
        (
            Edit(op=Op.AFTER, anchor="sroa", text="sink,adce"),
            "globalopt,function(sroa<modify-cfg>,sink,adce,gvn<>,simplifycfg<keep-loops>,gvn<>)",
        ),
        (
            Edit(op=Op.BEFORE, anchor="gvn", occurrence=0, text="sink"),
            "globalopt,function(sroa<modify-cfg>,sink,gvn<>,simplifycfg<keep-loops>,gvn<>)",
        ),
        (Edit(op=Op.APPEND, text="constmerge"), f"{OZ['Oz']},constmerge"),
        (Edit(op=Op.PREPEND, text="constmerge"), f"constmerge,{OZ['Oz']}"),
    ],
)
def test_an_edit_changes_its_place_only(edit: Edit, text: str) -> None:
    candidate = Candidate(name="x", edits=(edit,))
    assert candidate.pipeline(OZ) == text
    assert Candidate.from_json(candidate.as_json()) == candidate


def test_an_edit_without_a_place_is_refused() -> None:
    with pytest.raises(BadPipeline, match="licm"):
        Candidate(name="x", edits=(Edit(op=Op.DROP, anchor="licm"),)).pipeline(OZ)
    with pytest.raises(ValueError, match="anchor"):
        Edit(op=Op.DROP)
    with pytest.raises(ValueError, match="base"):
        Candidate(name="x", base="O9")


def test_the_name_does_not_count_and_joining_keeps_each_edit_once() -> None:
    one = Candidate(name="a", edits=(Edit(op=Op.DROP, anchor="gvn"),))
    assert one.digest == Candidate(name="b", edits=one.edits).digest
    both = one.joined(
        Candidate(
            name="c",
            edits=(*one.edits, Edit(op=Op.APPEND, text="newgvn")),
            tier=Tier.EXPERIMENTAL,
        )
    )
    assert len(both.edits) == 2
    assert both.tier is Tier.EXPERIMENTAL


def test_of_two_values_of_an_option_the_last_counts() -> None:
    words = ("-inline-threshold=0", "-disable-lsr", "-inline-threshold=15")
    candidate = Candidate(
        name="x", edits=tuple(Edit(op=Op.OPTION, text=word) for word in words)
    )
    assert candidate.recipe(OZ).options == ("-disable-lsr", "-inline-threshold=15")
    assert candidate.recipe(OZ).pipeline == OZ["Oz"]
    assert Candidate.from_json(candidate.as_json()) == candidate
