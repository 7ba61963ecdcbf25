"""Sizes before and after, written for each program where TRIMTAB_CC_REPORT names a folder."""

from __future__ import annotations

import json
from pathlib import Path

from trimtab.flash.report import markdown
from trimtab.flash.treemap import draw_comparison
from trimtab.flash.usage import Usage


def write_report(folder: Path, program: Path, before: Usage, after: Usage) -> None:
    """Write both usages as JSON, their table as Markdown and a tree map as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    for when, usage in (("before", before), ("after", after)):
        text = json.dumps(usage.as_json(), indent=1)
        (folder / f"{program.name}.{when}.json").write_text(text, encoding="utf-8")
    text = f"### {program.name}\n\n{markdown(after, before=before)}\n"
    (folder / f"{program.name}.md").write_text(text, encoding="utf-8")
    picture = draw_comparison(before, after, title=program.name)
    (folder / f"{program.name}.svg").write_text(picture, encoding="utf-8")
