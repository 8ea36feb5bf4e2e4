"""The demo's certificate authority, checked by the `openssl` program as a stranger would check it."""

import json
import shutil
import subprocess
from base64 import b64encode, urlsafe_b64decode
from hashlib import sha256
from urllib.parse import quote

import pytest
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from gateway.demo.authority_keys import TIMESTAMPS_POLICY, listed_certificate
from gateway.demo.certificate_authority import AuthoritySystem, CertificateAuthority
from gateway.demo.certificate_register import Register
from gateway.demo.phone_owners import find_owner
from gateway.demo.site import Face

SECRET = "phones"
AUTHORIZED = {"Authorization": f"Bearer {SECRET}"}
TEXTS = {"ja": "認証局", "en": "Authority"}

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is not installed")


class Here:
    """An authority that listens, and files for the `openssl` program."""

    def __init__(self, url, authority, browser, clock, directory):
        self.url, self.authority, self.browser, self.clock, self.directory = url, authority, browser, clock, directory
        self.file("root.pem", authority.keys.root.certificate.public_bytes(Encoding.PEM))
        self.file("issuing.pem", authority.keys.issuing.certificate.public_bytes(Encoding.PEM))

    def file(self, name, content):
        """Keep octets under a name."""
        (self.directory / name).write_bytes(content)

    def openssl(self, *words, wrong=False):
        """Run it; what it said, on both outputs."""
        done = subprocess.run(["openssl", *words], cwd=self.directory, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == wrong, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def at(self):
        """The moment, for `openssl`: the tests' clock is not the machine's."""
        return ("-attime", str(int(self.clock().timestamp())))

    async def get(self, path):
        """The octets at a path."""
        async with self.browser.get(self.url + path) as response:
            assert response.status == 200
            return await response.read()

    async def crl(self, path):
        """The list at a path."""
        return x509.load_der_x509_crl(await self.get(path))

    async def issued(self, name="takahashi", key=None):
        """What a resident is issued over HTTP: certificate, and the SD-JWT; the certificate is in NAME.pem too."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        async with self.browser.post(
            f"{self.url}/enrol", json={"owner": name, "csr": requested(key)}, headers=AUTHORIZED
        ) as response:
            assert response.status == 201
            said = await response.json()
        certificate = x509.load_der_x509_certificate(x5c(said["certificates"][0]))
        self.file(f"{name}.pem", certificate.public_bytes(Encoding.PEM))
        return certificate, said["attributes"]

    async def revoke(self, certificate, reason="keyCompromise"):
        """Revoke over HTTP."""
        stated = {"serial": f"{certificate.serial_number:x}", "reason": reason}
        async with self.browser.post(f"{self.url}/revoke", json=stated, headers=AUTHORIZED) as response:
            assert response.status == 200

    async def ask(self, question):
        """Post a DER question to the OCSP responder; the DER answer."""
        async with self.browser.post(
            f"{self.url}/ocsp", data=question, headers={"Content-Type": "application/ocsp-request"}
        ) as response:
            assert response.content_type == "application/ocsp-response"
            return await response.read()


def x5c(text):
    """The octets of one base64 text."""
    return urlsafe_b64decode(text.replace("+", "-").replace("/", "_"))


def opened(text):
    """The octets of base64url without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def requested(key):
    """A PKCS #10 request for `key`, in base64."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return b64encode(request.public_bytes(Encoding.DER)).decode()


def question(certificate, issuer, nonce=None):
    """A DER question about a certificate."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def serials(crl):
    """The numbers on a list."""
    return {entry.serial_number for entry in crl}


@pytest.fixture
async def here(place, browser, clock, tmp_path):
    """An authority at its address."""
    own, scratch = tmp_path / "own", tmp_path / "scratch"
    own.mkdir()
    scratch.mkdir()
    spot = place()
    authority = CertificateAuthority(own, spot.url, SECRET, clock)
    face = Face(name="authority", title=TEXTS, kind=TEXTS, theme="theme-maebashi", url=spot.url)
    await spot.serve(AuthoritySystem(face, authority, clock).application())
    return Here(spot.url, authority, browser, clock, scratch)


async def test_a_certificate_leads_to_the_root(here):
    """By two levels, under the policies asked for, for signing; and to the issuing authority alone, which is listed."""
    await here.issued()
    checked = ("-x509_strict", "-policy", "2.999.1.1", "-explicit_policy", *here.at)
    here.openssl("verify", "-CAfile", "root.pem", "-untrusted", "issuing.pem", *checked, "takahashi.pem")
    here.openssl("verify", "-partial_chain", "-trusted", "issuing.pem", *checked, "takahashi.pem")
    await here.issued("yamazaki", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    said = here.openssl("verify", "-partial_chain", "-trusted", "issuing.pem", *checked, "yamazaki.pem", wrong=True)
    assert "no explicit policy" in said


async def test_what_a_certificate_says(here):
    """The basic four as on a My Number Card, the number that is kept, and the uses of the key."""
    certificate, _ = await here.issued()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {name.type_id.dotted_string: name.value[2:].decode() for name in names} == {
        "1.2.392.200149.8.5.5.1": "髙橋 花子",
        "1.2.392.200149.8.5.5.2": "00000",
        "1.2.392.200149.8.5.5.3": "2",
        "1.2.392.200149.8.5.5.4": "319850315",
        "1.2.392.200149.8.5.5.5": "群馬県前橋市大手町２丁目１２－１",
        "1.2.392.200149.8.5.5.6": "0" * 16,
    }
    (number,) = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    assert number.value == "MC-7HQKXW2P"
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.content_commitment) == (True, True, True)
    renewed, _ = await here.issued()
    assert renewed.subject == certificate.subject
    assert renewed.serial_number != certificate.serial_number


async def test_the_attribute_certificate(here):
    """Signed by a certificate that no resident has, bound to the person's key, every attribute hidden on its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    _, attributes = await here.issued("suryani", key)
    token, *disclosures, rest = attributes.split("~")
    header = json.loads(opened(token.partition(".")[0]))
    signer = x509.load_der_x509_certificate(x5c(header["x5c"][0]))
    here.file("attributes.pem", signer.public_bytes(Encoding.PEM))
    checked = ("-policy", "2.999.1.9", "-explicit_policy", *here.at)
    here.openssl("verify", "-partial_chain", "-trusted", "issuing.pem", *checked, "attributes.pem")
    signed, _, signature = token.rpartition(".")
    r, s = (int.from_bytes(half) for half in (opened(signature)[:32], opened(signature)[32:]))
    signer.public_key().verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))
    claims = json.loads(opened(signed.partition(".")[2]))
    assert claims["cnf"] == {"jwk": as_jwk(key.public_key())}
    assert set(claims["_sd"]) == {
        b64encode(sha256(each.encode()).digest(), b"-_").rstrip(b"=").decode() for each in disclosures
    }
    assert rest == ""
    assert dict(json.loads(opened(each))[1:] for each in disclosures) == {
        "full_name": "SURYANI",
        "common_name": "木村　スリヤニ",
        "birthdate": "1997-08-22",
        "sex": "2",
        "postal_code": "371-0022",
        "local_government_code": "102016",
        "full_address": "群馬県前橋市千代田町５—１—１６",
    }


def as_jwk(key):
    """A public key of P-256 as JWK."""
    point = key.public_numbers()
    octets = {name: n.to_bytes(32, "big") for name, n in (("x", point.x), ("y", point.y))}
    coded = {name: b64encode(each, b"-_").rstrip(b"=").decode() for name, each in octets.items()}
    return {"kty": "EC", "crv": "P-256", **coded}


# --- revocation


async def test_ocsp_says_good_revoked_and_unknown(here):
    """Each signed by the delegated responder, as `openssl ocsp` checks it, nonce included."""
    words = ("ocsp", "-issuer", "issuing.pem", "-CAfile", "root.pem", "-nonce", "-reqout", "q.der")
    good, _ = await here.issued()
    unknown, _ = await here.issued("ogawa")
    revoked, _ = await here.issued("arai")
    assert (unknown.issuer, revoked.issuer) != (good.issuer, revoked.issuer)
    for name, said in (("takahashi", "good"), ("arai", "revoked")):
        here.openssl(*words, "-cert", f"{name}.pem")
        here.file("a.der", await here.ask((here.directory / "q.der").read_bytes()))
        answer = here.openssl(
            *("ocsp", "-respin", "a.der", "-reqin", "q.der", "-issuer", "issuing.pem", "-cert", f"{name}.pem"),
            *("-CAfile", "root.pem", *here.at, "-validity_period", "999999999", "-no_nonce"),
        )
        assert "Response verify OK" in answer
        assert f"{name}.pem: {said}" in answer
    issuer = here.authority.keys.issuing.certificate
    named = ocsp.load_der_ocsp_request(question(good, issuer))
    never = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        named.issuer_name_hash, named.issuer_key_hash, unknown.serial_number, hashes.SHA256()
    )
    answer = ocsp.load_der_ocsp_response(await here.ask(never.build().public_bytes(Encoding.DER)))
    assert answer.certificate_status is ocsp.OCSPCertStatus.UNKNOWN


async def test_ocsp_echoes_the_nonce_and_is_its_own_delegate(here):
    """The nonce comes back; the responder may sign answers and is not asked about itself (RFC 6960 §4.2.2.2)."""
    certificate, _ = await here.issued()
    asked = question(certificate, here.authority.keys.issuing.certificate, b"n" * 32)
    answer = ocsp.load_der_ocsp_response(await here.ask(asked))
    (responder,) = answer.certificates
    responder.verify_directly_issued_by(here.authority.keys.issuing.certificate)
    assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 32
    assert responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    usages = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
    assert (answer.this_update_utc, answer.next_update_utc) == (here.clock(), here.clock().replace(minute=1))


async def test_ocsp_by_get(here):
    """The question stands in the path, escaped or not (RFC 5019 §5); others may keep the answer for a minute."""
    certificate, _ = await here.issued()
    coded = b64encode(question(certificate, here.authority.keys.issuing.certificate)).decode()
    for path in (quote(coded, safe=""), coded):
        answer = ocsp.load_der_ocsp_response(await here.get(f"/ocsp/{path}"))
        assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"\xff" * 100, b"\x30" * 5000])
async def test_what_is_no_question_is_malformed(here, octets):
    """An answer all the same, or a refusal of the size."""
    if len(octets) > 4096:
        async with here.browser.post(f"{here.url}/ocsp", data=octets) as response:
            assert response.status == 413
        return
    answer = ocsp.load_der_ocsp_response(await here.ask(octets))
    assert answer.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


async def test_a_serial_number_that_no_certificate_has_is_malformed(here):
    """Negative, or zero (RFC 5280 §4.1.2.2)."""
    certificate, _ = await here.issued()
    for number in (-5, 0):
        asked = asn1_ocsp.OCSPRequest.load(question(certificate, here.authority.keys.issuing.certificate))
        asked["tbs_request"]["request_list"][0]["req_cert"]["serial_number"] = number
        answer = ocsp.load_der_ocsp_response(await here.ask(asked.dump(force=True)))
        assert answer.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


async def test_questions_about_others_and_long_nonces_are_refused(here):
    """Another authority's certificates are none of its business (RFC 5019 §2.2.3); a nonce has 128 octets at most."""
    certificate, _ = await here.issued("ogawa")
    foreign = question(certificate, here.authority.keys.foreign.certificate)
    answer = ocsp.load_der_ocsp_response(await here.ask(foreign))
    assert answer.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
    long = question(certificate, here.authority.keys.issuing.certificate, b"n" * 129)
    answer = ocsp.load_der_ocsp_response(await here.ask(long))
    assert answer.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


async def test_a_revocation_stands_in_the_delta_at_once_and_in_the_list_later(here):
    """Complete and in its part; lists are numbered upwards and say where the newest changes are."""
    certificate, _ = await here.issued()
    part = certificate.serial_number % 2
    before = {scope: await here.crl(f"/crl/{scope}.crl") for scope in (part, 1 - part, "all")}
    assert all(serials(crl) == set() for crl in before.values())
    await here.revoke(certificate)
    after = {scope: serials(await here.crl(f"/crl/{scope}-delta.crl")) for scope in (part, 1 - part, "all")}
    assert after == {part: {certificate.serial_number}, 1 - part: set(), "all": {certificate.serial_number}}
    delta = await here.crl(f"/crl/{part}-delta.crl")
    indicator = delta.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    number = before[part].extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert (indicator.critical, indicator.value.crl_number) == (True, number)
    assert delta.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > number
    scopes = [each.extensions.get_extension_for_class(x509.IssuingDistributionPoint) for each in (before[part], delta)]
    assert scopes[0] == scopes[1]
    assert scopes[0].critical
    here.clock.forward(hours=1)
    assert serials(await here.crl(f"/crl/{part}.crl")) == serials(await here.crl("/crl/all.crl")) == after[part]
    assert serials(await here.crl(f"/crl/{part}-delta.crl")) == set()


async def test_openssl_follows_the_lists(here):
    """`openssl verify` finds the revocation, in the part that the certificate names."""
    certificate, _ = await here.issued()
    (point,) = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    (link,) = point.full_name
    path = link.value.removeprefix(here.url)
    words = ("verify", "-CAfile", "root.pem", "-untrusted", "issuing.pem", "-crl_check_all", "-extended_crl")
    for wrong in (False, True):
        lists = (await here.crl(path), await here.crl("/root.crl"))
        here.file("lists.pem", b"".join(each.public_bytes(Encoding.PEM) for each in lists))
        said = here.openssl(*words, "-CRLfile", "lists.pem", *here.at, "takahashi.pem", wrong=wrong)
        assert ("certificate revoked" in said) == wrong
        await here.revoke(certificate)
        here.clock.forward(hours=1)


async def test_a_reissue_revokes_both_siblings(here):
    """The old pair goes at the moment at which the new one comes."""
    first, _ = await here.issued()
    second, _ = await here.issued()
    old, new = here.authority.register.of("takahashi")
    assert (old.serial, new.serial) == (first.serial_number, second.serial_number)
    assert (old.reason, old.revoked_at, new.revoked_at) == ("superseded", here.clock(), None)
    assert old.attributes != new.attributes


async def test_conditions_are_those_of_the_first_certificate(here):
    """Expired, revoked, of another authority; whoever has a new one issued has a good one."""
    expired, _ = await here.issued("shimoda")
    foreign, _ = await here.issued("ogawa")
    assert expired.not_valid_after_utc < here.clock()
    assert foreign.issuer == here.authority.keys.foreign.certificate.subject
    for name in ("shimoda", "arai", "ogawa"):
        await here.issued(name)
        await here.issued(name)
        here.openssl("verify", "-partial_chain", "-trusted", "issuing.pem", *here.at, f"{name}.pem")
        assert here.authority.register.of(name)[-1].revoked_at is None


async def test_everything_survives_a_restart(here, clock):
    """Keys, what was issued and revoked, and the numbers of lists, which never fall."""
    certificate, _ = await here.issued()
    await here.revoke(certificate)
    number = (await here.crl("/crl/all.crl")).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    own = here.directory.parent / "own"
    again = CertificateAuthority(own, here.url, SECRET, clock)
    assert [pair.certificate for pair in again.keys.services] == [
        pair.certificate for pair in here.authority.keys.services
    ]
    assert Register(own / "register.json").rows == here.authority.register.rows
    assert again.register.find(certificate.serial_number).revoked_at == clock()
    crl = x509.load_der_x509_crl(again.lists.base("all", clock()))
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > number
    assert all(path.stat().st_mode & 0o077 == 0 for path in own.iterdir())


async def test_an_authority_that_moved_keeps_its_keys(here, clock):
    """The addresses in its certificate follow; key and name stay, so what was issued still leads to it."""
    own = here.directory.parent / "own"
    before = here.authority.keys.issuing.certificate
    after = x509.load_pem_x509_certificate(listed_certificate(own, "http://localhost:1", clock()))
    assert (after.public_key(), after.subject) == (before.public_key(), before.subject)
    assert "http://localhost:1/root.cer" in str(
        after.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    )
    moved = CertificateAuthority(own, "http://localhost:1", SECRET, clock)
    assert find_owner("shimoda", clock().date()).condition == "expired"
    assert moved.keys.responder.certificate != here.authority.keys.responder.certificate


async def test_only_the_phones_operator_issues_and_revokes(here, stranger):
    """Without the secret: nothing. And no certificate for what is no request, or for a weak key."""
    csr = requested(ec.generate_private_key(ec.SECP256R1()))
    for headers in ({}, {"Authorization": "Bearer other"}):
        for path in ("/enrol", "/revoke"):
            async with stranger.post(f"{here.url}{path}", json={"owner": "arai", "csr": csr}, headers=headers) as said:
                assert said.status == 401
    weak = requested(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    curve = requested(ec.generate_private_key(ec.SECP521R1()))
    broken = b64encode(x5c(csr)[:-4] + b"\0\0\0\0").decode()
    wrong = [("nobody", csr), ("arai", "%"), ("arai", "AAAA"), ("arai", weak), ("arai", curve), ("arai", broken)]
    for owner, each in wrong:
        async with here.browser.post(
            f"{here.url}/enrol", json={"owner": owner, "csr": each}, headers=AUTHORIZED
        ) as said:
            assert said.status == 400
    for body in (
        b"",
        b"[]",
        b"\xff",
        b'{"serial": "zz", "reason": "superseded"}',
        b'{"serial": "1", "reason": "x"}',
        b"[" * 9000,
    ):
        async with here.browser.post(f"{here.url}/revoke", data=body, headers=AUTHORIZED) as said:
            assert said.status == 400
    assert here.authority.register.rows == ()


# --- timestamps


async def stamped(here, *words):
    """A timestamp that `openssl ts` asked for; the DER answer."""
    here.file("text", "申請します".encode())
    here.openssl("ts", "-query", "-data", "text", "-out", "q.tsq", *words)
    async with here.browser.post(
        f"{here.url}/tsa",
        data=(here.directory / "q.tsq").read_bytes(),
        headers={"Content-Type": "application/timestamp-query"},
    ) as response:
        assert response.content_type == "application/timestamp-reply"
        answer = await response.read()
    here.file("a.tsr", answer)
    return answer


@pytest.mark.parametrize("words", [("-sha256", "-cert"), ("-sha512", "-cert", "-no_nonce"), ("-sha384",)])
async def test_a_timestamp_is_verified_by_openssl(here, words):
    """With nonce and without, with the certificates inside and without."""
    answer = await stamped(here, *words)
    inside = "-cert" in words
    here.file("tsa.pem", here.authority.keys.timestamps.certificate.public_bytes(Encoding.PEM))
    chain = (here.directory / "issuing.pem").read_bytes() + (here.directory / "tsa.pem").read_bytes()
    here.file("chain.pem", chain)
    here.openssl(
        *("ts", "-verify", "-in", "a.tsr", "-queryfile", "q.tsq", "-CAfile", "root.pem", "-untrusted", "chain.pem"),
        *here.at,
    )
    token = tsp.TimeStampResp.load(answer)["time_stamp_token"]["content"]
    info = token["encap_content_info"]["content"].parsed
    assert bool(token["certificates"].native) == inside
    assert (info["gen_time"].native, info["policy"].native) == (here.clock(), TIMESTAMPS_POLICY)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-sha1",), "unrecognized or unsupported algorithm identifier"),
        (("-sha256", "-tspolicy", "1.2.3"), "the requested TSA policy is not supported by the TSA"),
    ],
)
async def test_a_query_that_gets_no_timestamp_is_told_why(here, words, why):
    """SHA-1, or a policy that is not ours."""
    await stamped(here, *words)
    said = here.openssl("ts", "-reply", "-in", "a.tsr", "-text")
    assert "Status: Rejected." in said
    assert f"Failure info: {why}" in said


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"\xff" * 50])
async def test_what_is_no_query_is_rejected(here, octets):
    """As the protocol says it; what is of another type is not read at all."""
    headers = {"Content-Type": "application/timestamp-query"}
    async with here.browser.post(f"{here.url}/tsa", data=octets, headers=headers) as response:
        here.file("a.tsr", await response.read())
    assert "the data submitted has the wrong format" in here.openssl("ts", "-reply", "-in", "a.tsr", "-text")
    async with here.browser.post(f"{here.url}/tsa", data=octets) as response:
        assert response.status == 415


async def test_the_page_for_people(here):
    """Both languages; what was issued, and what became of it."""
    for name in ("takahashi", "arai", "shimoda", "ogawa"):
        await here.issued(name)
    japanese = (await here.get("/?lang=ja")).decode()
    english = (await here.get("/?lang=en")).decode()
    assert all(each in japanese for each in ("髙橋 花子", "有効", "止めた（紛失）", "期限切れ", "別の発行者"))
    assert all(each in english for each in ("good", "revoked (lost)", "expired", "by another authority"))
    assert x509.load_der_x509_certificate(await here.get("/issuing.cer")) == here.authority.keys.issuing.certificate
    assert x509.load_der_x509_certificate(await here.get("/root.cer")) == here.authority.keys.root.certificate
