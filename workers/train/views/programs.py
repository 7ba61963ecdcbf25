"""Views of programs: the same program after random passes of LLVM."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from solvers.llvm.programs import LlvmPrograms

# Passes that keep the behaviour of a module and finish quickly on any; each as part of a function
# pipeline. `instcombine` checks its fixpoint in pipelines unless told otherwise.
PASSES = (
    "adce",
    "bdce",
    "correlated-propagation",
    "dce",
    "dse",
    "early-cse<memssa>",
    "gvn",
    "instcombine<no-verify-fixpoint>",
    "instsimplify",
    "jump-threading",
    "lcssa",
    "loop-mssa(licm)",
    "loop-mssa(loop-rotate)",
    "loop(indvars)",
    "loop-simplify",
    "loop-unroll<O1>",
    "mem2reg",
    "mergereturn",
    "reassociate",
    "sccp",
    "simplifycfg",
    "sink",
    "sroa",
    "tailcallelim",
)
SHORTEST, LONGEST = 1, 8  # passes of a view


def random_pipeline(rng: np.random.Generator) -> str:
    """Draw the pipeline of a view, in the syntax of `opt -passes`."""
    count = int(rng.integers(SHORTEST, LONGEST + 1))
    return f"function({','.join(rng.choice(PASSES, count))})"


def program_view(
    programs: LlvmPrograms, module: Path, out: Path, rng: np.random.Generator
) -> str:
    """Write the module after random passes to `out`; return the pipeline.

    The program behaves as before, as long as LLVM's passes are right, so labels of behaviour stay;
    its size does not, but what -Oz makes of it differs little. Raises LlvmProgramFailed.
    """
    pipeline = random_pipeline(rng)
    programs.opt(pipeline, module, out)
    return pipeline
