"""What a region answers at its federation endpoints (OpenID Federation 1.0 §8, §9), read back as others would."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.trust_lists.builders import NOW
from tests.trust_lists.federations import (
    ANCHOR,
    CITY,
    OTHER_CITY,
    PARTY,
    PROVIDER,
    RP_METADATA,
    Simulator,
    der,
    jwks,
    leaf,
    pem,
    region,
    seconds,
    sign,
    signer,
)
from trust_lists import etsi, federation_serving, openid_federation
from trust_lists.federation_collecting import collect
from trust_lists.federation_serving import FederationSigner, Region, Subordinate
from trust_lists.federation_statements import read, read_anchor
from trust_lists.federation_tokens import pinned_key, read_keys, verified

HOUR = timedelta(hours=1)

OURS = Region(
    entity_id=ANCHOR,
    signer=signer(ANCHOR),
    fetch_endpoint=f"{ANCHOR}/fetch",
    list_endpoint=f"{ANCHOR}/list",
    resolve_endpoint=f"{ANCHOR}/resolve",
    other_keys=(signer("next").public_jwk(),),
    lifetime=HOUR,
    metadata={"federation_entity": {"organization_name": "Gunma"}},
    subordinates={
        PARTY: Subordinate(
            entity_id=PARTY,
            jwks=jwks(PARTY),
            metadata={etsi.FEDERATION_MEMBER: {"municipality": "102016", "maximum_identity": 2}},
            metadata_policy={"openid_relying_party": {"subject_type": {"value": "pairwise"}}},
            constraints={"max_path_length": 0},
            entity_types=frozenset({"openid_relying_party"}),
        ),
        CITY: Subordinate(entity_id=CITY, jwks=jwks(CITY), intermediate=True),
    },
)


def error(answer):
    """Tell status and code of an error."""
    assert answer.media_type == "application/json"
    content = json.loads(answer.body)
    assert set(content) == {"error", "error_description"}
    return answer.status, content["error"]


def test_the_entity_configuration():
    """§9: what the region says of itself, with its endpoints, and its keys of today and tomorrow."""
    answer = federation_serving.entity_configuration(OURS, NOW)
    assert (answer.status, answer.media_type) == (200, "application/entity-statement+jwt")
    statement = read_anchor(answer.body.decode(), [pinned_key(der(ANCHOR))])
    assert (statement.subject, statement.issued_at, statement.expires_at) == (ANCHOR, NOW, NOW + HOUR)
    assert statement.metadata == {
        "federation_entity": {
            "organization_name": "Gunma",
            "federation_fetch_endpoint": f"{ANCHOR}/fetch",
            "federation_list_endpoint": f"{ANCHOR}/list",
            "federation_resolve_endpoint": f"{ANCHOR}/resolve",
        }
    }
    assert list(statement.keys) == [signer(ANCHOR).kid, signer("next").kid]


def test_the_fetch_endpoint():
    """§8.1: what the region says of one subordinate."""
    answer = federation_serving.subordinate_statement(OURS, [("sub", PARTY), ("unknown", "passed over")], NOW)
    assert (answer.status, answer.media_type) == (200, "application/entity-statement+jwt")
    statement = read(answer.body.decode(), read_keys(jwks(ANCHOR)))
    assert (statement.issuer, statement.subject, statement.expires_at) == (ANCHOR, PARTY, NOW + HOUR)
    assert statement.policy == {"openid_relying_party": {"subject_type": {"value": "pairwise"}}}
    assert statement.constraints.max_path_length == 0


def test_nobody_is_vouched_for_longer_than_may_be():
    """A statement ends with the region's word on the subordinate, and after that there is none."""
    bounded = replace(OURS.subordinates[PARTY], valid_until=NOW + HOUR / 2)
    ours = replace(OURS, subordinates={PARTY: bounded})
    answer = federation_serving.subordinate_statement(ours, [("sub", PARTY)], NOW)
    assert read(answer.body.decode(), read_keys(jwks(ANCHOR))).expires_at == NOW + HOUR / 2
    over = federation_serving.subordinate_statement(ours, [("sub", PARTY)], NOW + HOUR / 2)
    assert error(over) == (404, "not_found")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([], (400, "invalid_request")),
        ([("sub", "")], (400, "invalid_request")),
        ([("sub", PARTY), ("sub", CITY)], (400, "invalid_request")),
        ([("sub", ANCHOR)], (400, "invalid_request")),
        ([("sub", PROVIDER)], (404, "not_found")),
    ],
)
def test_fetch_errors(parameters, expected):
    """§8.1.2, §8.9: the codes that the specification recommends."""
    assert error(federation_serving.subordinate_statement(OURS, parameters, NOW)) == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([], [CITY, PARTY]),
        ([("entity_type", "openid_relying_party")], [PARTY]),
        ([("entity_type", "openid_relying_party"), ("entity_type", "openid_provider")], []),
        ([("intermediate", "true")], [CITY]),
        ([("intermediate", "false")], [CITY, PARTY]),
    ],
)
def test_the_list_endpoint(parameters, expected):
    """§8.2: every immediate subordinate, or those that the parameters ask for."""
    answer = federation_serving.listing(OURS, parameters)
    assert (answer.status, answer.media_type, json.loads(answer.body)) == (200, "application/json", expected)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([("trust_marked", "true")], (400, "unsupported_parameter")),
        ([("trust_mark_type", "x")], (400, "unsupported_parameter")),
        ([("intermediate", "yes")], (400, "invalid_request")),
        ([("intermediate", "true"), ("intermediate", "true")], (400, "invalid_request")),
    ],
)
def test_list_errors(parameters, expected):
    """§8.2.1: filters that are not kept are refused, not passed over."""
    assert error(federation_serving.listing(OURS, parameters)) == expected


