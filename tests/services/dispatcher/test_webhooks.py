"""Webhook deliveries to a real receiver: signed, to allowed addresses, retried, given up."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.dispatcher import webhooks
from services.dispatcher.webhooks import MAX_TRIES, OutboxSender, load_secret
from services.settings import Settings
from services.store.types import Completion, NewJob, OutboxRecord
from services.webhook_policy import WebhookRefused, check_address, check_url, sign
from tests.doubles.memory_store import MemoryStore


class Receiver:
    """A small HTTP server with scripted answers that records its requests."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.port = 0
        self._serving: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Receiver:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _begin(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.append(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            k.lower(): v.strip()
            for k, _, v in (line.partition(":") for line in head[1:] if line)
        }
        self.requests.append(
            (headers, await reader.readexactly(int(headers["content-length"])))
        )
        answer = self._answers.pop(0) if self._answers else b"200 OK"
        if answer == b"drip":
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while not writer.is_closing():
                writer.write(b"X-A: b\r\n")
                await asyncio.sleep(0.05)
        elif answer == b"endless":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                while not writer.is_closing():
                    writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                    await writer.drain()
            except ConnectionError:
                pass
        else:
            writer.write(
                b"HTTP/1.1 "
                + answer
                + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def due(store: MemoryStore, url: str) -> None:
    """Finish one job that has a webhook."""
    await store.submit(
        NewJob(
            tenant="a",
            kind="probe",
            spec={},
            budget={"seconds": 1.0},
            seed=0,
            webhook={"url": url},
        )
    )
    (claim,) = await store.claim("w", kinds=["probe"], lease_s=30)
    done = Completion(
        verb="succeed",
        termination={"reason": "completed"},
        outcome="result",
        result={"objective": 1},
    )
    await store.complete(claim.job.id, claim.fence, done)


class Clock:
    def __init__(self) -> None:
        self.us = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.us


def deliver(
    folder: Path,
    body: Callable[[MemoryStore, OutboxSender, Clock], Awaitable[None]],
    *allowed: str,
) -> None:
    async def whole() -> None:
        clock = Clock()
        store = MemoryStore(clock=clock)
        settings = Settings(data_dir=folder, webhook_allowed_hosts=allowed)
        async with asyncio.timeout(20):
            await body(store, OutboxSender(store=store, settings=settings), clock)

    asyncio.run(whole())


async def left(store: MemoryStore, clock: Clock) -> list[OutboxRecord]:
    clock.us += 10_000_000_000
    return await store.outbox_due(lock_s=0)


def test_delivery_is_signed_over_its_time_and_body(tmp_path: Path) -> None:
    async def body(store: MemoryStore, sender: OutboxSender, clock: Clock) -> None:
        async with Receiver() as receiver:
            await due(store, f"http://127.0.0.1:{receiver.port}/hook?a=b")
            await sender.send_due()
            ((headers, content),) = receiver.requests
        parts = dict(
            part.split("=", 1) for part in headers["trimtab-signature"].split(",")
        )
        secret = load_secret(tmp_path)
        assert abs(int(parts["t"]) - time.time()) < 60
        expected = hmac.new(
            secret, parts["t"].encode() + b"." + content, hashlib.sha256
        ).hexdigest()
        assert hmac.compare_digest(parts["v1"], expected)
        assert json.loads(content)["state"] == "SUCCEEDED"
        assert headers["host"] == f"127.0.0.1:{receiver.port}"
        assert await left(store, clock) == []

    deliver(tmp_path, body, "127.0.0.1")


def test_secret_is_made_once_and_private(tmp_path: Path) -> None:
    assert load_secret(tmp_path) == load_secret(tmp_path)
    assert (tmp_path / "webhook.key").stat().st_mode & 0o777 == 0o600


def test_private_addresses_are_refused_and_not_tried_again(tmp_path: Path) -> None:
    async def body(store: MemoryStore, sender: OutboxSender, clock: Clock) -> None:
        async with Receiver() as receiver:
            await due(store, f"http://127.0.0.1:{receiver.port}/")
            await sender.send_due()
            assert receiver.requests == []
        assert await left(store, clock) == []

    deliver(tmp_path, body)


def test_name_that_leads_to_a_private_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(store: MemoryStore, sender: OutboxSender, clock: Clock) -> None:
        async with Receiver() as receiver:

            async def rebinding(*_: object, **__: object) -> list[tuple[object, ...]]:
                public = (2, 1, 6, "", ("93.184.215.14", receiver.port))
                return [public, (2, 1, 6, "", ("127.0.0.1", receiver.port))]

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebinding)
            await due(store, f"http://innocent.example:{receiver.port}/")
            await sender.send_due()
            assert receiver.requests == []
        assert await left(store, clock) == []

    deliver(tmp_path, body)


@pytest.mark.parametrize("answer", [b"500 Broken", b"302 Found", b"drip"])
def test_failures_and_redirects_are_tried_again(
    tmp_path: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_S", 0.5)

    async def body(store: MemoryStore, sender: OutboxSender, clock: Clock) -> None:
        async with Receiver(answer) as receiver:
            await due(store, f"http://127.0.0.1:{receiver.port}/")
            await sender.send_due()
            await sender.send_due()  # not due yet
            assert len(receiver.requests) == 1
            clock.us += 10_000_000
            await sender.send_due()
            assert len(receiver.requests) == 2
            assert receiver.requests[0][1] == receiver.requests[1][1]
        assert await left(store, clock) == []

    deliver(tmp_path, body, "127.0.0.1")


def test_endless_answer_is_not_read(tmp_path: Path) -> None:
    async def body(store: MemoryStore, sender: OutboxSender, clock: Clock) -> None:
        async with Receiver(b"endless") as receiver:
            await due(store, f"http://127.0.0.1:{receiver.port}/")
            async with asyncio.timeout(60):
                await sender.send_due()
        assert await left(store, clock) == []

    deliver(tmp_path, body, "127.0.0.1")


def test_a_delivery_is_given_up_after_the_last_try(tmp_path: Path) -> None:
    async def body(store: MemoryStore, sender: OutboxSender, clock: Clock) -> None:
        async with Receiver(*[b"500 Broken"] * (MAX_TRIES + 5)) as receiver:
            await due(store, f"http://127.0.0.1:{receiver.port}/")
            gaps = []
            for _ in range(MAX_TRIES + 5):
                await sender.send_due()
                rows = list(store._outbox.values())
                if rows:
                    gaps.append((rows[0].next_try_us - clock.us) / 1e6)
                clock.us += 3_600_000_000
            assert len(receiver.requests) == MAX_TRIES
            assert gaps == sorted(gaps)
            assert gaps[0] < 10 < 600 < gaps[-1]

    deliver(tmp_path, body, "127.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "http://user:password@example.org/",
        "http://localhost/",
        "http://a.internal/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://[bad/",
        "http:///path",
    ],
)
def test_urls_that_are_refused_before_any_name_is_looked_up(url: str) -> None:
    with pytest.raises(WebhookRefused):
        check_url(url, allowed_hosts=())


@pytest.mark.parametrize(
    "address",
    ["192.168.1.1", "fe80::1%eth0", "100.64.0.1", "224.0.0.1", "2002:0a00:0001::", "::"],
)
def test_special_addresses_are_refused(address: str) -> None:
    with pytest.raises(WebhookRefused):
        check_address(address, host="example.org", allowed_hosts=())


def test_public_addresses_are_taken_and_signatures_differ_by_time() -> None:
    check_address("93.184.215.14", host="example.org", allowed_hosts=())
    assert (
        check_url("https://example.org/hook", allowed_hosts=()).hostname == "example.org"
    )
    assert sign(b"k", b"{}", unix_s=1) != sign(b"k", b"{}", unix_s=2)
