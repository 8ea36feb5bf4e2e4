"""Calls through the running gateway: to the council's poll and the 講 ledger, with tokens of real logins."""

import base64
import json
import secrets

import pytest
import requests

from tests.flows.client import ASSERTION_TYPE, Client
from tests.flows.person import Person

POLLS = "/api/council/polls"


@pytest.fixture(scope="module")
def token(region) -> str:
    """An access token of a resident of Maebashi who proved who they are with a card."""
    return Client(region).tokens()["access_token"]


@pytest.fixture(scope="module")
def weak_token(region) -> str:
    """One of a resident of Maebashi who has only a password."""
    return Client(region).tokens(resident="山﨑 健一")["access_token"]


def call(region, path: str, token: str | None = None, method: str = "GET", **options) -> requests.Response:
    """Call the gateway, with a bearer token if there is one."""
    headers = options.pop("headers", {})
    if token is not None:
        headers = {**headers, "Authorization": f"Bearer {token}"}
    return requests.request(method, region["gateway"] + path, headers=headers, timeout=30, **options)


def refused(answer: requests.Response, status: int, code: str) -> dict[str, object]:
    """The answer is problem JSON (RFC 9457) with this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:kakehashi:problem:{code}"
    assert problem["request_id"] == answer.headers["Kakehashi-Request-Id"]
    return problem


def test_read_vote_once_and_read_again(region, token):
    """The poll is listed, a vote counts once, and the result shows it by municipality of the voter."""
    polls = call(region, POLLS, token).json()["polls"]
    poll = polls[0]
    path = f"{POLLS}/{poll['id']}"
    option = poll["options"][0]["id"]
    before = call(region, path + "/results", token).json()
    first = call(region, path + "/votes", token, "POST", json={"option": option})
    second = call(region, path + "/votes", token, "POST", json={"option": option})
    after = call(region, path + "/results", token).json()
    assert second.status_code == 409
    assert first.status_code in (201, 409)  # 409 if another test's resident is the same person
    assert after["total"] == before["total"] + (first.status_code == 201)


def test_a_payment_counts_once_per_key(region, token):
    """The same idempotency key again: the first answer again, and one payment."""
    key = {"Idempotency-Key": secrets.token_hex(8)}
    first = call(region, "/api/ledger/payments", token, "POST", headers=key, json={"fee": "test-fee", "amount": 3000})
    second = call(region, "/api/ledger/payments", token, "POST", headers=key, json={"fee": "test-fee", "amount": 3000})
    assert first.status_code in (200, 201), first.text
    assert first.json() == second.json()


def test_a_token_in_exchange_pays_and_does_not_vote(region, token):
    """RFC 8693: the site's token for one that is good at the ledger alone; it sees the same payments, and no poll."""
    site = Client(region)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "scope": "ledger.pay",
        "audience": "ledger",
        "client_assertion_type": ASSERTION_TYPE,
    }

    def exchanged(**changes: str) -> requests.Response:
        data = {**form, "client_assertion": site.assertion(), **changes}
        return requests.post(region["gateway"] + "/oidc/token", data=data, timeout=30)

    narrowed = exchanged().json()
    assert narrowed["scope"] == "ledger.pay"
    payments = "/api/ledger/payments"
    assert call(region, payments, narrowed["access_token"]).json() == call(region, payments, token).json()
    refused(call(region, POLLS, narrowed["access_token"]), 403, "scope-missing")
    again = exchanged(subject_token=narrowed["access_token"], scope="council.polls.vote", audience="council-poll")
    assert again.json()["error"] == "invalid_scope"


def test_the_site_pays_with_a_token_for_the_ledger_alone(region):
    """Its page says so, and what is paid twice is paid once: it is the same token."""
    person = Person(language="ja").open(region["participation"] + "/sign-in")
    person.choose("system", "maebashi").press("髙橋 花子")
    if "同意して" in person.text:
        person.choose("decision", "agree")
    assert "会費にだけ使える許可で、あなたの代わりにたずねています" in person.text
    person.press("会費 3,000円を支払う")
    assert "会費を支払いました" in person.text
    person.press("同じ支払いをもう一度送ってみる")
    assert "二重には払われていません" in person.text


@pytest.mark.parametrize("path", [POLLS, POLLS + "/1", "/api/ledger/payments"])
def test_without_a_token(region, path):
    """401 and a challenge without an error code (RFC 6750 §3.1)."""
    answer = call(region, path)
    refused(answer, 401, "token-missing")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "error" not in answer.headers["WWW-Authenticate"]


def test_with_a_foreign_or_altered_token(region, token):
    """401 and invalid_token."""
    head, body, signature = token.split(".")
    other = ("A" if signature[0] != "A" else "B") + signature[1:]
    for forged in (f"{head}.{body}.{other}", "x", f"{head}.{body}.", Client(region).assertion()):
        answer = call(region, POLLS, forged)
        refused(answer, 401, "token-invalid")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_an_id_token_is_no_access_token(region):
    """An ID token at the API is refused, whatever its signature."""
    refused(call(region, POLLS, Client(region).tokens()["id_token"]), 401, "token-invalid")


