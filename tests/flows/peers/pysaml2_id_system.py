"""An ID system that is a SAML identity provider: pysaml2's own server.

pysaml2 reads the gateway's metadata, verifies its requests and makes the answers. The program xmlsec1, which it
calls to sign and encrypt XML, need not be installed for `Pysaml2IdSystem`: signxml signs instead, and nothing is
encrypted. `ProgramIdSystem` leaves everything as pysaml2 brings it, and encrypts too.
"""

import warnings
from pathlib import Path
from typing import Any

import requests
from cryptography.utils import CryptographyDeprecationWarning
from lxml import etree
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAME_FORMAT_URI, NAMEID_FORMAT_PERSISTENT
from saml2.sigver import (
    CryptoBackend,
    RSACrypto,
    get_pem_wrapped_unwrapped,
    import_rsa_key_from_file,
    make_temp,
    pre_encryption_part,
)
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256
from signxml import CanonicalizationMethod, XMLSigner

from tests.flows.peers.keys import rsa_pair
from tests.flows.peers.pysaml2_service import carried, status_of
from tests.flows.peers.site import Reply, Site, Visit, page

with warnings.catch_warnings():
    # pysaml2's server names a cipher mode that cryptography has moved; nothing here encrypts.
    warnings.filterwarnings("ignore", "CFB has been moved", CryptographyDeprecationWarning)
    from saml2.server import Server

CARD = "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI"
DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0

RESIDENT = {"user": "kiryu-0007", "attributes": {"cn": ["織田　糸子"], "sn": ["織田"], "givenName": ["糸子"]}}


class SignXml(CryptoBackend):
    """pysaml2's port for XML signatures, done by signxml."""

    version = "1.3.0"

    def __init__(self, certificate: str) -> None:
        self._certificate = certificate

    def sign_statement(self, statement, node_name, key_file, node_id):  # noqa: ARG002 - pysaml2's signature
        """Sign the element with this ID, where pysaml2 left room for the signature."""
        root = etree.fromstring(statement if isinstance(statement, bytes) else str(statement).encode())
        element = next(node for node in root.iter() if node.get("ID") == node_id)
        room = element.find(f"{{{DS}}}Signature")
        for template in list(room):
            room.remove(template)
        room.set("Id", "placeholder")
        signer = XMLSigner(c14n_algorithm=EXCLUSIVE)
        # pysaml2 writes the message once more, with the prefixes that it chose.
        signer.namespaces = {room.prefix: DS}
        signed = signer.sign(
            etree.fromstring(etree.tostring(element, with_tail=False)),
            key=Path(key_file).read_bytes(),
            cert=self._certificate,
            reference_uri=node_id,
            id_attribute="ID",
        )
        if element is root:
            return etree.tostring(signed).decode()
        element.getparent().replace(element, signed)
        return etree.tostring(root).decode()


