"""Which signatures of messages are believed, and why the others are not."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from federation.oidc.jose import SigningKey
from federation.signatures import profile
from federation.signatures.algorithms import MessageSigner, VerifyingKey, keyring, thumbprint
from federation.signatures.components import Component, ComponentError, signature_base
from federation.signatures.digests import CODES as DIGEST_CODES
from federation.signatures.digests import ContentDigest, DigestRefusedError, check_digest, content_digest
from federation.signatures.message import Request, Response
from federation.signatures.signing import CHECKS, CODES, SignatureRefusedError, sign, verify

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BODY = b'{"places": 120}'

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SIGNERS = [MessageSigner.of(EC), MessageSigner.of(RSA), MessageSigner.of(ed25519.Ed25519PrivateKey.generate())]
SIGNER = SIGNERS[0]
KEYS = {name: key for each in SIGNERS for name, key in each.public().items()}
COVERED = ("@method", "@target-uri", "content-digest")

REQUEST = Request(
    method="POST",
    url="https://members.example/answers?since=1",
    headers=(
        ("Content-Type", "application/json"),
        ("Content-Digest", content_digest(BODY)),
        ("Kakehashi-Assertion", "a.b.c"),
        ("Kakehashi-Request-Id", "request-1"),
    ),
)
ANSWER = Response(
    status=200,
    headers=(("Content-Type", "application/json"), ("Content-Digest", content_digest(b"yes"))),
    request=REQUEST,
)


def signed(message=REQUEST, *, components=COVERED, signer=SIGNER, created=NOW, **others):
    """The message with its signature."""
    fields = sign(message, components=components, signer=signer, created=created, **others)
    return replace(message, headers=(*message.headers, *fields))


def with_header(message, name, value):
    """The message with one more line."""
    return replace(message, headers=(*message.headers, (name, value)))


def rewritten(message, name, old, new):
    """The message with something else in the lines of one field."""
    assert any(key == name and old in value for key, value in message.headers)
    return replace(
        message,
        headers=tuple((key, value.replace(old, new) if key == name else value) for key, value in message.headers),
    )


def believed(message, *, required=COVERED, now=NOW, max_age=MINUTE, keys=KEYS, **others):
    """Verified as most tests ask for it."""
    return verify(message, keys=keys, required=required, now=now, max_age=max_age, **others)


def refused(message, **others):
    """The code with which the signature is not believed."""
    with pytest.raises(SignatureRefusedError) as why:
        believed(message, **others)
    assert why.value.code in CODES
    return why.value.code


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda each: each.algorithm)
def test_what_a_key_signed_is_believed(signer):
    """By each kind of key; what was verified says who signed what, when, and until when it counts."""
    verified = believed(
        signed(signer=signer, expires=NOW + timedelta(seconds=30), nonce="n-1", tag="app"), tag="app", nonce=True
    )

    assert (verified.label, verified.keyid, verified.algorithm) == ("kakehashi", signer.keyid, signer.algorithm)
    assert (verified.created, verified.nonce, verified.tag) == (NOW, "n-1", "app")
    assert verified.believed_until == NOW + timedelta(seconds=90)
    assert verified.components == tuple(map(Component.of, COVERED))
    assert verified.covers("@method")
    assert not verified.covers("@path")


def test_only_the_key_that_is_named_counts():
    """Another key under that name is the wrong one; an unknown name is nobody's."""
    other = VerifyingKey.of(ec.generate_private_key(ec.SECP256R1()).public_key())

    assert refused(signed(), keys={SIGNER.keyid: other}) == "signature"
    assert refused(signed(), keys={}) == "unknown-key"
    assert refused(signed(), keys={SIGNER.keyid: KEYS[SIGNERS[1].keyid]}) == "signature"


@pytest.mark.parametrize(
    "altered",
    [
        replace(signed(), method="PUT"),
        replace(signed(), url="https://members.example/answers?since=2"),
        replace(signed(), url="https://other.example/answers?since=1"),
        rewritten(signed(), "Content-Digest", "sha-256", "sha-512"),
        with_header(signed(), "content-digest", content_digest(b"no")),
        with_header(signed(), "CONTENT-DIGEST", ""),
        rewritten(signed(), "Signature-Input", '"@method" "@target-uri"', '"@target-uri" "@method"'),
        rewritten(signed(), "Signature-Input", 'keyid="', 'nonce="1";keyid="'),
        replace(signed(), method="post"),
    ],
)
def test_nothing_that_was_signed_can_be_changed(altered):
    """Not a value, a second line under the name, the order, nor a parameter of the signature."""
    assert refused(altered) == "signature"


