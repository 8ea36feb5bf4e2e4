"""Messages of single logout: what we send by both bindings, and what is believed of others'."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree
from saml2 import samlp
from saml2.validate import valid_instance

from federation.saml import logout
from federation.saml.checks import LEEWAY
from federation.saml.logout import LogoutAsked, LogoutDeniedError, LogoutRefusedError
from federation.saml.messages import PERSISTENT, POST, REDIRECT, inflate
from federation.saml.requests import REQUEST_LIFETIME
from federation.sessions import Party, Side, SubjectName
from federation.web import PostForm, Redirect, WebRequest
from tests.federation.saml.peers import (
    IDP,
    NOW,
    SAML,
    SAMLP,
    SP,
    SSO,
    adding,
    arrived,
    at,
    listed_idp,
    listed_sp,
    removing,
    setting,
    signer,
    texting,
    xml_of,
)
from tests.federation.saml.peers import answer as signed_in
from trust_lists.model import Endpoint, NotTrustedError, Role, TrustedEntity
from trust_lists.times import format_instant
from trust_lists.xmldsig import verify

SLO = "https://portal.example/slo"
OWN_SLO = "https://ebetsu.example/slo"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
NAME = SubjectName(value="person-1", format=PERSISTENT, name_qualifier=IDP, sp_name_qualifier=SP)
PARTY = Party(side=Side.SERVICE, id="portal", own_entity=IDP, entity_id=SP, name=NAME, indexes=("i-1", "i-2"))


def slo(binding: str = REDIRECT, **changes: object) -> Endpoint:
    """The service's address for logout."""
    role = Role.SAML_SERVICE_PROVIDER
    return Endpoint(role=role, kind="SingleLogoutService", binding=binding, location=SLO)._replace(**changes)


def peer(*endpoints: Endpoint, **changes: object) -> TrustedEntity:
    """The service as listed, with its addresses for logout."""
    return listed_sp(endpoints=(*listed_sp().endpoints, *(endpoints or (slo(),))), **changes)


def by(web: Redirect | PostForm, url: str | None = None) -> WebRequest:
    """The browser's request that carries it."""
    if isinstance(web, PostForm):
        return WebRequest(method="POST", url=url or web.action, form=web.fields)
    parts = urlsplit(web.location)
    return WebRequest(method="GET", url=parts._replace(query="").geturl(), raw_query=parts.query)


def document(web: Redirect | PostForm) -> bytes:
    """The document that it carries."""
    if isinstance(web, PostForm):
        return base64.b64decode(web.fields[0][1])
    return inflate(base64.b64decode(next(iter(parse_qs(urlsplit(web.location).query).values()))[0]))


# --- what we send


def our_request(address: Endpoint | None = None, **changes: object) -> Redirect | PostForm:
    """Our request to the service."""
    party = replace(PARTY, **changes)
    return logout.request(party, address or slo(), request_id="_ours", signer=signer("idp"), now=NOW)


def our_response(address: Endpoint, *, partial: bool = False) -> Redirect | PostForm:
    """Our response to the service."""
    return logout.response(
        logout.success(partial=partial),
        address,
        own_entity=IDP,
        in_response_to="_theirs",
        relay_state="state & more",
        signer=signer("idp"),
        now=NOW,
    )


def verified(web: Redirect | PostForm, kind: str) -> etree._Element:
    """The message, after its signature was verified with our key, whichever binding it took."""
    found = document(web)
    if isinstance(web, PostForm):
        found = verify(found, certificates=(signer("idp").certificate_der,), expected_root=SAMLP + kind)
        return etree.fromstring(found)
    name = "SAMLRequest" if kind == "LogoutRequest" else "SAMLResponse"
    logout.redirect.receive(by(web).raw_query, name).verify((signer("idp").certificate_der,))
    return etree.fromstring(found)


@pytest.mark.parametrize("binding", [REDIRECT, POST])
def test_a_request_says_everything_and_is_signed(binding: str) -> None:
    """Issuer, destination, end, reason, name and every session index, by both bindings; valid by pysaml2's schema."""
    root = verified(our_request(slo(binding)), "LogoutRequest")
    assert dict(root.attrib) == {
        "ID": "_ours",
        "Version": "2.0",
        "IssueInstant": format_instant(NOW),
        "Destination": SLO,
        "NotOnOrAfter": format_instant(NOW + timedelta(minutes=5)),
        "Reason": "urn:oasis:names:tc:SAML:2.0:logout:user",
    }
    assert root.findtext(SAML + "Issuer") == IDP
    assert [index.text for index in root.findall(SAMLP + "SessionIndex")] == ["i-1", "i-2"]
    assert valid_instance(samlp.logout_request_from_string(etree.tostring(root)))


