import json
import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.access import (
    ApiService,
    Circumstances,
    Route,
    RouteTable,
    assertion_claims,
    decide,
    forward_headers,
    problem,
    response_headers,
    response_trailers,
    www_authenticate,
)
from federation.callers import Caller, CallerKind
from federation.identifiers import IdentifierKeys, Identifiers
from federation.model import Assurance, Level
from federation.refusal import (
    CallAssuranceTooLow,
    CallerNotAllowed,
    CallRefusal,
    ContentTypeNotAllowed,
    FactMissing,
    MethodNotAllowed,
    NoRoute,
    NotAMember,
    QuotaExceeded,
    RouteClosed,
    ScopeMissing,
    TokenInvalid,
    TokenMissing,
)
from federation.routes import ContextMisfit, Subject
from federation.terms import Membership, Opening, Terms

NOW = datetime(2026, 10, 1, 9, 0, 0, 500000, tzinfo=UTC)
IDENTIFIERS = Identifiers(IdentifierKeys(person=b"1" * 32, pairwise=b"2" * 32, sealing=b"3" * 32))
PERSON = IDENTIFIERS.person("https://id.maebashi.example", "resident-1")
POLL = ApiService(
    id="council-poll",
    name={"ja": "意見募集", "en": "Opinion poll"},
    upstream="http://localhost:8301",
    audience="https://poll.example",
    timeout=timedelta(seconds=5),
)
VOTE = Route(
    path="/api/council/polls/{poll}/votes",
    methods=frozenset({"POST"}),
    service="council-poll",
    upstream_path="/polls/{poll}/votes",
    scope="council.polls.vote",
    minimum=Level.TWO,
)


HERE = Circumstances(now=NOW, council=frozenset({"102016"}), limit=1024)
"""Maebashi is a member of the council, and the call has no body."""


def caller(*scopes: str, identity: int = 2) -> Caller:
    """A person from Maebashi with these scopes, whose sign-in was worth `identity`."""
    return Caller(
        person=PERSON,
        key=IDENTIFIERS.present,
        client="https://participation.example",
        municipality="102016",
        scopes=frozenset(scopes),
        assurance=Assurance(identity=Level(identity), authentication=Level.ONE),
        token_id="t1",
        expires_at=NOW + timedelta(minutes=10),
    )


SYSTEM = Caller(
    kind=CallerKind.SYSTEM,
    client="https://system.maebashi.example",
    municipality="102016",
    scopes=frozenset({"council.polls.vote"}),
    assurance=Assurance(identity=Level.NONE, authentication=Level.NONE),
    token_id="t2",
    expires_at=NOW + timedelta(minutes=10),
)
VOTER = caller("council.polls.vote")
BOTH = frozenset(CallerKind)


def told(scope: str, **claims: object) -> Caller:
    """The voter, of whom services behind the scope are told this."""
    return replace(VOTER, told={scope: claims})


CLOSED = Opening(opens=time(0, 0), closes=time(1, 0))


