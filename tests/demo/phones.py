"""A small gateway that keeps to the protocol of phones, and checks of what they sign that use cryptography alone."""

import hashlib
import json
import subprocess
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.demo.certificate_authority import CertificateAuthority
from gateway.demo.phone_owners import find_owner
from gateway.demo.phone_wallet import Wallet

WISHES = [
    {"name": "fullName", "label": {"ja": "氏名", "en": "Full name"}, "disclosures": []},
    {"name": "familyName", "label": {"ja": "氏", "en": "Family name"}, "disclosures": ["family_name"]},
    {"name": "commonName", "label": {"ja": "通称", "en": "Alias"}, "disclosures": ["common_name"]},
    {"name": "localGovernmentCode", "label": {"ja": "市", "en": "City"}, "disclosures": ["local_government_code"]},
]
ANSWERS = {"cross-device": {"confirmation_code": "493021", "expires_in": 200}}


class FakeGateway:
    """Gives out requests, and keeps what is posted."""

    def __init__(self, place, clock):
        self.place, self.clock, self.url = place, clock, place.url
        self.key = ECKey.generate_key("P-256", auto_kid=True)
        self.requests, self.answers = {}, []
        self.says = None

    def application(self):
        """The three addresses that a phone knows."""

        async def jwks(_request):
            return web.json_response({"keys": [self.key.as_dict(private=False)]})

        async def fetched(request):
            token = self.requests.get(request.match_info["reference"])
            if token is None:
                raise web.HTTPNotFound
            return web.Response(text=token, content_type="application/oauth-authz-req+jwt")

        async def answered(request):
            form = dict(await request.post())
            self.answers.append(form)
            status, said = self.says or (200, self._answer(form["state"]))
            return web.json_response(said, status=status)

        app = web.Application()
        app.router.add_get("/certificate/jwks", jwks)
        app.router.add_get("/certificate/requests/{reference}", fetched)
        app.router.add_post("/certificate/answers", answered)
        return app

    def _answer(self, state):
        device = self.claims(state)["device"]
        return ANSWERS.get(device, {"redirect_uri": f"{self.url}/certificate/h/return?response_code=r"})

    def claims(self, reference):
        """What a request states."""
        return json.loads(opened(self.requests[reference].split(".")[1]))

    def ask(self, reference="ref-1_x", key=None, header=None, **changes):
        """A request, with some claims changed; answers its address."""
        now = int(self.clock().timestamp())
        claims = {
            "iss": self.url,
            "client_id": self.url,
            "aud": "https://self-issued.me/v2",
            "response_type": "certificate_signature",
            "response_mode": "direct_post",
            "response_uri": f"{self.url}/certificate/answers",
            "nonce": "nonce-of-256-bits",
            "state": reference,
            "iat": now,
            "exp": now + 300,
            "jti": "1",
            "client_metadata": {
                "client_name": "県",
                "client_name#ja": "群馬県ポータル",
                "client_name#en": "Gunma portal",
            },
            "purpose": {"ja": "申請のため", "en": "To apply"},
            "attributes": WISHES,
            "comparison_code": "4711",
            "device": "cross-device",
            "task": "sign-in",
            "formats": ["jws", "cms"],
            "algorithms": ["ES256", "ES384", "RS256", "PS256"],
        } | changes
        stated = {"alg": "ES256", "kid": self.key.kid, "typ": "oauth-authz-req+jwt"} | (header or {})
        claims = {name: value for name, value in claims.items() if value is not None}
        signer = ECKey.generate_key("P-256") if key == "another" else self.key
        self.requests[reference] = jwt.encode(stated, claims, signer, algorithms=["ES256"])
        return f"{self.url}/certificate/requests/{reference}"


@dataclass
class Here:
    """A phone, an authority and a gateway that listen."""

    url: str
    gateway: FakeGateway
    authority: CertificateAuthority
    wallet: Wallet
    clock: Callable[[], datetime]
    directory: Path

    def link(self, address):
        """What the QR code holds."""
        return f"{self.url}/authorize?{urlencode({'client_id': self.gateway.url, 'request_uri': address})}"

    async def card(self, browser, name="takahashi"):
        """A resident's card."""
        return await self.wallet.card(browser, find_owner(name, self.clock().date()))

    def openssl(self, *words):
        """Run the program; what it put out."""
        done = subprocess.run(["openssl", *words], cwd=self.directory, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def opened(text):
    """The octets of base64url without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def digest(octets):
    """SHA-256 in base64url."""
    return urlsafe_b64encode(hashlib.sha256(octets).digest()).rstrip(b"=").decode()


def verified(token, key=None):
    """Header and payload of a JWS, verified with `key` or the certificate in it, by cryptography alone."""
    signed, _, signature = token.rpartition(".")
    header = json.loads(opened(signed.split(".")[0]))
    key = key or x509.load_der_x509_certificate(b64decode(header["x5c"][0])).public_key()
    octets = opened(signature)
    function = hashes.SHA384() if header["alg"].endswith("384") else hashes.SHA256()
    if header["alg"].startswith("ES"):
        r, s = (int.from_bytes(half) for half in (octets[: len(octets) // 2], octets[len(octets) // 2 :]))
        key.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(function))
    elif header["alg"] == "RS256":
        key.verify(octets, signed.encode(), padding.PKCS1v15(), function)
    else:
        key.verify(octets, signed.encode(), padding.PSS(padding.MGF1(function), 32), function)
    return header, opened(signed.split(".")[1])