EXACT = [
    NAME,
    SubjectName(value="bare"),
    SubjectName(value="a & <b> 髙", format="urn:x", name_qualifier="", sp_name_qualifier=SP, sp_provided_id="own-7"),
]


@pytest.mark.parametrize("name", EXACT, ids=["full", "bare", "odd"])
@pytest.mark.parametrize("binding", [REDIRECT, POST])
def test_the_name_is_exactly_the_one_that_was_given(name: SubjectName, binding: str) -> None:
    """Content and attributes; what was absent stays absent. It is not encrypted."""
    root = verified(our_request(slo(binding), name=name), "LogoutRequest")
    stated = {
        "Format": name.format,
        "NameQualifier": name.name_qualifier,
        "SPNameQualifier": name.sp_name_qualifier,
        "SPProvidedID": name.sp_provided_id,
    }
    found = root.find(SAML + "NameID")
    assert found.text == name.value
    assert dict(found.attrib) == {key: value for key, value in stated.items() if value is not None}
    assert root.find(SAML + "EncryptedID") is None


@pytest.mark.parametrize("binding", [REDIRECT, POST])
@pytest.mark.parametrize(("elsewhere", "location"), [(None, SLO), (SLO + "/responses", SLO + "/responses")])
def test_a_response_goes_where_responses_go(binding: str, elsewhere: str | None, location: str) -> None:
    """To ResponseLocation if one is listed, with the RelayState that came; signed by both bindings."""
    sent = our_response(slo(binding, response_location=elsewhere))
    root = verified(sent, "LogoutResponse")
    assert (root.get("Destination"), root.get("InResponseTo")) == (location, "_theirs")
    assert root.findtext(SAML + "Issuer") == IDP
    if isinstance(sent, PostForm):
        assert (sent.action, sent.fields[1]) == (location, ("RelayState", "state & more"))
    else:
        assert sent.location.startswith(location + "?SAMLResponse=")
        assert parse_qs(urlsplit(sent.location).query)["RelayState"] == ["state & more"]
    assert valid_instance(samlp.logout_response_from_string(etree.tostring(root)))


def codes(web: Redirect | PostForm) -> list[str]:
    """The status codes, outermost first."""
    return [code.get("Value") for code in etree.fromstring(document(web)).iter(SAMLP + "StatusCode")]


def test_the_status_is_true() -> None:
    """Ended everywhere; ended here but not everywhere; not followed, and whose fault it is."""
    assert codes(our_response(slo())) == [STATUS + "Success"]
    assert codes(our_response(slo(), partial=True)) == [STATUS + "Success", STATUS + "PartialLogout"]
    tops = {
        second: logout.failure(STATUS + second).status_code.value for second in ("UnknownPrincipal", "RequestDenied")
    }
    assert tops == {"UnknownPrincipal": STATUS + "Requester", "RequestDenied": STATUS + "Responder"}


def test_redirect_is_preferred() -> None:
    """POST only for who lists nothing else; a binding that no browser carries is none."""
    role = Role.SAML_SERVICE_PROVIDER
    soap = slo("urn:oasis:names:tc:SAML:2.0:bindings:SOAP")
    assert logout.endpoint(peer(slo(POST), slo(REDIRECT)), role) == slo(REDIRECT)
    assert logout.endpoint(peer(soap, slo(POST)), role) == slo(POST)
    assert logout.endpoint(peer(soap), role) is None
    assert logout.endpoint(listed_sp(), role) is None


# --- what a sign-in leaves behind