@pytest.mark.parametrize(
    ("code", "terms", "who", "here"),
    [
        (None, Terms(), VOTER, {}),
        ("caller-not-allowed", Terms(), SYSTEM, {}),
        ("caller-not-allowed", Terms(callers=frozenset({CallerKind.SYSTEM})), VOTER, {}),
        (None, Terms(callers=BOTH), SYSTEM, {}),
        ("not-a-member", Terms(), VOTER, {"council": frozenset({"012173"})}),
        ("not-a-member", Terms(members=frozenset({"012173"})), VOTER, {}),
        (None, Terms(members=frozenset({"102016"})), VOTER, {"council": frozenset()}),
        (None, Terms(members=Membership.REGION), VOTER, {"council": frozenset()}),
        ("scope-missing", Terms(), caller("council.polls.read"), {}),
        ("call-assurance-too-low", Terms(), caller("council.polls.vote", identity=1), {}),
        ("fact-missing", Terms(requires=frozenset({"adult"})), VOTER, {}),
        ("fact-missing", Terms(requires=frozenset({"adult"})), told("council.polls.vote", adult=False), {}),
        ("fact-missing", Terms(requires=frozenset({"adult"})), told("council.polls.vote", adult="true"), {}),
        ("fact-missing", Terms(requires=frozenset({"adult"})), told("council.polls.read", adult=True), {}),
        ("fact-missing", Terms(requires=frozenset({"adult", "near"})), told("council.polls.vote", adult=True), {}),
        (None, Terms(requires=frozenset({"adult"})), told("council.polls.vote", adult=True), {}),
        (None, Terms(requires=frozenset({"adult"}), callers=BOTH), SYSTEM, {}),
        ("route-closed", Terms(opening=CLOSED), VOTER, {}),
        (None, Terms(opening=Opening()), VOTER, {}),
        ("content-type-not-allowed", Terms(content_types=frozenset({"a/b"})), VOTER, {"content_type": "text/html"}),
        (None, Terms(content_types=frozenset({"a/b"})), VOTER, {"content_type": "a/b"}),
        (None, Terms(content_types=frozenset({"a/b"})), VOTER, {}),
        ("body-too-large", Terms(), VOTER, {"length": 1025}),
        (None, Terms(), VOTER, {"length": 1024}),
        ("body-too-large", Terms(body_limit=10), VOTER, {"length": 11}),
        ("body-too-large", Terms(body_limit=4096), VOTER, {"length": 1025}),
    ],
)
def test_every_term_of_a_route_is_decided(code: str | None, terms: Terms, who: Caller, here: dict[str, Any]):
    """Each refusal with its code, and beside each a call that may pass."""
    route = replace(VOTE, terms=terms)
    if code is None:
        decide(route, who, replace(HERE, **here))
        return
    with pytest.raises(CallRefusal) as refused:
        decide(route, who, replace(HERE, **here))
    assert refused.value.code == code


def test_a_route_that_asks_how_somebody_signed_in():
    """The level of the authentication counts beside that of the identity; a system has neither."""
    route = replace(VOTE, minimum_authentication=Level.TWO, terms=Terms(callers=BOTH))
    with pytest.raises(CallAssuranceTooLow):
        decide(route, VOTER, HERE)
    decide(route, replace(VOTER, assurance=Assurance(identity=Level.TWO, authentication=Level.TWO)), HERE)
    decide(route, SYSTEM, HERE)


def test_who_it_is_comes_before_what_they_want():
    """A stranger to a route learns nothing of its hours, types or sizes."""
    terms = Terms(opening=CLOSED, content_types=frozenset({"a/b"}), body_limit=1)
    asked = replace(HERE, content_type="x/y", length=99)
    with pytest.raises(CallerNotAllowed):
        decide(replace(VOTE, terms=terms), SYSTEM, asked)
    with pytest.raises(NotAMember):
        decide(replace(VOTE, terms=terms), VOTER, replace(asked, council=frozenset()))
    with pytest.raises(RouteClosed) as closed:
        decide(replace(VOTE, terms=terms), VOTER, asked)
    status, headers, _ = problem(closed.value, request_id="r1")
    assert (status, dict(headers)["Retry-After"]) == (403, "21600")  # it is 18:00 in Japan, and it opens at midnight


def test_what_would_help_stands_in_headers():
    """Which types are taken, and when to come again."""
    _, headers, _ = problem(ContentTypeNotAllowed(types=("a/b", "c/d")), request_id="r1")
    assert dict(headers)["Accept"] == "a/b, c/d"
    status, headers, _ = problem(QuotaExceeded(seconds=7), request_id="r1")
    assert (status, dict(headers)["Retry-After"]) == (429, "7")


def test_an_assertion_of_a_system_speaks_of_nobody():
    """No person, no level, no consent: the municipality and its system."""
    route = replace(VOTE, terms=Terms(callers=BOTH))
    match = RouteTable([route]).match("POST", "/api/council/polls/17/votes")
    claims = assertion_claims(
        SYSTEM, match, POLL, IDENTIFIERS, issuer="https://gateway.example", now=NOW, request_id="r1"
    )
    assert claims.keys() == {"iss", "aud", "iat", "exp", "jti", "caller", "municipality", "client_id"}
    assert (claims["caller"], claims["municipality"]) == ("system", "102016")


