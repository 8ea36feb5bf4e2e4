"""An ID system that is no server: certificates on residents' phones, issued by an authority that a trust list names.

The gateway itself is where the certificate signs in. The way there is a pair of requests that a phone may answer
(`request.py`); the way back is what the answer proved (`answer.py`), kept by the gateway until the browser that began
has shown that it belongs to the person who answered. No public specification of such a municipality's own protocol is
known; this one is built on public standards, and replaceable as a kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from federation.assurance import ASKED, HOLDER_OF_KEY
from federation.certificate.model import Accepted, Device, Proved, RevocationPolicy, Wanted
from federation.certificate.request import asked_to_json, new_requests
from federation.model import Departure, Held, Identity, IdSystem, Keep, Kept, Service, held_from_json
from federation.oidc.jose import SigningKey
from federation.ports import Departed, TrustPort
from federation.refusal import IdSystemAnswerRefused, IdSystemNotTrusted, InteractionNeeded
from federation.web import Exchange, Json, Redirect, WebRequest
from trust_lists.model import NotTrustedError, Role, TrustedEntity

REQUEST = "certificate-request"
"""The kind under which a request is kept, by its reference."""

PROVED = "proved"
"""Where `arrive` finds in its memory what `proof` wrote."""

_anchor = lru_cache(maxsize=256)(x509.load_der_x509_certificate)
"""Of an authority's certificates, read once."""

DISCLOSED = "attribute."
"""What the names of attributes begin with that stand in an attribute certificate beside the certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSettings:
    """What the operator says of one authority's certificates.

    `phone_url` is where the phone's app is opened. `subject` names the field by which the issuer promises to know a
    person again (`subject.py`). `lifetime` is how long a phone may take to answer. `cards`: a certificate that the
    browser shows in a TLS handshake counts, too. `reissue_revokes`: a person's newer certificate ends those before.
    """

    phone_url: str
    subject: str
    wanted: Wanted
    revocation: RevocationPolicy
    attribute_policies: frozenset[str]
    lifetime: timedelta = timedelta(minutes=5)
    cards: bool = False
    reissue_revokes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateConnector:
    """Sign-in with certificates of one listed authority. `key` signs the requests, `cards_url` is for card readers."""

    brief: ClassVar[bool] = True

    system: IdSystem
    settings: CertificateSettings
    trust: TrustPort
    key: SigningKey = field(repr=False)
    public_url: str
    cards_url: str | None = None

    def depart(self, departure: Departure, now: datetime) -> Exchange[Departed]:
        """Two requests, one for a phone beside the browser and one for the phone that it runs on.

        Raises `IdSystemNotTrusted`, and `InteractionNeeded` where no page may be shown.
        """
        yield from ()
        self._listed(now)
        if departure.passive:
            raise InteractionNeeded("a certificate signs in on a page only")
        assert departure.service is not None  # every login has one
        requests = new_requests(
            system=self.system.id,
            handle=departure.handle,
            public_url=self.public_url,
            service=departure.service,
            attributes=asked_attributes(self.system, departure.service, departure.claims),
            key=self.key,
            now=now,
            lifetime=self.settings.lifetime,
        )
        by_device = {asked.device: asked for asked in requests}
        return Departed(
            answer=Redirect(location=f"{self.public_url}/certificate/{departure.handle}"),
            memory={
                "requests": [by_device[Device.CROSS].reference, by_device[Device.SAME].reference],
                "code": requests[0].code,
                "expires": requests[0].expires_at.timestamp(),
                "phone": self.settings.phone_url,
                "card": f"{self.cards_url}/certificate/{departure.handle}/card" if self.cards else None,
            },
            keep=Keep(
                items=tuple(
                    Kept(kind=REQUEST, key=asked.reference, value=asked_to_json(asked), lifetime=self.settings.lifetime)
                    for asked in requests
                )
            ),
        )

    def arrive(self, request: WebRequest, memory: Json, now: datetime) -> Exchange[Identity]:  # noqa: ARG002 - what the phone sent was verified when it came
        """The identity that the answer proved: `memory` holds it under `PROVED`.

        Raises `IdSystemNotTrusted`, and `IdSystemAnswerRefused` where nothing was proved.
        """
        yield from ()
        self._listed(now)
        proved = memory.get(PROVED)
        if proved is None:
            raise IdSystemAnswerRefused("no answer of a phone")
        return Identity(
            id_system=self.system.id,
            subject=proved["subject"],
            attributes={name: tuple(values) for name, values in proved["attributes"].items()},
            statements=(),
            authenticated_at=datetime.fromtimestamp(proved["signed_at"], UTC),
            methods=tuple(proved["methods"]),
            policies=tuple(proved["policies"]),
            evidence=proved["evidence"],
            protection=frozenset({ASKED, HOLDER_OF_KEY}),
            most=proved["cap"],
            held=held_from_json(proved["held"]),
        )

    def accepted(self, now: datetime) -> Accepted:
        """What an answer is held against now. Raises `IdSystemNotTrusted`."""
        listed = self._listed(now)
        return Accepted(
            anchors=tuple(map(_anchor, listed.signing_certificates)),
            permitted=listed.uses,
            wanted=self.settings.wanted,
            revocation=self.settings.revocation,
            subject=self.settings.subject,
            attribute_policies=self.settings.attribute_policies,
        )

    @property
    def cards(self) -> bool:
        """Whether a certificate counts that the browser itself shows."""
        return self.settings.cards and self.cards_url is not None

    def _listed(self, now: datetime) -> TrustedEntity:
        try:
            return self.trust.find(self.system.entity_id, Role.CERTIFICATE_AUTHORITY, now)
        except NotTrustedError as why:
            raise IdSystemNotTrusted(why.code) from None


def asked_attributes(
    system: IdSystem, service: Service, claims: Sequence[str] | None
) -> tuple[Mapping[str, object], ...]:
    """What the service would learn, and from which disclosures of an attribute certificate it would be made."""
    made_from = {
        rule.to: [source.removeprefix(DISCLOSED) for source in rule.sources if source.startswith(DISCLOSED)]
        for rule in system.inward.rules
    }
    return tuple(
        {
            "name": rule.to,
            "label": dict(rule.shown_as()),
            "disclosures": sorted({name for source in rule.sources for name in made_from.get(source, ())}),
        }
        for rule in service.outward.rules
        if claims is None or rule.to in claims
    )


def proof(proved: Proved) -> Json:
    """What an answer proved, to be kept sealed until the browser is known to be the person's."""
    certificates = proved.path.certificates
    leaf = certificates[0]
    return {
        "subject": proved.subject,
        "attributes": {name: list(values) for name, values in proved.attributes.items()},
        "evidence": dict(proved.evidence),
        "policies": list(proved.policies),
        "methods": list(proved.methods),
        "signed_at": proved.signed_at.timestamp(),
        "cap": proved.cap,
        "held": Held(
            certificate=leaf.public_bytes(Encoding.DER),
            issuer=certificates[1].public_bytes(Encoding.DER),
            issued_at=leaf.not_valid_before_utc,
            expires_at=leaf.not_valid_after_utc,
        ).to_json(),
    }