@pytest.mark.parametrize("field", ["Content-Type", "X-New"])
def test_what_was_not_signed_may_be_there(field):
    """It counts for nothing: whoever needs it asks for it."""
    message = with_header(signed(), field, "text/plain")

    assert not believed(message).covers(field.lower())
    assert refused(message, required=(*COVERED, field.lower())) == "not-covered"


def test_a_signed_component_must_be_there():
    """A header that is gone, and a component that was never in such a message."""
    assert refused(replace(signed(), headers=signed().headers[2:])) == "component-absent"
    assert refused(rewritten(signed(), "Signature-Input", '"@method"', '"@status"')) == "not-covered"
    assert refused(rewritten(signed(), "Signature-Input", '"@method"', '"@status"'), required=()) == "component-absent"


@pytest.mark.parametrize(
    ("later", "why"),
    [
        (timedelta(0), None),
        (timedelta(seconds=-60), None),
        (timedelta(seconds=-61), "from-the-future"),
        (timedelta(seconds=89), None),
        (timedelta(seconds=90), "expired"),
        (timedelta(seconds=120), "too-old"),
        (timedelta(days=-3650), "from-the-future"),
    ],
)
def test_a_signature_counts_for_its_time(later, why):
    """From when it was made, within the difference of two clocks, until its age or its own end."""
    message = signed(expires=NOW + timedelta(seconds=30))
    if why is None:
        believed(message, now=NOW + later)
    else:
        assert refused(message, now=NOW + later) == why


def entered(text):
    """The signed request with another text for what its signature covers; the value fits nothing."""
    fields = tuple(pair for pair in signed().headers if pair[0] != "Signature-Input")
    return replace(REQUEST, headers=(*fields, ("Signature-Input", f"kakehashi={text}")))


ALL = '("@method" "@target-uri" "content-digest")'
AT = f"created={int(NOW.timestamp())}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f'{ALL};keyid="k"', "created"),
        (f"{ALL};{AT}", "unknown-key"),
        (f'{ALL};keyid="{SIGNER.keyid}";{AT}', "signature"),
        (f"{ALL};{AT};keyid=abc", "malformed"),
        (f'{ALL};{AT}.0;keyid="k"', "malformed"),
        (f'{ALL};created="1";keyid="k"', "malformed"),
        (f"{ALL};created;keyid=:aGk=:", "malformed"),
        (f"{ALL};created=-1", "malformed"),
        (f"{ALL};created=999999999999999", "malformed"),
        (f"{ALL};{AT};{AT}", "malformed"),
        (f"{ALL};{AT};expires=?1", "malformed"),
        (f"{ALL};{AT};nonce=abc", "malformed"),
        (f"{ALL};{AT};tag=1", "malformed"),
        (f'{ALL};{AT};alg="hmac-sha256";keyid="{SIGNER.keyid}"', "algorithm"),
        (f'{ALL};{AT};alg="ed25519";keyid="{SIGNER.keyid}"', "algorithm"),
        (f'{ALL};{AT};alg="none";keyid="{SIGNER.keyid}"', "algorithm"),
        (f"{ALL[:-1]};{AT}", "malformed"),
        (f'("@method" "@target-uri" "content-digest" "@method");{AT};keyid="{SIGNER.keyid}"', "component-twice"),
        (f'{ALL[:-1]} "@authority";req);{AT};keyid="{SIGNER.keyid}"', "component-absent"),
        (f'{ALL[:-1]} "@signature-params");{AT}', "component-unknown"),
        (f'{ALL[:-1]} "@body");{AT}', "component-unknown"),
        (f'{ALL[:-1]} "Content-Type");{AT}', "component-unknown"),
        (f'{ALL[:-1]} "content type");{AT}', "component-unknown"),
        (f'{ALL[:-1]} "");{AT}', "component-unknown"),
        (f"{ALL[:-1]} content-type);{AT}", "component-unknown"),
        (f"{ALL[:-1]} 1);{AT}", "component-unknown"),
        (f'{ALL[:-1]} "content-type";tr);{AT}', "component-unknown"),
        (f'{ALL[:-1]} "content-type";new);{AT}', "component-unknown"),
        (f'{ALL[:-1]} "content-type";sf);{AT}', "component-unknown"),
        (f'{ALL[:-1]} "content-type";key="a");{AT}', "component-unknown"),
        (f'{ALL[:-1]} "content-type";bs=?0);{AT}', "component-unknown"),
        (f'{ALL[:-1]} "content-type";bs="1");{AT}', "component-unknown"),
        (f'{ALL[:-1]} "priority";bs;sf);{AT}', "component-unknown"),
        (f'{ALL[:-1]} "priority";bs;key="u");{AT}', "component-unknown"),
        (f'{ALL[:-1]} "@path";bs);{AT}', "component-unknown"),
        (f'{ALL[:-1]} "@path";name="a");{AT}', "component-unknown"),
        (f'{ALL[:-1]} "@query-param");{AT}', "component-unknown"),
        (f'{ALL[:-1]} "@query-param";name=a);{AT}', "component-unknown"),
        (f'{ALL[:-1]} "@query-param";name="other");{AT};keyid="{SIGNER.keyid}"', "component-absent"),
        (f"({' '.join(f'{chr(34)}x-{number}{chr(34)}' for number in range(65))});{AT}", "too-many"),
        ("1", "malformed"),
        ('"@method"', "malformed"),
        (f"{ALL};{AT}, a=(), b=(), c=(), d=(), e=(), f=(), g=(), h=()", "too-many"),
        (f"{ALL};{AT}, kakehashi={ALL}", "malformed"),
    ],
)
def test_signatures_that_say_something_odd(text, code):
    """Each has its reason, whatever its value is; none is an error of another kind."""
    assert refused(entered(text)) == code