def test_the_session_of_an_assertion_is_called_as_it_was_stated() -> None:
    """Name, index and end as the ID system wrote them; nothing if it takes no logout messages."""
    role = Role.SAML_IDENTITY_PROVIDER
    address = Endpoint(role=role, kind="SingleLogoutService", binding=POST, location=OWN_SLO)
    idp = listed_idp(endpoints=(*listed_idp().endpoints, address))
    end = NOW + timedelta(hours=1)
    said = replace(arrived(xml_of(signed_in(session_index="i-9"))), session_until=end)
    found = logout.upstream_session(said, idp)
    assert found is not None
    assert (found.entity_id, found.index, found.until) == (IDP, "i-9", end)
    assert found.name == SubjectName(value="person-1", format=PERSISTENT, name_qualifier=IDP, sp_name_qualifier=SP)
    assert logout.upstream_session(said, listed_idp()) is None
    unnamed = logout.upstream_session(replace(said, name_id=None), idp)
    assert unnamed is not None
    assert unnamed.name is None


def test_a_participant_is_called_as_the_assertion_calls_it() -> None:
    """The same name with the same qualifiers as in the NameID that the service got."""
    known = logout.participant(peer(), own_entity=IDP, name="person-1", name_format=PERSISTENT, index="i-1")
    given = arrived(xml_of(signed_in())).name_id
    assert given is not None
    assert known.name == SubjectName(
        value=given.value,
        format=given.format,
        name_qualifier=given.name_qualifier,
        sp_name_qualifier=given.sp_name_qualifier,
    )


# --- requests of others


REQUEST = (
    f'<p:LogoutRequest xmlns:p="{SAMLP[1:-1]}" xmlns:s="{SAML[1:-1]}" ID="_theirs" Version="2.0"'
    f' IssueInstant="{format_instant(NOW)}" Destination="{OWN_SLO}">'
    f"<s:Issuer>{SP}</s:Issuer>"
    f'<s:NameID Format="{PERSISTENT}" NameQualifier="{IDP}" SPNameQualifier="{SP}">person-1</s:NameID>'
    "<p:SessionIndex>i-1</p:SessionIndex></p:LogoutRequest>"
)
RESPONSE = (
    f'<p:LogoutResponse xmlns:p="{SAMLP[1:-1]}" xmlns:s="{SAML[1:-1]}" ID="_theirs" Version="2.0"'
    f' IssueInstant="{format_instant(NOW)}" Destination="{OWN_SLO}" InResponseTo="_ours">'
    f"<s:Issuer>{SP}</s:Issuer>"
    f'<p:Status><p:StatusCode Value="{STATUS}Success"/></p:Status></p:LogoutResponse>'
)
Edit = Callable[[etree._Element], object]


def sent(
    xml: str,
    edit: Edit = lambda _: None,
    *,
    binding: str = REDIRECT,
    key: str | None = "sp",
    relay_state: str | None = "state",
) -> WebRequest:
    """The message, edited, then signed with `key` (None: not) and sent to us."""
    root = etree.fromstring(xml)
    edit(root)
    octets = etree.tostring(root)
    name = "SAMLRequest" if "LogoutRequest" in root.tag else "SAMLResponse"
    if binding == REDIRECT:
        carried = by(logout.redirect.send(OWN_SLO, name, octets, relay_state=relay_state, signer=signer(key or "sp")))
        unsigned = carried.raw_query.partition("&SigAlg=")[0]
        return carried if key else replace(carried, raw_query=unsigned)
    if key:
        octets = signer(key).sign_element(octets, root.get("ID"))
    form = [(name, base64.b64encode(octets).decode())]
    if relay_state is not None:
        form.append(("RelayState", relay_state))
    return WebRequest(method="POST", url=OWN_SLO, form=form)


def read(web: WebRequest, listed: TrustedEntity | None = None, **changes: object) -> LogoutAsked:
    """What we make of a request."""
    options = {"url": OWN_SLO, "find": lambda _: listed or peer(), "now": NOW, **changes}
    return logout.read_request(web, **options)


both_bindings = pytest.mark.parametrize("binding", [REDIRECT, POST])


@both_bindings
def test_a_request_arrives_whole(binding: str) -> None:
    """Redirect with a detached signature, POST with an enveloped one: the same request."""
    asked = read(sent(REQUEST, adding(".", "<p:SessionIndex>i-2</p:SessionIndex>"), binding=binding))
    assert asked == LogoutAsked(
        asker=logout.Asker(entity_id=SP, request_id="_theirs", relay_state="state", answered=True),
        name=NAME,
        indexes=("i-1", "i-2"),
    )


