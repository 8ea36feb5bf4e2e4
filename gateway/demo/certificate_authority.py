"""The demo's certificate authority as a system of its own, at an address of its own.

| call | answer |
|---|---|
| `GET /` | a page for people: what was issued, what was revoked, where the authority says so |
| `GET /root.cer`, `/issuing.cer` | its certificates (RFC 5280 §4.2.2.1) |
| `POST /ocsp`, `GET /ocsp/{question}` | whether one certificate was revoked (RFC 6960 A.1, RFC 5019) |
| `GET /crl/{0,1,all}.crl`, `/crl/{0,1,all}-delta.crl`, `/root.crl` | lists of revocations |
| `POST /tsa` | a timestamp (RFC 3161 §3.4) |
| `POST /enrol`, `/revoke` | for the phones' operator, who has a secret: issue to a resident, revoke |

Who stands before a real authority shows a My Number Card. Here the operator's word is taken.
"""

import asyncio
import json
import secrets
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.clock import Clock
from gateway.demo.authority_keys import PARTITIONS, YEAR, AuthorityKeys, authority_keys
from gateway.demo.certificate_register import REASONS, Issued, Register
from gateway.demo.issuing import LIFETIME, PublicKey, attribute_certificate, signing_certificate
from gateway.demo.phone_owners import Condition, Owner, find_owner, owners
from gateway.demo.revocation_answers import ANSWER_LIFE, LARGEST_QUESTION, Lists, ocsp_answer
from gateway.demo.site import Face, Site, json_answer
from gateway.demo.timestamps import LARGEST_QUERY, timestamp_answer

LARGEST_CSR = 8192
LEAST_RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1")
EARLIER = timedelta(minutes=5)
"""A certificate begins so long before it was issued, for clocks that are a little slow."""


class EnrolmentError(Exception):
    """A certificate that is not issued. The text is for the phone's operator."""


class CertificateAuthority:
    """Issues, revokes, and says so. Holds no socket; the clock is given. `secret` is the phones' operator's."""

    def __init__(self, directory: Path, url: str, secret: str, clock: Clock) -> None:
        self.keys: AuthorityKeys = authority_keys(directory, url, clock())
        self.register = Register(directory / "register.json")
        self.lists = Lists(self.keys, self.register)
        self.secret = secret
        self._clock = clock
        self._one_at_a_time = Lock()

    def enrol(self, owner: Owner, request: bytes) -> tuple[list[bytes], str]:
        """Issue to `owner`, for the key that signed the PKCS #10 `request`: certificates (DER), and the attributes.

        Whatever they had before is revoked, both siblings. Raises `EnrolmentError`.
        """
        with self._one_at_a_time:
            return self._enrol(owner, _requested(request))

    def _enrol(self, owner: Owner, key: PublicKey) -> tuple[list[bytes], str]:
        now = self._clock().replace(microsecond=0)
        url = self.keys.links.url
        first = not any(row.url == url for row in self.register.of(owner.key))
        condition = owner.condition if first else Condition.GOOD
        begin, end = now - EARLIER, now - EARLIER + LIFETIME
        if condition is Condition.EXPIRED:
            begin, end = now - YEAR - timedelta(days=1), now - timedelta(days=1)
        foreign = condition is Condition.FOREIGN
        issuer = self.keys.foreign if foreign else self.keys.issuing
        certificate = signing_certificate(owner, key, issuer, self.keys, begin=begin, end=end)
        identifier = f"urn:example:maebashi:attributes:{secrets.token_hex(16)}"
        attributes = attribute_certificate(owner, key, self.keys, identifier=identifier, begin=begin, end=end)
        row = Issued(
            serial=certificate.serial_number,
            attributes=identifier,
            owner=owner.key,
            url=url,
            policy=owner.policy,
            begin=begin,
            end=end,
            foreign=foreign,
        )
        self.register.replace(owner.key, row, now)
        if condition is Condition.REVOKED:
            self.register.revoke(row.serial, "keyCompromise", now)
        return [certificate.public_bytes(Encoding.DER), issuer.der], attributes


def _requested(request: bytes) -> PublicKey:
    """The key of a PKCS #10 request (RFC 2986), possession of which it proves. Raises `EnrolmentError`."""
    if len(request) > LARGEST_CSR:
        raise EnrolmentError("The request for a certificate is too large.")
    try:
        asked = x509.load_der_x509_csr(request)
        proved = asked.is_signature_valid
        key = asked.public_key()
    except ValueError as fault:
        raise EnrolmentError("The request for a certificate cannot be read.") from fault
    if not proved:
        raise EnrolmentError("The request is not signed by the key that it names.")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES:
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        return key
    raise EnrolmentError("The key is of no kind that is certified here.")