def test_without_the_scope(region):
    """403, the reason, and the scope that is needed."""
    token = Client(region, scope="openid council.polls.read").tokens()["access_token"]
    assert call(region, POLLS, token).status_code == 200
    answer = call(region, "/api/ledger/payments", token)
    assert refused(answer, 403, "scope-missing")["scope"] == "ledger.pay"
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_with_too_little_assurance(region, weak_token):
    """Reading is open to a password, voting is not: 403, the reason, and the acr that is needed."""
    poll = call(region, POLLS, weak_token).json()["polls"][0]["id"]
    answer = call(region, f"{POLLS}/{poll}/votes", weak_token, "POST", json={"option": "yes"})
    problem = refused(answer, 403, "call-assurance-too-low")
    assert problem["acr_values"] == "urn:kakehashi:assurance:identity-2"


def test_whoever_is_not_of_age_does_not_vote(region):
    """17 years old, with a card: 403 that says what it takes, not what is missing; looking is for everybody."""
    young = Client(region).tokens(resident="田村 さくら")["access_token"]
    poll = call(region, POLLS, young).json()["polls"][0]["id"]
    answer = call(region, f"{POLLS}/{poll}/votes", young, "POST", json={"option": "until-22"})
    assert refused(answer, 403, "fact-missing")["facts"] == "adult member_resident"


@pytest.mark.parametrize(
    "path",
    ["/api/", "/api/nothing", POLLS + "/", "/api/council/../council/polls", POLLS + "/%2e%2e", POLLS + "/a%2fb"],
)
def test_unknown_routes(region, token, path):
    """404; tricks with the path are not normalised into something else."""
    session = requests.Session()
    request = requests.Request("GET", region["gateway"], headers={"Authorization": f"Bearer {token}"}).prepare()
    request.url = region["gateway"] + path
    refused(session.send(request, timeout=30), 404, "no-route")


def test_unknown_method(region, token):
    """405 with the methods that the route has."""
    answer = call(region, POLLS, token, "DELETE")
    refused(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET"


def test_tokens_say_nothing_of_the_person(token):
    """The access token carries levels and references; no attribute, no number that another service knows."""
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert set(claims) == {
        "iss", "aud", "sub", "client_id", "scope", "acr", "auth_time", "iat", "exp", "jti",
        "consent", "kakehashi_person", "kakehashi_authentication", "kakehashi_federation", "kakehashi_told",
    }  # fmt: skip
    for word in ("髙橋", "adult", "member_resident"):  # what the poll is told is sealed: the site does not learn it
        assert word not in json.dumps(claims, ensure_ascii=False)


def test_code_used_twice_revokes(region):
    """The second use of a code is refused, and what the first one gave no longer reaches userinfo (RFC 6749 §4.1.2)."""
    client = Client(region)
    code = client.sign_in("omura", "濵﨑 みどり")["code"]
    tokens = client.exchange(code).json()
    userinfo = region["gateway"] + "/oidc/userinfo"
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert requests.get(userinfo, headers=bearer, timeout=30).json()["name"] == "濵﨑\u3000みどり"
    assert client.exchange(code).json()["error"] == "invalid_grant"
    refused(requests.get(userinfo, headers=bearer, timeout=30), 401, "token-invalid")


def test_client_assertion_used_twice(region):
    """A client's assertion authenticates it once."""
    client = Client(region)
    assertion = client.assertion()
    answers = [client.exchange("no-such-code", client_assertion=assertion).json()["error"] for _ in range(2)]
    assert answers == ["invalid_grant", "invalid_client"]


def test_passive_request_is_answered_without_a_page(region):
    """prompt=none comes back at once as login_required, with state and iss (RFC 9207)."""
    answer = requests.get(
        Client(region, extra={"prompt": "none"}).authorization_url(), allow_redirects=False, timeout=30
    )
    location = answer.headers["Location"]
    assert location.startswith(region["participation"] + "/callback?")
    assert "error=login_required" in location
    assert "state=s" in location
    assert "iss=http" in location


def test_foreign_redirect_address(region):
    """A redirect address that is not registered gets no redirect, but a page."""
    client = Client(region, extra={"redirect_uri": "https://evil.example/callback"})
    answer = requests.get(client.authorization_url(), allow_redirects=False, timeout=30)
    assert answer.status_code in (400, 403)
    assert "Location" not in answer.headers


def test_an_id_token_says_how_the_person_signed_in_and_what_was_verified(region):
    """By the region's signed table: `amr` of the row, and verified claims of what was asked for and agreed to."""
    wish = {"verification": {"trust_framework": None, "assurance_level": None}, "claims": {"name": None}}
    client = Client(region, extra={"claims": json.dumps({"id_token": {"verified_claims": wish}})})
    id_token = client.tokens()["id_token"]
    claims = json.loads(base64.urlsafe_b64decode(id_token.split(".")[1] + "=="))
    assert (claims["acr"], claims["amr"]) == ("urn:kakehashi:assurance:identity-3", ["hwk", "pin", "mfa"])
    assert claims["verified_claims"] == {
        "verification": {
            "trust_framework": "urn:kakehashi:trust-framework:ds-511",
            "assurance_level": "identity-3",
        },
        "claims": {"name": "髙橋 花子"},
    }
