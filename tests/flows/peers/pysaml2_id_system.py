"""An ID system that is a SAML identity provider: pysaml2's own server, with signxml for the XML signatures.

pysaml2 reads the gateway's metadata, verifies its requests and makes the answers. The program xmlsec1, which
it would call to sign XML, need not be installed: signxml signs instead.
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
from saml2.sigver import CryptoBackend, RSACrypto, import_rsa_key_from_file
from saml2.xmldsig import SIG_RSA_SHA256
from signxml import CanonicalizationMethod, XMLSigner

from tests.flows.peers.keys import rsa_pair
from tests.flows.peers.site import Reply, Site, Visit

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
        self.pages = {
            ("GET", "/saml/metadata"): self.metadata,
            ("GET", "/saml/sso"): self.ask,
            ("POST", "/saml/sso"): self.decide,
        }

    def _server_of(self, metadata: dict[str, Any]) -> Server:
        sign_on = self.url + "/saml/sso"
        config = IdPConfig()
        config.load(
            {
                "entityid": self.url + "/saml/metadata",
                "crypto_backend": "XMLSecurity",
                "key_file": str(self._key_file),
                "cert_file": str(self._certificate_file),
                "metadata": metadata,
                "service": {
                    "idp": {
                        "endpoints": {"single_sign_on_service": [(sign_on, BINDING_HTTP_REDIRECT)]},
                        "want_authn_requests_signed": True,
                        "sign_response": True,
                        "sign_assertion": True,
                        "signing_algorithm": SIG_RSA_SHA256,
                        "name_id_format": [NAMEID_FORMAT_PERSISTENT],
                        "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": NAME_FORMAT_URI}},
                    }
                },
            }
        )
        server = Server(config=config)
        server.sec.crypto = SignXml(self._certificate)
        server.sec.sec_backend = RSACrypto(import_rsa_key_from_file(str(self._key_file)))
        return server

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
            **answer,
        )
        form = server.apply_binding(BINDING_HTTP_POST, str(response), answer["destination"], relay_state, response=True)
        return Reply(body=form["data"].replace("<form ", '<form id="handover" '))