class AuthoritySystem:
    """The authority's page and addresses."""

    def __init__(self, face: Face, authority: CertificateAuthority, clock: Clock) -> None:
        self._site = Site(face)
        self.authority = authority
        self._clock = clock

    def application(self) -> web.Application:
        """The calls of the table above."""
        return self._site.application(
            [
                web.get("/", self._page),
                web.get("/{name:root|issuing}.cer", self._certificate),
                web.post("/ocsp", self._ocsp),
                web.get("/ocsp/{question:.+}", self._ocsp),
                web.get("/root.crl", self._root_list),
                web.get("/crl/{scope:[0-9]|all}.crl", self._list),
                web.get("/crl/{scope:[0-9]|all}-delta.crl", self._delta),
                web.post("/tsa", self._timestamp),
                web.post("/enrol", self._enrol),
                web.post("/revoke", self._revoke),
            ]
        )

    async def _page(self, request: web.Request) -> web.Response:
        now = self._clock()
        people = {owner.key: owner for owner in owners(now.date())}
        rows = [
            {"row": row, "owner": people[row.owner].resident.display, "state": _state(row, now)}
            for row in reversed(self.authority.register.rows)
            if row.owner in people
        ]
        return self._site.page(
            request,
            "authority.html",
            rows=rows,
            links=self.authority.keys.links,
            partitions=PARTITIONS,
        )

    async def _certificate(self, request: web.Request) -> web.Response:
        keys = self.authority.keys
        pair = keys.root if request.match_info["name"] == "root" else keys.issuing
        return _octets(pair.der, "application/pkix-cert")

    async def _ocsp(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            try:
                question = b64decode(request.match_info["question"], validate=True)
            except ValueError:
                question = b""
        else:
            question = await _body(request, LARGEST_QUESTION)
        answer = await asyncio.to_thread(
            ocsp_answer, question, self.authority.keys, self.authority.register, self._clock()
        )
        age = int(ANSWER_LIFE.total_seconds()) if request.method == "GET" else 0
        return _octets(answer, "application/ocsp-response", f"max-age={age}, public" if age else "no-store")

    async def _root_list(self, _request: web.Request) -> web.Response:
        return _octets(self.authority.lists.root(self._clock()), "application/pkix-crl")

    async def _list(self, request: web.Request) -> web.Response:
        return self._made(self.authority.lists.base, request)

    async def _delta(self, request: web.Request) -> web.Response:
        return self._made(self.authority.lists.delta, request)

    def _made(self, make: Any, request: web.Request) -> web.Response:
        try:
            return _octets(make(request.match_info["scope"], self._clock()), "application/pkix-crl")
        except KeyError:
            raise web.HTTPNotFound from None

    async def _timestamp(self, request: web.Request) -> web.Response:
        if request.content_type != "application/timestamp-query":
            raise web.HTTPUnsupportedMediaType
        query = await _body(request, LARGEST_QUERY)
        keys = self.authority.keys
        answer = await asyncio.to_thread(timestamp_answer, query, keys.timestamps, keys.issuing, self._clock())
        return _octets(answer, "application/timestamp-reply", "no-store")

    async def _enrol(self, request: web.Request) -> web.Response:
        fields = await self._operators(request)
        owner = find_owner(str(fields.get("owner")), self._clock().date())
        if owner is None:
            return json_answer({"error": "Nobody of that name is registered."}, 400)
        try:
            csr = b64decode(str(fields.get("csr")), validate=True)
            certificates, attributes = await asyncio.to_thread(self.authority.enrol, owner, csr)
        except (EnrolmentError, ValueError) as fault:
            return json_answer({"error": str(fault)}, 400)
        chain = [b64encode(each).decode() for each in certificates]
        return json_answer({"certificates": chain, "attributes": attributes}, 201)

    async def _revoke(self, request: web.Request) -> web.Response:
        fields = await self._operators(request)
        reason = str(fields.get("reason"))
        try:
            serial = int(str(fields.get("serial")), 16)
        except ValueError:
            raise web.HTTPBadRequest from None
        if reason not in REASONS:
            raise web.HTTPBadRequest
        row = self.authority.register.revoke(serial, reason, self._clock())
        if row is None or row.revoked_at is None:
            raise web.HTTPNotFound
        return json_answer({"revoked_at": row.revoked_at.isoformat()})

    async def _operators(self, request: web.Request) -> dict[str, Any]:
        """The JSON object that the phones' operator sent; nobody else has the secret."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), self.authority.secret.encode()):
            raise web.HTTPUnauthorized
        try:
            fields = json.loads(await _body(request, 2 * LARGEST_CSR))
        except (ValueError, RecursionError):
            raise web.HTTPBadRequest from None
        if not isinstance(fields, dict):
            raise web.HTTPBadRequest
        return fields


def _state(row: Issued, now: datetime) -> str:
    if row.revoked_at is not None:
        return row.reason
    return "expired" if row.end < now else "foreign" if row.foreign else "good"


async def _body(request: web.Request, limit: int) -> bytes:
    content = bytearray()
    async for chunk in request.content.iter_any():
        content += chunk
        if len(content) > limit:
            break
    if len(content) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, len(content))
    return bytes(content)


def _octets(content: bytes, content_type: str, cache: str = "max-age=30, public") -> web.Response:
    return web.Response(body=content, content_type=content_type, headers={"Cache-Control": cache})
