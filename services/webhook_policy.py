"""Policy for webhook URLs, checked at submit and again at delivery, and their signature.

Webhooks make the server send requests on behalf of others (SSRF). Allowed are http(s) URLs
without credentials that lead to public addresses, without redirects; the operator may list
exceptions in `TRIMTAB_WEBHOOK_ALLOWED_HOSTS`. The sender connects to the address that was
checked, so that DNS rebinding has no effect.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

SIGNATURE_HEADER = "Trimtab-Signature"


class WebhookRefused(ValueError):
    """The URL, or the address it resolves to, is not allowed."""


def check_url(url: str, *, allowed_hosts: Collection[str]) -> SplitResult:
    """Check a URL without resolving its host. Raises WebhookRefused."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WebhookRefused(
            f"webhook.url: expected a URL, got {url!r}: {error}"
        ) from error
    if parts.scheme not in ("http", "https") or not host:
        raise WebhookRefused(
            f"webhook.url: expected http:// or https:// and a host, got {url!r}"
        )
    if parts.username is not None or parts.password is not None:
        raise WebhookRefused(
            "webhook.url: expected no user name or password, got a URL with credentials; "
            "deliveries are signed instead"
        )
    if port == 0:
        raise WebhookRefused("webhook.url: expected a port from 1 to 65535, got 0")
    if host not in allowed_hosts:
        if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
            raise WebhookRefused(
                f"webhook.url: expected a public host, got {host!r}; an operator can allow it with "
                "TRIMTAB_WEBHOOK_ALLOWED_HOSTS"
            )
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return parts
        check_address(str(address), host=host, allowed_hosts=allowed_hosts)
    return parts


def check_address(address: str, *, host: str, allowed_hosts: Collection[str]) -> None:
    """Raise WebhookRefused for private, loopback, link-local and other special addresses."""
    if host in allowed_hosts:
        return
    parsed = ipaddress.ip_address(address.partition("%")[0])
    inner = (
        getattr(parsed, "ipv4_mapped", None)
        or getattr(parsed, "sixtofour", None)
        or parsed
    )
    if not inner.is_global or inner.is_multicast:
        raise WebhookRefused(
            f"webhook.url: expected a host with a public address, got {host!r} at {address}"
        )


def sign(secret: bytes, body: bytes, *, unix_s: int) -> str:
    """Return the signature header: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`."""
    mac = hmac.new(secret, str(unix_s).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={unix_s},v1={mac}"
