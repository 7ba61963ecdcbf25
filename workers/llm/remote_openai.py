"""`TextModel` over an endpoint with OpenAI's protocol: vLLM, llama.cpp, a hosted service, or ours.

What comes from the endpoint is bounded in size and time and checked before it is used; a wrong
answer is ModelUnavailable and is never repaired. The key goes to this endpoint alone and into no
message.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from search.stop import StoppingCriterion
from search.text_model import (
    Capabilities,
    Ended,
    Finish,
    LogitHook,
    ModelBusy,
    ModelUnavailable,
    PromptTooLong,
    TextModelError,
    TextRequest,
    Token,
)
from workers.llm.remote_answers import RemoteAnswer, echoed
from workers.llm.remote_stream import Limits, Stopped, read_body, read_events
from workers.llm.sampling import check

Json = dict[str, Any]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_UNKNOWN_CONTEXT = 131_072  # the endpoint itself refuses what it cannot take
_MAX_REWRITES = 3
# Left out when an endpoint refuses them: they do not change the text.
_OPTIONAL = ("logprobs", "top_logprobs", "stream_options")


@dataclass(frozen=True, kw_only=True)
class RemoteOptions:
    """Address of an endpoint, and its limits."""

    url: str  # of its root, as https://host/v1; `#name` chooses a model
    key: str = field(default="", repr=False)
    allowed_hosts: tuple[str, ...] | None = None  # None: any
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Raise ModelUnavailable for a URL that is not allowed."""
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise self._bad(f"a URL, got an error: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise self._bad("https:// and a host")
        if parts.username is not None or parts.password is not None:
            raise self._bad("no user name or password in it; set TRIMTAB_TEXT_API_KEY")
        if parts.scheme == "http" and host not in _LOOPBACK:
            raise self._bad("https:// for a host other than this machine")
        if parts.query:
            raise self._bad("no query")
        allowed = self.allowed_hosts
        if allowed is not None and host not in [name.strip() for name in allowed]:
            raise self._bad("a host of TRIMTAB_TEXT_ALLOWED_HOSTS; add it there")

    def _bad(self, expected: str) -> ModelUnavailable:
        # Without what may be secret.
        shown = self.url.partition("#")[0].rpartition("@")[2].partition("?")[0][:100]
        return ModelUnavailable(
            f"text model 'openai:URL': expected {expected}, got {shown!r}"
        )

    @property
    def root(self) -> str:
        """The URL without the model's name."""
        return self.url.partition("#")[0].rstrip("/")

    @property
    def model(self) -> str:
        """The model's name, empty to take the endpoint's first."""
        return self.url.partition("#")[2]


class OpenAITextModel:
    """Adapter `openai:URL`."""

    def __init__(self, options: RemoteOptions) -> None:
        """Prepare; nothing is sent before the first call."""
        self._options = options
        self._model = options.model
        self._left_out: set[str] = set()
        self._renamed = False  # max_tokens is called max_completion_tokens
        headers = {
            "User-Agent": "trimtab/1",
            "Accept": "text/event-stream, application/json",
        }
        if options.key:
            headers["Authorization"] = f"Bearer {options.key}"
        limits = options.limits
        self._client = httpx2.Client(
            headers=headers,
            follow_redirects=False,
            timeout=httpx2.Timeout(limits.silence_s, connect=limits.connect_s),
        )

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of an endpoint; its model is known after the first call."""
        return Capabilities(
            name=self._model or urlsplit(self._options.root).hostname or "openai",
            context_tokens=_UNKNOWN_CONTEXT,
            logprobs="logprobs" not in self._left_out,
            hooks=False,
            local=False,
            streams=16,
            details={"endpoint": self._options.root},
        )

    def tokenize(self, text: str) -> list[int]:
        """Raise TextModelError: the protocol has no tokenizer."""
        raise TextModelError(
            "tokenize: expected a local model, got an endpoint, whose tokenizer is not known here; "
            "use embedded or checkpoint:/folder"
        )

    def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        stop: StoppingCriterion | None = None,
        hook: LogitHook | None = None,
    ) -> Iterator[Token]:
        """Yield tokens as they come; `ended` is complete when the stream is exhausted.

        An endpoint does not give the numbers of its tokens: `id` is -1. Without log-probabilities a
        token is what comes in one event. Raises TextModelError.
        """
        if hook is not None:
            raise TextModelError(
                "hook: expected none for an endpoint, which gives no logits; use a local model"
            )
        if request.control:
            raise TextModelError(
                "control: expected no conditions for an endpoint, which gives no logits; use the "
                "embedded model"
            )
        check(request.sampling)
        if bool(request.messages) == (request.prompt is not None):
            both = "both" if request.messages else "neither"
            raise TextModelError(f"request: expected messages or prompt, got {both}")
        path = "/completions" if request.prompt is not None else "/chat/completions"
        body = self._body(request)
        _check_text(body)
        return self._stream(path, body, request, ended, stop)

    def _stream(
        self,
        path: str,
        body: Json,
        request: TextRequest,
        ended: Ended,
        stop: StoppingCriterion | None,
    ) -> Iterator[Token]:
        answer = RemoteAnswer(chat=path.startswith("/chat"))
        try:
            for event in self._events(path, body, stop):
                yield from answer.tokens(event)
        except Stopped:
            ended.finish = Finish.CANCELLED
            ended.usage = answer.usage()
            return
        if answer.finish is None:
            raise self._unavailable("its answer ended before it was complete")
        schema = request.grammar is not None and request.grammar.json_schema is not None
        if schema and answer.finish is Finish.STOP and not _is_json(answer.text):
            raise self._unavailable("its answer to a JSON schema is not JSON")
        ended.finish, ended.usage = answer.finish, answer.usage()

    def _events(
        self, path: str, body: Json, stop: StoppingCriterion | None
    ) -> Iterator[Json]:
        """Yield the events of one answer. Fields that this endpoint refuses are left out."""
        body = {"model": self._name(stop), **body}
        for _ in range(_MAX_REWRITES):
            sent = self._accepted(body)
            try:
                yield from self._post(path, sent, stop)
                return
            except _RefusedField as refused:
                if refused.name == "max_tokens":
                    self._renamed = True
                else:
                    self._left_out.add(refused.name)
        yield from self._post(path, self._accepted(body), stop)

    def _accepted(self, body: Json) -> Json:
        sent = {name: v for name, v in body.items() if name not in self._left_out}
        if "logprobs" not in sent:
            sent.pop("top_logprobs", None)
        if self._renamed and "max_tokens" in sent:
            sent["max_completion_tokens"] = sent.pop("max_tokens")
        return sent

    def _post(
        self, path: str, body: Json, stop: StoppingCriterion | None
    ) -> Iterator[Json]:
        try:
            request = self._client.build_request(
                "POST", self._options.root + path, json=body
            )
            for event in read_events(
                self._client, request, limits=self._options.limits, stop=stop
            ):
                if "error" in event:
                    raise self._unavailable(f"it reports: {self._told(event)}")
                yield event
        except httpx2.HTTPStatusError as error:
            raise self._refusal(
                error.response.status_code, error.response.content, body
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise self._unreachable(error) from None
        except ValueError as error:
            raise self._unavailable(str(error)[:200]) from None

    def _unreachable(self, error: Exception) -> ModelUnavailable:
        reason = self._masked(str(error)) or type(error).__name__
        return self._unavailable(f"it cannot be reached: {reason[:200]}")

    def _unavailable(self, reason: str) -> ModelUnavailable:
        return ModelUnavailable(
            f"text model {self._options.root}: expected an endpoint with OpenAI's protocol, but "
            f"{reason}; check the URL and the endpoint's own log"
        )

    def _masked(self, text: str) -> str:
        if self._options.key:
            text = text.replace(self._options.key, "***")
        return "".join(c if c.isprintable() else " " for c in text)

    def _told(self, content: Json) -> str:
        """Return the message of an error object, bounded and without the key."""
        error = content.get("error", content)
        message = error.get("message", error) if isinstance(error, Mapping) else error
        return self._masked(str(message))[:300]

    def _refusal(self, status: int, content: bytes, body: Json) -> Exception:
        """Return the error for a status that is not success."""
        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = {}
        message = (
            self._told(parsed)
            if isinstance(parsed, dict) and parsed
            else f"status {status}"
        )
        if status in (401, 403):
            return ModelUnavailable(
                f"text model {self._options.root}: the endpoint refuses the key: {message}; set "
                "TRIMTAB_TEXT_API_KEY"
            )
        if status == 429 or (status == 503 and parsed):
            return ModelBusy(
                f"text model {self._options.root}: the endpoint is busy: {message}; try again later"
            )
        if status in (400, 404, 413, 422):
            names = [n for n in (*_OPTIONAL, "max_tokens") if n in message and n in body]
            if status != 404 and names:
                return _RefusedField(names[0])
            if "context" in message.lower() or status == 413:
                return PromptTooLong(
                    f"messages: the endpoint refuses them: {message}; shorten them or lower "
                    "max_tokens"
                )
            if status != 404:
                return TextModelError(
                    f"text model {self._options.root}: refused: {message}"
                )
        return self._unavailable(f"it answers {message}")

    def _name(self, stop: StoppingCriterion | None) -> str:
        """Return the model's name; the endpoint's first when none is configured."""
        if not self._model:
            listed = self._get("/models", stop).get("data")
            first = listed[0] if isinstance(listed, list) and listed else None
            name = first.get("id") if isinstance(first, dict) else None
            if not isinstance(name, str) or not 0 < len(name) <= 300:
                raise self._unavailable("it lists no model")
            self._model = name
        return self._model

    def _get(self, path: str, stop: StoppingCriterion | None) -> Json:
        return self._whole(
            self._client.build_request("GET", self._options.root + path), {}, stop
        )

    def _whole(
        self, request: httpx2.Request, body: Json, stop: StoppingCriterion | None
    ) -> Json:
        """Return an answer that is one JSON object."""
        limits = self._options.limits
        try:
            content = json.loads(
                read_body(self._client, request, limits=limits, stop=stop)
            )
        except httpx2.HTTPStatusError as error:
            raise self._refusal(
                error.response.status_code, error.response.content, body
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise self._unreachable(error) from None
        except (ValueError, RecursionError):
            raise self._unavailable("its answer is not JSON") from None
        if not isinstance(content, dict):
            raise self._unavailable("its answer is not a JSON object")
        return content

    def _body(self, request: TextRequest) -> Json:
        """Return the request in OpenAI's terms, without the model. Raises TextModelError."""
        sampling = request.sampling
        body: Json = {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if sampling.min_p > 0:
            body["min_p"] = sampling.min_p
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if request.prompt is not None:
            body |= {"prompt": request.prompt, "logprobs": sampling.top_logprobs}
        else:
            turns = [{"role": m.role, "content": m.text} for m in request.messages]
            body |= {"messages": turns, "logprobs": True}
            if sampling.top_logprobs:
                body["top_logprobs"] = sampling.top_logprobs
        grammar = request.grammar
        if grammar is not None:
            if grammar.json_schema is None:
                raise TextModelError(
                    "grammar: expected a JSON schema, the one grammar of OpenAI's protocol, got "
                    f"{'choices' if grammar.choices is not None else 'a regex'}; write a schema"
                )
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": "answer",
                    "strict": True,
                    "schema": grammar.json_schema,
                },
            }
        return body

    def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Return the log-probability of each continuation after a prompt, in nats.

        From /completions with `echo`, which vLLM and llama.cpp know and hosted services do not.
        """
        return [self._score(prompt, text) for text in continuations]

    def _score(self, prompt: str, continuation: str) -> float:
        body = {
            "model": self._name(None),
            "prompt": prompt + continuation,
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": 0,
            "echo": True,
        }
        request = self._client.build_request(
            "POST", f"{self._options.root}/completions", json=body
        )
        try:
            answer = self._whole(request, {}, None)
        except (PromptTooLong, ModelBusy, ModelUnavailable):
            raise
        except TextModelError as error:
            raise TextModelError(
                f"score: expected an endpoint whose /completions takes `echo`: {error}; use a "
                "local model"
            ) from None
        total, counted = 0.0, 0
        for at, text, logprob in echoed(answer):
            inside = at + len(text) > len(prompt) and at < len(prompt) + len(continuation)
            if inside:
                if logprob is None:
                    raise self._unavailable("it gives no log-probability for a token")
                total += logprob
                counted += 1
        if continuation and not counted:
            raise TextModelError(
                "score: expected log-probabilities of the prompt, got none; use a local model"
            )
        return total

    def close(self) -> None:
        """Close connections."""
        self._client.close()


class _RefusedField(Exception):
    """The endpoint refuses a field of the request that can be left out or renamed."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


def _check_text(body: Json) -> None:
    """Raise TextModelError for text that UTF-8 cannot hold."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise TextModelError(
            "text: expected valid Unicode, got a lone surrogate; remove it"
        ) from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
