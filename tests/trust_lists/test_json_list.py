"""The native signed list: what is admitted, and which documents are refused."""

import base64
import importlib
import json
import warnings
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_lists.builders import (
    NOW,
    UNTIL,
    authority,
    payload,
    private_jwks,
    provider,
    public_jwks,
    read_json,
    relying_party,
    signed,
)
from trust_lists import json_list
from trust_lists.model import Fault, ListRefusedError, Role, TrustedEntity, TrustList
from trust_lists.rules import UnpublishableError
from trust_lists.times import LEEWAY


def refusal(document, **kept):
    """Tell the code with which a document is refused."""
    with pytest.raises(ListRefusedError) as refused:
        read_json(document, **kept)
    assert "region-openid" in str(refused.value)
    return refused.value.code


def published(*entries, by=None, **kept):
    """Publish entries with the region's key."""
    by = by or authority()
    stated = {
        "name": "region-openid",
        "issued_at": NOW,
        "valid_until": UNTIL,
        "sequence": int(NOW.timestamp()),
        "key_pem": by.key_pem,
        "certificate_pem": by.certificate_pem,
        **kept,
    }
    return json_list.publish(entries, **stated)


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_what_is_published_is_read(kind):
    """Both roles arrive with exact metadata; an RSA key signs RS256, a P-256 key ES256."""
    by = authority("region", kind)
    document = published(relying_party(), provider(), by=by)
    assert read_json(document, anchors=(by.der,)) == TrustList(
        name="region-openid",
        issued_at=NOW,
        valid_until=UNTIL,
        sequence=int(NOW.timestamp()),
        entities=(
            TrustedEntity(
                entity_id="https://rp.example",
                roles=frozenset({Role.OPENID_RELYING_PARTY}),
                listed_in="region-openid",
                valid_until=UNTIL,
                municipality="102016",
                names={"ja": "参加サイト", "en": "Participation"},
                metadata=relying_party()["metadata"],
            ),
            TrustedEntity(
                entity_id="https://op.example",
                roles=frozenset({Role.OPENID_PROVIDER}),
                listed_in="region-openid",
                valid_until=UNTIL,
                municipality="422053",
            ),
        ),
    )


hosts = st.from_regex(r"[a-z][a-z0-9]{0,12}(\.[a-z]{2,8}){1,2}", fullmatch=True)
texts = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=40)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(hosts, texts, st.booleans()), max_size=8, unique_by=lambda entry: entry[0]))
def test_any_good_entries_survive_the_round_trip(stated):
    """Names and metadata come back character for character."""
    entries = [
        {**relying_party(f"https://{host}", client_name=text), "name": {"ja": text}}
        if is_client
        else {**provider(f"https://{host}"), "name": {"ja": text}}
        for host, text, is_client in stated
    ]
    read = read_json(published(*entries))
    assert read.faults == ()
    assert [(e.entity_id, e.names, e.metadata) for e in read.entities] == [
        (entry["entity_id"], entry["name"], entry["metadata"]) for entry in entries
    ]


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_authlib_verifies_the_list(kind):
    """A foreign JOSE library verifies the same bytes with the certificate and reads the same content."""
    by = authority("region", kind)
    document = published(relying_party(), by=by)
    with warnings.catch_warnings(record=True):  # Authlib announces the end of its own JOSE, the foreign one here
        jose = importlib.import_module("authlib.jose")
    verified = jose.JsonWebSignature(["RS256", "ES256"]).deserialize_compact(document, by.certificate_pem)
    assert verified["header"]["typ"] == "kakehashi-trust-list+jwt"
    assert json.loads(verified["payload"])["entries"] == [relying_party()]


# --- refused documents


def test_a_list_that_is_not_signed():
    """Plain JSON, `alg: none` and an empty signature are unsigned, whatever they hold."""
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(payload()).encode()).rstrip(b"=")
    assert refusal(json.dumps(payload()).encode()) == "unsigned"
    assert refusal(head + b"." + body + b".") == "unsigned"
    assert refusal(head + b"." + body + b".AAAA") == "unsigned"
    assert refusal(b".".join(published(provider()).split(b".")[:2]) + b".") == "unsigned"


def test_wrong_anchor():
    """A list signed under another certificate is refused; the text says under which it would be accepted."""
    assert refusal(published(provider()), anchors=(authority("stranger").der,)) == "signature"
    assert refusal(published(provider()), anchors=()) == "signature"


def test_a_stranger_that_names_our_anchor():
    """Naming the anchor in the header does not help whoever has not its key."""
    named = json_list._thumbprint(authority().der)
    assert refusal(signed(payload(provider()), by=authority("stranger"), **{"x5t#S256": named})) == "signature"


def test_algorithm_confusion():
    """The algorithm is the anchor's, not the header's: HMAC, PS256 and ES256 are refused."""
    named = {"x5t#S256": json_list._thumbprint(authority().der)}
    for algorithm in ("PS256", "RS512"):
        with pytest.raises(ListRefusedError, match=f"'{algorithm}', but the anchor's key signs RS256"):
            read_json(signed(payload(), alg=algorithm))
        assert refusal(signed(payload(), alg=algorithm)) == "signature"
    assert refusal(signed(payload(), by=authority("x", "ec"), alg="ES256", **named)) == "signature"
    parts = published(provider()).split(b".")
    head = json.dumps({"alg": "HS256", "typ": json_list.TYPE, **named}).encode()
    assert refusal(b".".join([base64.urlsafe_b64encode(head).rstrip(b"="), *parts[1:]])) == "signature"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"kid": "1"},
        {"crit": ["exp"], "exp": 1},
        {"jwk": public_jwks()["keys"][0]},
        {"x5u": "https://evil.example/"},
    ],
)
def test_other_headers(header):
    """Another type of JWS, or any header member beyond the three, is refused although the signature fits."""
    head = {
        "alg": "RS256",
        "typ": json_list.TYPE,
        "x5t#S256": json_list._thumbprint(authority().der),
        **header,
    }
    parts = published(provider()).split(b".")
    encoded = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=")
    assert refusal(b".".join([encoded, *parts[1:]])) == "format"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_altered_octet_is_refused(data):
    """No octet can be changed, not even the unused bits of the last base64url character."""
    document = published(relying_party())
    position = data.draw(st.integers(0, len(document) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda octet: octet != document[position]))
    with pytest.raises(ListRefusedError):
        read_json(document[:position] + bytes([octet]) + document[position + 1 :])