class Pysaml2IdSystem(Site):
    """The identity provider. `service_provider` is the address of the gateway's metadata."""

    def __init__(self, directory: Path, service_provider: str) -> None:
        super().__init__("kiryu")
        self._directory = directory
        self._service_provider = service_provider
        key, self._certificate = rsa_pair("Kiryu")
        self._key_file, self._certificate_file = directory / "kiryu.key", directory / "kiryu.crt"
        self._key_file.write_text(key)
        self._certificate_file.write_text(self._certificate)
        self.asked: list[Any] = []
        self.answers: list[str] = []
        """Every Response that left."""
        self.says: dict[str, Any] = {}
        """What `create_authn_response` is told besides or instead."""
        self.pages = {
            ("GET", "/saml/metadata"): self.metadata,
            ("GET", "/saml/sso"): self.ask,
            ("POST", "/saml/sso"): self.decide,
        }

    def _server_of(self, metadata: dict[str, Any]) -> Server:
        server = Server(config=self._config(metadata, crypto_backend="XMLSecurity"))
        server.sec.crypto = SignXml(self._certificate)
        server.sec.sec_backend = RSACrypto(import_rsa_key_from_file(str(self._key_file)))
        return server

    def _config(self, metadata: dict[str, Any], **changes: Any) -> IdPConfig:
        sign_on = self.url + "/saml/sso"
        config = IdPConfig()
        config.load(
            {
                "entityid": self.url + "/saml/metadata",
                **changes,
                "key_file": str(self._key_file),
                "cert_file": str(self._certificate_file),
                "metadata": metadata,
                "service": {
                    "idp": {
                        "endpoints": {
                            "single_sign_on_service": [(sign_on, BINDING_HTTP_REDIRECT)],
                            **self._more_endpoints(),
                        },
                        "want_authn_requests_signed": True,
                        "sign_response": True,
                        "sign_assertion": True,
                        "signing_algorithm": SIG_RSA_SHA256,
                        "digest_algorithm": DIGEST_SHA256,
                        "name_id_format": [NAMEID_FORMAT_PERSISTENT],
                        "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": NAME_FORMAT_URI}},
                    }
                },
            }
        )
        return config

    def _more_endpoints(self) -> dict[str, Any]:
        return {}

    def metadata(self, _visit: Visit) -> Reply:
        """GET /saml/metadata: as pysaml2 writes it."""
        document = str(entity_descriptor(self._server_of({}).config))
        return Reply(body=document, content_type="application/samlmetadata+xml")

    def _joined(self) -> Server:
        """The server with the gateway's metadata, fetched once."""
        found = self._directory / "gateway.xml"
        if not found.exists():
            found.write_bytes(requests.get(self._service_provider, timeout=10).content)
        return self._server_of({"local": [str(found)]})

    def ask(self, visit: Visit) -> Reply:
        """GET /saml/sso: pysaml2 verifies the request; the resident is asked."""
        query = visit.query
        request = self._joined().parse_authn_request(
            query["SAMLRequest"],
            BINDING_HTTP_REDIRECT,
            relay_state=query.get("RelayState"),
            sigalg=query.get("SigAlg"),
            signature=query.get("Signature"),
        )
        self.asked.append(request.message)
        visit.session["request"] = (request.message, query.get("RelayState", ""))
        button = f"<button name=resident value={RESIDENT['user']}>{RESIDENT['attributes']['cn'][0]}</button>"
        form = f"<form method=post action=/saml/sso>{button}</form>"
        return Reply(body=f"<!DOCTYPE html><meta charset=utf-8><title>Kiryu</title>{form}")

    def decide(self, visit: Visit) -> Reply:
        """POST /saml/sso: the resident signed in; pysaml2 makes answer and form."""
        message, relay_state = visit.session.pop("request")
        server = self._joined()
        answer = server.response_args(message)
        response = server.create_authn_response(
            RESIDENT["attributes"],
            userid=RESIDENT["user"],
            authn={"class_ref": CARD, "authn_auth": server.config.entityid},
            **(answer | self.says),
        )
        self.answers.append(str(response))
        form = server.apply_binding(BINDING_HTTP_POST, str(response), answer["destination"], relay_state, response=True)
        return Reply(body=form["data"].replace("<form ", '<form id="handover" '))


AES_128_GCM = ("http://www.w3.org/2009/xmlenc11#aes128-gcm", "aes-128")
AES_256_GCM = ("http://www.w3.org/2009/xmlenc11#aes256-gcm", "aes-256")
AES_256_CBC = ("http://www.w3.org/2001/04/xmlenc#aes256-cbc", "aes-256")
TRIPLE_DES_CBC = ("http://www.w3.org/2001/04/xmlenc#tripledes-cbc", "des-192")
"""Algorithms, and what the program calls their keys; the last is what pysaml2 takes by itself."""


class _Encrypting(Server):
    """pysaml2's server, which knows one algorithm for assertions, with a choice of it."""

    block = TRIPLE_DES_CBC

    def _encrypt_assertion(self, encrypt_cert, sp_entity_id, response, node_xpath=None):  # noqa: ARG002 - pysaml2's
        ((name, certificate), *_) = self.metadata.certs(sp_entity_id, "any", "encryption")
        wrapped, bare = get_pem_wrapped_unwrapped(certificate)
        algorithm, key_type = self.block
        template = pre_encryption_part(msg_enc=algorithm, key_name=name, encrypt_cert=bare)
        public = make_temp(wrapped.encode("ascii"), decode=False)
        return self.sec.encrypt_assertion(response, public.name, template, key_type, node_xpath)


