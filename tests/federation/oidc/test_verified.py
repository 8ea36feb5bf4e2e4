"""Verified claims (OpenID Identity Assurance): what services ask and are told, what ID systems say, hostile forms."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.evidence import DS_511, FRAMEWORKS, JPKI
from federation.oidc import jose
from federation.oidc.verified import Asked, answer, asked_from_json, read_asked, read_verified
from federation.ports import Denied
from tests.federation.oidc.peers import CLAIM_NAMES, Served, authorize, key, provider, query
from tests.federation.oidc.test_token import tokens as tokens_of
from trust_lists.assurance_rows import Verified

VERIFIED = {"name": (JPKI, 3), "address.locality": (DS_511, 2), "address.region": (DS_511, 2)}


def wish(*claims: str, **verification: Any) -> dict[str, Any]:
    """An element of the claims parameter."""
    return {"verification": {"trust_framework": None, **verification}, "claims": dict.fromkeys(claims)}


def told(*elements: Any, **attributes: str) -> Any:
    """What is answered to this, of a name and an address."""
    released = {"name": ("髙橋 花子",), "address.locality": ("前橋市",), "email": ("a@b.example",)}
    return answer(read_asked(list(elements)), released | {name: (text,) for name, text in attributes.items()}, VERIFIED)


NAME = {"verification": {"trust_framework": JPKI}, "claims": {"name": "髙橋 花子"}}
ADDRESS = {"verification": {"trust_framework": DS_511}, "claims": {"address": {"locality": "前橋市"}}}


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ([wish("name")], NAME),
        ([wish("name", "address")], [NAME, ADDRESS]),
        ([wish("name"), wish("address")], [NAME, ADDRESS]),
        ([wish("name"), wish("name")], NAME),
        ([wish("email")], None),
        ([wish("nationalities")], None),
        ([wish("name", "email")], NAME),
        ([wish("name", trust_framework={"value": JPKI})], NAME),
        ([wish("name", trust_framework={"value": DS_511})], None),
        ([wish("name", "address", trust_framework={"values": [DS_511, "eidas"]})], ADDRESS),
        ([wish("name", trust_framework={"essential": True})], NAME),
        ([wish("name", trust_framework={"values": []})], None),
        ([wish("name", assurance_level={"value": "identity-2"})], None),
        ([wish("name", time=None)], NAME),
        ([wish("name", time={"max_age": 60})], None),
        ([wish("name", evidence=[{"type": None}])], NAME),
        ([wish("name", evidence=[{"type": {"value": "document"}}])], None),
        ([wish("name", evidence=[{"type": None, "document_details": {"type": {"values": ["passport"]}}}])], None),
        ([wish("name", trust_framework={"value": DS_511}), wish("name")], NAME),
    ],
)
def test_what_is_told(elements: list[Any], expected: Any) -> None:
    """What was verified, by framework; where a constraint cannot be met nothing is told, which is no error (§5.7.4)."""
    assert told(*elements) == expected


def test_the_level_is_told_to_who_asks_for_it() -> None:
    """And not otherwise."""
    verification = {"trust_framework": JPKI, "assurance_level": "identity-3"}
    assert told(wish("name", assurance_level=None)) == {**NAME, "verification": verification}


def test_a_claim_with_another_value_is_left_out() -> None:
    """The others stay."""
    element = wish("name", "address")
    element["claims"]["name"] = {"value": "高橋 花子"}
    assert told(element) == ADDRESS
    element["claims"]["name"] = {"values": ["高橋 花子", "髙橋 花子"], "essential": True}
    assert told(element) == [NAME, ADDRESS]


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [wish("name")] * 17,
        "x",
        [None],
        {},
        {"verification": {}, "claims": {"name": None}},
        {"verification": None, "claims": {"name": None}},
        {"verification": {"trust_framework": None}},
        {"verification": {"trust_framework": None}, "claims": {}},
        {"verification": {"trust_framework": None}, "claims": []},
        {"verification": {"trust_framework": "jpki"}, "claims": {"name": None}},
        {"verification": {"trust_framework": {"values": "jpki"}}, "claims": {"name": None}},
        {"verification": {"trust_framework": None}, "claims": {"name": "x"}},
        {"verification": {"trust_framework": None}, "claims": {"name": {"values": ["x"] * 17}}},
    ],
)
def test_what_cannot_be_read_is_an_invalid_request(bad: Any) -> None:
    """The service hears it in its protocol."""
    with pytest.raises(ValueError, match=r"."):
        read_asked(bad)
    web = authorize(claims=json.dumps({"userinfo": {"verified_claims": bad}}))
    with pytest.raises(Denied) as denied:
        provider().accept(web, Served(provider()).now)
    assert query(denied.value.answer.location)["error"] == "invalid_request"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["verification", "claims", "trust_framework", "assurance_level", "evidence", "value", "type"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_any_json_is_read_or_refused(stated: Any) -> None:
    """On both sides."""
    try:
        found = read_asked(stated)
    except ValueError:
        pass
    else:
        assert tuple(map(asked_from_json, json.loads(json.dumps([each.to_json() for each in found])))) == found
    read_verified(stated)


@given(
    st.lists(st.builds(Asked, claims=st.lists(st.sampled_from(["name", "address", "x"])).map(tuple)), max_size=3),
    st.sets(st.sampled_from(["name", "address.locality", "email"])),
)
def test_nothing_is_told_that_was_not_released_and_verified(wishes: list[Asked], released: set[str]) -> None:
    """Whatever is asked."""
    found = answer(wishes, {name: (name,) for name in released}, VERIFIED)
    text = json.dumps(found)
    assert "email" not in text
    assert all(name.rpartition(".")[2] not in text for name in VERIFIED.keys() - released)


# --- through the provider


def test_verified_claims_are_told_where_they_are_asked_for() -> None:
    """At userinfo and in the ID token, each with its own; asking so reaches the claims, but tells none unverified."""
    served = Served(provider())
    claims = {
        "userinfo": {"verified_claims": wish("name", "email", assurance_level=None)},
        "id_token": {"verified_claims": [wish("address"), wish("card")], "card": None},
    }
    web = authorize(scope="openid", claims=json.dumps(claims))
    login = served.provider.accept(web, served.now)
    assert set(login.claims or ()) == {"name", "name#ja-Kana-JP", "email", "address.locality", "address.region", "card"}
    body = tokens_of(served, web, verified=VERIFIED, methods=("sc", "face"))
    id_token = jose.verify(body["id_token"], key("gateway", "RS256").public(), ["RS256"], ("jwt",))
    assert id_token["amr"] == ["sc", "face"]
    assert id_token["card"] == "card 髙橋"
    assert id_token["verified_claims"] == {
        "verification": {"trust_framework": DS_511},
        "claims": {"address": {"locality": "address.locality 髙橋", "region": "address.region 髙橋"}},
    }
    token = served.provider.verify_access_token(body["access_token"], served.now)
    told_there = json.loads(served.provider.userinfo(token, served.store.get("userinfo", token.jti)).body)
    assert told_there == {
        "sub": "pairwise-1",
        "verified_claims": {
            "verification": {"trust_framework": JPKI, "assurance_level": "identity-3"},
            "claims": {"name": "name 髙橋"},
        },
    }


def test_the_configuration_says_what_can_be_asked_for() -> None:
    """OpenID Identity Assurance §8."""
    found = json.loads(provider().configuration().body)
    assert found["verified_claims_supported"] is True
    assert found["trust_frameworks_supported"] == list(FRAMEWORKS)
    assert set(found["claims_in_verified_claims_supported"]) == {name.partition(".")[0] for name in CLAIM_NAMES}


def test_a_level_of_eidas_is_stated_as_it_was_asked_for() -> None:
    """If the table says that the sign-in is worth it; else the region's own."""
    high = "http://eidas.europa.eu/LoA/high"
    for also, stated in (((high,), high), ((), "urn:kakehashi:assurance:identity-2")):
        served = Served(provider())
        body = tokens_of(served, authorize(acr_values=high), also=also)
        id_token = jose.verify(body["id_token"], key("gateway", "RS256").public(), ["RS256"], ("jwt",))
        assert id_token["acr"] == stated


