"""What becomes of a call whose key was seen before, and which keys there are."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.callers import Caller, CallerKind
from federation.idempotency import (
    PASSING,
    Replay,
    Row,
    State,
    fingerprint,
    judge,
    key_of,
    read_key,
    scope,
    settles,
    write_key,
)
from federation.identifiers import PersonRef
from federation.model import Assurance, Level
from federation.refusal import (
    IdempotencyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    IdempotencyUnknown,
)
from federation.routes import Route
from federation.terms import Idempotency

ANSWER = Replay(status=201, headers=(("Content-Type", "application/json"),), body=b"\x00{}\xff")
BEGUN = Row(state=State.BEGUN, fingerprint="a")
SENT = replace(BEGUN, state=State.SENT)
ANSWERED = replace(BEGUN, state=State.ANSWERED, answer=ANSWER)


@pytest.mark.parametrize(
    ("row", "under_way", "repeats", "becomes"),
    [
        (BEGUN, True, False, IdempotencyInFlight),
        (BEGUN, True, True, IdempotencyInFlight),
        (BEGUN, False, False, None),
        (BEGUN, False, True, None),
        (SENT, True, False, IdempotencyInFlight),
        (SENT, True, True, IdempotencyInFlight),
        (SENT, False, False, IdempotencyUnknown),
        (SENT, False, True, None),
        (ANSWERED, True, False, ANSWER),
        (ANSWERED, True, True, ANSWER),
        (ANSWERED, False, False, ANSWER),
        (ANSWERED, False, True, ANSWER),
    ],
)
def test_what_becomes_of_a_call_with_a_known_key(row, under_way, repeats, becomes):
    """Each state, whether somebody works on it, and whether the service knows keys; another call is refused in all."""
    if isinstance(becomes, type):
        with pytest.raises(becomes):
            judge(row, "a", under_way=under_way, repeats=repeats)
    else:
        assert judge(row, "a", under_way=under_way, repeats=repeats) == becomes
    with pytest.raises(IdempotencyKeyReused):
        judge(row, "b", under_way=under_way, repeats=repeats)


@pytest.mark.parametrize("row", [BEGUN, SENT, ANSWERED])
def test_a_row_is_the_same_after_the_store(row):
    """Octets of the body and all."""
    assert Row.from_json(row.to_json()) == row


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('  "a b, c; d"\t', "a b, c; d"),
        ('"\\"\\\\"', '"\\'),
        ("KG5LxwFBepaKHyUD", "KG5LxwFBepaKHyUD"),
        ("k" * 255, "k" * 255),
        ('"' + "k" * 255 + '"', "k" * 255),
    ],
)
def test_a_key_is_a_string_with_or_without_its_quotes(value, key):
    """The same one either way."""
    assert key_of([value], Idempotency.REQUIRED, "POST") == key_of([value], Idempotency.ACCEPTED, "PATCH") == key


@pytest.mark.parametrize(
    "values",
    [
        *([""], [" "], ['""'], ['"a'], ['a"'], ["a b"], ["a,b"], ["a;b"], ['"a";b'], ['"a", "b"'], ["é"], ['"é"']),
        *(["a\x00b"], ["a\x7f"], ["(a)(", ")"], ["a", "a"], ['"a"', '"a"'], ["k" * 256], ['"' + "k" * 256 + '"']),
    ],
)
def test_keys_that_cannot_be_read(values):
    """Several, empty, too long, or of characters that no key has."""
    with pytest.raises(IdempotencyKeyInvalid):
        key_of(values, Idempotency.ACCEPTED, "POST")


def test_whether_a_route_takes_keys():
    """Missing where it is required; passed over where none is taken, however odd, and where a call only reads."""
    with pytest.raises(IdempotencyKeyMissing):
        key_of([], Idempotency.REQUIRED, "DELETE")
    assert key_of([], Idempotency.ACCEPTED, "POST") is None
    assert key_of(["é", "a b"], Idempotency.NONE, "POST") is None
    assert key_of([], Idempotency.REQUIRED, "GET") is key_of(["key"], Idempotency.REQUIRED, "HEAD") is None


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255))
def test_a_key_that_is_written_is_read_again(key):
    """As its header says it."""
    assert read_key(write_key(key)) == key


CALL = {"method": "POST", "path": "/payments", "query": "", "content_type": "application/json", "body": b"{}"}


@pytest.mark.parametrize("name", CALL)
def test_a_call_is_known_by_everything_that_makes_it(name):
    """A change of any part is another call; nothing can move from one part to the next."""
    other = b"[]" if name == "body" else f"{CALL[name]}x"

    assert fingerprint(**CALL) == fingerprint(**CALL)
    assert fingerprint(**CALL) != fingerprint(**{**CALL, name: other})
    moved = {**CALL, "path": "/pay", "query": "ments"}
    assert fingerprint(**moved) != fingerprint(**CALL)


PERSON = Caller(
    client="https://app.example",
    municipality="102016",
    scopes=frozenset(),
    assurance=Assurance(identity=Level.TWO, authentication=Level.TWO),
    token_id="token-1",
    expires_at=datetime(2026, 11, 23, tzinfo=UTC),
    person=PersonRef("person-1"),
)
ROUTE = Route(
    path="/api/ledger/payments",
    methods=frozenset({"POST"}),
    service="ledger",
    upstream_path="/payments",
    scope="pay",
    minimum=Level.ONE,
)


def test_a_key_belongs_to_one_caller_on_one_route():
    """Neither another client, person, municipality's system nor route shares it; another token of the same does."""
    system = replace(PERSON, kind=CallerKind.SYSTEM, person=None)
    scopes = {
        scope(PERSON, ROUTE),
        scope(replace(PERSON, client="https://other.example"), ROUTE),
        scope(replace(PERSON, person=PersonRef("person-2")), ROUTE),
        scope(PERSON, replace(ROUTE, path="/api/ledger/refunds")),
        scope(PERSON, replace(ROUTE, service="other")),
        scope(system, ROUTE),
        scope(replace(system, municipality="012173"), ROUTE),
    }
    assert len(scopes) == 7
    assert scope(replace(PERSON, token_id="token-2", municipality="012173"), ROUTE) in scopes


@pytest.mark.parametrize("status", [200, 201, 204, 302, 400, 404, 409, 422, 500, 503])
def test_which_answers_are_given_again(status):
    """All of a service that knows no keys; of one that does, but for those that say: not yet."""
    assert settles(status, repeats=False)
    assert settles(status, repeats=True) == (status not in PASSING)
