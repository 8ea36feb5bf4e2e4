"""Compact JAdES signatures: which documents are believed, with which keys, and which headers are refused."""

import base64
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.trust_lists.builders import LEFT_OUT, NOW, authority, public_jwks, signed
from trust_lists import jades
from trust_lists.model import ListRefusedError
from trust_lists.times import format_instant

BODY = b'{"any": "thing"}'
LIMIT = 100_000


def verify(document, *, anchors=None):
    """Verify with the region's anchor."""
    anchors = (authority().der,) if anchors is None else anchors
    return jades.verify(document, label="region", anchors=anchors, maximum_bytes=LIMIT).octets


def refusal(document, **kept):
    """Tell the code with which a document is refused."""
    with pytest.raises(ListRefusedError) as refused:
        verify(document, **kept)
    assert "region" in str(refused.value)
    return refused.value.code


def bare(by):
    """The bare key of an authority, DER."""
    key = load_pem_private_key(by.key_pem, None).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def own(by, at=NOW):
    """What `sign` makes."""
    return jades.sign(BODY, key_pem=by.key_pem, certificate_pem=by.certificate_pem, signed_at=at)


def head(document):
    """The header of a document."""
    part = document.split(b".")[0]
    return json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))


def with_head(document, header):
    """The same body and signature under another header."""
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=")
    return b".".join([encoded, *document.split(b".")[1:]])


@pytest.mark.parametrize(("kind", "algorithm"), [("rsa", "RS256"), ("ec", "ES256"), ("ec384", "ES384")])
def test_what_is_signed_is_believed(kind, algorithm):
    """By the certificate, or by the bare key; the header says what JAdES baseline B asks for, and no more."""
    by = authority("region", kind)
    document = own(by)
    assert verify(document, anchors=(by.der,)) == verify(document, anchors=(bare(by),)) == BODY
    assert head(document) == {
        "alg": algorithm,
        "typ": "JOSE",
        "iat": int(NOW.timestamp()),
        "x5t#S256": jades.thumbprint(by.der),
        "x5c": [by.base64],
    }


def test_any_of_several_anchors():
    """The one that the header names is used, wherever it stands; a bare key among them too."""
    strangers = (authority("stranger").der, bare(authority("stranger", "ec")))
    assert verify(own(authority()), anchors=(*strangers, authority().der)) == BODY
    assert verify(own(authority()), anchors=(*strangers, bare(authority()))) == BODY
    assert refusal(own(authority()), anchors=strangers) == "signature"
    assert refusal(own(authority()), anchors=()) == "signature"


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": "PS256"},
        {"typ": "JOSE"},
        {"typ": "jose"},
        {"typ": "JWT"},
        {"typ": "trustlist+jwt"},
        {"cty": "json"},
        {"kid": "any"},
        {"iat": LEFT_OUT, "sigT": format_instant(NOW)},
        {"iat": LEFT_OUT, "sigT": format_instant(NOW), "crit": ["sigT"]},
        {"crit": ["iat"]},
        {"x5t#S256": LEFT_OUT, "x5c": "own"},
        {"x5c": "own"},
        {"x5c": ["own", "own"]},
    ],
)
def test_what_others_write_into_a_header(header):
    """Both ways to say when and under which certificate, and what plain libraries add."""
    chain = {"own": authority().base64}
    if "x5c" in header:
        header = {**header, "x5c": [chain["own"]] * (len(header["x5c"]) if isinstance(header["x5c"], list) else 1)}
    assert verify(signed(BODY, **header)) == BODY


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"typ": "at+jwt"}, "format"),
        ({"typ": "entity-statement+jwt"}, "format"),
        ({"typ": 1}, "format"),
        ({"cty": "jwt"}, "format"),
        ({"b64": False, "crit": ["b64"]}, "format"),
        ({"jwk": public_jwks()["keys"][0]}, "format"),
        ({"jku": "https://evil.example/"}, "format"),
        ({"x5u": "https://evil.example/"}, "format"),
        ({"sigD": {}, "crit": ["sigD"]}, "format"),
        ({"zip": "DEF"}, "format"),
        ({"iat": LEFT_OUT}, "format"),
        ({"iat": "2026"}, "format"),
        ({"iat": 1.5}, "format"),
        ({"iat": True}, "format"),
        ({"iat": -1}, "format"),
        ({"iat": 10**15}, "format"),
        ({"sigT": "today"}, "format"),
        ({"sigT": 1}, "format"),
        ({"x5t#S256": LEFT_OUT}, "format"),
        ({"x5t#S256": 1}, "format"),
        ({"x5c": []}, "format"),
        ({"x5c": "AAAA"}, "format"),
        ({"x5c": ["%"]}, "format"),
        ({"x5c": [1]}, "format"),
        ({"x5c": ["AAAA"] * 9}, "format"),
        ({"kid": 1}, "format"),
        ({"crit": []}, "critical-header"),
        ({"crit": ["exp"]}, "critical-header"),
        ({"crit": ["alg"]}, "critical-header"),
        ({"crit": ["sigT"]}, "critical-header"),
        ({"crit": ["iat", "iat"]}, "critical-header"),
        ({"crit": [1]}, "critical-header"),
        ({"crit": [["iat"]]}, "critical-header"),
        ({"crit": "iat"}, "format"),
        ({"x5c": ["AAAA"]}, "signature"),
        ({"x5t#S256": "AAAA"}, "signature"),
    ],
)
def test_other_headers(header, code):
    """What is not in the table, not of its form, or critical and not understood is refused in words."""
    document = with_head(
        signed(BODY),
        {name: value for name, value in {**head(signed(BODY)), **header}.items() if value is not LEFT_OUT},
    )
    assert refusal(document) == code


