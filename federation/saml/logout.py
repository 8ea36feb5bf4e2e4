"""The messages of single logout, read and written (SAML Core §3.7, Profiles §4.4, Bindings §3.4 and §3.5).

A logout message without a signature is nothing: both bindings, requests and responses. Which sessions a request means,
and who is told, is decided in `federation/sessions.py`.
"""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from saml2 import saml, samlp

from federation.saml import redirect
from federation.saml.checks import LEEWAY
from federation.saml.messages import (
    POST,
    REDIRECT,
    REQUESTER,
    RESPONDER,
    SUCCESS,
    from_base64,
    from_octets,
    instant,
    new_id,
    read,
    text_of,
    write,
    written,
)
from federation.saml.redirect import MessageName
from federation.saml.requests import ID_LENGTH, RELAY_STATE_OCTETS, REQUEST_LIFETIME
from federation.saml.service_provider import SamlAssertion
from federation.sessions import Participant, Party, SubjectName, UpstreamSession
from federation.web import PostForm, Redirect, WebRequest
from trust_lists.model import Endpoint, Role, TrustedEntity
from trust_lists.xmldsig import Signer, verify
from trust_lists.xmlgate import SignatureRefusedError

LOGOUT_LIFETIME = timedelta(minutes=5)
"""How long a request of ours may be acted upon."""

BELIEVED = REQUEST_LIFETIME + 2 * LEEWAY
"""How long a request is remembered, so that it is followed once: it could be believed no longer."""

MOST_INDEXES = 100
"""Session indexes in one request."""

USER = "urn:oasis:names:tc:SAML:2.0:logout:user"
"""SAML Core §3.7.3: the person asked for it."""

ADMIN = "urn:oasis:names:tc:SAML:2.0:logout:admin"
"""SAML Core §3.7.3: an authority of ours did, the person perhaps not."""

PARTIAL_LOGOUT = samlp.STATUS_PARTIAL_LOGOUT
UNKNOWN_PRINCIPAL = samlp.STATUS_UNKNOWN_PRINCIPAL
REQUEST_DENIED = samlp.STATUS_REQUEST_DENIED
REQUEST_UNSUPPORTED = samlp.STATUS_REQUEST_UNSUPPORTED

_ASYNCHRONOUS = ("urn:oasis:names:tc:SAML:2.0:protocol:ext:async-slo", "Asynchronous")
KIND = "SingleLogoutService"


class LogoutRefusedError(Exception):
    """The message is not believed and gets no answer; `code` holds nothing of it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who signed a request, and what the answer to it needs. `answered` False: it wants none."""

    entity_id: str
    request_id: str
    relay_state: str | None
    answered: bool


class LogoutDeniedError(Exception):
    """The request is the peer's own, but not followed; it is answered with `status`, second-level (§3.2.2.2)."""

    def __init__(self, code: str, status: str, asker: Asker) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.asker = asker


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutAsked:
    """A checked LogoutRequest; no `indexes`: every session of the person (SAML Core §3.7.1)."""

    asker: Asker
    name: SubjectName
    indexes: tuple[str, ...]


