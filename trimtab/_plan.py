# Generated from trimtab/_plan_aio.py by deploy/tools/unasync.py. Edit that file, then run
# `python deploy/tools/unasync.py`.

"""The blocking handle of a plan: its outline, edits, answers, approval and report.

`_plan_aio.py` is its asyncio twin.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab import _core, _twins, edits
from trimtab.client import Client, Job
from trimtab.errors import Conflict, JobFailed, NotFound, WaitTimeout
from trimtab.outlines import LeafValue, open_questions, outline_text, values_of
from trimtab.plans import Leaf, Outline, OutlineView
from trimtab.results import JobState, JobView

REPORT = "report.md"
POLL_S = 1.0  # a plan may go to rest, or to work, between two looks


class Plan(Job):
    """The handle of a plan.

    `seen` is the outline that was last read. Edits, answers and an approval name its revision, so
    what is approved is what was read; Conflict says that it has changed since.
    """

    def __init__(self, client: Client, view: JobView) -> None:
        super().__init__(client, view)
        self.seen: OutlineView | None = None

    def __repr__(self) -> str:
        return f"<Plan {self.id} {self.view.state}>"

    def _repr_html_(self) -> str:
        from trimtab.notebook import job_html, outline_html

        if self.seen is None:
            return job_html(self.view)
        return job_html(self.view) + outline_html(self.seen.outline)

    def read(self, timeout_s: float | None = None) -> OutlineView:
        """Fetch the newest outline with its revision and digest; waits until it is made.

        Raises JobFailed when the goal could not be planned, and WaitTimeout.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self.refresh()
            working = self.view.state in (JobState.QUEUED, JobState.RUNNING)
            try:
                seen = self._outline()
            except (NotFound, Conflict):
                if self.view.state.is_terminal:
                    raise JobFailed(self.view) from None
            else:
                # After an answer the outline is made again; once it has jobs, it stays.
                if seen.jobs or not working:
                    self.seen = seen
                    return seen
            if until is not None and timeout_s is not None and time.monotonic() >= until:
                raise WaitTimeout(self.view, timeout_s)
            self._poll()

    @property
    def outline(self) -> Outline:
        """The newest outline; waits until it is made. Raises JobFailed."""
        return (self.read()).outline

    @property
    def leaves(self) -> dict[str, PlanLeaf]:
        """The jobs of the newest outline, by their ids in it (`l1`)."""
        seen = self.read()
        return {name: PlanLeaf(self, name) for name in seen.outline.leaves}

    @property
    def text(self) -> str:
        """The newest outline as text: tree, values with their words, questions."""
        return outline_text((self.read()).outline)

    def edit(self, patch: Sequence[Mapping[str, Any]]) -> OutlineView:
        """Change the outline by a JSON patch (RFC 6902): all of it, or nothing.

        Pointers may lead into `/leaves/*/spec`, `/leaves/*/budget`, `/leaves/*/seed`,
        `/leaves/*/enabled`, `/edges` and `/answers`. Raises InvalidBody with the pointer and the
        remedy, and Conflict when the outline has changed since it was read.
        """
        seen = self._known()
        sent = _core.call(
            "edit_outline",
            id=self.id,
            body=list(map(dict, patch)),
            headers={
                "Content-Type": "application/json-patch+json",
                "If-Match": str(seen.revision),
            },
        )
        self.seen = _core.parse(OutlineView, self._client._send(sent))
        return self.seen

    def answer(self, answers: Mapping[str, str]) -> JobView:
        """Answer the outline's questions, by their ids; the outline is then made again.

        Raises ValueError for the id of no question, and Conflict.
        """
        seen = self._known()
        unknown = sorted(set(answers) - set(seen.outline.questions))
        if unknown:
            raise ValueError(
                f"answers: expected ids of questions "
                f"({', '.join(seen.outline.questions) or 'there is none'}), got {unknown[0]!r}"
            )
        body = {"revision": seen.revision, "answers": dict(answers)}
        self._client._send(_core.call("answer_outline", id=self.id, body=body))
        return self.refresh()

    def approve(self) -> JobView:
        """Start the jobs of the outline that was last read.

        Raises Conflict when it has changed since, and ValueError while a question is open.
        """
        seen = self._known()
        if open_ := open_questions(seen.outline):
            raise ValueError(
                f"approve: expected no open question, got {', '.join(open_)}; "
                f"answer first: plan.answer({{{open_[0]!r}: ...}})"
            )
        body = {"revision": seen.revision, "digest": seen.digest}
        self._client._send(_core.call("approve_outline", id=self.id, body=body))
        return self.refresh()

    @property
    def jobs(self) -> dict[str, Job]:
        """The jobs of the approved outline, by leaf; empty before."""
        seen = self.read()
        return {leaf: self._client.job(job_id) for leaf, job_id in seen.jobs.items()}

    @property
    def report(self) -> str:
        """The report as Markdown. Waits for the plan's end.

        `download` fetches it as a file: `report.md`, `report.html`, `report.pdf`, `ledger.json`.
        Raises JobAtRest while the plan waits for its owner, and JobFailed.
        """
        with tempfile.TemporaryDirectory(prefix="trimtab-report-") as folder:
            path = self.download(REPORT, Path(folder) / REPORT)
            return (_twins.read_bytes(path)).decode()

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Fetch every file of the report into a folder, which is made if needed."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        result = self.result()
        return [self.download(name, folder) for name in sorted(result.artifacts)]

    def _known(self) -> OutlineView:
        """Return the outline that was last read; reads it if none was."""
        return self.seen if self.seen is not None else self.read()

    def _outline(self) -> OutlineView:
        answer = self._client._send(_core.call("outline", id=self.id))
        return _core.parse(OutlineView, answer)

    def _poll(self) -> None:
        sent = _core.call("wait", id=self.id, params={"timeout_s": POLL_S})
        self.view = _core.parse(JobView, self._client._send(sent))
        if self.view.state.is_resting or self.view.state.is_terminal:
            _twins.sleep(POLL_S / 4)  # the answer came at once


class PlanLeaf:
    """A job of an outline. Its values are those of the outline that was last read."""

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan = plan
        self.name = name

    def __repr__(self) -> str:
        leaf = self.leaf
        dropped = "" if leaf.enabled else " (dropped)"
        return f"<PlanLeaf {self.name} {leaf.kind}: {leaf.title}{dropped}>"

    @property
    def leaf(self) -> Leaf:
        """The leaf as data."""
        return self._outline.leaves[self.name]

    @property
    def values(self) -> list[LeafValue]:
        """Its values with the words of the goal that they come from."""
        return values_of(self._outline, self.leaf)

    def set(self, path: str, value: Any) -> OutlineView:
        """Change a value, e.g. `set("spec.engine", "scip")` or `set("budget.seconds", 30.0)`.

        Raises KeyError for a path whose parent does not exist, InvalidBody for a value that the
        kind refuses, and Conflict.
        """
        return self._plan.edit(edits.set_value(self._request, self.name, path, value))

    def remove(self, path: str) -> OutlineView:
        """Remove a value, so that its default applies. Raises as `set`."""
        return self._plan.edit(edits.remove_value(self._request, self.name, path))

    def drop(self) -> OutlineView:
        """Leave this job out, and those that need it."""
        return self.set("enabled", False)

    def restore(self) -> OutlineView:
        """Take a dropped job in again."""
        return self.set("enabled", True)

    @property
    def _outline(self) -> Outline:
        seen = self._plan.seen
        assert seen is not None  # leaves come from an outline that was read
        return seen.outline

    @property
    def _request(self) -> dict[str, Any]:
        return self.leaf.model_dump(mode="json")
