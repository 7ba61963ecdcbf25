"""Webhook sender: deliver the outbox at least once, signed, to public addresses only."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from pathlib import Path

import httpx2
import orjson
import structlog

from services.settings import Settings
from services.store.types import JobStore, OutboxRecord
from services.telemetry import Metrics
from services.webhook_policy import (
    SIGNATURE_HEADER,
    WebhookRefused,
    check_address,
    check_url,
    sign,
)

log = structlog.get_logger("trimtab.webhooks")
MAX_TRIES = 12
TIMEOUT_S = 10.0


class _Refused(httpx2.HTTPError):
    """The receiver answered with another status than 2xx."""

    def __init__(self, url: str, status_code: int) -> None:
        super().__init__(f"{url} answered {status_code}")
        self.status_code = status_code


class OutboxSender:
    """Takes due deliveries from the store and posts them."""

    def __init__(
        self, *, store: JobStore, settings: Settings, metrics: Metrics | None = None
    ) -> None:
        self._store = store
        metrics = metrics or Metrics()
        self._tries = metrics.webhooks
        self._allowed = settings.webhook_allowed_hosts
        self._secret = load_secret(settings.data_dir)

    async def send_due(self) -> None:
        """Send what is due now, up to 20 deliveries at once."""
        rows = await self._store.outbox_due(limit=20, lock_s=3 * TIMEOUT_S)
        await asyncio.gather(*(self._send(row) for row in rows))

    async def close(self) -> None:
        """Do nothing: no connection is kept between rounds."""

    async def _send(self, row: OutboxRecord) -> None:
        try:
            # One limit for everything: DNS, connection, and a receiver that sends byte by byte.
            async with asyncio.timeout(TIMEOUT_S):
                code = await self._post(row)
        except WebhookRefused as error:
            self._tries.labels("given up").inc()
            log.warning("webhook refused", job=row.job_id, reason=str(error))
            await self._store.outbox_done(
                row.id, delivered=False, detail=f"refused: {error}"
            )
            return
        except (httpx2.HTTPError, OSError) as error:
            reason = str(error) or (
                "no answer in time"
                if isinstance(error, TimeoutError)
                else type(error).__name__
            )
            status = error.status_code if isinstance(error, _Refused) else None
            if row.tries + 1 >= MAX_TRIES:
                self._tries.labels("given up").inc()
                log.warning(
                    "webhook given up",
                    job=row.job_id,
                    tries=row.tries + 1,
                    error=str(error),
                )
                await self._store.outbox_done(
                    row.id,
                    delivered=False,
                    detail=f"after {MAX_TRIES} tries: {reason}",
                    status_code=status,
                )
            else:
                self._tries.labels("failed").inc()
                await self._store.outbox_retry(
                    row.id,
                    delay_s=min(3600.0, 2.0 ** (row.tries + 1)),
                    detail=reason,
                    status_code=status,
                )
            return
        self._tries.labels("delivered").inc()
        await self._store.outbox_done(row.id, status_code=code)

    async def _post(self, row: OutboxRecord) -> int:
        """Send a delivery; returns the status of the answer. Raises _Refused for a bad one."""
        parts = check_url(row.url, allowed_hosts=self._allowed)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        resolved = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for entry in resolved:
            check_address(str(entry[4][0]), host=host, allowed_hosts=self._allowed)
        # Connect to the address that was checked: the name may resolve differently later.
        address = str(resolved[0][4][0])
        body = orjson.dumps(dict(row.payload))
        literal = f"[{address}]" if ":" in address else address
        target = parts._replace(netloc=f"{literal}:{port}").geturl()
        headers = {
            "Host": parts.netloc,
            "Content-Type": "application/json",
            "User-Agent": "trimtab-webhook/1",
            "Trimtab-Delivery": str(row.id),
            SIGNATURE_HEADER: sign(self._secret, body, unix_s=int(time.time())),
        }
        async with httpx2.AsyncClient(
            timeout=TIMEOUT_S, follow_redirects=False, trust_env=False
        ) as client:
            # Only the status matters: the body of the response is never read.
            request = client.build_request(
                "POST",
                target,
                content=body,
                headers=headers,
                extensions={"sni_hostname": host},
            )
            answer = await client.send(request, stream=True)
            await answer.aclose()
            if not 200 <= answer.status_code < 300:
                raise _Refused(row.url, answer.status_code)
            return int(answer.status_code)


def load_secret(data_dir: Path) -> bytes:
    """Return the signing key: `webhook.key` in the data folder, created once, mode 0600."""
    path = data_dir / "webhook.key"
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip().encode()
    with os.fdopen(handle, "w") as file:
        file.write("whsec_" + secrets.token_hex(32) + "\n")
    return path.read_text().strip().encode()