def test_our_own_requests_are_read_by_us() -> None:
    """What one gateway writes another one reads."""
    for binding in (REDIRECT, POST):
        web = by(our_request(slo(binding)))
        idp = listed_idp()
        asked = logout.read_request(web, url=SLO, find=lambda _, idp=idp: idp, now=NOW)
        assert (asked.name, asked.indexes, asked.asker.request_id) == (NAME, ("i-1", "i-2"), "_ours")


def test_whoever_wants_no_answer_says_so() -> None:
    """The extension of SAML V2.0 Asynchronous Single Logout."""
    namespace = "urn:oasis:names:tc:SAML:2.0:protocol:ext:async-slo"

    def edit(root: etree._Element) -> None:
        extensions = etree.Element(SAMLP + "Extensions")
        extensions.append(etree.Element(f"{{{namespace}}}Asynchronous"))
        root.insert(1, extensions)

    assert not read(sent(REQUEST, edit)).asker.answered


NO_ANSWER = [
    ("version", setting(".", Version="1.1")),
    ("destination", setting(".", Destination=SSO)),
    ("destination", setting(".", Destination=None)),
    ("id", setting(".", ID="_" + "x" * 300)),
    ("issuer", removing("s:Issuer")),
    ("issuer", setting("s:Issuer", Format=PERSISTENT)),
]
"""Edits of a request that is then signed by the right key, and gets no answer."""


@both_bindings
@pytest.mark.parametrize(("code", "edit"), NO_ANSWER)
def test_a_request_that_is_not_for_us_gets_no_answer(code: str, edit: Edit, binding: str) -> None:
    """Each rule refuses under its code."""
    with pytest.raises(LogoutRefusedError) as caught:
        read(sent(REQUEST, edit, binding=binding))
    assert caught.value.code == code


def moment(minutes: float) -> str:
    """An instant so many minutes after the test's now."""
    return format_instant(NOW + timedelta(minutes=minutes))


ENCRYPTED = '<s:EncryptedID><x:EncryptedData xmlns:x="http://www.w3.org/2001/04/xmlenc#"/></s:EncryptedID>'
MINUTES = (REQUEST_LIFETIME + LEEWAY).total_seconds() / 60
ANSWERED = [
    ("issued-in-future", "RequestDenied", setting(".", IssueInstant=moment(4))),
    ("issued-in-future", "RequestDenied", setting(".", IssueInstant="yesterday")),
    ("too-old", "RequestDenied", setting(".", IssueInstant=moment(-MINUTES - 1))),
    ("expired", "RequestDenied", setting(".", NotOnOrAfter=moment(-3))),
    ("expired", "RequestDenied", setting(".", NotOnOrAfter="soon")),
    ("name-encrypted", "RequestUnsupported", lambda r: (removing("s:NameID")(r), adding(".", ENCRYPTED)(r))),
    ("name-encrypted", "RequestUnsupported", adding(".", ENCRYPTED)),
    ("name-missing", "RequestUnsupported", removing("s:NameID")),
    ("name-missing", "RequestUnsupported", texting("s:NameID", "")),
    ("name-missing", "RequestUnsupported", lambda r: (removing("s:NameID")(r), adding(".", "<s:BaseID/>")(r))),
    (
        "too-many-sessions",
        "RequestDenied",
        lambda r: [adding(".", f"<p:SessionIndex>{n}</p:SessionIndex>")(r) for n in range(100)],
    ),
]
"""Edits of a request that is then signed by the right key, and is answered: the peer is who it says."""


@both_bindings
@pytest.mark.parametrize(("code", "status", "edit"), ANSWERED)
def test_a_request_that_is_not_followed_is_answered(code: str, status: str, edit: Edit, binding: str) -> None:
    """Never an error page for a validly signed request: the peer hears why."""
    with pytest.raises(LogoutDeniedError) as caught:
        read(sent(REQUEST, edit, binding=binding))
    denied = caught.value
    assert (denied.code, denied.status) == (code, STATUS + status)
    assert (denied.asker.entity_id, denied.asker.request_id, denied.asker.relay_state) == (SP, "_theirs", "state")