# --- together


class Served(Simulator):
    """A simulator whose anchor is served by the code under test."""

    def answer(self, wanted):
        """Answer as the region's handlers would."""
        path, _, subject = wanted.url.removeprefix(ANCHOR).partition("?sub=")
        if not wanted.url.startswith(f"{ANCHOR}/"):
            return super().answer(wanted)
        if path == "/list":
            return federation_serving.listing(OURS, []).body
        if path == "/fetch":
            decoded = subject.replace("%3A", ":").replace("%2F", "/")
            return federation_serving.subordinate_statement(OURS, [("sub", decoded)], NOW).body
        return federation_serving.entity_configuration(OURS, NOW).body


def test_what_a_region_serves_is_collected_and_read():
    """A peer that pins the region's key reads its members with their worth."""
    served = Served(leaf(PARTY, ANCHOR, openid_relying_party=RP_METADATA))
    found = openid_federation.read(served.bundle(), name="gunma", anchors=[der(ANCHOR)], now=NOW)
    [party] = found.entities
    assert (party.entity_id, party.municipality, party.maximum_identity) == (PARTY, "102016", 2)
    assert party.metadata["subject_type"] == "pairwise"
    assert [(fault.where, fault.reason) for fault in found.faults] == [(CITY, "not collected: unanswered")]


def federation(simulator=None):
    """The region of the simulator, as a resolver knows it."""
    document = (simulator or region()).bundle()
    return openid_federation.admit(document, name=None, anchors=[der(ANCHOR)], now=NOW)


def resolve(*parameters, known=None, now=NOW):
    """Ask the resolve endpoint."""
    return federation_serving.resolve_response(OURS, parameters, known or federation(), now)


def test_the_resolve_endpoint():
    """§8.3: resolved metadata, the chain down to the anchor's configuration, and its end; signed and typed."""
    known = federation()
    answer = resolve(("sub", PARTY), ("trust_anchor", "https://other.example"), ("trust_anchor", ANCHOR), known=known)
    assert (answer.status, answer.media_type) == (200, "application/resolve-response+jwt")
    claims = verified(answer.body.decode(), read_keys(jwks(ANCHOR)), typ="resolve-response+jwt")
    assert claims == {
        "iss": ANCHOR,
        "sub": PARTY,
        "iat": seconds(),
        "exp": seconds(timedelta(days=1)),
        "metadata": {"openid_relying_party": RP_METADATA},
        "trust_chain": [*(each.token for each in known.chains[PARTY].statements), known.anchor.token],
    }
    assert len(claims["trust_chain"]) == 4


def test_a_resolve_response_with_trust_marks():
    """§8.3.2: only marks that hold, and no longer than the first of them."""
    simulator = region()
    kind = "https://marks.example/good"
    simulator.members[ANCHOR].own["trust_mark_issuers"] = {kind: [ANCHOR]}
    content = {"iss": ANCHOR, "sub": PARTY, "iat": seconds(), "exp": seconds(HOUR), "trust_mark_type": kind}
    good = sign(content, signer(ANCHOR), typ="trust-mark+jwt")
    bad = sign({**content, "sub": PROVIDER}, signer(ANCHOR), typ="trust-mark+jwt")
    marks = [{"trust_mark_type": kind, "trust_mark": token} for token in (good, bad)]
    simulator.members[PARTY].own["trust_marks"] = marks
    answer = resolve(("sub", PARTY), ("trust_anchor", ANCHOR), known=federation(simulator))
    claims = verified(answer.body.decode(), read_keys(jwks(ANCHOR)), typ="resolve-response+jwt")
    assert (claims["trust_marks"], claims["exp"]) == (marks[:1], seconds(HOUR))


