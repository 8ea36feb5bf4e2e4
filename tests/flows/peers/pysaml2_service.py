"""A SAML service made of pysaml2's own client, nothing of it replaced: its loader of metadata, its program xmlsec1.

Prepared and parsed by its public methods only, with its default checks and both signatures wanted.
"""

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.ident import code, decode
from saml2.metadata import entity_descriptor
from saml2.response import StatusError
from saml2.saml import NAMEID_FORMAT_PERSISTENT
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from tests.flows.peers.keys import rsa_pair
from tests.flows.peers.site import Reply, Site, Visit, page, see_other

SUBJECT_ID_REQUIREMENT = "urn:oasis:names:tc:SAML:profiles:subject-id:req"
URI_NAMES = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"


class Pysaml2Service(Site):
    """The service.

    `identity_provider` is the address of the gateway's metadata, `anchor` the file of the certificate that signs
    them. With `encrypts` it lists an encryption key, with `signs_out` an address for single logout, with
    `subject_id` what it requires of subject identifiers.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        identity_provider: str,
        *,
        anchor: Path,
        encrypts: bool = False,
        signs_out: bool = False,
        subject_id: str | None = None,
    ) -> None:
        super().__init__(name)
        self._directory = directory
        self._identity_provider = identity_provider
        self._anchor = anchor
        self.encrypts = encrypts
        self._signs_out = signs_out
        self._subject_id = subject_id
        self._lock = threading.Lock()
        self._pairs = {use: self._pair(name, use) for use in ("signing", "encryption")}
        self.binding = BINDING_HTTP_REDIRECT
        """How the next request travels."""
        self.signs = True
        """Whether the next AuthnRequest is signed."""
        self.asked: dict[str, Any] = {}
        """What the next AuthnRequest says besides."""
        self.responses: list[str] = []
        """Every SAMLResponse that came."""
        self.pages = {
            ("GET", "/"): lambda visit: page("Signed in" if "subject" in visit.session else "Nobody"),
            ("GET", "/saml/metadata"): self.metadata,
            ("GET", "/sign-in"): self.sign_in,
            ("POST", "/saml/acs"): self.arrive,
            ("GET", "/sign-out"): self.sign_out,
            ("GET", "/saml/slo"): self.signed_out,
            ("POST", "/saml/slo"): self.signed_out,
        }

    def _pair(self, name: str, use: str) -> dict[str, str]:
        self._directory.mkdir(parents=True, exist_ok=True)
        paths = {"key_file": self._directory / f"{use}.key", "cert_file": self._directory / f"{use}.crt"}
        for path, pem in zip(paths.values(), rsa_pair(f"{name} {use}"), strict=True):
            path.write_text(pem)
        return {kind: str(path) for kind, path in paths.items()}

    def _config(self, metadata: dict[str, Any]) -> SPConfig:
        endpoints = {"assertion_consumer_service": [(self.url + "/saml/acs", BINDING_HTTP_POST)]}
        if self._signs_out:
            endpoints["single_logout_service"] = [
                (self.url + "/saml/slo", BINDING_HTTP_REDIRECT),
                (self.url + "/saml/slo", BINDING_HTTP_POST),
            ]
        service = {
            "endpoints": endpoints,
            "authn_requests_signed": True,
            "logout_requests_signed": True,
            "logout_responses_signed": True,
            "want_response_signed": True,
            "want_assertions_signed": True,
            "name_id_format": [NAMEID_FORMAT_PERSISTENT],
            "name_id_policy_format": NAMEID_FORMAT_PERSISTENT,
            "signing_algorithm": SIG_RSA_SHA256,
            "digest_algorithm": DIGEST_SHA256,
        }
        settings = {
            "entityid": self.url + "/saml/metadata",
            **self._pairs["signing"],
            "metadata": metadata,
            "allow_unknown_attributes": True,
            "service": {"sp": service},
        }
        if self.encrypts:
            settings["encryption_keypairs"] = [self._pairs["encryption"]]
        if self._subject_id is not None:
            required = {"format": URI_NAMES, "name": SUBJECT_ID_REQUIREMENT, "values": [self._subject_id]}
            settings["entity_attributes"] = [required]
        config = SPConfig()
        config.load(settings)
        return config

    @cached_property
    def client(self) -> Saml2Client:
        """pysaml2's client, as it loads and verifies the gateway's metadata by itself."""
        source = {"url": self._identity_provider, "cert": str(self._anchor)}
        return Saml2Client(config=self._config({"remote": [source]}))

    def metadata(self, _visit: Visit) -> Reply:
        """GET /saml/metadata: as pysaml2 writes it."""
        document = str(entity_descriptor(self._config({})))
        return Reply(body=document, content_type="application/samlmetadata+xml")

    def sign_in(self, visit: Visit) -> Reply:
        """GET /sign-in: off to the gateway."""
        with self._lock:
            request_id, away = self.client.prepare_for_authenticate(
                relay_state=self.url + "/after", binding=self.binding, sign=self.signs, **self.asked
            )
        visit.session.setdefault("outstanding", {})[request_id] = "/"
        return carried(self.binding, away)

    def arrive(self, visit: Visit) -> Reply:
        """POST /saml/acs: what pysaml2 makes of the answer."""
        self.responses.append(visit.form["SAMLResponse"])
        outstanding = visit.session.setdefault("outstanding", {})
        try:
            with self._lock:
                answer = self.client.parse_authn_request_response(
                    visit.form["SAMLResponse"], BINDING_HTTP_POST, outstanding=outstanding
                )
        except StatusError as status:
            return page("Refused", [("status", type(status).__name__)], 403)
        outstanding.pop(answer.in_response_to)
        name_id = answer.get_subject()
        visit.session["subject"] = code(name_id)
        said = [(attribute, " ".join(values)) for attribute, values in answer.get_identity().items()]
        about = [
            ("NameID", name_id.text),
            ("NameID format", name_id.format),
            ("Issuer", answer.issuer()),
            ("AuthnContext", answer.authn_info()[0][0]),
            ("RelayState", visit.form.get("RelayState", "")),
        ]
        return page("Welcome", about + said)

    def sign_out(self, visit: Visit) -> Reply:
        """GET /sign-out: pysaml2 asks whoever signed the person in."""
        subject = decode(visit.session["subject"])
        asserting = self.client.users.issuers_of_info(subject)
        with self._lock:
            asked = self.client.do_logout(subject, asserting, "", None, expected_binding=self.binding)
        ((binding, away),) = asked.values()
        return carried(binding, away)

    def signed_out(self, visit: Visit) -> Reply:
        """GET or POST /saml/slo: the answer to our request, or somebody else's request."""
        binding = BINDING_HTTP_REDIRECT if visit.method == "GET" else BINDING_HTTP_POST
        fields = visit.query if visit.method == "GET" else visit.form
        with self._lock:
            if "SAMLResponse" in fields:
                return self._told(visit, fields, binding)
            subject = decode(visit.session["subject"])
            signature = {key: fields.get(name) for key, name in (("sigalg", "SigAlg"), ("signature", "Signature"))}
            detached = signature if binding == BINDING_HTTP_REDIRECT else {}
            away = self.client.handle_logout_request(
                fields["SAMLRequest"], subject, binding, relay_state=fields.get("RelayState"), **detached
            )
        visit.session.pop("subject")
        return carried(BINDING_HTTP_REDIRECT if away.get("method") == "GET" else BINDING_HTTP_POST, away)

    def _told(self, visit: Visit, fields: Any, binding: str) -> Reply:
        answer = self.client.parse_logout_request_response(fields["SAMLResponse"], binding)
        self.client.handle_logout_response(answer)
        subject = decode(visit.session.pop("subject"))
        known = str(self.client.is_logged_in(subject))
        return page("Signed out", [("status", status_of(answer.response)), ("still known", known)])


def status_of(response: Any) -> str:
    """The last words of a message's status codes, the outer one first."""
    codes, status = [], response.status.status_code
    while status is not None:
        codes.append(status.value.rpartition(":")[2])
        status = status.status_code
    return " ".join(codes)


def carried(binding: str, away: Any) -> Reply:
    """What pysaml2 prepared, as an answer to the browser."""
    if binding == BINDING_HTTP_REDIRECT:
        return see_other(dict(away["headers"])["Location"])
    body = away["data"] if isinstance(away["data"], str) else "".join(away["data"])
    return Reply(body=body.replace("<form ", '<form id="handover" '))