@both_bindings
@pytest.mark.parametrize(
    "edit",
    [
        setting(".", IssueInstant=moment(3)),
        setting(".", IssueInstant=moment(-MINUTES)),
        setting(".", NotOnOrAfter=moment(-2.9)),
        setting(".", Reason="urn:oasis:names:tc:SAML:2.0:logout:admin"),
        removing("p:SessionIndex"),
    ],
)
def test_what_a_request_may_be(edit: Edit, binding: str) -> None:
    """At the edge of the leeway; with any reason; without a session index."""
    assert read(sent(REQUEST, edit, binding=binding)).name == NAME


def refused(web: WebRequest, listed: TrustedEntity | None = None) -> str:
    """The code under which a request is refused without an answer."""
    with pytest.raises(LogoutRefusedError) as caught:
        read(web, listed)
    return caught.value.code


@both_bindings
def test_a_request_must_be_signed_by_a_listed_key(binding: str) -> None:
    """Unsigned, signed by somebody else, or by somebody who lists no key: nothing."""
    assert refused(sent(REQUEST, binding=binding, key=None)) == "unsigned"
    assert refused(sent(REQUEST, binding=binding, key="idp")) == "signature"
    assert refused(sent(REQUEST, binding=binding), peer(signing_certificates=())) == "no-key"


@both_bindings
def test_only_members_are_heard(binding: str) -> None:
    """The list is asked for exactly the issuer, and its "no" passes."""

    def find(entity_id: str) -> TrustedEntity:
        raise NotTrustedError("unlisted", entity_id, Role.SAML_SERVICE_PROVIDER)

    with pytest.raises(NotTrustedError) as caught:
        read(sent(REQUEST, binding=binding), find=find)
    assert caught.value.entity_id == SP


def tampered(web: WebRequest) -> list[WebRequest]:
    """The signed message with something changed afterwards."""
    if web.method == "GET":
        query = web.raw_query
        other = sent(REQUEST, texting("s:NameID", "person-2")).raw_query
        swapped = other.partition("&")[0] + "&" + query.partition("&")[2]
        return [
            replace(web, raw_query=changed)
            for changed in (
                query.replace("RelayState=state", "RelayState=other"),
                query.replace("&RelayState=state", ""),
                swapped,
                query + "&SAMLRequest=x",
                query.replace("rsa-sha256", "rsa-sha1"),
            )
        ]
    ((name, field), *rest) = web.form
    inner = base64.b64decode(field)
    return [
        replace(web, form=[(name, base64.b64encode(changed).decode()), *rest])
        for changed in (
            inner.replace(b"person-1", b"person-2"),
            inner.replace(b">i-1<", b">i-2<"),
            inner.replace(b"person-1", b"person<!-- -->-1"),
            b"<!DOCTYPE x>" + inner,
        )
    ] + [replace(web, form=[*web.form, web.form[0]])]


@both_bindings
def test_a_request_that_was_changed_is_refused(binding: str) -> None:
    """In its message, its RelayState or its signature; a parameter twice, an algorithm that is not allowed."""
    original = sent(REQUEST, binding=binding)
    expected = {
        REDIRECT: ["signature", "signature", "signature", "parameter-twice", "signature-algorithm"],
        POST: ["digest", "digest", "comment-in-value", "declaration", "parameter-twice"],
    }
    assert [refused(web) for web in tampered(original)] == expected[binding]
    assert read(original).name == NAME


def test_a_wrapped_request_is_refused() -> None:
    """The signed original inside a forged one: the gate wants the signature on the root."""
    inner = signer("sp").sign_element(REQUEST.encode(), "_theirs")
    outer = etree.fromstring(REQUEST)
    outer.set("ID", "_forged")
    at(outer, "s:NameID")[0].text = "person-2"
    extensions = etree.Element(SAMLP + "Extensions")
    extensions.append(etree.fromstring(inner))
    outer.insert(1, extensions)
    form = [("SAMLRequest", base64.b64encode(etree.tostring(outer)).decode())]
    assert refused(WebRequest(method="POST", url=OWN_SLO, form=form)) == "unsigned"


