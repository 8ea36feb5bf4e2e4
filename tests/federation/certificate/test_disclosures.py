"""The attribute certificate beside the person's (SD-JWT with key binding, RFC 9901): what is believed of it."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.certificate import disclosures
from federation.certificate.model import CertificateRefusedError, Standing
from tests.federation.certificate.authorities import AT, OTHER_POLICY, POLICY, Authority
from tests.federation.certificate.phone import LEAVE_OUT, AttributeCertificate, Phone, disclosure, jwk, sha256, url
from tests.federation.certificate.sign_in_sample import (
    ACCEPTED,
    ASKED,
    ISSUING,
    NAME,
    PERSON,
    RSA_PERSON,
    SAME_DEVICE,
    SIGNER,
    SOFT,
    only,
    proved,
    refused,
)

PHONE = Phone(PERSON)
NAMED = {"full_name": disclosure("full_name", "山田 花子"), "birthdate": disclosure("birthdate", "1985-03-15")}
CARD = AttributeCertificate(SIGNER, PERSON, NAMED)
BOTH = frozenset(NAMED)


def answered(card: AttributeCertificate = CARD, **how: Any) -> Any:
    """A good answer with everything disclosed, but for the changes."""
    how.setdefault("disclose", card.disclosures.keys())
    return PHONE.answer(ASKED.jwt, attributes=card, **how)


def learned(card: AttributeCertificate = CARD, **how: Any) -> Mapping[str, tuple[str, ...]]:
    """What is known from the attribute certificate."""
    found = proved(answered(card, **how)).attributes
    return {name: values for name, values in found.items() if name.startswith("attribute.")}


def faulty(card: AttributeCertificate = CARD, **how: Any) -> str:
    """What is wrong with it."""
    why = refused(answered(card, **how))
    assert why.code == "attributes-unverified"
    return why.detail


# --- believed


def test_what_the_person_discloses_is_known_and_nothing_else() -> None:
    """The other digests say nothing."""
    assert learned() == {"attribute.full_name": ("山田 花子",), "attribute.birthdate": ("1985-03-15",)}
    assert learned(disclose={"birthdate"}) == {"attribute.birthdate": ("1985-03-15",)}
    assert learned(disclose=()) == {}


def test_decoys_are_passed_over() -> None:
    """RFC 9901 §4.2.5."""
    digests = [sha256("decoy"), *(sha256(each) for each in NAMED.values())]
    assert set(learned(replace(CARD, claims={"_sd": digests}))) == {"attribute.full_name", "attribute.birthdate"}


def test_claims_about_the_token_are_no_attributes() -> None:
    """Those that stand in it for all to see are, if they are about the person."""
    plain = {"given_name": "花子", "sub": "x", "jti": "1", "aud": "y"}
    assert learned(replace(CARD, plain=plain), disclose=()) == {"attribute.given_name": ("花子",)}


def test_values_are_text_whatever_json_had() -> None:
    """Numbers, truth, objects, arrays; nothing for null and the empty text."""
    plain = {
        "age": 41,
        "height": 1.5,
        "adult": True,
        "minor": False,
        "none": None,
        "empty": "",
        "address": {"region": "群馬県", "locality": "前橋市"},
        "nationalities": ["JP", "US"],
    }
    assert learned(replace(CARD, plain=plain), disclose=()) == {
        "attribute.age": ("41",),
        "attribute.height": ("1.5",),
        "attribute.adult": ("true",),
        "attribute.minor": ("false",),
        "attribute.address.region": ("群馬県",),
        "attribute.address.locality": ("前橋市",),
        "attribute.nationalities": ("JP", "US"),
    }


def test_disclosures_may_stand_in_objects_arrays_and_other_disclosures() -> None:
    """RFC 9901 §4.2.2, §4.2.6."""
    region, element = disclosure("region", "群馬県"), disclosure("JP")
    address = disclosure("address", {"_sd": [sha256(region), sha256("decoy")], "locality": "前橋市"})
    card = replace(
        CARD,
        disclosures={"address": address, "region": region, "element": element},
        claims={"_sd": [sha256(address)], "nationalities": [{"...": sha256(element)}, {"...": sha256("x")}, "US"]},
    )
    assert learned(card) == {
        "attribute.address.locality": ("前橋市",),
        "attribute.address.region": ("群馬県",),
        "attribute.nationalities": ("JP", "US"),
    }
    assert learned(card, disclose={"address"}) == {
        "attribute.address.locality": ("前橋市",),
        "attribute.nationalities": ("US",),
    }


def test_the_hash_may_be_left_unsaid() -> None:
    """RFC 9901 §4.1.1: then it is SHA-256."""
    assert learned(replace(CARD, claims={"_sd_alg": LEAVE_OUT}))


@pytest.mark.parametrize("holder", [PERSON, RSA_PERSON], ids=["on a curve", "RSA"])
def test_a_holder_may_have_either_kind_of_key(holder: Any) -> None:
    """And the proof is made by it."""
    form = Phone(holder).answer(ASKED.jwt, attributes=replace(CARD, holder=holder), disclose={"full_name"})
    assert proved(form).attributes["attribute.full_name"] == ("山田 花子",)


def test_a_token_without_an_end_is_believed_while_its_signer_is() -> None:
    """`exp` is not demanded (RFC 7519 §4.1.4)."""
    assert learned(replace(CARD, claims={"exp": LEAVE_OUT}))


# --- refused: the token, its signer, its holder

STRANGER = ISSUING.issue(NAME)
NOW = int(AT.timestamp())

CARDS: tuple[tuple[str, str, AttributeCertificate], ...] = (
    ("another type", "typ", replace(CARD, header={"typ": "JWT"})),
    ("without certificates", "x5c", replace(CARD, header={"x5c": LEAVE_OUT})),
    ("a key of its own", "header", replace(CARD, header={"jwk": jwk(SIGNER.key)})),
    ("signed by another key", "signer's signature", replace(CARD, key=STRANGER.key)),
    ("signed by a resident", "signer: policy", replace(CARD, signer=STRANGER)),
    ("signed by the person himself", "signer: policy", replace(CARD, signer=PERSON)),
    (
        "signed by another authority's",
        "signer: untrusted-issuer",
        replace(CARD, signer=Authority.root("Evil").issue("Signer", policies=(OTHER_POLICY,))),
    ),
    (
        "signed by a certificate that is over",
        "signer: expired",
        replace(CARD, signer=ISSUING.issue("Signer", policies=(OTHER_POLICY,), not_after=AT - timedelta(days=1))),
    ),
    (
        "signed by a key for something else",
        "signer: key-usage",
        replace(CARD, signer=ISSUING.issue("Signer", policies=(OTHER_POLICY,), key_usage=("content_commitment",))),
    ),
    ("over", "it is over", replace(CARD, claims={"exp": NOW})),
    ("not begun", "it begins later", replace(CARD, claims={"nbf": NOW + 61})),
    ("issued later", "it was issued later", replace(CARD, claims={"iat": NOW + 61})),
    ("an end that is no time", "it is over", replace(CARD, claims={"exp": "never"})),
    ("with a status", "status", replace(CARD, claims={"status": {"status_list": {"idx": 0, "uri": "https://x"}}})),
    ("another hash", "_sd_alg", replace(CARD, claims={"_sd_alg": "sha-512"})),
    ("without a holder", "cnf", replace(CARD, claims={"cnf": LEAVE_OUT})),
    ("a holder without a key", "cnf", replace(CARD, claims={"cnf": {"kid": "1"}})),
    ("another holder", "cnf", replace(CARD, claims={"cnf": {"jwk": jwk(STRANGER.key)}})),
    ("another kind of key", "cnf", replace(CARD, claims={"cnf": {"jwk": {**jwk(PERSON.key), "kty": "OKP"}}})),
    ("no array of digests", "_sd is not", replace(CARD, claims={"_sd": {}})),
    ("a digest that is none", "digest", replace(CARD, claims={"_sd": [1]})),
    ("a digest twice", "digest stands twice", replace(CARD, claims={"_sd": [sha256(NAMED["full_name"])] * 2})),
    (
        "a digest twice in different places",
        "digest stands twice",
        replace(CARD, plain={"other": {"_sd": [sha256(NAMED["full_name"])]}}),
    ),
    ("a name that is there already", "there already", replace(CARD, plain={"full_name": "x"})),
    ("a reserved name in an object", "reserved", replace(CARD, plain={"a": {"_sd_alg": "sha-256"}})),
    ("a reserved name as a member", "reserved", replace(CARD, plain={"...": sha256("x")})),
    ("more beside an element's digest", "more beside", replace(CARD, plain={"a": [{"...": sha256("x"), "b": 1}]})),
    ("a name that is empty", "empty", replace(CARD, plain={"": "x"})),
)


@pytest.mark.parametrize(("fault", "card"), [each[1:] for each in CARDS], ids=[each[0] for each in CARDS])
def test_a_token_that_does_not_hold_is_refused(fault: str, card: AttributeCertificate) -> None:
    """Each differs in exactly what its name says."""
    assert fault in faulty(card)


DISCLOSED: tuple[tuple[str, str, str], ...] = (
    ("no base64url", "read", "é"),
    ("another spelling", "read", NAMED["full_name"] + "="),
    ("no JSON", "read", url(b"x")),
    ("a member twice", "read", url(b'["s", "n", {"a": 1, "a": 2}]')),
    ("an object", "array of two or three", url(b"{}")),
    ("four members", "array of two or three", disclosure("a", "b", "c")),
    ("one member", "array of two or three", url(b'["s"]')),
    ("a salt that is none", "salt", url(b'[1, "a", "b"]')),
    ("a name that is none", "salt or name", url(b'["s", 1, "b"]')),
    ("an element for a member", "element stands", disclosure("x")),
    ("a reserved name", "reserved", disclosure("_sd", [])),
    ("another reserved name", "reserved", disclosure("...", "x")),
    ("the hash", "reserved", disclosure("_sd_alg", "md5")),
    ("an end", "selectively", disclosure("nbf", 1)),
    ("a reserved name within", "reserved", disclosure("a", {"b": {"...": "x"}})),
)


@pytest.mark.parametrize(("fault", "text"), [each[1:] for each in DISCLOSED], ids=[each[0] for each in DISCLOSED])
def test_a_disclosure_that_breaks_the_rules_is_refused(fault: str, text: str) -> None:
    """RFC 9901 §7.1, though its digest was signed."""
    card = replace(CARD, disclosures={"bad": text})
    if not text.isascii():
        card = replace(card, claims={"_sd": []})
    assert fault in faulty(card)


def test_a_disclosure_of_a_member_is_none_of_an_element() -> None:
    """And the reverse, above."""
    card = replace(CARD, claims={"_sd": [], "list": [{"...": sha256(NAMED["full_name"])}]})
    assert "member stands" in faulty(card, disclose={"full_name"})


def test_a_disclosure_that_belongs_nowhere_is_refused() -> None:
    """RFC 9901 §7.1 (5): what nobody signed is not shown."""
    foreign = replace(CARD, disclosures={**NAMED, "extra": disclosure("admin", "true")}, claims={"_sd": CARD_DIGESTS})
    assert "belongs nowhere" in faulty(foreign)


CARD_DIGESTS = [sha256(each) for each in NAMED.values()]


def test_a_disclosure_twice_is_refused() -> None:
    """RFC 9901 §7.1 (4)."""
    doubled = replace(CARD, disclosures={**NAMED, "again": NAMED["full_name"]}, claims={"_sd": CARD_DIGESTS})
    assert "twice" in faulty(doubled)


def test_more_disclosures_than_any_real_certificate_has_are_refused() -> None:
    """Bounded work, and bounded values."""
    many = {str(number): disclosure(f"n{number}", number) for number in range(129)}
    assert "too many disclosures" in faulty(replace(CARD, disclosures=many))
    assert "too many values" in faulty(replace(CARD, plain={"list": list(range(600))}))


# --- refused: the proof


PROOFS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("for somebody else", "somebody else", {"proof": {"aud": "https://evil.example"}}),
    ("of another request", "nonce", {"proof": {"nonce": SAME_DEVICE.nonce}}),
    ("without a nonce", "nonce", {"proof": {"nonce": LEAVE_OUT}}),
    ("of long ago", "another time", {"proof": {"iat": NOW - 61}}),
    ("of the future", "another time", {"proof": {"iat": NOW + 61}}),
    ("without a time", "another time", {"proof": {"iat": LEAVE_OUT}}),
    ("of other disclosures", "other disclosures", {"proof": {"sd_hash": sha256("x")}}),
    ("without its hash", "other disclosures", {"proof": {"sd_hash": LEAVE_OUT}}),
    ("of another type", "typ", {"proof_header": {"typ": "JWT"}}),
    ("with a key of its own", "header", {"proof_header": {"jwk": jwk(PERSON.key)}}),
)


@pytest.mark.parametrize(("fault", "how"), [each[1:] for each in PROOFS], ids=[each[0] for each in PROOFS])
def test_a_proof_that_does_not_hold_is_refused(fault: str, how: Mapping[str, Any]) -> None:
    """Each differs in exactly what its name says (RFC 9901 §7.3)."""
    assert fault in faulty(**how)


def test_a_proof_by_another_key_is_refused() -> None:
    """Whoever found somebody's attribute certificate has not the key in it."""
    thief = replace(CARD, claims={"cnf": {"jwk": jwk(PERSON.key)}})
    stolen = Phone(STRANGER).answer(ASKED.jwt, attributes=thief, disclose=BOTH)
    assert "cnf" in refused(stolen).detail
    form = answered(presented=lambda shown: shown[:-4] + ("AAAA" if shown[-4:] != "AAAA" else "BBBB"))
    assert refused(form).code == "attributes-unverified"


