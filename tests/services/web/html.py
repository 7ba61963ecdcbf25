"""HTML parser for pages: links, forms with the values they post, visible text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"input", "meta", "link", "img", "br", "hr"})


@dataclass
class Form:
    """A form: its target and the values it posts if unchanged."""

    action: str
    method: str
    enctype: str
    values: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def fill(self, **answers: str | list[str]) -> list[tuple[str, str]]:
        """Return the values to post with some changed; `__` in a name stands for a dot."""
        changed = {name.replace("__", "."): value for name, value in answers.items()}
        values = [(name, value) for name, value in self.values if name not in changed]
        for name, value in changed.items():
            values += [
                (name, one) for one in ([value] if isinstance(value, str) else value)
            ]
        return values


class Page(HTMLParser):
    """A parsed page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}  # text → href of the last link with that text
        self.hrefs: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self._words: list[str] = []
        self._form: Form | None = None
        self._select: tuple[str, list[str], str | None] | None = None
        self._textarea: tuple[str, list[str]] | None = None
        self._link: tuple[str, list[str]] | None = None
        self._skip = 0
        self.feed(text)

    @property
    def text(self) -> str:
        """Visible text, single-spaced."""
        return " ".join(" ".join(self._words).split())

    def form(self, action: str) -> Form:
        """Return the form with this action."""
        matches = [form for form in self.forms if form.action == action]
        assert len(matches) == 1, (
            f"expected one form to {action}, got {[form.action for form in self.forms]}"
        )
        return matches[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = {name: value or "" for name, value in attrs}
        self.tags.append((tag, a))
        if "id" in a:
            self.ids.append(a["id"])
        if tag in ("script", "style"):
            self._skip += 1
        elif tag == "form":
            self._form = Form(
                a.get("action", ""), a.get("method", "get"), a.get("enctype", "")
            )
            self.forms.append(self._form)
        elif tag == "input" and self._form is not None and "name" in a:
            if a.get("type") == "file":
                self._form.files.append(a["name"])
            elif a.get("type") != "checkbox" or "checked" in a:
                self._form.values.append((a["name"], a.get("value", "on")))
        elif tag == "select" and "name" in a:
            self._select = (a["name"], [], None)
        elif tag == "option" and self._select is not None:
            name, options, chosen = self._select
            value = a.get("value", "")
            self._select = (name, [*options, value], value if "selected" in a else chosen)
        elif tag == "textarea":
            self._textarea = (a.get("name", ""), [])
        elif tag == "a" and "href" in a:
            self._link = (a["href"], [])
            self.hrefs.append(a["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._skip -= 1
        elif tag == "form":
            self._form = None
        elif tag == "select" and self._select is not None:
            name, options, chosen = self._select
            if self._form is not None and options:
                self._form.values.append((name, options[0] if chosen is None else chosen))
            self._select = None
        elif tag == "textarea" and self._textarea is not None:
            if self._form is not None:
                self._form.values.append(
                    (self._textarea[0], "".join(self._textarea[1]).removeprefix("\n"))
                )
            self._textarea = None
        elif tag == "a" and self._link is not None:
            self.links[" ".join("".join(self._link[1]).split())] = self._link[0]
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._textarea[1].append(data)
        if self._link is not None:
            self._link[1].append(data)
        if not self._skip:
            self._words.append(data)
