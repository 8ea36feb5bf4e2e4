"""A SAML service made of python3-saml (OneLogin): its metadata, its requests, its strict validation, its logout."""

from typing import Any
from urllib.parse import urlsplit

import requests
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from tests.flows.peers.keys import rsa_pair
from tests.flows.peers.site import Reply, Site, Visit, page, see_other

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"


class OneLoginService(Site):
    """The service. `identity_provider` is the address of the metadata that it was told.

    With `encrypts` it lists an encryption key and takes encrypted assertions only; with `signs_out` it lists an
    address for single logout, by Redirect, the one binding that python3-saml has for it.
    """

    def __init__(
        self,
        identity_provider: str,
        *,
        name: str = "ota-bookings",
        encrypts: bool = False,
        signs_out: bool = False,
    ) -> None:
        super().__init__(name)
        self._identity_provider = identity_provider
        self._key, self._certificate = rsa_pair(name)
        self._signs_out = signs_out
        self.security: dict[str, Any] = {
            "authnRequestsSigned": True,
            "wantMessagesSigned": True,
            "wantAssertionsSigned": True,
            "wantAssertionsEncrypted": encrypts,
            "wantNameId": True,
            "logoutRequestSigned": True,
            "logoutResponseSigned": True,
            "requestedAuthnContext": False,
            "rejectDeprecatedAlgorithm": True,
            "signatureAlgorithm": RSA_SHA256,
            "digestAlgorithm": SHA256,
        }
        self.pages = {
            ("GET", "/"): lambda visit: page("Signed in" if "signed_in" in visit.session else "Nobody"),
            ("GET", "/saml/metadata"): self.metadata,
            ("GET", "/sign-in"): self.sign_in,
            ("POST", "/saml/acs"): self.arrive,
            ("GET", "/sign-out"): self.sign_out,
            ("GET", "/saml/sls"): self.signed_out,
        }

    def _own_settings(self) -> dict[str, Any]:
        signing_out = {"singleLogoutService": {"url": self.url + "/saml/sls", "binding": REDIRECT}}
        return {
            "strict": True,
            "sp": {
                "entityId": self.url + "/saml/metadata",
                "assertionConsumerService": {"url": self.url + "/saml/acs", "binding": POST},
                **(signing_out if self._signs_out else {}),
                "NameIDFormat": PERSISTENT,
                "x509cert": self._certificate,
                "privateKey": self._key,
            },
            "security": dict(self.security),
        }

    def metadata(self, _visit: Visit) -> Reply:
        """GET /saml/metadata: as python3-saml makes and checks it."""
        settings = OneLogin_Saml2_Settings(self._own_settings(), sp_validation_only=True)
        document = settings.get_sp_metadata()
        errors = settings.validate_metadata(document)
        if errors:
            return page("Metadata", [("errors", str(errors))], status=500)
        return Reply(body=document, content_type="application/samlmetadata+xml")

    def _auth(self, visit: Visit) -> OneLogin_Saml2_Auth:
        document = requests.get(self._identity_provider, timeout=10).content
        told = OneLogin_Saml2_IdPMetadataParser.parse(document)
        settings = OneLogin_Saml2_IdPMetadataParser.merge_settings(told, self._own_settings())
        parts = urlsplit(visit.url)
        seen = {
            "https": "off",
            "http_host": parts.netloc,
            "script_name": parts.path,
            "get_data": visit.query,
            "post_data": dict(visit.form),
        }
        return OneLogin_Saml2_Auth(seen, settings)

    def sign_in(self, visit: Visit) -> Reply:
        """GET /sign-in: off to the gateway."""
        auth = self._auth(visit)
        location = auth.login(return_to=self.url + "/after")
        visit.session["request"] = auth.get_last_request_id()
        return see_other(location)

    def arrive(self, visit: Visit) -> Reply:
        """POST /saml/acs: what python3-saml makes of the answer."""
        auth = self._auth(visit)
        auth.process_response(request_id=visit.session.pop("request", None))
        if auth.get_errors() or not auth.is_authenticated():
            why = [("errors", str(auth.get_errors())), ("reason", str(auth.get_last_error_reason()))]
            return page("Refused", why, 403)
        visit.session["signed_in"] = {
            "name_id": auth.get_nameid(),
            "name_id_format": auth.get_nameid_format(),
            "nq": auth.get_nameid_nq(),
            "spnq": auth.get_nameid_spnq(),
            "session_index": auth.get_session_index(),
        }
        said = [(name, " ".join(values)) for name, values in auth.get_attributes().items()]
        about = [
            ("NameID", auth.get_nameid()),
            ("NameID format", auth.get_nameid_format()),
            ("AuthnContext", " ".join(auth.get_last_authn_contexts())),
            ("RelayState", visit.form.get("RelayState", "")),
        ]
        return page("Welcome", about + said)

    def sign_out(self, visit: Visit) -> Reply:
        """GET /sign-out: off to the gateway with a LogoutRequest; the own session ends first."""
        auth = self._auth(visit)
        location = auth.logout(return_to=self.url + "/after", **visit.session.pop("signed_in"))
        visit.session["request"] = auth.get_last_request_id()
        return see_other(location)

    def signed_out(self, visit: Visit) -> Reply:
        """GET /saml/sls: the answer to our LogoutRequest, or a LogoutRequest of the gateway, which is answered."""
        auth = self._auth(visit)
        asked = visit.session.pop("request", None) if "SAMLResponse" in visit.query else None
        away = auth.process_slo(request_id=asked, delete_session_cb=lambda: visit.session.pop("signed_in", None))
        said = [("errors", str(auth.get_errors())), ("reason", str(auth.get_last_error_reason()))]
        if auth.get_errors() or "SAMLResponse" in visit.query:
            return page("Signed out", [*said, ("RelayState", visit.query.get("RelayState", ""))])
        return see_other(away)