@pytest.mark.parametrize(
    ("web", "code"),
    [
        (WebRequest(method="GET", url=OWN_SLO), "parameter-missing"),
        (WebRequest(method="POST", url=OWN_SLO), "parameter-missing"),
        (WebRequest(method="GET", url=OWN_SLO, raw_query="SAMLRequest=%%%"), "base64"),
        (WebRequest(method="POST", url=OWN_SLO, form=[("SAMLRequest", "髙")]), "base64"),
        (WebRequest(method="POST", url=OWN_SLO, form=[("SAMLRequest", "PHg+")]), "malformed"),
        (WebRequest(method="POST", url=OWN_SLO, form=[("SAMLRequest", base64.b64encode(b"<x/>").decode())]), "root"),
        (sent(RESPONSE), "parameter-missing"),
        (replace(sent(RESPONSE), raw_query=sent(RESPONSE).raw_query.replace("SAMLResponse=", "SAMLRequest=")), "root"),
        (sent(REQUEST, relay_state="x" * 1025), "relay-state"),
        (sent(signer("sp").sign_element(REQUEST.encode(), "_theirs").decode()), "signature-embedded"),
    ],
)
def test_what_is_no_request_at_all(web: WebRequest, code: str) -> None:
    """Each is refused under its code."""
    assert refused(web) == code


# --- responses of others


def said(web: WebRequest, listed: TrustedEntity | None = None, **changes: object) -> bool:
    """Whether it confirms that the session ended."""
    options = {"url": OWN_SLO, "peer": listed or peer(), "request_id": "_ours", "now": NOW, **changes}
    return logout.read_response(web, **options)


def status(*values: str) -> Edit:
    """An edit: these status codes, outermost first."""

    def edit(root: etree._Element) -> None:
        removing("p:Status/p:StatusCode")(root)
        place = at(root, "p:Status")[0]
        for value in values:
            place = etree.SubElement(place, SAMLP + "StatusCode", Value=value)

    return edit


@both_bindings
@pytest.mark.parametrize(
    ("values", "ended"),
    [
        ((STATUS + "Success",), True),
        ((STATUS + "Success", "urn:x"), True),
        ((STATUS + "Success", STATUS + "PartialLogout"), False),
        ((STATUS + "Responder",), False),
        ((STATUS + "Requester", STATUS + "UnknownPrincipal"), False),
        (("success",), False),
    ],
)
def test_a_response_confirms_or_does_not(values, ended, binding) -> None:
    """Only success, and not a partial one, confirms."""
    assert said(sent(RESPONSE, status(*values), binding=binding)) is ended


BROKEN = [
    ("version", setting(".", Version="2.1")),
    ("destination", setting(".", Destination=SSO)),
    ("destination", setting(".", Destination=None)),
    ("in-response-to", setting(".", InResponseTo="_other")),
    ("in-response-to", setting(".", InResponseTo=None)),
    ("issuer", texting("s:Issuer", "https://other.example")),
    ("issuer", removing("s:Issuer")),
    ("issued-in-future", setting(".", IssueInstant=moment(4))),
    ("too-old", setting(".", IssueInstant=moment(-MINUTES - 1))),
    ("status-missing", removing("p:Status")),
    ("status-missing", status()),
]


@both_bindings
@pytest.mark.parametrize(("code", "edit"), BROKEN)
def test_a_response_that_breaks_a_rule(code: str, edit: Edit, binding: str) -> None:
    """Each rule refuses under its code."""
    with pytest.raises(LogoutRefusedError) as caught:
        said(sent(RESPONSE, edit, binding=binding))
    assert caught.value.code == code


@both_bindings
@pytest.mark.parametrize(("key", "code"), [(None, "unsigned"), ("idp", "signature")])
def test_a_response_must_be_signed_by_whoever_was_asked(key: str | None, code: str, binding: str) -> None:
    """Unsigned, or signed by somebody else: it confirms nothing."""
    with pytest.raises(LogoutRefusedError) as caught:
        said(sent(RESPONSE, binding=binding, key=key))
    assert caught.value.code == code


@both_bindings
def test_whose_response_it_is_can_be_looked_up_before(binding: str) -> None:
    """Its InResponseTo, unverified; nothing for what is no response."""
    assert logout.in_reply_to(sent(RESPONSE, binding=binding, key=None)) == "_ours"
    assert logout.in_reply_to(sent(RESPONSE, setting(".", InResponseTo=None), binding=binding)) is None
    assert logout.in_reply_to(sent(REQUEST, binding=binding)) is None
    assert logout.in_reply_to(WebRequest(method="POST", url=OWN_SLO, form=[("SAMLResponse", "PHg+")])) is None