@pytest.mark.parametrize("header", [[], 1, "x", None, {}, {"iat": 1}])
def test_a_header_that_is_none(header):
    """A header is an object with an algorithm."""
    assert refusal(with_head(own(authority()), header)) == "format"


def test_a_header_with_a_member_twice():
    """Two readers could see two algorithms."""
    text = json.dumps(head(own(authority()))).replace("{", '{"alg":"none",', 1)
    encoded = base64.urlsafe_b64encode(text.encode()).rstrip(b"=")
    assert refusal(b".".join([encoded, *own(authority()).split(b".")[1:]])) == "format"


def test_unsigned():
    """`alg: none`, plain JSON and an empty signature are unsigned, whatever they hold."""
    parts = own(authority()).split(b".")
    assert refusal(with_head(own(authority()), {"alg": "none"})) == "unsigned"
    assert refusal(BODY) == "unsigned"
    assert refusal(b".".join(parts[:2]) + b".") == "unsigned"


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "RS512", "ES256", "ES384", "EdDSA", "RS1", "", "x" * 500])
def test_algorithm_confusion(algorithm):
    """The anchor's key says which algorithms there are, not the header."""
    document = with_head(own(authority()), {**head(own(authority())), "alg": algorithm})
    assert refusal(document) == "signature"
    assert refusal(document, anchors=(bare(authority()),)) == "signature"


@pytest.mark.parametrize(
    "stated",
    [
        {"iat": int((NOW + timedelta(days=1)).timestamp())},
        {"sigT": format_instant(NOW + timedelta(days=1))},
        {"sigT": format_instant(NOW - timedelta(days=1)), "iat": int((NOW + timedelta(days=1)).timestamp())},
    ],
)
def test_when_it_was_signed_is_told(stated):
    """The later one of both ways to say so; whether it is still to come is asked in `trust_lists/admission.py`."""
    document = signed(BODY, **stated)
    found = jades.verify(document, label="region", anchors=(authority().der,), maximum_bytes=LIMIT)
    assert found.signed_at == NOW + timedelta(days=1)


def test_hmac_with_the_public_key_as_its_secret():
    """The old trick: the anchor's bytes as the secret of an HMAC."""
    import hashlib  # noqa: PLC0415 - only here
    import hmac  # noqa: PLC0415

    header = base64.urlsafe_b64encode(json.dumps({**head(own(authority())), "alg": "HS256"}).encode()).rstrip(b"=")
    body = own(authority()).split(b".")[1]
    for secret in (authority().der, authority().certificate_pem, bare(authority())):
        mac = base64.urlsafe_b64encode(hmac.digest(secret, header + b"." + body, hashlib.sha256)).rstrip(b"=")
        assert refusal(b".".join([header, body, mac])) == "signature"


def test_a_stranger_that_names_our_anchor():
    """Naming or carrying the anchor does not help whoever has not its key."""
    stranger = authority("stranger")
    named = {"x5t#S256": jades.thumbprint(authority().der)}
    assert refusal(signed(BODY, by=stranger, **named)) == "signature"
    assert refusal(signed(BODY, by=stranger, **named, x5c=[authority().base64])) == "signature"
    assert refusal(signed(BODY, by=stranger, x5c=[authority().base64])) == "signature"
    assert refusal(signed(BODY, by=stranger), anchors=(bare(authority()),)) == "signature"


