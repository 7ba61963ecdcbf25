"""Which webhook URLs may be called, and how a delivery is signed. Checked at submit and again at the connection.

A webhook is a way to make the server send requests for somebody else (SSRF): so only http(s), no credentials in the URL, no
redirects, and only public addresses, unless the operator lists a host in `TRIMTAB_WEBHOOK_ALLOWED_HOSTS`. The address that was
checked is the address that is connected to: a name that resolves differently a moment later changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

SIGNATURE_HEADER = "Trimtab-Signature"


class WebhookRefused(ValueError):
    """The URL, or the address it leads to, may not be called."""


def check_url(url: str, *, allowed_hosts: Collection[str]) -> SplitResult:
    """What can be said without a name server. Raises WebhookRefused."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WebhookRefused(f"webhook URL {url!r} cannot be read: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise WebhookRefused(
            f"webhook URL {url!r} came; wanted http:// or https:// and a host"
        )
    if parts.username is not None or parts.password is not None:
        raise WebhookRefused(
            "webhook URLs hold no user name or password; deliveries are signed instead"
        )
    if port == 0:
        raise WebhookRefused("webhook URL has port 0")
    if host not in allowed_hosts:
        if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
            raise WebhookRefused(
                f"webhook host {host!r} is of this machine or network; an operator can allow it"
            )
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return parts
        check_address(str(address), host=host, allowed_hosts=allowed_hosts)
    return parts


def check_address(address: str, *, host: str, allowed_hosts: Collection[str]) -> None:
    """Refuse private, loopback, link-local and other special addresses. Raises WebhookRefused."""
    if host in allowed_hosts:
        return
    parsed = ipaddress.ip_address(address.partition("%")[0])
    inner = (
        getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None) or parsed
    )
    if not inner.is_global or inner.is_multicast:
        raise WebhookRefused(
            f"webhook host {host!r} leads to {address}, which is not a public address"
        )


def sign(secret: bytes, body: bytes, *, unix_s: int) -> str:
    """Value of the signature header: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`."""
    mac = hmac.new(secret, str(unix_s).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={unix_s},v1={mac}"