@pytest.mark.parametrize(
    ("required", "covering"),
    [
        ("content-digest", '"content-digest";bs'),
        ("content-digest", '"content-digest";sf'),
        ("content-digest", '"content-digest";key="sha-256"'),
        ('"content-digest";sf', "content-digest"),
        ('"content-digest";req', "content-digest"),
        ("@target-uri", "@path"),
    ],
)
def test_another_way_of_covering_is_not_the_one_that_is_asked_for(required, covering):
    """`bs`, `sf`, `key` and `req` each sign something else."""
    message = signed(components=(covering,))

    believed(message, required=(covering,))
    assert refused(message, required=(required,)) == "not-covered"


def test_the_order_of_a_components_parameters_does_not_matter_for_what_is_asked():
    """RFC 9421 §2: two are the same whatever the order; in what is signed the order stays."""
    answer = signed(replace(ANSWER, headers=()), components=('"content-digest";req;key="sha-256"',))

    believed(answer, required=('"content-digest";key="sha-256";req',))
    twice = rewritten(answer, "Signature-Input", "(", '("content-digest";key="sha-256";req ')
    assert refused(twice, required=()) == "component-twice"


@pytest.mark.parametrize(
    "message",
    [
        REQUEST,
        with_header(REQUEST, "Signature", "kakehashi=:aGk=:"),
        with_header(REQUEST, "Signature-Input", ""),
        rewritten(signed(), "Signature", "kakehashi", "other"),
    ],
    ids=["none", "value-alone", "empty", "another-label"],
)
def test_a_signature_needs_both_fields_under_one_label(message):
    """Half a signature is none."""
    assert refused(message) in {"missing", "malformed"}


@pytest.mark.parametrize("value", ["1", '"aGk="', ":aGk=:;a, kakehashi=:aGk=:", "(:aGk=:)", "::", ":AAAA:", ""])
def test_values_that_are_none(value):
    """Of another type, twice, empty or short."""
    message = replace(signed(), headers=(*signed().headers[:-1], ("Signature", f"kakehashi={value}")))

    assert refused(message) in {"malformed", "signature"}


def test_one_of_several_signatures_is_enough():
    """Somebody else's under the same tag, before or behind, neither helps nor hinders; tag and label choose."""
    stranger = MessageSigner.of(ec.generate_private_key(ec.SECP256R1()))
    both = signed(signed(signer=stranger, tag="app", label="zero"), tag="app")
    other = signed(signed(tag="app"), signer=SIGNERS[1], tag="other", label="second")

    assert believed(both, tag="app").label == "kakehashi"
    assert (believed(other, tag="other").label, believed(other, label="kakehashi").tag) == ("second", "app")
    assert refused(both, tag="none") == refused(both, label="none") == "missing"
    assert refused(both, label="zero") == "unknown-key"