# --- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A logout message whose signature was verified; nothing else of it is checked yet."""

    message: Any
    peer: TrustedEntity
    relay_state: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a message is held against: our address, the time, and what a response must answer."""

    url: str
    now: datetime
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class LogoutRule:
    """A rule of a logout message; `kept` answers whether it is kept.

    `answer` is the second-level status with which a request that breaks it is answered; None: it gets no answer.
    """

    code: str
    answer: str | None
    kept: Callable[[Came, Expected], object]


def _past(text: str | None, now: datetime) -> bool:
    moment = instant(text)
    return moment is not None and moment <= now + LEEWAY


def _fresh(text: str | None, now: datetime) -> bool:
    moment = instant(text)
    return moment is not None and moment >= now - REQUEST_LIFETIME - LEEWAY


def _ahead(text: str | None, now: datetime) -> bool:
    """Tell whether it has not come yet; an end that is not stated does not come (SAML Core §3.7.1)."""
    moment = instant(text)
    return text is None or (moment is not None and moment > now - LEEWAY)


REQUEST_RULES = (
    LogoutRule("version", None, lambda c, _: c.message.version == "2.0"),
    LogoutRule("id", None, lambda c, _: 0 < len(c.message.id or "") <= ID_LENGTH),
    LogoutRule("destination", None, lambda c, e: c.message.destination == e.url),
    LogoutRule("relay-state", None, lambda c, _: _octets(c.relay_state) <= RELAY_STATE_OCTETS),
    LogoutRule("issued-in-future", REQUEST_DENIED, lambda c, e: _past(c.message.issue_instant, e.now)),
    LogoutRule("too-old", REQUEST_DENIED, lambda c, e: _fresh(c.message.issue_instant, e.now)),
    LogoutRule("expired", REQUEST_DENIED, lambda c, e: _ahead(c.message.not_on_or_after, e.now)),
    LogoutRule("name-encrypted", REQUEST_UNSUPPORTED, lambda c, _: c.message.encrypted_id is None),
    LogoutRule("name-missing", REQUEST_UNSUPPORTED, lambda c, _: text_of(c.message.name_id)),
    LogoutRule("too-many-sessions", REQUEST_DENIED, lambda c, _: len(c.message.session_index or ()) <= MOST_INDEXES),
)
"""SAML Core §3.7.1, SAML Profiles §4.4.4.1; the signature was verified before."""

RESPONSE_RULES = (
    LogoutRule("version", None, lambda c, _: c.message.version == "2.0"),
    LogoutRule("destination", None, lambda c, e: c.message.destination == e.url),
    LogoutRule("in-response-to", None, lambda c, e: c.message.in_response_to == e.request_id),
    LogoutRule("issued-in-future", None, lambda c, e: _past(c.message.issue_instant, e.now)),
    LogoutRule("too-old", None, lambda c, e: _fresh(c.message.issue_instant, e.now)),
    LogoutRule("status-missing", None, lambda c, _: _status(c.message)),
)
"""SAML Core §3.7.2, SAML Profiles §4.4.4.2."""


def read_request(web: WebRequest, *, url: str, find: Callable[[str], TrustedEntity], now: datetime) -> LogoutAsked:
    """Take a LogoutRequest out of a GET (Redirect) or POST to our address `url`.

    `find` answers the listed peer of an entity ID; what it raises passes. Raises `LogoutRefusedError`, and
    `LogoutDeniedError` where the peer is to be answered.
    """
    came = _come(web, "SAMLRequest", samlp.LogoutRequest, find)
    message, expected = came.message, Expected(url=url, now=now)
    asker = Asker(
        entity_id=came.peer.entity_id,
        request_id=message.id or "",
        relay_state=came.relay_state or None,
        answered=not _asynchronous(message),
    )
    for rule in REQUEST_RULES:
        if not rule.kept(came, expected):
            if rule.answer is None:
                raise LogoutRefusedError(rule.code)
            raise LogoutDeniedError(rule.code, rule.answer, asker)
    return LogoutAsked(
        asker=asker,
        name=_subject_name(message.name_id),
        indexes=tuple(text_of(index) for index in message.session_index or ()),
    )


def in_reply_to(web: WebRequest) -> str | None:
    """Read the InResponseTo of a LogoutResponse: **unverified**, a key to look a logout up by."""
    try:
        document, _ = _unpacked(web, "SAMLResponse")
        found: str | None = read(document, samlp.LogoutResponse).in_response_to
    except SignatureRefusedError:
        return None
    return found


def read_response(web: WebRequest, *, url: str, peer: TrustedEntity, request_id: str, now: datetime) -> bool:
    """Check the LogoutResponse of `peer` to `request_id`; whether it says that all of the session there has ended.

    Raises `LogoutRefusedError`.
    """

    def find(entity_id: str) -> TrustedEntity:
        if entity_id != peer.entity_id:
            raise LogoutRefusedError("issuer")
        return peer

    came = _come(web, "SAMLResponse", samlp.LogoutResponse, find)
    return says_ended(came, Expected(url=url, now=now, request_id=request_id), RESPONSE_RULES)


def says_ended(came: Came, expected: Expected, rules: Iterable[LogoutRule]) -> bool:
    """Check a LogoutResponse by `rules`; whether it says that all of the session there has ended.

    Raises `LogoutRefusedError`.
    """
    for rule in rules:
        if not rule.kept(came, expected):
            raise LogoutRefusedError(rule.code)
    code = came.message.status.status_code
    return code.value == SUCCESS and not (code.status_code and code.status_code.value == PARTIAL_LOGOUT)


def _come(web: WebRequest, name: MessageName, kind: Any, find: Callable[[str], TrustedEntity]) -> Came:
    """Verify the signature with a listed key of whoever the message says sent it. Raises `LogoutRefusedError`."""
    try:
        return _verified(web, name, kind, find)
    except SignatureRefusedError as refused:
        raise LogoutRefusedError(refused.code) from None


def _verified(web: WebRequest, name: MessageName, kind: Any, find: Callable[[str], TrustedEntity]) -> Came:
    document, detached = _unpacked(web, name)
    message = read(document, kind)
    peer = find(_issuer(message))
    if detached is not None:
        if message.signature is not None:
            raise SignatureRefusedError("signature-embedded")
        detached.verify(peer.signing_certificates)
        return Came(message=message, peer=peer, relay_state=detached.relay_state)
    root = f"{{{kind.c_namespace}}}{kind.c_tag}"
    message = from_octets(verify(document, certificates=peer.signing_certificates, expected_root=root), kind)
    if _issuer(message) != peer.entity_id:
        raise SignatureRefusedError("issuer")
    return Came(message=message, peer=peer, relay_state=dict(web.form).get("RelayState"))


def _unpacked(web: WebRequest, name: MessageName) -> tuple[bytes, redirect.RedirectMessage | None]:
    """Take the document out of the binding. Raises `SignatureRefusedError`."""
    if web.method != "POST":
        detached = redirect.receive(web.raw_query, name)
        return detached.document, detached
    fields = dict(web.form)
    if len(fields) != len(web.form):
        raise SignatureRefusedError("parameter-twice")
    if name not in fields:
        raise SignatureRefusedError("parameter-missing")
    return from_base64(fields[name]), None


def _issuer(message: Any) -> str:
    issuer = message.issuer
    if issuer is None or not issuer.text or issuer.format not in (None, saml.NAMEID_FORMAT_ENTITY):
        raise SignatureRefusedError("issuer")
    return str(issuer.text)


def _status(message: samlp.LogoutResponse) -> str | None:
    code = None if message.status is None else message.status.status_code
    return None if code is None else code.value or None


def _octets(text: str | None) -> int:
    return len((text or "").encode("utf-8", "replace"))


def _asynchronous(message: samlp.LogoutRequest) -> bool:
    """Tell whether the asker wants no answer (SAML V2.0 Asynchronous Single Logout §2.1)."""
    elements = () if message.extensions is None else message.extensions.extension_elements
    return any((element.namespace, element.tag) == _ASYNCHRONOUS for element in elements)


def _subject_name(name_id: saml.NameID) -> SubjectName:
    return SubjectName(
        value=name_id.text,
        format=name_id.format,
        name_qualifier=name_id.name_qualifier,
        sp_name_qualifier=name_id.sp_name_qualifier,
        sp_provided_id=name_id.sp_provided_id,
    )


# --- writing


def endpoint(peer: TrustedEntity, role: Role) -> Endpoint | None:
    """Where the peer takes logout messages through a browser: by Redirect if it lists that (SAML2int SP25, IDP24)."""
    return peer.endpoint(role, KIND, REDIRECT) or peer.endpoint(role, KIND, POST)


def request(party: Party, address: Endpoint, *, request_id: str, signer: Signer, now: datetime) -> Redirect | PostForm:
    """Ask `party` to end its sessions (SAML Core §3.7.1); its name has to be known."""
    message = logout_request(party, address.location, request_id=request_id, reason=USER, now=now)
    return _sent("SAMLRequest", message, address.binding, address.location, relay_state=None, signer=signer)


def logout_request(party: Party, url: str, *, request_id: str, reason: str, now: datetime) -> samlp.LogoutRequest:
    """Write the request for `party`, by whichever binding it goes to `url`."""
    assert party.name is not None  # others are never asked
    return samlp.LogoutRequest(
        id=request_id,
        version="2.0",
        issue_instant=written(now),
        destination=url,
        not_on_or_after=written(now + LOGOUT_LIFETIME),
        reason=reason,
        issuer=saml.Issuer(text=party.own_entity),
        name_id=saml.NameID(
            text=party.name.value,
            format=party.name.format,
            name_qualifier=party.name.name_qualifier,
            sp_name_qualifier=party.name.sp_name_qualifier,
            sp_provided_id=party.name.sp_provided_id,
        ),
        session_index=[samlp.SessionIndex(text=index) for index in party.indexes],
    )


def success(*, partial: bool) -> samlp.Status:
    """The session has ended here; if not everywhere, that stands on the second level (SAML Core §3.7.3.2)."""
    second = samlp.StatusCode(value=PARTIAL_LOGOUT) if partial else None
    return samlp.Status(status_code=samlp.StatusCode(value=SUCCESS, status_code=second))


def failure(second: str) -> samlp.Status:
    """The request was not followed: whose fault that is follows from `second` (SAML Core §3.2.2.2)."""
    top = RESPONDER if second == REQUEST_DENIED else REQUESTER
    return samlp.Status(status_code=samlp.StatusCode(value=top, status_code=samlp.StatusCode(value=second)))


def response(
    status: samlp.Status,
    address: Endpoint,
    *,
    own_entity: str,
    in_response_to: str,
    relay_state: str | None,
    signer: Signer,
    now: datetime,
) -> Redirect | PostForm:
    """Answer a LogoutRequest (SAML Core §3.7.2), at the address that is listed for responses."""
    location = address.response_location or address.location
    message = samlp.LogoutResponse(
        id=new_id(),
        version="2.0",
        issue_instant=written(now),
        destination=location,
        in_response_to=in_response_to,
        issuer=saml.Issuer(text=own_entity),
        status=status,
    )
    return _sent("SAMLResponse", message, address.binding, location, relay_state=relay_state, signer=signer)


def _sent(
    name: MessageName, message: Any, binding: str, location: str, *, relay_state: str | None, signer: Signer
) -> Redirect | PostForm:
    if binding == REDIRECT:
        return redirect.send(location, name, write(message), relay_state=relay_state, signer=signer)
    fields: list[tuple[str, str]] = [(name, base64.b64encode(signer.sign_message(write(message), message.id)).decode())]
    if relay_state:
        fields.append(("RelayState", relay_state))
    return PostForm(action=location, fields=tuple(fields))


# --- what a sign-in leaves behind for its logout


def upstream_session(assertion: SamlAssertion, idp: TrustedEntity) -> UpstreamSession | None:
    """The sign-in that the ID system asserted, as it must be called in logout messages; None if it takes none."""
    if endpoint(idp, Role.SAML_IDENTITY_PROVIDER) is None:
        return None
    return UpstreamSession(
        entity_id=idp.entity_id,
        name=assertion.name_id,
        index=assertion.session_index,
        until=assertion.session_until,
    )


def participant(sp: TrustedEntity, *, own_entity: str, name: str, name_format: str, index: str) -> Participant:
    """The service as the assertion names the person to it (`SamlIdentityProvider.response`)."""
    return Participant(
        own_entity=own_entity,
        entity_id=sp.entity_id,
        name=SubjectName(value=name, format=name_format, name_qualifier=own_entity, sp_name_qualifier=sp.entity_id),
        index=index,
    )
