"""Authentication: API keys, one-time tickets for browsers, signed session cookies.

A key is `tt_<id>_<secret>`. The secret has 256 random bits and only its SHA-256 is stored, so
no slow hash is needed. Records are cached for a few seconds, so that a busy client costs no
query per request: a revocation takes effect at once in this process, and in other processes
when their cache expires.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path

from services.errors import Unauthorized
from services.store.types import ApiKeyRecord, JobStore

SCOPES = ("viewer", "submitter", "operator", "admin")  # each includes those before it
COOKIE = "trimtab_session"
SESSION_S = 12 * 3600
TICKET_S = 600
KEY_PATTERN = re.compile(r"^tt_([a-z0-9]{12})_([A-Za-z0-9_-]{43})$")
_CACHE_S = 5.0
HOW_TO_AUTHENTICATE = (
    "send `Authorization: Bearer tt_...`; the first start writes an admin key to admin.key "
    "in the data folder"
)


@dataclass(frozen=True, kw_only=True)
class Session:
    """The content of a session cookie."""

    key_id: str
    expires_s: int
    id: str


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The authenticated caller of a request."""

    tenant: str
    key_id: str
    scopes: frozenset[str]
    limits: dict[str, int]
    secret_sha256: str = ""  # of the secret that was sent; empty for a session
    session: Session | None = None

    def allows(self, scope: str) -> bool:
        """Return True if this key has `scope` or a higher one."""
        return any(SCOPES.index(own) >= SCOPES.index(scope) for own in self.scopes)


# Every caller of a server with auth `off`.
AUTH_OFF_PRINCIPAL = Principal(
    tenant="default", key_id="-", scopes=frozenset({"admin"}), limits={}
)


def new_key(
    *, tenant: str, name: str, scopes: list[str], now_us: int, **more: object
) -> tuple[ApiKeyRecord, str]:
    """Make a key. Returns (record to store, the key itself, which is shown once)."""
    key_id = "".join(
        secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(12)
    )
    secret = secrets.token_urlsafe(32)
    record = ApiKeyRecord(
        id=key_id,
        tenant=tenant,
        name=name,
        secret_sha256=_sha256(secret),
        scopes=tuple(scopes),
        created_us=now_us,
        expires_us=more.get("expires_us"),  # type: ignore[arg-type]
        revoked=False,
        limits=dict(more.get("limits") or {}),  # type: ignore[call-overload]
    )
    return record, f"tt_{key_id}_{secret}"


