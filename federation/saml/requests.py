"""Reading a service provider's AuthnRequest: how it came, who signed it, and what must hold of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from saml2 import saml, samlp

from federation.saml import redirect
from federation.saml.checks import LEEWAY
from federation.saml.messages import AUTHN_REQUEST, ISSUER, POST, SIGNATURE, from_base64, from_octets, instant, text_of
from federation.web import Json, WebRequest
from trust_lists.model import Endpoint, Role, TrustedEntity
from trust_lists.xmldsig import canonical, verify_element
from trust_lists.xmlgate import Element, SignatureRefusedError, gate

REQUEST_LIFETIME = timedelta(minutes=10)
"""How old a request may be."""

RELAY_STATE_OCTETS = 1024
"""SAML Bindings §3.4.3 says 80; peers in the field send more, and it costs nothing to hand it back."""

ID_LENGTH = 256
"""Longest request ID that is kept until the answer."""

KEPT_LENGTH = 16 * 1024
"""Characters of a request, as JSON, that are kept until the answer.

A request that comes deflated unpacks to a thousand times its size; kept whole, small requests of anybody
would fill the store.
"""


class SamlRequestRefusedError(Exception):
    """The request is not acceptable and gets no answer; `code` holds nothing of the request."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlAuthnRequest:
    """A checked AuthnRequest. `acs_url` stands in the issuer's listed metadata.

    `comparison` is that of `requested_contexts` (SAML Core §3.3.2.2.1). `identity_providers` is the IDPList.
    `names_subject`: it asks for one particular person (§3.4.1, Subject).
    """

    id: str
    issuer: str
    acs_url: str
    relay_state: str | None
    signed: bool
    force_authn: bool = False
    is_passive: bool = False
    name_id_format: str | None = None
    sp_name_qualifier: str | None = None
    requested_contexts: tuple[str, ...] = ()
    comparison: str = "exact"
    identity_providers: tuple[str, ...] = ()
    names_subject: bool = False

    def to_json(self) -> dict[str, Any]:
        """Write a JSON object from which `request_from_json` makes an equal request."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def request_from_json(data: Json) -> SamlAuthnRequest:
    """Make the request that `SamlAuthnRequest.to_json` wrote."""
    lists = {name: tuple(data[name]) for name in ("requested_contexts", "identity_providers")}
    return SamlAuthnRequest(**{**data, **lists})


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """An AuthnRequest as it came, its signature verified if it has one; nothing else of it is checked yet."""

    message: samlp.AuthnRequest
    sp: TrustedEntity
    relay_state: str | None
    signed: bool


@dataclass(frozen=True, slots=True)
class RequestRule:
    """A rule of an AuthnRequest; `kept` answers whether it is kept.

    It gets our single sign-on addresses and the time.
    """

    code: str
    kept: Callable[[Came, frozenset[str], datetime], object]


REQUEST_RULES = (
    RequestRule("version", lambda c, _, __: c.message.version == "2.0"),
    RequestRule("id", lambda c, _, __: 0 < len(c.message.id or "") <= ID_LENGTH),
    RequestRule("unsigned", lambda c, _, __: c.signed or not c.sp.wants_signed_requests),
    RequestRule("destination", lambda c, urls, _: _destined(c, urls)),
    RequestRule("issued-in-future", lambda c, _, now: _issued(c) <= now + LEEWAY),
    RequestRule("too-old", lambda c, _, now: _issued(c) >= now - REQUEST_LIFETIME - LEEWAY),
    RequestRule("relay-state", lambda c, _, __: _octets(c.relay_state) <= RELAY_STATE_OCTETS),
    RequestRule("protocol-binding", lambda c, _, __: c.message.protocol_binding in (None, POST)),
    RequestRule("acs-url-and-index", lambda c, _, __: not (_acs_url(c) and _acs_index(c))),
    RequestRule("acs", lambda c, _, __: _acs(c) is not None),
)
"""SAML Core §3.4.1, SAML Profiles §4.1.4.1, SAML Bindings §3.4.5.2 and §3.5.5.2."""


def receive(web: WebRequest, find: Callable[[str], TrustedEntity]) -> Came:
    """Take the AuthnRequest out of a GET (Redirect) or POST and verify the signature that it has.

    `find` answers the listed service provider of an entity ID; what it raises passes. Raises
    `SignatureRefusedError`.
    """
    if web.method != "POST":
        message = redirect.receive(web.raw_query, "SAMLRequest")
        root, sp = _listed(message.document, find)
        if root.find(SIGNATURE) is not None:
            raise SignatureRefusedError("signature-embedded")
        signed = message.algorithm is not None
        if signed:
            message.verify(sp.signing_certificates)
        return Came(message=_read(canonical(root), sp), sp=sp, relay_state=message.relay_state, signed=signed)
    fields = dict(web.form)
    if len(fields) != len(web.form):
        raise SignatureRefusedError("parameter-twice")
    if "SAMLRequest" not in fields:
        raise SignatureRefusedError("parameter-missing")
    root, sp = _listed(from_base64(fields["SAMLRequest"]), find)
    signed = root.find(SIGNATURE) is not None
    octets = verify_element(root, certificates=sp.signing_certificates) if signed else canonical(root)
    return Came(message=_read(octets, sp), sp=sp, relay_state=fields.get("RelayState"), signed=signed)


def _listed(document: bytes, find: Callable[[str], TrustedEntity]) -> tuple[Element, TrustedEntity]:
    """Let a request through the gate, and look up whom it says it is from: with whose keys to verify it."""
    root = gate(document, roots=(AUTHN_REQUEST,))
    issuer = root.find(ISSUER)
    if issuer is None or not issuer.text:
        raise SignatureRefusedError("issuer")
    return root, find(issuer.text)


def _read(octets: bytes, sp: TrustedEntity) -> samlp.AuthnRequest:
    """Read the canonical octets, verified where there is a signature; they name the same issuer."""
    request = from_octets(octets, samlp.AuthnRequest)
    issuer = request.issuer
    if issuer is None or issuer.text != sp.entity_id or issuer.format not in (None, saml.NAMEID_FORMAT_ENTITY):
        raise SignatureRefusedError("issuer")
    return request


def check(came: Came, *, sso_urls: frozenset[str], now: datetime) -> SamlAuthnRequest:
    """Hold the request against the rules. Raises `SamlRequestRefusedError`."""
    for rule in REQUEST_RULES:
        if not rule.kept(came, sso_urls, now):
            raise SamlRequestRefusedError(rule.code)
    acs, request = _acs(came), came.message
    assert acs is not None  # the last rule
    policy, contexts = request.name_id_policy, request.requested_authn_context
    checked = SamlAuthnRequest(
        id=request.id,
        issuer=came.sp.entity_id,
        acs_url=acs.location,
        relay_state=came.relay_state or None,
        signed=came.signed,
        force_authn=_true(request.force_authn),
        is_passive=_true(request.is_passive),
        name_id_format=(policy.format or None) if policy else None,
        sp_name_qualifier=(policy.sp_name_qualifier or None) if policy else None,
        requested_contexts=_requested(contexts),
        comparison=(contexts.comparison or "exact") if contexts else "exact",
        identity_providers=_identity_providers(request.scoping),
        names_subject=request.subject is not None,
    )
    if len(json.dumps(checked.to_json())) > KEPT_LENGTH:
        raise SamlRequestRefusedError("too-much")
    return checked


def _destined(came: Came, sso_urls: frozenset[str]) -> bool:
    """Tell whether it is meant for us; a signed one must say so, an unsigned one not say otherwise."""
    destination = came.message.destination
    return destination in sso_urls or not (came.signed or destination)


def _issued(came: Came) -> datetime:
    issued = instant(came.message.issue_instant)
    if issued is None:
        raise SamlRequestRefusedError("issue-instant")
    return issued


def _octets(text: str | None) -> int:
    return len((text or "").encode("utf-8", "replace"))


def _acs_url(came: Came) -> str | None:
    return came.message.assertion_consumer_service_url or None


def _acs_index(came: Came) -> str | None:
    return came.message.assertion_consumer_service_index or None


def _acs(came: Came) -> Endpoint | None:
    """Find where the answer goes: an address of the listed metadata, whatever the request says."""
    role, kind = Role.SAML_SERVICE_PROVIDER, "AssertionConsumerService"
    listed = [e for e in came.sp.endpoints if (e.role, e.kind, e.binding) == (role, kind, POST)]
    url, index = _acs_url(came), _acs_index(came)
    if url is not None:
        return next((endpoint for endpoint in listed if endpoint.location == url), None)
    if index is not None:
        return next((endpoint for endpoint in listed if str(endpoint.index) == index), None)
    return came.sp.endpoint(role, kind, POST)


def _true(text: str | None) -> bool:
    return text in ("true", "1")


def _requested(contexts: samlp.RequestedAuthnContext | None) -> tuple[str, ...]:
    if contexts is None:
        return ()
    references = (*(contexts.authn_context_class_ref or ()), *(contexts.authn_context_decl_ref or ()))
    return tuple(text_of(reference).strip() for reference in references)


def _identity_providers(scoping: samlp.Scoping | None) -> tuple[str, ...]:
    if scoping is None or scoping.idp_list is None:
        return ()
    return tuple(entry.provider_id for entry in scoping.idp_list.idp_entry or () if entry.provider_id)