def test_without_a_proof_nothing_is_believed() -> None:
    """RFC 9901 §7.3 (1): key binding is demanded."""
    assert faulty(presented=lambda shown: shown[: shown.rindex("~") + 1])


def test_disclosures_cannot_be_taken_away_or_added_on_the_way() -> None:
    """Neither before the proof's hash nor behind the answer's."""
    state, attributes, response = answered()
    token, first, second, proof = attributes[1].split("~")
    for changed in ((token, first, proof), (token, second, first, proof), (token, first, second, first, proof)):
        assert refused([state, ("attributes", "~".join(changed)), response]).code == "attributes-unverified"
        signed_anew = "~".join(changed)
        assert "other disclosures" in faulty(presented=lambda _, text=signed_anew: text)
    assert refused([state, response]).code == "attributes-unverified"
    bare = PHONE.answer(ASKED.jwt)
    assert refused([state, attributes, bare[1]]).code == "attributes-unverified"


# --- lists and revocation


def test_attribute_certificates_count_only_where_a_policy_for_them_is_configured() -> None:
    """Otherwise they are refused rather than passed over: the person disclosed something for nothing."""
    assert refused(answered(), accepted=replace(ACCEPTED, attribute_policies=frozenset())).detail == "none are accepted"
    swapped = replace(ACCEPTED, attribute_policies=frozenset({POLICY}))
    assert "signer: policy" in refused(answered(), accepted=swapped).detail


