"""`trimtab chat`: talk with the server's language model in a terminal."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.cli.terminal import SLOW_S, AsJson, out, say
from trimtab.cli.terminal import client as connect
from trimtab.client import Client
from trimtab.text import LanguageModel, TextAnswer

_HELP = (
    "commands: /new forgets the conversation, /system TEXT sets its instructions, /usage shows "
    "the tokens of the last answer, /exit ends (also Ctrl-D); Ctrl-C cancels an answer"
)


def chat(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(help="Question. Without one: stdin, or a conversation on a TTY."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Name of the model. Default: the server's.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="Instructions to the model.")] = None,
    json_schema: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="JSON schema that each answer fits."
        ),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Most tokens of an answer.")
    ] = 512,
    temperature: Annotated[
        float, typer.Option(min=0, max=2, help="0 always takes the likeliest token.")
    ] = 0.2,
    seed: Annotated[int | None, typer.Option(help="Seed of the draws.")] = None,
    cache: Annotated[
        str | None,
        typer.Option(help="POLICY or POLICY:SLOTS of the model's cache, e.g. h2o:512."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Talk with the server's language model. Ctrl-C cancels an answer."""
    options: dict[str, Any] = {
        "model": model,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": 0.9,
        "seed": seed,
        "json_schema": None
        if json_schema is None
        else json.loads(json_schema.read_text()),
        "cache": None if cache is None else _cache(cache),
    }
    question = " ".join(prompt or ())
    if not question and not sys.stdin.isatty():
        question = sys.stdin.read().strip()
        if not question:
            raise typer.BadParameter("PROMPT: expected text on stdin, got none")
    with connect() as client:
        talk = Conversation(client, options, system=system)
        if not question:
            _converse(talk)
            return
        if as_json:
            answer = client.chat(talk.with_question(question), **options)
            out(answer.model_dump(mode="json"))
            return
        if not talk.ask(question):
            raise typer.Exit(130)


def _cache(text: str) -> dict[str, Any]:
    policy, _, slots = text.partition(":")
    if slots and not slots.isdigit():
        raise typer.BadParameter(f"--cache: expected POLICY:SLOTS, got {text!r}")
    return {"policy": policy, **({"slots": int(slots)} if slots else {})}


class Conversation:
    """The messages so far, and how to ask."""

    def __init__(
        self, client: Client, options: dict[str, Any], *, system: str | None
    ) -> None:
        self._client = client
        self._options = options
        self.system = system
        self.messages: list[dict[str, Any]] = []
        self.last: TextAnswer | None = None

    def about(self) -> LanguageModel:
        """Return the model that answers. Raises NotFound."""
        return self._client.model(self._options["model"] or "default")

    def with_question(self, question: str) -> list[dict[str, Any]]:
        """Return the messages of a request."""
        # Instructions are pinned: the model's cache keeps them when it forgets.
        system = {"role": "system", "content": self.system, "pinned": True}
        first = [system] if self.system else []
        return [*first, *self.messages, {"role": "user", "content": question}]

    def ask(self, question: str) -> bool:
        """Print the answer as it comes; False when Ctrl-C cancelled it.

        A cancelled question leaves the conversation as it was.
        """
        text = ""
        stream = self._client.chat_stream(self.with_question(question), **self._options)
        slow = threading.Timer(SLOW_S, say, ["trimtab: waiting for the model"])
        slow.daemon = True
        slow.start()
        try:
            with contextlib.closing(stream) as chunks:  # type: ignore[type-var]
                for chunk in chunks:
                    slow.cancel()
                    text += chunk.text
                    print(chunk.text, end="", flush=True)
                    self.last = chunk
        except KeyboardInterrupt:
            print(flush=True)
            say("cancelled")
            return False
        finally:
            slow.cancel()
        print(flush=True)
        self.messages += [
            {"role": "user", "content": question},
            {"role": "assistant", "content": text},
        ]
        return True


def _converse(talk: Conversation) -> None:
    """Ask for questions until the end of input."""
    with contextlib.suppress(ImportError):
        # Line editing and history of input().
        import readline  # noqa: F401
    about = talk.about()
    say(
        f"{about.id}, {about.about.get('context_tokens', '?')} tokens of context; {_HELP}"
    )
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            print(flush=True)
            return
        except KeyboardInterrupt:
            print(flush=True)
            continue
        word, _, rest = line.partition(" ")
        match word:
            case "":
                continue
            case "/exit" | "/quit":
                return
            case "/new":
                talk.messages.clear()
            case "/system":
                talk.system = rest.strip() or None
            case "/usage":
                usage = None if talk.last is None else talk.last.usage
                say("no answer yet" if usage is None else usage.model_dump_json())
            case _ if word.startswith("/"):
                say(f"unknown command {word!r}; {_HELP}")
            case _:
                talk.ask(line)
