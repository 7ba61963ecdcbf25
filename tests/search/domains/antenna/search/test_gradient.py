"""Walks through a surrogate reach the design that it likes."""

from __future__ import annotations

import numpy as np

from search.domains.antenna.search.gradient import GradientSearch
from search.domains.antenna.search.layouts import layouts_of
from search.domains.antenna.search.learned import Learned
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.search.samples import BandSamples
from search.domains.antenna.verify.legality import broken_rules
from tests.search.domains.antenna.jobs import PATCH, job
from tests.search.domains.antenna.search.doubles import Resembling


def test_ends_of_walks_are_legal_and_near_the_optimum() -> None:
    spec = job(feed=[2, 2], symmetric=True)
    rules, rng = Rules(spec), np.random.default_rng(0)
    model = Learned(Resembling(), BandSamples(spec), "double")
    search = GradientSearch(model, rules, layouts_of(spec, rules), rng)
    differing, seen = [], set()
    for _ in range(6):
        designs = search.ask(8)
        assert 1 <= len(designs) <= 8
        assert all(broken_rules(spec, design) == [] for design in designs)
        seen |= {design.key for design in designs}
        different = [int((d.mask ^ PATCH.mask).sum()) for d in designs]
        differing.append(min(different))
        search.tell(designs, [-float(value) for value in different])
    assert min(differing) <= 3