@pytest.mark.parametrize("standing", [Standing.REVOKED, Standing.UNKNOWN, None], ids=str)
def test_a_signer_who_was_revoked_is_not_believed(standing: Standing | None) -> None:
    """By the same policy as the person's certificate."""
    assert "its signer: " in refused(answered(), knows=only(SIGNER, standing=standing)).detail


def test_a_soft_policy_caps_the_sign_in_when_nothing_is_learned_of_the_signer() -> None:
    """The attributes would otherwise be worth more than what is known."""
    found = proved(answered(), accepted=SOFT, knows=only(SIGNER))
    assert found.cap == 1
    assert "attribute.full_name" in found.attributes
    assert len(found.statuses) == 2


# --- hostile


@pytest.mark.parametrize(
    "text",
    ["", "~", "~~", "a~b", "a.b.c~", "a.b.c~d.e.f", "é~é", "~" * 2000, "A" * 70000],
    ids=lambda text: text[:10],
)
def test_garbage_is_refused(text: str) -> None:
    """Whatever its length."""
    with pytest.raises(CertificateRefusedError) as why:
        disclosures.read(text)
    assert why.value.code == "attributes-unverified"


def test_nesting_without_end_is_refused() -> None:
    """Disclosures within disclosures, one level each, and JSON within JSON."""
    inner = disclosure("x", 1)
    chain = [inner]
    for number in range(100):
        inner = disclosure(f"n{number}", {"_sd": [sha256(inner)]})
        chain.append(inner)
    deep = replace(
        CARD,
        disclosures={str(number): each for number, each in enumerate(chain)},
        claims={"_sd": [sha256(inner)]},
    )
    assert len(learned(deep)) == 1
    nested: Any = 1
    for _ in range(40):
        nested = [nested]
    assert faulty(replace(CARD, plain={"a": nested}))


