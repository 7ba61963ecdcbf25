"""An endpoint with OpenAI's protocol over a text model, and faults that it can be told to have."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from search.text_model import (
    Ended,
    Finish,
    Grammar,
    Message,
    PromptTooLong,
    Sampling,
    TextModel,
    TextModelError,
    TextRequest,
    Token,
)

Json = dict[str, Any]


class Endpoint:
    """A running server. `fault` changes how it answers; `seen` keeps what was sent."""

    def __init__(self, model: TextModel | None) -> None:
        self.model = model
        self.fault = ""
        self.seen: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.endpoint = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def running(model: TextModel | None = None) -> Iterator[Endpoint]:
    endpoint = Endpoint(model)
    try:
        yield endpoint
    finally:
        endpoint.close()


def _request(body: Json) -> TextRequest:
    grammar = body.get("response_format")
    return TextRequest(
        messages=tuple(
            Message(role=turn["role"], text=turn["content"])
            for turn in body.get("messages", ())
        ),
        prompt=body.get("prompt"),
        sampling=Sampling(
            max_tokens=body.get("max_tokens", body.get("max_completion_tokens")),
            temperature=body["temperature"],
            top_p=body["top_p"],
            seed=body["seed"],
            stop=tuple(body.get("stop", ())),
            top_logprobs=body.get("top_logprobs", 0),
        ),
        grammar=Grammar(json_schema=grammar["json_schema"]["schema"])
        if grammar
        else None,
    )


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    @property
    def endpoint(self) -> Endpoint:
        found: Endpoint = self.server.endpoint  # type: ignore[attr-defined]
        return found

    def do_GET(self) -> None:
        self.answer(200, json.dumps({"data": [{"id": "stub-model"}]}).encode())

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        self.endpoint.seen.append(body)
        self.endpoint.headers.append(dict(self.headers))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            fault = getattr(self, f"fault_{self.endpoint.fault or 'none'}")
            fault(body)

    def answer(self, status: int, content: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, status: int, message: str) -> None:
        self.answer(status, json.dumps({"error": {"message": message}}).encode())

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def event(self, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        self.wfile.write(f"data: {text}\n\n".encode())
        self.wfile.flush()

    # What it does when told nothing.

    def fault_none(self, body: Json) -> None:
        model = self.endpoint.model
        assert model is not None
        if body.get("echo"):
            self.echo(model, body["prompt"])
            return
        ended = Ended()
        try:
            stream = model.generate(_request(body), ended)
            first = next(stream, None)
        except PromptTooLong as error:
            self.refuse(400, f"maximum context length: {error}")
            return
        except TextModelError as error:
            self.refuse(400, str(error))
            return
        self.begin()
        chat = self.path.endswith("/chat/completions")
        for token in [first, *stream] if first is not None else []:
            self.event({"choices": [_choice(token, chat=chat)]})
        assert ended.usage is not None
        reason = "length" if ended.finish is Finish.LENGTH else "stop"
        last = {"delta": {}} if chat else {"text": ""}
        self.event({"choices": [{**last, "finish_reason": reason}]})
        usage = {
            "prompt_tokens": ended.usage.prompt_tokens,
            "completion_tokens": ended.usage.completion_tokens,
        }
        self.event({"choices": [], "usage": usage})
        self.event("[DONE]")

    def echo(self, model: TextModel, text: str) -> None:
        engine: Any = model.engine  # type: ignore[attr-defined]
        ids = engine.tokenizer.encode(text)
        values = [engine.score(ids[:t], [ids[t : t + 1]])[0] for t in range(1, len(ids))]
        tokens = [engine.tokenizer.token_bytes(i).decode("utf-8", "replace") for i in ids]
        found = {"tokens": tokens, "token_logprobs": [None, *values]}
        self.answer(200, json.dumps({"choices": [{"logprobs": found}]}).encode())

    # Faults.

    def fault_garbage(self, body: Json) -> None:
        self.answer(200, b"<html>welcome</html>", "text/html")

    def fault_half(self, body: Json) -> None:
        self.begin()
        self.event({"choices": [{"delta": {"content": "The"}}]})

    def fault_broken_event(self, body: Json) -> None:
        self.begin()
        self.event("{not json")

    def fault_wrong_shape(self, body: Json) -> None:
        self.begin()
        self.event({"choices": [{"delta": {"content": 7}}]})

    def fault_reports(self, body: Json) -> None:
        self.begin()
        self.event({"error": {"message": "out of memory at line 7"}})

    def fault_silent(self, body: Json) -> None:
        self.begin()
        self.event({"choices": [{"delta": {"content": "The"}}]})
        time.sleep(3.0)

    def fault_flood(self, body: Json) -> None:
        self.begin()
        for _ in range(1000):
            self.event({"choices": [{"delta": {"content": "a" * 10_000}}]})

    def fault_long_line(self, body: Json) -> None:
        self.begin()
        for _ in range(1000):
            self.wfile.write(b"data: " + b"a" * 10_000)

    def fault_key(self, body: Json) -> None:
        self.refuse(401, f"Incorrect API key: {self.headers['Authorization']}")

    def fault_busy(self, body: Json) -> None:
        self.refuse(429, "rate limit")

    def fault_down(self, body: Json) -> None:
        self.answer(502, b"bad gateway", "text/plain")

    def fault_moved(self, body: Json) -> None:
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def fault_not_json(self, body: Json) -> None:
        self.begin()
        self.event(
            {"choices": [{"delta": {"content": '{"kind": '}, "finish_reason": "stop"}]}
        )
        self.event("[DONE]")

    def fault_narrow(self, body: Json) -> None:
        """Refuse fields, as some services do."""
        for name, message in (
            ("logprobs", "logprobs are not supported"),
            ("stream_options", "Unrecognized request argument: stream_options"),
            ("max_tokens", "Unsupported parameter: 'max_tokens'"),
        ):
            if name in body:
                self.refuse(400, message)
                return
        self.begin()
        self.event({"choices": [{"delta": {"content": "yes"}, "finish_reason": "stop"}]})
        self.event("[DONE]")


def _choice(token: Token, *, chat: bool) -> Json:
    top = [{"token": text, "logprob": value} for text, value in token.top]
    if chat:
        entry = {"token": token.text, "logprob": token.logprob, "top_logprobs": top}
        return {"delta": {"content": token.text}, "logprobs": {"content": [entry]}}
    found = {"tokens": [token.text], "token_logprobs": [token.logprob]}
    return {"text": token.text, "logprobs": found}