def test_an_assertion_tells_what_is_for_its_scope_and_nothing_else():
    """A service behind another scope learns nothing of it, nor does whoever reads what is missing learn a value."""
    voter = replace(VOTER, told={"council.polls.vote": {"adult": True}, "ledger.pay": {"name": "髙橋 花子"}})

    def attributes(route: Route) -> object:
        match = RouteTable([route]).match("POST", "/api/council/polls/17/votes")
        claims = assertion_claims(
            voter, match, POLL, IDENTIFIERS, issuer="https://gateway.example", now=NOW, request_id="r1"
        )
        return claims.get("attributes")

    assert attributes(VOTE) == {"adult": True}
    assert attributes(replace(VOTE, subject=Subject.NONE)) == {"adult": True}
    assert attributes(replace(VOTE, scope="ledger.pay")) == {"name": "髙橋 花子"}
    assert attributes(replace(VOTE, scope="council.polls.read")) is None
    with pytest.raises(FactMissing) as missing:
        decide(replace(VOTE, terms=Terms(requires=frozenset({"near", "old"}))), voter, HERE)
    status, _, body = problem(missing.value, request_id="r1")
    assert (status, json.loads(body)["facts"]) == (403, "near old")


def test_a_consent_has_another_name_at_every_service_and_in_every_context():
    """Else it would lead from one name of a person to another; the chain of those who act is told as it is."""
    consented = replace(VOTER, consent="c-1", actors=("https://b.example", "https://a.example"))
    context = replace(VOTE, subject=Subject.CONTEXT, context="poll-{poll}")

    def named(route: Route, service: ApiService, poll: int) -> dict[str, Any]:
        match = RouteTable([route]).match("POST", f"/api/council/polls/{poll}/votes")
        return assertion_claims(consented, match, service, IDENTIFIERS, issuer="i", now=NOW, request_id="r1")

    other = replace(POLL, id="ledger")
    said = [named(VOTE, POLL, 1), named(VOTE, other, 1), named(context, POLL, 1), named(context, POLL, 2)]
    names = [each[name] for each in said for name in ("sub", "consent")]
    assert len(set(names)) == 8
    assert "c-1" not in names
    assert named(VOTE, POLL, 9)["consent"] == said[0]["consent"]
    assert said[0]["act"] == {"sub": "https://b.example", "act": {"sub": "https://a.example"}}
    assert "consent" not in named(replace(VOTE, subject=Subject.NONE), POLL, 1)


def test_a_caller_with_the_scope_and_the_level_may():
    """More than is needed does no harm."""
    decide(VOTE, caller("council.polls.vote", "council.polls.read", identity=3), HERE)


def test_a_caller_without_the_scope_may_not():
    """The refusal says which scope; a scope that only begins alike is another one."""
    with pytest.raises(ScopeMissing) as refused:
        decide(VOTE, caller("council.polls", "council.polls.vote.all", identity=3), HERE)
    assert refused.value.scope == "council.polls.vote"


def test_a_caller_whose_sign_in_is_worth_less_may_not():
    """The refusal says what would do."""
    with pytest.raises(CallAssuranceTooLow) as refused:
        decide(VOTE, caller("council.polls.vote", identity=1), HERE)
    assert refused.value.acr == "urn:kakehashi:assurance:identity-2"


def test_the_assertion_says_who_calls_to_one_service_only():
    """Short-lived, for one audience, with a subject that no other service knows."""
    claims = claims_of(VOTE, 17)
    subject = claims.pop("sub")
    assert claims == {
        "iss": "https://gateway.example",
        "aud": "https://poll.example",
        "iat": 1790845200,
        "exp": 1790845260,
        "jti": "r1",
        "caller": "person",
        "acr": "urn:kakehashi:assurance:identity-2",
        "municipality": "102016",
        "client_id": "https://participation.example",
    }
    assert subject not in {PERSON, IDENTIFIERS.pairwise(PERSON, "https://participation.example", IDENTIFIERS.present)}
    assert len(subject) == 52


def claims_of(route: Route, poll: object) -> dict[str, object]:
    """What the poll's service is told of a vote."""
    match = RouteTable([route]).match("POST", f"/api/council/polls/{poll}/votes")
    return assertion_claims(
        caller("s"), match, POLL, IDENTIFIERS, issuer="https://gateway.example", now=NOW, request_id="r1"
    )


