"""What a phone is asked: a request object (RFC 9101), signed by the gateway, that names who asks for what.

A sign-in has two requests, one behind the QR code and one behind the link for the same device. Each has its own
unguessable reference and nonce; the comparison code is the same, because the browser's page shows one. The form is that
of a request to a wallet that is not known beforehand (OpenID for Verifiable Presentations 1.0 §5), with a response
type of our own.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlencode

from federation.certificate.model import Asked, Device
from federation.model import Service
from federation.oidc.jose import SigningKey, sign
from federation.oidc.strict_json import seconds
from federation.web import Json

REQUEST_TYPE = "oauth-authz-req+jwt"
"""`typ` of a request object (RFC 9101 §10.8), and the end of its media type."""

AUDIENCE = "https://self-issued.me/v2"
"""Whom a request is for that any phone may fetch (OpenID4VP 1.0 §5.8)."""

FORMATS = ("jws", "cms")
ALGORITHMS = ("ES256", "ES384", "RS256", "PS256")

Kind = Literal["sign-in", "sign-text"]


def new_requests(
    *,
    system: str,
    handle: str,
    public_url: str,
    service: Service,
    attributes: Sequence[Mapping[str, object]],
    key: SigningKey,
    now: datetime,
    lifetime: timedelta,
    kind: Kind = "sign-in",
    title: str = "",
    text: str = "",
    formats: Sequence[str] = FORMATS,
    answers: str = "/certificate/answers",
) -> tuple[Asked, Asked]:
    """The two requests of one sign-in, or of one text to be signed: for another device, and for the same one.

    `answers` is the path to which the phone posts. `title` and `text` are for "sign-text" only.
    """
    assert (kind == "sign-text") == bool(text)
    code = f"{secrets.randbelow(10_000):04}"
    audience = f"{public_url}{answers}"
    now = datetime.fromtimestamp(seconds(now), UTC)  # what the claims say is what is remembered
    shared: dict[str, Any] = {
        "iss": public_url,
        "client_id": public_url,
        "aud": AUDIENCE,
        "response_type": "certificate_signature",
        "response_mode": "direct_post",
        "response_uri": audience,
        "iat": seconds(now),
        "exp": seconds(now + lifetime),
        "client_metadata": _in_languages("client_name", service.name),
        "purpose": dict(service.purpose),
        "attributes": [dict(each) for each in attributes],
        "comparison_code": code,
        "task": kind,
        "formats": list(formats),
        "algorithms": list(ALGORITHMS),
    }
    if kind == "sign-text":
        shared |= {"title": title, "text": text}

    def asked(device: Device) -> Asked:
        reference, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        own = {"nonce": nonce, "state": reference, "jti": secrets.token_urlsafe(16), "device": device.value}
        return Asked(
            reference=reference,
            handle=handle,
            system=system,
            device=device,
            nonce=nonce,
            code=code,
            audience=audience,
            jwt=sign({**shared, **own}, key, REQUEST_TYPE),
            begun_at=now,
            expires_at=now + lifetime,
            use=service.use,
            text=text,
        )

    return asked(Device.CROSS), asked(Device.SAME)


def link(phone_url: str, reference: str, public_url: str) -> str:
    """Where the phone's app is opened: in the QR code, or behind the link (RFC 9101 §5.2).

    A query may hold `:` and `/` as they are (RFC 3986 §3.4); the shorter, the larger are the dots of the code.
    """
    query = urlencode(
        {"client_id": public_url, "request_uri": f"{public_url}/certificate/requests/{reference}"}, safe=":/"
    )
    return f"{phone_url}{'&' if '?' in phone_url else '?'}{query}"


def asked_to_json(asked: Asked) -> Json:
    """For the store, where it is kept sealed."""
    return {
        "reference": asked.reference,
        "handle": asked.handle,
        "system": asked.system,
        "device": asked.device.value,
        "nonce": asked.nonce,
        "code": asked.code,
        "audience": asked.audience,
        "jwt": asked.jwt,
        "begun_at": asked.begun_at.timestamp(),
        "expires_at": asked.expires_at.timestamp(),
        "use": asked.use,
        "text": asked.text,
    }


def asked_from_json(data: Json) -> Asked:
    """What `asked_to_json` wrote."""
    return Asked(
        reference=data["reference"],
        handle=data["handle"],
        system=data["system"],
        device=Device(data["device"]),
        nonce=data["nonce"],
        code=data["code"],
        audience=data["audience"],
        jwt=data["jwt"],
        begun_at=datetime.fromtimestamp(data["begun_at"], UTC),
        expires_at=datetime.fromtimestamp(data["expires_at"], UTC),
        use=data["use"],
        text=data["text"],
    )


def _in_languages(member: str, texts: Mapping[str, str]) -> Mapping[str, str]:
    """A member in several languages (OpenID Connect Registration §2.1); Japanese where nothing is said."""
    first = texts.get("ja") or next(iter(texts.values()), "")
    return {member: first, **{f"{member}#{language}": text for language, text in texts.items()}}