def test_a_label_that_stands_twice_is_nobodys():
    """In one line or in two, of the same content or not: no reader may take the other one than another."""
    first, second = signed(), signed(created=NOW - timedelta(seconds=1))
    for field in ("Signature-Input", "Signature"):
        again = dict(second.headers)[field]
        assert refused(with_header(first, field, again)) == "malformed"
        assert refused(with_header(first, field, dict(first.headers)[field])) == "malformed"


def test_a_nonce_where_one_is_asked_for():
    """And it must say something."""
    assert refused(signed(), nonce=True) == refused(signed(nonce=""), nonce=True) == "nonce"
    believed(signed(nonce="1"), nonce=True)


def test_a_signature_is_claimed_as_what_it_signs():
    """The same octets signed again are the same claim, since ECDSA has many values for them; others are another one."""
    once, again, later = signed(), signed(), signed(created=NOW + timedelta(seconds=1))

    assert dict(once.headers)["Signature"] != dict(again.headers)["Signature"]
    assert believed(once).claim(NOW) == believed(again).claim(NOW) != believed(later).claim(NOW)
    assert believed(once).claim(NOW).lifetime == timedelta(minutes=2)


# --- answers


def test_an_answer_is_bound_to_its_request():
    """RFC 9421 §2.4: it fits no other request, and none that is not known."""
    answer = replace(ANSWER, headers=(*ANSWER.headers, *profile.sign_answer(ANSWER, SIGNER, NOW)))

    verified = profile.verify_answer(answer, KEYS, NOW)
    assert verified.tag == "kakehashi-answer"
    for other in (
        replace(REQUEST, method="PUT"),
        replace(REQUEST, url="https://members.example/answers?since=2"),
        rewritten(REQUEST, "Kakehashi-Request-Id", "request-1", "request-2"),
    ):
        with pytest.raises(SignatureRefusedError, match=r"^signature$"):
            profile.verify_answer(replace(answer, request=other), KEYS, NOW)
    with pytest.raises(SignatureRefusedError, match=r"^component-absent$"):
        profile.verify_answer(replace(answer, request=None), KEYS, NOW)


@pytest.mark.parametrize(
    ("altered", "code"),
    [
        (lambda answer: replace(answer, status=201), "signature"),
        (lambda answer: rewritten(answer, "Content-Type", "json", "xml"), "signature"),
        (lambda answer: rewritten(answer, "Signature-Input", "kakehashi-answer", "kakehashi-call"), "missing"),
        (lambda answer: with_header(answer, "Content-Type", "text/html"), "signature"),
    ],
)
def test_what_an_answer_says_is_signed(altered, code):
    """Its status, type and digest."""
    answer = replace(ANSWER, headers=(*ANSWER.headers, *profile.sign_answer(ANSWER, SIGNER, NOW)))

    with pytest.raises(SignatureRefusedError, match=f"^{code}$"):
        profile.verify_answer(altered(answer), KEYS, NOW)


def test_an_answer_must_sign_its_content_unless_it_has_none():
    """A digest that is not there cannot be left out of the signature, but for 204, 304 and answers to HEAD."""
    bare = replace(ANSWER, headers=())
    with pytest.raises(ComponentError, match=r"^component-absent$"):
        profile.sign_answer(bare, SIGNER, NOW)
    components = (*profile.of_answer(replace(bare, status=204)),)
    partly = signed(bare, components=components, tag=profile.ANSWER)
    with pytest.raises(SignatureRefusedError, match=r"^not-covered$"):
        profile.verify_answer(partly, KEYS, NOW)
    typed = signed(ANSWER, components=(*components, "content-digest"), tag=profile.ANSWER)
    with pytest.raises(SignatureRefusedError, match=r"^not-covered$"):
        profile.verify_answer(typed, KEYS, NOW)
    for empty in (replace(bare, status=204), replace(bare, request=replace(REQUEST, method="HEAD"))):
        fields = profile.sign_answer(empty, SIGNER, NOW)
        profile.verify_answer(replace(empty, headers=tuple(fields)), KEYS, NOW)