def test_resolving_one_entity_type():
    """Only the types that are asked for."""
    answer = resolve(("sub", PARTY), ("trust_anchor", ANCHOR), ("entity_type", "openid_provider"))
    assert verified(answer.body.decode(), read_keys(jwks(ANCHOR)), typ="resolve-response+jwt")["metadata"] == {}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([("sub", PARTY)], (400, "invalid_request")),
        ([("trust_anchor", ANCHOR)], (400, "invalid_request")),
        ([("sub", "x"), ("trust_anchor", ANCHOR)], (400, "invalid_request")),
        ([("sub", PARTY), ("sub", PARTY), ("trust_anchor", ANCHOR)], (400, "invalid_request")),
        ([("sub", PARTY), ("trust_anchor", OTHER_CITY)], (404, "invalid_trust_anchor")),
        ([("sub", OTHER_CITY), ("trust_anchor", ANCHOR)], (404, "not_found")),
    ],
)
def test_resolve_errors(parameters, expected):
    """§8.9: the codes of the specification."""
    assert error(resolve(*parameters)) == expected


def test_a_chain_that_ended_since():
    """Expiry is looked at on each request, not only when the chain was collected."""
    late = resolve(("sub", PARTY), ("trust_anchor", ANCHOR), now=NOW + timedelta(days=1))
    assert error(late) == (400, "invalid_trust_chain")


# --- keys and checks


@pytest.mark.parametrize(("kind", "algorithm"), [("P-256", "ES256"), ("P-384", "ES384"), ("RSA", "RS256")])
def test_keys_that_sign(kind, algorithm):
    """Each kind signs by its algorithm, under its thumbprint, and says nothing of its private half."""
    found = FederationSigner.from_pem(pem("kinds", kind))
    assert found.algorithm == algorithm
    assert "d" not in found.public_jwk()
    keys = read_keys({"keys": [found.public_jwk()]})
    assert verified(found.sign({"a": 1}), keys, typ="entity-statement+jwt") == {"a": 1}
    assert "key=" not in repr(found)


@pytest.mark.parametrize("content", [b"", b"x", pem("kinds", "P-521")])
def test_keys_that_do_not(content):
    """Anything else is refused without its text."""
    with pytest.raises(ValueError, match=r"^expected "):
        FederationSigner.from_pem(content)


def test_a_region_is_checked_before_it_speaks():
    """What would break a rule of entity statements is told with the entity's name."""
    federation_serving.check(OURS, NOW)
    good = OURS.subordinates[PARTY]
    for wrong, told in (
        (replace(OURS, entity_id="anchor"), "anchor: iss"),
        (replace(OURS, authority_hints=(CITY, CITY)), "authority_hints"),
        (replace(OURS, other_keys=({"kty": "EC"},)), "kid"),
        (replace(OURS, subordinates={PARTY: replace(good, jwks={})}), f"{PARTY}: jwks"),
        (replace(OURS, subordinates={PARTY: replace(good, metadata_policy={"a": 1})}), f"{PARTY}: metadata_policy"),
        (replace(OURS, subordinates={PARTY: replace(good, constraints={"max_path_length": -1})}), "constraints"),
        (replace(OURS, subordinates={CITY: good}), "another's name"),
        (replace(OURS, subordinates={ANCHOR: replace(good, entity_id=ANCHOR)}), ANCHOR),
    ):
        with pytest.raises(ValueError, match=told):
            federation_serving.check(wrong, NOW)


def test_an_intermediate_region():
    """A region below another anchor names it, and states who may mark."""
    below = replace(OURS, authority_hints=(CITY,), trust_mark_issuers={"x": [ANCHOR]}, resolve_endpoint=None)
    statement = read(federation_serving.entity_configuration(below, NOW).body.decode(), read_keys(jwks(ANCHOR)))
    assert statement.authority_hints == (CITY,)
    assert statement.endpoint("federation_resolve_endpoint") is None
    assert next(collect(ANCHOR, anchors=[der(ANCHOR)], now=NOW)).url.startswith(ANCHOR)