class ProgramIdSystem(Pysaml2IdSystem):
    """The identity provider with pysaml2's stock back end, which calls the program xmlsec1, and with single logout."""

    def __init__(self, directory: Path, service_provider: str) -> None:
        super().__init__(directory, service_provider)
        self.block = AES_256_GCM
        """How assertions are encrypted, if `says` says that they are."""
        self.binding = BINDING_HTTP_REDIRECT
        """How the next LogoutRequest travels."""
        self.session_indexes: list[str] | None = None
        """Which sessions the next LogoutRequest names; None for all."""
        self.told: list[Any] = []
        """Every LogoutRequest that came, verified."""
        self._only: Server | None = None
        self.pages |= {
            ("GET", "/saml/slo"): self.sign_out,
            ("POST", "/saml/slo"): self.sign_out,
            ("GET", "/sign-out"): self.begin_sign_out,
            ("GET", "/unasked"): self.unasked,
        }

    def _more_endpoints(self) -> dict[str, Any]:
        address = self.url + "/saml/slo"
        return {"single_logout_service": [(address, BINDING_HTTP_REDIRECT), (address, BINDING_HTTP_POST)]}

    def _server_of(self, metadata: dict[str, Any]) -> Server:
        return _Encrypting(config=self._config(metadata))

    def _joined(self) -> Server:
        """One server for good: it keeps the names that it gave to people."""
        self._only = self._only or super()._joined()
        self._only.block = self.block
        return self._only

    def unasked(self, visit: Visit) -> Reply:
        """GET /unasked?to=: the resident begins here, and is sent to the gateway with an answer to no request."""
        server = self._joined()
        (gateway,) = server.metadata.service_providers()
        (address, *_) = server.metadata.assertion_consumer_service(gateway, BINDING_HTTP_POST)
        response = server.create_authn_response(
            RESIDENT["attributes"],
            in_response_to=None,
            destination=address["location"],
            sp_entity_id=gateway,
            userid=RESIDENT["user"],
            authn={"class_ref": CARD, "authn_auth": server.config.entityid},
        )
        form = server.apply_binding(
            BINDING_HTTP_POST, str(response), address["location"], visit.query["to"], response=True
        )
        return carried(BINDING_HTTP_POST, form)

    def sign_out(self, visit: Visit) -> Reply:
        """GET or POST /saml/slo: the gateway's LogoutRequest, which is answered, or its LogoutResponse."""
        server = self._joined()
        binding = BINDING_HTTP_REDIRECT if visit.method == "GET" else BINDING_HTTP_POST
        fields = visit.query if visit.method == "GET" else visit.form
        if "SAMLResponse" in fields:
            answer = server.parse_logout_request_response(fields["SAMLResponse"], binding)
            return page("Signed out", [("status", status_of(answer.response)), ("RelayState", fields["RelayState"])])
        detached = (
            {"sigalg": fields.get("SigAlg"), "signature": fields.get("Signature")} if visit.method == "GET" else {}
        )
        request = server.parse_logout_request(
            fields["SAMLRequest"], binding, relay_state=fields.get("RelayState"), **detached
        )
        self.told.append(request.message)
        answer = server.create_logout_response(request.message, [BINDING_HTTP_REDIRECT], sign=False)
        return carried(
            BINDING_HTTP_REDIRECT,
            server.apply_binding(
                BINDING_HTTP_REDIRECT,
                str(answer),
                answer.destination,
                fields.get("RelayState", ""),
                response=True,
                sign=True,
                sigalg=SIG_RSA_SHA256,
            ),
        )

    def begin_sign_out(self, _visit: Visit) -> Reply:
        """GET /sign-out: the resident signs out here, and the gateway is asked to end what it knows."""
        server = self._joined()
        (gateway,) = server.metadata.service_providers()
        ((address, *_),) = [server.metadata.single_logout_service(gateway, self.binding, "spsso")]
        (name_id,) = server.ident.find_nameid(RESIDENT["user"])
        by_redirect = self.binding == BINDING_HTTP_REDIRECT
        _, request = server.create_logout_request(
            address["location"],
            gateway,
            name_id=name_id,
            session_indexes=self.session_indexes,
            sign=not by_redirect,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
        away = server.apply_binding(
            self.binding, str(request), address["location"], "back", sign=by_redirect, sigalg=SIG_RSA_SHA256
        )
        return carried(self.binding, away)
