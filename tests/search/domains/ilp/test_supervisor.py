"""What the supervisor hands to the processes of a run."""

from __future__ import annotations

import numpy as np

from search.domains.ilp.supervisor import _job_seed


def test_the_engine_starts_from_the_seed_of_the_job() -> None:
    rng = np.random.default_rng(7)
    assert _job_seed(rng) == 7
    assert rng.random() == np.random.default_rng(7).random(), "nothing was drawn for it"
    spawned = np.random.Generator(np.random.PCG64(np.random.SeedSequence([1, 2])))
    assert 0 <= _job_seed(spawned) < 2**31, "a seed of several words has no number: one is drawn"