def test_the_certificate_of_a_bare_key():
    """Where a key is pinned, a certificate in the header must hold it, and be the one of the thumbprint."""
    other = {"x5c": [authority("stranger").base64]}
    assert verify(signed(BODY, x5c=[authority().base64]), anchors=(bare(authority()),)) == BODY
    assert refusal(signed(BODY, **other), anchors=(bare(authority()),)) == "signature"
    assert refusal(signed(BODY, **other, **{"x5t#S256": LEFT_OUT}), anchors=(bare(authority()),)) == "signature"
    assert refusal(signed(BODY, x5c=["AAAA"], **{"x5t#S256": LEFT_OUT}), anchors=(bare(authority()),)) == "signature"


def test_another_certificate_of_the_same_key():
    """What is pinned is the certificate as it is; a new one of the same key is for the operator to pin."""
    renewed = authority("renewed", "ec")
    assert refusal(signed(BODY, by=renewed, alg="ES256"), anchors=(authority("region", "ec").der,)) == "signature"


def test_any_altered_octet_is_refused():
    """No octet can be changed, not even the unused bits of the last base64url character."""
    document = own(authority())  # signed once: what is drawn below depends on it

    @settings(max_examples=60)
    @given(st.integers(0, len(document) - 1), st.integers(0, 255))
    def altered(position, octet):
        assume(octet != document[position])
        with pytest.raises(ListRefusedError):
            verify(document[:position] + bytes([octet]) + document[position + 1 :])

    altered()


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.from_regex(rb"[A-Za-z0-9_-]{0,60}(\.[A-Za-z0-9_-]{0,60}){0,4}", fullmatch=True))
def test_whatever_comes_is_refused_in_words(document):
    """Nothing but `ListRefusedError` comes out of it."""
    assert refusal(document) in ("format", "unsigned")


@pytest.mark.parametrize("length", [1, 2, 3])
def test_base64url_has_one_spelling(length):
    """Unused bits in a part's last character decode to the same octets, and are refused all the same."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    parts = signed(b"x" * length).split(b".")
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


def test_swapped_parts():
    """The signature of one content does not fit another's, nor two contents one signature."""
    mine, other = signed(BODY).split(b"."), signed(b'{"other": 1}').split(b".")
    assert refusal(b".".join([mine[0], other[1], mine[2]])) == "signature"
    assert refusal(b".".join([*mine[:2], other[1], mine[2]])) == "format"
    assert refusal(b".".join([*mine, *other])) == "format"


@pytest.mark.parametrize("document", [b"", b"a.b", b"a.b.c.d", b"a.b.c", b"<a/>", b"\x00" * 40, b" a.b.c", b"a.b.c\n"])
def test_garbage(document):
    """What is no compact JWS is refused, a stray line end too."""
    assert refusal(document) == "format"


def test_too_large():
    """Documents, headers and signatures beyond their bounds are refused before anything looks at them."""
    assert refusal(bytes(LIMIT + 1)) == "too-large"
    header, body, signature = own(authority()).split(b".")
    assert refusal(b".".join([b"A" * 70_000, body, signature])) == "format"
    assert refusal(b".".join([header, body, b"A" * 4_000])) == "format"


def test_an_anchor_that_signs_no_lists():
    """A key that is pinned and cannot be used is told to whoever pinned it."""
    key = ec.generate_private_key(ec.SECP521R1())
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ListRefusedError, match="this anchor's is on secp521r1; configure another anchor"):
        verify(signed(BODY), anchors=(der,))
    with pytest.raises(ListRefusedError, match="cannot be read"):
        verify(signed(BODY), anchors=(b"junk",))


def test_key_and_certificate_must_belong_together():
    """A document that no reader could verify is not made."""
    stranger, by = authority("stranger"), authority()
    with pytest.raises(ValueError, match="do not belong together"):
        jades.sign(BODY, key_pem=stranger.key_pem, certificate_pem=by.certificate_pem, signed_at=NOW)
    public = (
        load_pem_private_key(by.key_pem, None)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ValueError, match="do not belong together"):
        jades.sign(BODY, key_pem=public, certificate_pem=by.certificate_pem, signed_at=NOW)
    other_kind = ec.generate_private_key(ec.SECP256R1())
    pem = other_kind.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="do not belong together"):
        jades.sign(BODY, key_pem=pem, certificate_pem=by.certificate_pem, signed_at=NOW)


def test_a_look_at_what_is_not_verified():
    """The authority's own last output; anything else is a ValueError."""
    assert jades.payload_unsafe(own(authority())) == {"any": "thing"}
    for document in (b"", b"a.b", b"!.!.!", BODY, b"a.b.c"):
        with pytest.raises(ValueError, match=r".+"):
            jades.payload_unsafe(document)