def test_a_route_may_show_the_person_in_one_context_only():
    """One voice in poll 17, another in poll 18, neither the person's own identifier there; or nobody at all."""
    in_context = replace(VOTE, subject=Subject.CONTEXT, context="poll-{poll}")
    seventeen, again, eighteen = (claims_of(in_context, poll)["sub"] for poll in (17, 17, 18))
    assert seventeen == again
    assert len({seventeen, eighteen, claims_of(VOTE, 17)["sub"], PERSON}) == 4
    reading = replace(in_context, path="/api/council/polls/{poll}/votes")
    assert claims_of(reading, 17)["sub"] == seventeen
    assert "sub" not in claims_of(replace(VOTE, subject=Subject.NONE), 17)


@pytest.mark.parametrize("spelling", ["017", "%EF%BC%91%EF%BC%97", "17%20", "%31%37"])
def test_another_spelling_of_a_context_is_no_second_voice(spelling):
    """What services take for the same poll is one to the gateway; and the assertion says how it was spelled."""
    in_context = replace(VOTE, subject=Subject.CONTEXT, context="poll-{poll}")
    assert claims_of(in_context, spelling)["sub"] == claims_of(in_context, 17)["sub"]
    assert claims_of(in_context, 17)["context"] == "poll-17"
    assert claims_of(in_context, "017")["context"] == "poll-017"
    assert claims_of(in_context, "Night-Bus")["sub"] == claims_of(in_context, "night-bus")["sub"]
    assert len({claims_of(in_context, each)["sub"] for each in ("1", "10", "100", "0", "00-1", "a1", "a10")}) == 7
    assert "context" not in claims_of(VOTE, 17)


@pytest.mark.parametrize(
    ("subject", "context"),
    [
        (Subject.CONTEXT, None),
        (Subject.PAIRWISE, "poll-{poll}"),
        (Subject.NONE, "x"),
        (Subject.CONTEXT, "poll-{pol}"),
        (Subject.CONTEXT, "poll-{poll"),
        (Subject.CONTEXT, "poll-}"),
    ],
)
def test_a_context_that_fits_no_call_is_refused_at_loading(subject, context):
    """Everybody would be one person in it, or nobody could be told."""
    with pytest.raises(ContextMisfit):
        replace(VOTE, subject=subject, context=context)


OWN = [("Via", "1.1 kakehashi"), ("Kakehashi-Assertion", "signed"), ("Kakehashi-Request-Id", "r1")]


def test_what_a_call_is_about_goes_upstream():
    """Content, conditions and preferences, in order, duplicates kept."""
    sent = [
        ("Content-Type", "application/json"),
        ("content-encoding", "gzip"),
        ("Accept", "application/json"),
        ("Accept-Language", "ja"),
        ("If-None-Match", '"a"'),
        ("Idempotency-Key", "k1"),
        ("X-Tag", "1"),
        ("X-Tag", "2"),
    ]
    assert forward_headers(sent, "signed", "r1") == sent + OWN