def test_a_call_is_signed_with_what_it_says():
    """The gateway's profile: what the specification of calls lists, in one signature of a minute."""
    fields = dict(profile.sign_request(REQUEST, MessageSigner.of(EC, "gateway"), NOW))
    message = replace(REQUEST, headers=(*REQUEST.headers, *fields.items()))

    assert fields["Signature-Input"] == (
        'kakehashi=("@method" "@target-uri" "kakehashi-assertion" "kakehashi-request-id" "content-digest"'
        ' "content-type")'
        f';created={int(NOW.timestamp())};expires={int(NOW.timestamp()) + 60};keyid="gateway";tag="kakehashi-call"'
    )
    profile.verify_request(message, {"gateway": KEYS[SIGNER.keyid]}, NOW, content=True)
    bare = replace(REQUEST, headers=REQUEST.headers[2:])
    called = replace(bare, headers=(*bare.headers, *profile.sign_request(bare, SIGNER, NOW)))
    profile.verify_request(called, KEYS, NOW, content=False)
    with pytest.raises(SignatureRefusedError, match=r"^not-covered$"):
        profile.verify_request(called, KEYS, NOW, content=True)
    with pytest.raises(SignatureRefusedError, match=r"^not-covered$"):  # a payment under another key is another one
        profile.verify_request(with_header(called, "Idempotency-Key", '"k"'), KEYS, NOW, content=False)
    with pytest.raises(SignatureRefusedError, match=r"^not-covered$"):
        profile.verify_request(with_header(called, "Content-Digest", content_digest(b"x")), KEYS, NOW, content=False)


# --- keys


def test_keys_of_a_list():
    """By their thumbprint and what the list calls them; a certificate's by its own digest as well."""
    subject = x509.Name([])
    certificate = (
        x509.CertificateBuilder(subject, subject, EC.public_key(), 1, NOW, NOW + timedelta(days=1))
        .sign(EC, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    jose = SigningKey.generate()
    ring = keyring(
        {"keys": [{**jose.public_jwk(), "kid": "mine"}, {"kty": "oct", "k": "aGk"}, "no key"]}, [certificate, b"0"]
    )

    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate)
    named = base64.urlsafe_b64encode(digest.finalize()).rstrip(b"=").decode()
    assert set(ring) == {"mine", jose.kid, thumbprint(EC.public_key()), named}
    believed(signed(), keys=ring)
    believed(signed(signer=MessageSigner.of(jose, "mine")), keys=ring)


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"d": "AA"},
        {"alg": "ES384"},
        {"alg": "none"},
        {"alg": ["ES256"]},
        {"crv": "P-384"},
        {"x": "AA"},
        {"x": 7},
        {"x": "A" * 5000},
        {"kty": "RSA"},
        {"kty": ["EC"]},
        {"key_ops": ["sign"]},
        {"key_ops": 7},
    ],
)
def test_keys_that_are_not_for_this_are_passed_over(change):
    """Another use, algorithm, kind, size, or a private half."""
    assert keyring({"keys": [{**SigningKey.generate().public_jwk(), **change}]}) == {}


def test_a_name_of_two_keys_is_nobodys():
    """So that neither can sign for the other; the same key twice is one."""
    one, two = SigningKey.generate().public_jwk(), SigningKey.generate().public_jwk()
    ring = keyring({"keys": [{**one, "kid": "k"}, {**two, "kid": "k"}, {**one, "kid": ["list"]}]})

    assert set(ring) == {one["kid"], two["kid"]}
    assert set(keyring({"keys": [one, {**one, "alg": "ES256"}]})) == {one["kid"]}


@pytest.mark.parametrize("jwks", [[], {"keys": 1}, {"keys": {}}, "keys", {"keys": [{}] * 33}])
def test_what_is_no_key_set_is_refused(jwks):
    """Rather than read as an empty one."""
    with pytest.raises(ValueError, match="JWK set"):
        keyring(jwks)


@pytest.mark.parametrize(
    "private", [ec.generate_private_key(ec.SECP384R1()), ed448.Ed448PrivateKey.generate()], ids=["P-384", "Ed448"]
)
def test_other_kinds_of_keys_neither_sign_nor_verify(private):
    """Nor are they given a name."""
    for use in (
        MessageSigner.of,
        lambda key: VerifyingKey.of(key.public_key()),
        lambda key: thumbprint(key.public_key()),
    ):
        with pytest.raises(ValueError, match="expected"):
            use(private)