class Keyring:
    """Checks keys, tickets and sessions."""

    def __init__(self, store: JobStore, *, session_secret: bytes) -> None:
        self._store = store
        self._secret = session_secret
        self._cache: dict[str, tuple[float, ApiKeyRecord]] = {}
        self._tickets: dict[str, tuple[float, str]] = {}
        self._used: dict[str, int] = {}

    async def by_key(self, key: str) -> Principal:
        """Authenticate an API key. Raises Unauthorized."""
        match = KEY_PATTERN.match(key)
        if match is None:
            raise Unauthorized(
                "API key: expected the form tt_<id>_<secret>, got other text",
                fix=HOW_TO_AUTHENTICATE,
            )
        record = await self._record(match.group(1))
        digest = _sha256(match.group(2))
        if record is not None and not _matches(record, digest):
            # It may have been rotated by another process a moment ago.
            self.forget(record.id)
            record = await self._record(record.id)
        if record is None or not _matches(record, digest):
            raise Unauthorized("the API key is unknown", fix=HOW_TO_AUTHENTICATE)
        return self._principal(record, digest)

    async def why_ended(self, principal: Principal) -> str:
        """Return why a principal's key or session no longer works; empty while it does."""
        if principal.key_id == AUTH_OFF_PRINCIPAL.key_id:
            return ""
        if principal.session is not None and await self._is_over(principal.session):
            return "the session has ended"
        record = await self._record(principal.key_id)
        if record is None:
            return "the API key no longer exists"
        if principal.secret_sha256 and not _matches(record, principal.secret_sha256):
            return "the API key was rotated, and the time of its old secret is over"
        try:
            self._principal(record, principal.secret_sha256)
        except Unauthorized as error:
            return error.detail
        return ""

    def used(self) -> dict[str, int]:
        """Return when keys were used since the last call: key id → time in microseconds."""
        used, self._used = self._used, {}
        return used

    async def by_session(self, cookie: str) -> Principal:
        """Authenticate a session cookie. Raises Unauthorized if it is forged, expired or ended."""
        session = self._read(cookie)
        if session is None or await self._is_over(session):
            raise Unauthorized("the session has ended", fix="sign in again")
        record = await self._record(session.key_id)
        if record is None:
            raise Unauthorized(
                "the key of this session no longer exists", fix="sign in again"
            )
        return replace(self._principal(record), session=session)

    async def _is_over(self, session: Session) -> bool:
        ended = session.expires_s < time.time()
        return ended or await self._store.session_ended(session.id)

    def session(self, principal: Principal) -> str:
        """Return a new cookie value for this principal."""
        body = f"{principal.key_id}.{int(time.time()) + SESSION_S}.{secrets.token_urlsafe(16)}"
        return f"{body}.{self._mac(body)}"

    async def sign_out(self, cookie: str) -> None:
        """End a session in the store, so that copies of its cookie are refused too."""
        session = self._read(cookie)
        if session is not None:
            await self._store.end_session(
                session.id, expires_us=(session.expires_s + 1) * 1_000_000
            )

    def _read(self, cookie: str) -> Session | None:
        """Parse a cookie; None unless its signature is valid."""
        body, _, mac = cookie.rpartition(".")
        # Bytes, because compare_digest refuses non-ASCII text. A valid signature guarantees the
        # format of the parts.
        if not hmac.compare_digest(
            mac.encode("utf-8", "replace"), self._mac(body).encode()
        ):
            return None
        parts = body.split(".")
        if len(parts) != 3:
            return None  # signed by a version before 0.2, whose sessions cannot be ended
        return Session(key_id=parts[0], expires_s=int(parts[1]), id=parts[2])

    def ticket(self, principal: Principal) -> str:
        """Return a one-time ticket; it expires after ten minutes or with the process."""
        now = time.monotonic()
        self._tickets = {t: v for t, v in self._tickets.items() if v[0] > now}
        ticket = secrets.token_urlsafe(32)
        self._tickets[ticket] = (now + TICKET_S, principal.key_id)
        return ticket

    async def spend(self, ticket: str) -> Principal:
        """Redeem a ticket. Raises Unauthorized if it is unknown, used or expired."""
        expires, key_id = self._tickets.pop(ticket, (0.0, ""))
        record = await self._record(key_id) if expires > time.monotonic() else None
        if record is None:
            raise Unauthorized(
                "this sign-in link was already used or has expired",
                fix="make a new one: trimtab open",
            )
        return self._principal(record)

    def forget(self, key_id: str) -> None:
        """Drop a revoked key from the cache."""
        self._cache.pop(key_id, None)

    async def _record(self, key_id: str) -> ApiKeyRecord | None:
        now = time.monotonic()
        cached = self._cache.get(key_id)
        if cached is not None and cached[0] > now:
            return cached[1]
        record = await self._store.get_key(key_id)
        if record is not None:
            if len(self._cache) > 10_000:
                self._cache.clear()
            self._cache[key_id] = (now + _CACHE_S, record)
        return record

    def _principal(self, record: ApiKeyRecord, digest: str = "") -> Principal:
        now_us = time.time_ns() // 1000
        if record.revoked:
            raise Unauthorized("the API key is revoked", fix="ask an admin for a new key")
        if record.expires_us is not None and record.expires_us < now_us:
            raise Unauthorized(
                "the API key has expired", fix="ask an admin for a new key"
            )
        old = bool(digest) and digest != record.secret_sha256
        if old and (record.old_until_us or 0) <= now_us:
            raise Unauthorized(
                "the API key was rotated, and the time of its old secret is over",
                fix="use the new secret",
            )
        self._used[record.id] = now_us
        return Principal(
            tenant=record.tenant,
            key_id=record.id,
            scopes=frozenset(record.scopes),
            limits=dict(record.limits),
            secret_sha256=digest,
        )

    def _mac(self, body: str) -> str:
        digest = hmac.digest(self._secret, body.encode("utf-8", "replace"), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def ensure_admin_key(store: JobStore, path: Path) -> bool:
    """Write an admin key to `path`, mode 0600, unless a valid one is there.

    Returns True if a key was written.
    """
    if path.exists():
        match = KEY_PATTERN.match(path.read_text().strip())
        record = await store.get_key(match.group(1)) if match else None
        if (
            match is not None
            and record is not None
            and not record.revoked
            and hmac.compare_digest(record.secret_sha256, _sha256(match.group(2)))
        ):
            return False
    now_us = await store.now_us()
    record, key = new_key(
        tenant="default", name="first start", scopes=["admin"], now_us=now_us
    )
    await store.put_key(record)
    write_private(path, key + "\n")
    return True


def session_secret(data_dir: Path) -> bytes:
    """Return the secret that signs cookies; created once, mode 0600."""
    path = data_dir / "session.key"
    if not path.exists():
        write_private(path, secrets.token_hex(32))
    return path.read_bytes()


def write_private(path: Path, text: str) -> None:
    """Write a file that no other user can read at any moment: create it 0600, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _matches(record: ApiKeyRecord, digest: str) -> bool:
    """Return True for the digest of the secret, or of the one before the newest rotation."""
    now = hmac.compare_digest(record.secret_sha256, digest)
    old = record.old_sha256 is not None and hmac.compare_digest(record.old_sha256, digest)
    return now or old


def new_secret() -> tuple[str, str]:
    """Make a secret. Returns (secret, its SHA-256)."""
    secret = secrets.token_urlsafe(32)
    return secret, _sha256(secret)


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