@pytest.mark.parametrize(
    "name",
    [
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade", "Expect", "Host", "Proxy",
        "Authorization", "Cookie",
        "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-User", "X-Real-IP",
        "Remote-User", "X-Remote-User", "X-Remote-Groups", "X-User-Id", "X-Authenticated-User",
        "X-Kakehashi-Assertion", "Kakehashi-Assertion", "Kakehashi-Request-Id", "Kakehashi-Anything",
        "X-Auth-Request-User", "OIDC-Claim-Sub", "Shib-Identity-Provider", "X-SSL-Client-S-DN",
        "X-Client-Cert", "Client-Cert", "Client-Cert-Chain", "Remote-Email", "Remote-Groups",
        "X-WEBAUTH-USER", "X-Amzn-Oidc-Data", "X-Goog-Authenticated-User-Email", "X-MS-CLIENT-PRINCIPAL",
        "Cf-Access-Jwt-Assertion",
        "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL",
    ],
)  # fmt: skip
def test_what_concerns_a_connection_or_claims_an_identity_stays_out(name):
    """In any case, and with "_" or another sign for "-", which servers may read alike.

    Nor does what makes a service see another method or path than the one that was decided on.
    """
    for variant in (name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", ".")):
        assert forward_headers([(variant, "forged"), ("Accept", "*/*")], "signed", "r1") == [
            ("Accept", "*/*"),
            *OWN,
        ]


@pytest.mark.parametrize("name", ["Content_Length", "CONTENT_LENGTH", "content.length"])
def test_there_is_one_length(name):
    """Whoever sends the body says its length: none that the caller says passes, however it is spelled."""
    sent = [("Content-Length", "5"), (name, "50")]
    assert forward_headers(sent, "signed", "r1") == OWN


def test_names_that_connection_lists_concern_this_connection_only():
    """RFC 9110 §7.6.1: several Connection headers, any case; the gateway's own cannot be listed away."""
    sent = [
        ("Connection", "close, X-Hop"),
        ("connection", " x-other ,Kakehashi-Assertion"),
        ("X-Hop", "1"),
        ("x-other", "2"),
        ("X-End", "3"),
    ]
    assert forward_headers(sent, "signed", "r1") == [("X-End", "3"), *OWN]


tokens = st.text(alphabet="abcKEHASHIkehashi-_XxRemoteUser", min_size=1, max_size=25)


@given(st.lists(st.tuples(tokens, st.text(max_size=5)), max_size=8))
def test_there_is_always_exactly_one_assertion(headers):
    """Whatever a client sends, a service that folds names sees the gateway's assertion and no other."""
    folded = [(name.lower().replace("_", "-"), value) for name, value in forward_headers(headers, "signed", "r1")]
    assert [value for name, value in folded if "kakehashi-assertion" in name] == ["signed"]


def test_what_a_service_answers_goes_back_without_power_over_the_origin():
    """No cookie, no origin-wide policy; what comes back cannot act as a page of the gateway."""
    answered = [
        ("Content-Type", "text/html"),
        ("Content-Encoding", "gzip"),
        ("ETag", '"a"'),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Set-Cookie", "session=stolen"),
        ("Strict-Transport-Security", "max-age=0"),
        ("Clear-Site-Data", '"*"'),
        ("NEL", '{"report_to":"x","max_age":9,"success_fraction":1}'),
        ("Report-To", '{"group":"x","max_age":9,"endpoints":[{"url":"https://evil.example/"}]}'),
        ("Reporting-Endpoints", 'x="https://evil.example/"'),
        ("Refresh", "0; url=https://evil.example/"),
        ("Service-Worker-Allowed", "/"),
        ("Content-Security-Policy", "default-src *"),
        ("Kakehashi-Request-Id", "forged"),
    ]
    assert response_headers(answered, "r1") == [
        ("Content-Type", "text/html"),
        ("Content-Encoding", "gzip"),
        ("ETag", '"a"'),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ("X-Content-Type-Options", "nosniff"),
        ("Kakehashi-Request-Id", "r1"),
    ]


def test_a_missing_token_is_challenged_without_an_error():
    """RFC 6750 §3.1."""
    assert www_authenticate(TokenMissing()) == 'Bearer realm="kakehashi"'


def test_a_bad_token_says_so():
    """`invalid_token`, and nothing of what was wrong with it."""
    assert www_authenticate(TokenInvalid("signature")) == (
        'Bearer realm="kakehashi", error="invalid_token", error_description="The access token is not valid"'
    )


def test_a_missing_scope_and_a_low_level_say_what_would_do():
    """RFC 6750 §3 `scope`, RFC 9470 §3 `acr_values`."""
    assert www_authenticate(ScopeMissing(scope="polls")) == (
        'Bearer realm="kakehashi", error="insufficient_scope", '
        'error_description="The access token lacks the scope of this route", scope="polls"'
    )
    assert www_authenticate(CallAssuranceTooLow(acr="urn:kakehashi:assurance:identity-2")) == (
        'Bearer realm="kakehashi", error="insufficient_user_authentication", '
        'error_description="This route needs a stronger proof of identity", '
        'acr_values="urn:kakehashi:assurance:identity-2"'
    )


def test_where_no_token_would_help_there_is_no_challenge():
    """An unknown route stays unknown."""
    assert www_authenticate(NoRoute()) is None


def test_a_refusal_is_problem_json():
    """RFC 9457 with fixed texts: the detail of the log is not in it, the reference to it is."""
    status, headers, body = problem(
        ScopeMissing("detail for the log", scope="polls"), request_id="r1", instance="/api/council/polls"
    )
    assert status == 403
    assert dict(headers) == {
        "Content-Type": "application/problem+json",
        "Content-Language": "en",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Kakehashi-Request-Id": "r1",
        "WWW-Authenticate": www_authenticate(ScopeMissing(scope="polls")),
    }
    assert json.loads(body) == {
        "type": "urn:kakehashi:problem:scope-missing",
        "title": "The access token lacks the scope of this route",
        "status": 403,
        "detail": "Ask for the scope named in the WWW-Authenticate header.",
        "code": "scope-missing",
        "request_id": "r1",
        "instance": "/api/council/polls",
        "scope": "polls",
    }


def test_a_wrong_method_is_told_the_right_ones():
    """RFC 9110 §15.5.6: 405 has Allow."""
    status, headers, _ = problem(MethodNotAllowed(allow=frozenset({"PUT", "GET"})), request_id="r1")
    assert (status, dict(headers)["Allow"]) == (405, "GET, PUT")


def test_a_path_that_is_not_text_can_still_be_refused():
    """A lone surrogate in the path must not turn the refusal into a fault."""
    assert json.loads(problem(NoRoute(), request_id="r1", instance="/\udcff")[2])["instance"] == "/\udcff"


@pytest.mark.parametrize("kind", CallRefusal.__subclasses__(), ids=lambda kind: kind.code)
def test_every_refusal_of_a_call_has_a_well_formed_problem_and_challenge(kind):
    """RFC 6750 §3: an error description is printable ASCII without quotes and backslashes."""
    status, headers, body = problem(kind("detail"), request_id="r1")
    assert json.loads(body)["status"] == status == kind.status
    assert "detail" not in json.loads(body)["detail"].split()
    challenge = dict(headers).get("WWW-Authenticate", 'Bearer realm="kakehashi"')
    assert re.fullmatch(r'(Bearer|DPoP) \w+="[^"\\]+"(, \w+="[^"\\]+")*', challenge, re.ASCII)


def test_trailers_that_belong_before_the_content_do_not_come_back() -> None:
    """RFC 9110 §6.5.1: no framing, routing, authentication, caching or coding, in no spelling; digests may."""
    dropped = [
        "Transfer-Encoding",
        "content_length",
        "Content-Type",
        "Set-Cookie",
        "Host",
        "X-Hop",
        "Trailer",
        "Connection",
    ]
    dropped += [
        "WWW-Authenticate",
        "Cache-Control",
        "Kakehashi-Request-Id",
        "Content-Security-Policy",
        "If-Match",
        "Vary",
    ]
    kept = [("Content-Digest", "sha-256=:AA==:"), ("ETag", '"1"'), ("Grpc-Status", "0"), ("X-Checksum", "1")]
    trailers = [*((name, "1") for name in dropped), *kept]
    assert response_trailers(trailers, [("connection", "keep-alive, x_hop")]) == kept


@pytest.mark.parametrize(
    "name",
    [
        *("SM-User", "Sm_User", "iv-user", "X-Authentik-Username", "Tailscale-User-Login", "X-JWT-Assertion"),
        *("X-Forwarded", "CF-Connecting-IP", "X-Client-DN", "X-ARR-ClientCert", "X-Credential-Identifier"),
        *("Idempotency_Key", "Signature_Input", "Signature_", "Content_Type", "content_digest"),
    ],
)
def test_names_that_claim_an_identity_or_look_like_ours_do_not_pass(name):
    """Those of common gateways, and others' spellings of what the gateway signs or sends itself."""
    sent = [(name, "mayor"), ("Idempotency-Key", "k"), ("Content-Type", "text/plain"), ("Signature", "a=:AA==:")]
    passed = [header for header, _ in forward_headers(sent, "assertion", "id")]
    assert name not in passed
    assert {"Idempotency-Key", "Content-Type", "Signature"} <= set(passed)


@pytest.mark.parametrize("name", ["X-Accel-Redirect", "X-Sendfile", "Set-Login"])
def test_nothing_comes_back_that_a_proxy_in_front_would_obey(name):
    """Such as an address inside that it should hand out in the service's place."""
    assert name not in [header for header, _ in response_headers([(name, "/internal"), ("X-Accel-Buffering", "no")])]
