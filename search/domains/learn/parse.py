"""Read a job's files: unpack the archive, and let the learner read the instances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from search.archives import ArchiveLimits, unpack
from search.domains.learn.problem import LearnProblem, merged, require_enough
from search.domains.learn.types import Learner, Source
from search.types import InvalidInput
from trimtab.specs.learn import LearnSpec

Learners = Mapping[str, Callable[[], Learner]]
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz")
LIMITS = ArchiveLimits(members=5_000, total_bytes=512 * 2**20, file_bytes=256 * 2**20)


def parse(
    spec: LearnSpec, inputs: Mapping[str, Path], workdir: Path, learners: Learners
) -> LearnProblem:
    """Read every instance once. Raises InvalidInput."""
    learner = make_learner(spec, learners)
    sources = read_sources(spec, learner, inputs, workdir)
    if spec.measured is not None:
        raise InvalidInput(
            f"measured: expected none for {learner.target}, because {learner.labels_from}, got "
            f"{spec.measured.name or 'measured'!r}; leave it out"
        )
    listed = learner.prepare(sources, spec.options(), workdir)
    instances, repeated = merged(listed)
    require_enough(instances, learner)
    return LearnProblem(
        spec=spec, learner=learner, instances=instances, repeated=repeated
    )


def make_learner(spec: LearnSpec, learners: Learners) -> Learner:
    """Return the learner of the target. Raises InvalidInput when this server has none."""
    make = learners.get(spec.target.value)
    if make is None:
        offered = ", ".join(sorted(learners)) or "none"
        raise InvalidInput(
            f"target: expected one that this server can fit ({offered}), got "
            f"{spec.target.value!r}"
        )
    try:
        return make()
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"target: expected a server that has what {spec.target.value} is fitted with, but "
            f"the package {error.name!r} is not installed there; ask its operator to run "
            "`make setup-torch`"
        ) from None


def read_sources(
    spec: LearnSpec, learner: Learner, inputs: Mapping[str, Path], workdir: Path
) -> list[Source]:
    """Return the uploaded files, or the members of the archive. Raises InvalidInput.

    A file of another name than an archive's is one instance, as if it came in `instances`.
    """
    if spec.archive is None:
        return [
            Source(name=file.name or f"instances.{n}", path=inputs[f"instances.{n}"])
            for n, file in enumerate(spec.instances)
        ]
    name = spec.archive.name or "archive"
    if Path(name).suffix and not name.lower().endswith(_ARCHIVES):
        return [Source(name=name, path=inputs["archive"])]
    tree = unpack(
        inputs["archive"],
        workdir / "instances",
        name=name,
        limits=LIMITS,
    )
    hidden = [name for name in tree.files if Path(name).name.startswith(".")]
    names = [name for name in tree.files if name not in set(hidden)]
    if not names:
        raise InvalidInput(
            "archive: expected files with instances, got hidden files only"
        )
    most = learner.most_sources
    if most is not None and len(names) > most:
        raise InvalidInput(
            f"archive: expected at most {most} instances, got {len(names)}; a few "
            "dozen are enough, send fewer"
        )
    return [Source(name=name, path=tree.folder / name) for name in names]
