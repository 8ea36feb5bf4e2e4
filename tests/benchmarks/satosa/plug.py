"""Signatures in process for pysaml2: a `CryptoBackend` over python-xmlsec whose keys stay loaded.

Runs in SATOSA's environment. It is no example to follow: it verifies what pysaml2 points at, without the gate that
decides which signature is looked at.
"""

from functools import cache
from pathlib import Path

import xmlsec
from lxml import etree
from saml2.sigver import CryptoBackend, SignatureError

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


class InProcess(CryptoBackend):
    """The two of pysaml2's operations that its proxy needs here."""

    version = "1.3.0"

    def sign_statement(self, statement, node_name, key_file, node_id):
        """Fill in the signature template of the element `node_id`."""
        octets = statement if isinstance(statement, bytes) else str(statement).encode()
        root = etree.fromstring(octets, _PARSER)
        context = xmlsec.SignatureContext()
        context.key = _key(Path(key_file).read_bytes(), xmlsec.constants.KeyDataFormatPem)
        context.sign(_signature(context, root, node_name, node_id))
        return etree.tostring(root, encoding="unicode")

    def validate_signature(self, signedtext, cert_file, cert_type, node_name, node_id):
        """Verify the signature of the element `node_id`, or of the first of that name."""
        octets = signedtext if isinstance(signedtext, bytes) else signedtext.encode()
        form = {"pem": xmlsec.constants.KeyDataFormatCertPem, "der": xmlsec.constants.KeyDataFormatCertDer}[cert_type]
        context = xmlsec.SignatureContext()
        context.key = _key(Path(cert_file).read_bytes(), form)
        try:
            context.verify(_signature(context, etree.fromstring(octets, _PARSER), node_name, node_id))
        except xmlsec.Error as fault:
            raise SignatureError(str(fault)) from fault
        return True


@cache
def _key(content, form):
    return xmlsec.Key.from_memory(content, form)


def _signature(context, root, node_name, node_id):
    """Find the signature of an element and let the context know the element's ID."""
    namespace, _, name = node_name.rpartition(":")
    for element in root.iter(f"{{{namespace}}}{name}"):
        if not node_id or element.get("ID") == node_id:
            context.register_id(element, "ID")
            return element.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    raise SignatureError(f"no {node_name} with that ID")


def plug_in(entity):
    """Give a pysaml2 client or server, and its store of metadata, the backend."""
    backend = InProcess()
    entity.sec.crypto = backend
    if entity.metadata is not None:
        entity.metadata.security.crypto = backend