# --- from ID systems


def element(*claims: str, **verification: Any) -> dict[str, Any]:
    """What an ID system verified."""
    return {"verification": {"trust_framework": "jp_aml", **verification}, "claims": dict.fromkeys(claims, "x")}


@pytest.mark.parametrize(
    ("stated", "verified", "evidence"),
    [
        (element("name"), [("jp_aml", None, None)], {}),
        (element("name", assurance_level="high"), [("jp_aml", "high", None)], {}),
        (
            element("name", evidence=[{"type": "document"}, {"type": "vouch"}]),
            [("jp_aml", None, "document"), ("jp_aml", None, "vouch")],
            {"verified_claims.claims.name": "document"},
        ),
        (
            [element("name", trust_framework=JPKI), element("name", evidence=[{"type": "document"}])],
            [(JPKI, None, None), ("jp_aml", None, "document")],
            {"verified_claims.claims.name": "document"},
        ),
        (
            element("name", trust_framework=JPKI),
            [(JPKI, None, None)],
            {"verified_claims.claims.name": "signing-certificate"},
        ),
        (element(), [], {}),
        ({"claims": {"name": "x"}}, [], {}),
        (element("name", trust_framework=7), [], {}),
        (element("name", trust_framework=""), [], {}),
        (element("name", evidence="document"), [("jp_aml", None, None)], {}),
        (element("name", evidence=[{"type": "wink"}, 7]), [("jp_aml", None, "wink")], {}),
        (None, [], {}),
        ([[element("name")]], [], {}),
    ],
)
def test_what_an_id_system_verified_is_read(stated: Any, verified: list[Any], evidence: dict[str, str]) -> None:
    """Framework, level and kinds of evidence for the table; of a claim that is verified twice the weaker evidence."""
    found, known = read_verified(stated)
    assert [(each.trust_framework, each.assurance_level, each.evidence) for each in found] == verified
    assert all(isinstance(each, Verified) for each in found)
    assert known == evidence