GOOD = answered()


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 6))
def test_a_bit_changed_anywhere_is_seen(place: float, bit: int) -> None:
    """Even where the person signed what was changed."""
    shown = dict(GOOD)["attributes"]
    changed = bytearray(shown.encode())
    changed[int(place * len(changed))] ^= 1 << bit
    if changed.decode() == shown:
        return
    assert refused(answered(presented=lambda _: changed.decode())).code == "attributes-unverified"


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["_sd", "...", "_sd_alg", "a", "b"]), inner),
)


@given(st.dictionaries(st.sampled_from(["_sd", "...", "_sd_alg", "name", "cnf", "exp"]), JSON))
def test_whatever_an_issuer_signs_only_a_refusal_is_raised(plain: Mapping[str, Any]) -> None:
    """An issuer that is listed may be mistaken."""
    try:
        learned(replace(CARD, plain=plain))
    except CertificateRefusedError as why:
        assert why.code == "attributes-unverified"  # noqa: PT017 - it may be believed, too


def _payload(token: str) -> Any:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_the_test_issuer_hides_what_is_not_disclosed() -> None:
    """So that these tests are about what they say."""
    hidden = json.dumps(_payload(CARD.token), ensure_ascii=False)
    assert "山田" not in hidden
    shown: Callable[[Sequence[str]], str] = CARD.shown
    assert shown(["full_name"]).count("~") == 2


def test_a_claim_named_by_an_address_is_no_attribute() -> None:
    """RFC 7519 §4.2 has public claims named so; nothing else of the attribute certificate is lost by it."""
    plain = {"https://claims.example/rank": "x", "address.region": "x", "given_name": "花子"}
    assert learned(replace(CARD, plain=plain), disclose=()) == {"attribute.given_name": ("花子",)}


@pytest.mark.parametrize(("name", "value"), [("sub", "x"), ("iat", 1)])
def test_what_may_be_disclosed_selectively_is_no_attribute_either(name: str, value: object) -> None:
    """SD-JWT VC §2.2.2.2 forbids it for seven claims only."""
    card = replace(CARD, disclosures={**NAMED, name: disclosure(name, value)}, claims={name: LEAVE_OUT})
    assert learned(card, disclose={name, "birthdate"}) == {"attribute.birthdate": ("1985-03-15",)}