def test_the_old_rsa_signature_counts_only_where_signature_or_key_says_so():
    """RFC 9421 §3.3.2: verified, never made; a key for one of the two is not for the other."""
    components = tuple(map(Component.of, COVERED))
    jwk = SigningKey.from_pem(
        RSA.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    ).public_jwk()
    unmarked = {name: value for name, value in jwk.items() if name != "alg"}

    def old(**more):
        parameters = {"created": int(NOW.timestamp()), "keyid": jwk["kid"], **more}
        base = signature_base(REQUEST, components, parameters)
        value = base64.b64encode(RSA.sign(base, padding.PKCS1v15(), hashes.SHA256())).decode()
        line = base.decode().rpartition('@signature-params": ')[2]
        return with_header(with_header(REQUEST, "Signature-Input", f"a={line}"), "Signature", f"a=:{value}:")

    def ring(key, algorithm=None):
        return keyring({"keys": [{**key, **({} if algorithm is None else {"alg": algorithm})}]})

    believed(old(alg="rsa-v1_5-sha256"), keys=ring(unmarked))
    believed(old(), keys=ring(unmarked, "RS256"))
    assert refused(old(), keys=ring(unmarked)) == "signature"
    assert refused(old(alg="rsa-v1_5-sha256"), keys=ring(unmarked, "PS512")) == "algorithm"
    assert refused(signed(signer=SIGNERS[1]), keys=ring(unmarked, "RS256")) == "signature"


# --- digests


def digest_refused(text, body=BODY):
    """The code with which a digest is refused."""
    with pytest.raises(DigestRefusedError) as why:
        check_digest((("Content-Digest", text),), body)
    return why.value.code


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_content_is_held_against_its_digest_as_it_comes(algorithm):
    """However it is cut; every digest that is known must be its own, and what is not known does not count."""
    headers = (("Content-Digest", content_digest(BODY, algorithm)), ("content-digest", "md5=:aGk=:, unixsum=:AAAA:"))
    for size in (1, 7, 1000):
        digest = ContentDigest(headers)
        for begin in range(0, len(BODY), size):
            digest.update(BODY[begin : begin + size])
        digest.finish()
    check_digest((("content-digest", content_digest(b"")),), b"")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "digest-unknown"),
        ("md5=:aGk=:", "digest-unknown"),
        ("sha-256", "digest-malformed"),
        ("sha-256=1", "digest-malformed"),
        ("md5=1", "digest-malformed"),
        (f"sha-256=({content_digest(BODY)[8:]})", "digest-malformed"),
        (content_digest(BODY)[:-3], "digest-malformed"),
        (f"{content_digest(BODY)}, {content_digest(b'no')}", "digest-malformed"),
        (content_digest(b"no"), "digest-differs"),
        ("sha-256=::", "digest-differs"),
        (f"{content_digest(BODY)}, {content_digest(b'no', 'sha-512')}", "digest-differs"),
        (content_digest(BODY).replace("sha-256", "SHA-256"), "digest-malformed"),
    ],
)
def test_digests_that_do_not_hold(text, code):
    """Each has its reason."""
    assert digest_refused(text) == code
    assert code in DIGEST_CODES


def test_content_without_a_digest():
    """Is refused where one is asked for."""
    with pytest.raises(DigestRefusedError, match=r"^digest-missing$"):
        check_digest((("Content-Type", "text/plain"),), b"")


# --- laws


def test_every_reason_is_listed():
    """The rows of the table among them."""
    assert {code for code, _ in CHECKS} <= set(CODES)


@given(st.text(max_size=60), st.text(max_size=30))
def test_no_text_breaks_the_reader(covered, value):
    """Whatever stands in the two fields is believed never, and refused always."""
    message = replace(REQUEST, headers=(("Signature-Input", f"a=({covered})"), ("Signature", f"a={value}")))

    assert refused(message) in CODES


@given(
    st.lists(
        st.tuples(st.sampled_from(["x-a", "X-A", "x-b"]), st.text(st.characters(max_codepoint=0xFF), max_size=8)),
        max_size=4,
    ),
    st.text(max_size=12),
)
def test_what_can_be_signed_is_believed_and_the_rest_refused_by_the_signer(headers, query):
    """Whatever fields and URL hold: nobody signs what the other side could read in two ways."""
    message = Request(method="GET", url=f"https://h.example/?{query}", headers=tuple(headers))
    try:
        sent = signed(message, components=("@target-uri", "@query", "x-a", '"x-b";bs'))
    except ComponentError:
        return
    assert believed(sent, required=("x-a",)).covers('"x-b";bs')
    assert b"\n".join(signature_base(message, (), {}).splitlines()) == signature_base(message, (), {})