@pytest.mark.parametrize("length", [1, 2, 3])
def test_base64url_has_one_spelling(length):
    """Unused bits in a part's last character decode to the same octets, and are refused all the same."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    parts = published(provider(organization_name="x" * length)).split(b".")
    respelt = 0
    for index, part in enumerate(parts):
        if len(part) % 4 == 0:
            continue  # no unused bits
        other = part[:-1] + alphabet[alphabet.index(part[-1]) + 1 :][:1]
        padding = b"=" * (-len(part) % 4)
        assert base64.urlsafe_b64decode(other + padding) == base64.urlsafe_b64decode(part + padding)
        assert refusal(b".".join([*parts[:index], other, *parts[index + 1 :]])) == "format"
        respelt += 1
    assert respelt


def test_swapped_payload():
    """The signature of one list does not fit another's content."""
    mine, other = published(provider()).split(b"."), published(relying_party()).split(b".")
    assert refusal(b".".join([mine[0], other[1], mine[2]])) == "signature"


def test_another_list_of_the_same_authority():
    """A list may not stand in for another, though the same key signed both."""
    assert refusal(published(provider(), name="region-other")) == "other-list"


def test_expired_and_future():
    """From its last second on a list is refused, and one issued beyond the leeway ahead."""
    document = published(provider())
    assert refusal(document, now=UNTIL) == "expired"
    assert read_json(document, now=NOW - LEEWAY).entities
    assert refusal(document, now=NOW - LEEWAY - timedelta(seconds=1)) == "future"


@pytest.mark.parametrize(
    "content",
    [
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"[" * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        json.dumps(payload(), allow_nan=True).replace("[]", "[NaN]").encode(),
        json.dumps(payload()).replace("{", '{"list":"region-openid",', 1).encode(),
        json.dumps(payload(provider())).replace("https://op", "\\ud800").encode(),
        json.dumps(payload()).replace(str(int(NOW.timestamp())), "1" * 5000).encode(),
        json.dumps(payload(sequence=True)).encode(),
        json.dumps(payload(iat=1.5)).encode(),
        json.dumps(payload(exp=10**15)).encode(),
        json.dumps(payload(iat=-1)).encode(),
        json.dumps(payload(exp=int(NOW.timestamp()))).encode(),
        json.dumps(payload(list=1)).encode(),
        json.dumps(payload(entries={})).encode(),
        json.dumps(payload(more=1)).encode(),
    ],
)
def test_content_that_could_be_read_in_two_ways(content):
    """Even signed: duplicate keys, deep nesting, odd numbers, wrong shapes are refused in words."""
    assert refusal(signed(content)) == "format"


@pytest.mark.parametrize("document", [b"", b"a.b", b"a.b.c.d", b"a.b.c", b"<a/>", b"\x00" * 40, b" a.b.c", b"a.b.c\n"])
def test_garbage(document):
    """What is no compact JWS is refused, a stray line end too."""
    assert refusal(document) == "format"


def test_too_large():
    """A document beyond the bound is refused before anything looks at it."""
    assert refusal(bytes(json_list.MAXIMUM_BYTES + 1)) == "too-large"


# --- entries


def test_duplicate_entries_are_all_dropped():
    """Entries that claim the same ID and role are all dropped; the provider of that ID stays."""
    read = read_json(
        signed(
            payload(
                relying_party("https://a.example"),
                provider("https://a.example"),
                relying_party("https://a.example"),
                7,
            )
        )
    )
    assert [(e.entity_id, set(e.roles)) for e in read.entities] == [("https://a.example", {Role.OPENID_PROVIDER})]
    assert read.faults == (
        Fault(where="https://a.example", reason="entity_id: listed more than once; all dropped (entry 1)"),
        Fault(where="https://a.example", reason="entity_id: listed more than once; all dropped (entry 3)"),
        Fault(where="entry 4", reason="an entry with entity_id, role and metadata is expected"),
    )


def test_a_private_key_is_never_published_nor_read():
    """Signing refuses a private key in words, without the key; a reader drops the entry."""
    entry = relying_party(jwks=private_jwks())
    secret = private_jwks()["keys"][0]["d"]
    with pytest.raises(UnpublishableError, match="private key") as refused:
        published(provider(), entry)
    assert refused.value.position == 1
    assert secret not in str(refused.value)
    (fault,) = read_json(signed(payload(entry))).faults
    assert "metadata.jwks.keys[0].d: is part of a private key" in fault.reason
    assert secret not in fault.reason


def test_publishing_twice_the_same():
    """An entry given twice is not signed."""
    with pytest.raises(UnpublishableError, match="listed twice"):
        published(provider(), provider())


def test_key_and_certificate_must_belong_together():
    """A list that no reader could verify is not made."""
    with pytest.raises(ValueError, match="do not belong together"):
        published(provider(), key_pem=authority("stranger").key_pem)
