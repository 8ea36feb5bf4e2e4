"""Paths of certificates to a listed authority: each rule is broken by a certificate that is good otherwise."""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from federation.certificate import names, paths
from federation.certificate.facts import MAX_CERTIFICATE
from federation.certificate.model import CODES, CertificateRefusedError, Path, Wanted
from tests.federation.certificate import authorities
from tests.federation.certificate.authorities import (
    ANY_POLICY,
    AT,
    OTHER_POLICY,
    POLICY,
    Authority,
    Issued,
    Region,
    der_of,
    other_name,
    unknown_extension,
)

WANTED = Wanted(policies=frozenset({POLICY}))
ANYTHING = Wanted(key_usages=frozenset())
EMAIL_PROTECTION = ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string


@dataclass(frozen=True)
class Case:
    """What is handed to `paths.path`."""

    leaf: bytes
    others: Sequence[bytes]
    anchors: Sequence[x509.Certificate]
    wanted: Wanted = WANTED
    at: datetime = AT

    def path(self) -> Path:
        return paths.path(self.leaf, self.others, self.anchors, self.wanted, self.at)


@cache
def region() -> Region:
    """The authorities that all tests here share."""
    return Region()


def of(issued: Issued, *, wanted: Wanted = WANTED, anchors: Sequence[x509.Certificate] = (), at: datetime = AT) -> Case:
    """What is sent with a certificate, to be held against the root unless other anchors are named."""
    return Case(issued.der, issued.others, anchors or (region().root.certificate,), wanted, at)


def from_leaf(**changes) -> Case:
    """The usual path, but for the person's certificate."""
    return of(region().issuing.issue(**changes))


def below(name: str = "Other issuing", *, leaf: dict[str, object] | None = None, **changes) -> Case:
    """The usual path, but for the issuing authority's certificate."""
    return of(region().root.subordinate(name, **changes).issue(**(leaf or {})))


def refused(case: Case) -> CertificateRefusedError:
    """The refusal that a case ends with."""
    with pytest.raises(CertificateRefusedError) as caught:
        case.path()
    return caught.value


# --- what holds


def test_a_good_path_holds_and_names_its_certificates_and_policies() -> None:
    """The path goes from the person's certificate to the listed one, which did not come along."""
    case = from_leaf(policies=(POLICY, OTHER_POLICY))

    found = case.path()

    assert [der_of(each) for each in found.certificates] == [case.leaf, *case.others, region().root.der]
    assert found.leaf == x509.load_der_x509_certificate(case.leaf)
    assert found.policies == {POLICY}


def test_without_wanted_policies_all_that_hold_are_named() -> None:
    """A certificate under several policies holds for each that its authorities allow."""
    issuing = region().root.subordinate("Two policies", policies=(POLICY, OTHER_POLICY))
    issued = issuing.issue(policies=(POLICY, OTHER_POLICY, authorities.THIRD_POLICY))

    assert of(issued, wanted=Wanted()).path().policies == {POLICY, OTHER_POLICY}


def _all_of(key: str) -> Case:
    root = Authority.root(f"Root {key}", key=key)
    return of(root.subordinate("Issuing", key=key).issue(key=key), anchors=(root.certificate,))


def _pss() -> Case:
    root = Authority.root("Root PSS", key="rsa")
    issuing = root.subordinate("Issuing PSS", key="rsa", pss=True)
    return of(issuing.issue(key="rsa", pss=True, digest="sha512"), anchors=(root.certificate,))


def _sha1_root() -> Case:
    root = Authority.root("Root SHA-1", key="rsa", digest="sha1")
    return of(root.issue(), anchors=(root.certificate,))


@cache
def _deep(levels: int) -> Authority:
    authority = region().root
    for level in range(levels):
        authority = authority.subordinate(f"Level {level}")
    return authority


def _shuffled() -> Case:
    issued = _deep(3).issue()
    return Case(issued.der, issued.others[::-1], (region().root.certificate,))


def _with_strangers() -> Case:
    strangers = [Authority.root("Issuing").der, Authority.root("Stranger").der, region().root.subordinate("Aunt").der]
    return Case(region().issued.der, [*strangers, *region().issued.others], (region().root.certificate,))


def _root_came_along() -> Case:
    return Case(region().issued.der, [*region().issued.others, region().root.der] * 2, (region().root.certificate,))


def _twice() -> Case:
    return Case(region().issued.der, [region().issued.der, *region().issued.others], (region().root.certificate,))


def _other_letters() -> Case:
    """The issuer is named in capitals, with spaces and full-width letters (RFC 5280 §7.1)."""
    issuing = region().root.subordinate(authorities.name("O=Example,CN=Issuing authority ABC"))
    issuer = authorities.name("O=EXAMPLE,CN=issuing   AUTHORITY ＡＢＣ")
    made = issuing.issue(issuer=issuer)
    return of(made)


def _rolled_over() -> Case:
    """An authority of two keys: the old one, which is listed, certifies the new one (RFC 5280 §3.2)."""
    old = Authority.root("Rolling")
    new = Authority.root("Rolling")
    issued = new.issue()
    return Case(issued.der, [der_of(old.cross(new, policies=(ANY_POLICY,)))], (old.certificate,))


_BASES = (
    x509.DirectoryName(authorities.name("C=JP")),
    x509.RFC822Name(".example.jp"),
    x509.DNSName("example.jp"),
    x509.UniformResourceIdentifier(".example.jp"),
    x509.IPAddress(ipaddress.ip_network("192.0.2.0/24")),
)


def _constrained(
    permitted: Sequence[x509.GeneralName] | None = None,
    excluded: Sequence[x509.GeneralName] | None = None,
    **changes,
) -> Case:
    constraints = x509.NameConstraints(permitted, excluded)
    subject = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"), x509.NameAttribute(NameOID.SURNAME, "山田")])
    return below(name_constraints=constraints, leaf={"subject": subject} | changes)


GOOD: dict[str, Callable[[], Case]] = {
    "RSA throughout": lambda: _all_of("rsa"),
    "P-384 throughout": lambda: _all_of("p-384"),
    "P-521 throughout": lambda: _all_of("p-521"),
    "RSASSA-PSS": _pss,
    "a root's own signature does not matter": _sha1_root,
    "names of a person's certificate": lambda: from_leaf(
        san=(other_name("1.2.392.200149.8.5.5.1", "山田 花子"), x509.RFC822Name("h@example.jp")),
    ),
    "no subject, critical names": lambda: from_leaf(
        subject=x509.Name([]), san=(x509.RFC822Name("h@example.jp"),), san_critical=True
    ),
    "critical policies": lambda: from_leaf(policies_critical=True),
    "critical policy constraints": lambda: below(
        extensions=((x509.PolicyConstraints(0, 0), True), (x509.InhibitAnyPolicy(0), True))
    ),
    "another purpose, critical, where none is wanted": lambda: from_leaf(
        extended_key_usages=(EMAIL_PROTECTION,), extended_key_usages_critical=True
    ),
    "no key usage": lambda: from_leaf(key_usage=None),
    "content commitment alone": lambda: from_leaf(key_usage=("content_commitment",)),
    "an unknown extension that is not critical": lambda: from_leaf(extensions=((unknown_extension(), False),)),
    "no key identifier": lambda: from_leaf(authority_key_id=None),
    "another key identifier": lambda: from_leaf(authority_key_id=b"\x01" * 20),
    "basic constraints that say no": lambda: from_leaf(
        extensions=((x509.BasicConstraints(ca=False, path_length=None), True),)
    ),
    "an authority without key usage": lambda: below(key_usages=None),
    "others in another order": _shuffled,
    "others that do not belong to it": _with_strangers,
    "the root came along": _root_came_along,
    "the certificate itself came along": _twice,
    "at its first second": lambda: of(region().issued, at=datetime(2026, 1, 1, tzinfo=UTC)),
    "at its last second": lambda: of(region().issued, at=datetime(2031, 1, 1, tzinfo=UTC)),
    "an authority's name in other letters": _other_letters,
    "five authorities between": lambda: of(_deep(5).issue()),
    "a key rolled over": _rolled_over,
    "within all constraints": lambda: _constrained(
        permitted=_BASES, san=(x509.RFC822Name("h@mail.example.jp"), x509.DNSName("a.example.jp"))
    ),
    "a mailbox by its whole name": lambda: _constrained(
        permitted=(x509.RFC822Name("h@example.jp"),), san=(x509.RFC822Name("h@EXAMPLE.jp"),)
    ),
    "outside what is excluded": lambda: _constrained(
        excluded=(x509.RFC822Name("example.jp"),), san=(x509.RFC822Name("h@mail.example.jp"),)
    ),
    "kinds of names without constraints": lambda: _constrained(
        permitted=(x509.DNSName("example.jp"),), san=(other_name("1.2.3.4", "x"),)
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_real_authorities_do_is_accepted(case: str) -> None:
    """Variants of a good path that RFC 5280 allows."""
    assert GOOD[case]().path().policies == {POLICY}


def test_time_counts_in_whole_seconds_wherever_its_clock_stands() -> None:
    """A certificate is valid to the end of its last second (RFC 5280 §4.1.2.5), in any time zone."""
    last = datetime(2031, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))

    assert of(region().issued, at=last.replace(microsecond=999_999)).path()
    assert refused(of(region().issued, at=last + timedelta(seconds=1))).code == "expired"


def test_no_persons_certificate_is_kept() -> None:
    """Authorities' certificates are remembered for the next person; a person's that came along is not."""
    issued, another = region().issuing.issue(), region().issuing.issue()
    case = Case(issued.der, [*issued.others, another.der], (region().root.certificate,))

    assert case.path()

    assert region().issuing.der in paths._AUTHORITIES
    assert not {issued.der, another.der} & set(paths._AUTHORITIES)


def test_what_is_remembered_is_bounded() -> None:
    """A stranger who sends ever new authorities' certificates fills nothing."""
    for number in range(paths._MOST_AUTHORITIES + 2):
        issued = Authority.root(f"Stranger {number}").issue()
        stranger = Authority.root("Stranger").subordinate(f"Below {number}")
        refused(Case(issued.der, [stranger.der], (region().root.certificate,)))

    assert len(paths._AUTHORITIES) <= paths._MOST_AUTHORITIES


# --- anchors


def test_a_listed_issuing_authority_is_the_anchor() -> None:
    """The path ends at the listed certificate, whether or not the authorities above came along."""
    case = of(region().issued, anchors=(region().issuing.certificate,))

    assert case.path().certificates[-1] == region().issuing.certificate
    assert Case(case.leaf, (), case.anchors).path().certificates == case.path().certificates


def test_the_shortest_path_is_taken_where_both_are_listed() -> None:
    """A root and an issuing authority may both be listed."""
    both = (region().root.certificate, region().issuing.certificate)

    assert len(of(region().issued, anchors=both).path().certificates) == 2


def test_a_cross_certificate_leads_to_a_listed_stranger() -> None:
    """An authority under another root is reached by the cross-certificate that came along."""
    other = Authority.root("Other root")
    crossed = other.cross(region().issuing, policies=(ANY_POLICY,))
    case = Case(region().issued.der, [*region().issued.others, der_of(crossed)], (other.certificate,))

    assert case.path().certificates == (region().issued.certificate, crossed, other.certificate)


def test_what_the_anchor_says_of_itself_limits_its_paths() -> None:
    """Path length, names, policies and time of the listed certificate count (RFC 5937)."""
    leaf = region().issued
    for changes, code in (
        ({"path_length": 0}, "path-length"),
        ({"policies": (OTHER_POLICY,)}, "policy"),
        (
            {"name_constraints": x509.NameConstraints([x509.DirectoryName(authorities.name("C=FR"))], None)},
            "name-constraints",
        ),
        ({"not_after": datetime(2026, 11, 22, 11, 59, 59, tzinfo=UTC)}, "expired"),
        ({"ca": False}, "not-a-ca"),
        ({"key_usages": ("crl_sign",)}, "key-usage"),
        ({"extensions": ((unknown_extension(), True),)}, "unknown-critical-extension"),
    ):
        root = Authority.root(region().root.certificate.subject, key=region().root.key, **changes)

        assert refused(of(leaf, anchors=(root.certificate,))).code == code


def test_an_anchor_that_cannot_be_read_is_nobodys_issuer() -> None:
    """A fault on the list does not make everybody's certificates malformed."""
    broken = x509.load_der_x509_certificate(
        authorities.sign_anew(region().root.certificate, region().root.key, surgery=(authorities.duplicate_extension,))
    )

    assert of(region().issued, anchors=(broken, region().root.certificate)).path()
    assert refused(of(region().issued, anchors=(broken,))).code == "untrusted-issuer"


def test_a_listed_certificate_is_no_persons() -> None:
    """An authority does not sign in with its own certificate."""
    root = Authority.root("Root that signs", key_usages=("key_cert_sign", "digital_signature"))

    assert refused(Case(root.der, (), (root.certificate,), ANYTHING)).code == "untrusted-issuer"


# --- what does not hold


def _stranger() -> Case:
    return of(Authority.root("Stranger").issue())


def _same_names() -> Case:
    """Authorities that call themselves as the listed ones do."""
    return of(Authority.root("Root").subordinate("Issuing").issue())


def _missing() -> Case:
    return Case(region().issued.der, (), (region().root.certificate,))


def _below_a_person(**changes) -> Case:
    issued = region().issuing.issue("Person", **changes)
    return of(Authority(issued, region().issuing).issue())


def _altered() -> Case:
    der = region().issued.der
    return Case(der[:-1] + bytes([der[-1] ^ 1]), region().issued.others, (region().root.certificate,))


def _unused_bits() -> Case:
    """The signature is the same, but said to end a bit earlier: the library overlooks it where that bit is 0."""
    while True:
        issued = region().issuing.issue()
        if not issued.der[-1] & 1:
            break
    at = len(issued.der) - len(issued.certificate.signature) - 1
    return Case(issued.der[:at] + b"\1" + issued.der[at + 1 :], issued.others, (region().root.certificate,))


def _signed_by_another() -> Case:
    return from_leaf(signed_by=authorities.make_key())


def _authority_signed_by_another() -> Case:
    return below(signed_by=authorities.make_key())


def _of_der(surgery: authorities.Surgery) -> Case:
    der = region().issuing.issue_der(surgery=surgery)
    return Case(der, region().issued.others, (region().root.certificate,))


def _authority_of_der(surgery: authorities.Surgery) -> Case:
    issuing = region().root.subordinate("Broken issuing")
    broken = authorities.sign_anew(issuing.certificate, region().root.key, surgery=(surgery,))
    return Case(issuing.issue().der, [broken], (region().root.certificate,))


def _zero_serial(tbs) -> None:
    tbs["serial_number"] = 0


def _endless_serial(tbs) -> None:
    tbs["serial_number"] = 2**160


def _minimum(tbs) -> None:
    """Name constraints with a minimum, which RFC 5280 §4.2.1.10 forbids, and the library does not show."""
    for each in tbs["extensions"]:
        if each["extn_id"].native == "name_constraints":
            trees = each["extn_value"].parsed
            trees["permitted_subtrees"][0]["minimum"] = 1
            each["extn_value"] = trees


def _with_minimum() -> Case:
    return below(
        name_constraints=x509.NameConstraints([x509.DirectoryName(authorities.name("C=JP"))], None),
        surgery=_minimum,
    )


_PURPOSE = Wanted(extended_key_usages=frozenset({CLIENT_AUTH}))


def _for_purpose(*stated: str, authority: Sequence[str] = ()) -> Case:
    issuing = region().root.subordinate("For a purpose", extended_key_usages=authority)
    return of(issuing.issue(extended_key_usages=stated), wanted=_PURPOSE)


def _for_purposes(*stated: str, authority: Sequence[str] = ()) -> Case:
    """Either of two purposes is wanted."""
    issuing = region().root.subordinate("For a purpose", extended_key_usages=authority)
    wanted = Wanted(extended_key_usages=frozenset({CLIENT_AUTH, EMAIL_PROTECTION}))
    return of(issuing.issue(extended_key_usages=stated), wanted=wanted)


def _weak_issuing(key: str) -> Case:
    return below(f"Weak {key}", key=key)


def _of_rsa(**changes) -> Case:
    root = Authority.root("RSA root", key="rsa")
    return of(root.subordinate("RSA issuing", key="rsa").issue(**changes), anchors=(root.certificate,))


def _outside(base: x509.GeneralName, name: x509.GeneralName) -> Case:
    return _constrained(permitted=(base,), san=(name,))


def _inside(base: x509.GeneralName, name: x509.GeneralName) -> Case:
    return _constrained(excluded=(base,), san=(name,))


def _address_in_subject(text: str) -> Case:
    subject = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, text)])
    return _constrained(permitted=(x509.RFC822Name("example.jp"),), subject=subject)


def _constrained_above() -> Case:
    """The constraint stands two levels above the person, and the authority between is within it."""
    names_of_japan = x509.NameConstraints([x509.DirectoryName(authorities.name("C=JP"))], None)
    above = region().root.subordinate("Constrained above", name_constraints=names_of_japan)
    return of(above.subordinate("Between").issue(authorities.name("C=FR,CN=Jeanne")))


URI, MAIL, DNS, DN = x509.UniformResourceIdentifier, x509.RFC822Name, x509.DNSName, x509.DirectoryName
BEFORE, AFTER = AT - timedelta(seconds=1), AT + timedelta(seconds=1)

FAULTS: dict[str, tuple[str, Callable[[], Case]]] = {
    # certificate-malformed
    "nothing": ("certificate-malformed", lambda: Case(b"", (), (region().root.certificate,))),
    "garbage": ("certificate-malformed", lambda: Case(b"\x30\x80garbage", (), (region().root.certificate,))),
    "a megabyte": ("certificate-malformed", lambda: Case(b"\x30" * 2**20, (), (region().root.certificate,))),
    "cut short": ("certificate-malformed", lambda: Case(region().issued.der[:-9], (), (region().root.certificate,))),
    "something behind it": (
        "certificate-malformed",
        lambda: Case(region().issued.der + b"\0", (), (region().root.certificate,)),
    ),
    "garbage along with it": (
        "certificate-malformed",
        lambda: Case(region().issued.der, [b"x"], (region().root.certificate,)),
    ),
    "an extension twice": ("certificate-malformed", lambda: _of_der(authorities.duplicate_extension)),
    "an authority's extension twice": (
        "certificate-malformed",
        lambda: _authority_of_der(authorities.duplicate_extension),
    ),
    "version 1": ("certificate-malformed", lambda: _of_der(authorities.version_1)),
    "a negative serial number": ("certificate-malformed", lambda: _of_der(authorities.negative_serial)),
    "an authority's negative serial number": (
        "certificate-malformed",
        lambda: _authority_of_der(authorities.negative_serial),
    ),
    "serial number 0": ("certificate-malformed", lambda: _of_der(_zero_serial)),
    "a serial number of 21 octets": ("certificate-malformed", lambda: _of_der(_endless_serial)),
    # untrusted-issuer
    "a stranger": ("untrusted-issuer", _stranger),
    "a stranger with the names of the listed": ("untrusted-issuer", _same_names),
    "the authority between is missing": ("untrusted-issuer", _missing),
    "nobody is listed": ("untrusted-issuer", lambda: Case(region().issued.der, region().issued.others, ())),
    "six authorities between": ("untrusted-issuer", lambda: of(_deep(6).issue())),
    # time
    "over for a second": ("expired", lambda: from_leaf(not_after=BEFORE)),
    "an authority's time is over": ("expired", lambda: below(not_after=BEFORE)),
    "to begin in a second": ("not-yet-valid", lambda: from_leaf(not_before=AFTER)),
    "an authority's time has not begun": ("not-yet-valid", lambda: below(not_before=AFTER)),
    # authorities
    "issued by a person": ("not-a-ca", _below_a_person),
    "issued by who may sign certificates but is no authority": (
        "not-a-ca",
        lambda: _below_a_person(key_usage=("key_cert_sign",)),
    ),
    "an authority that says that it is none": ("not-a-ca", lambda: below(ca=False)),
    "an authority of version 1": ("certificate-malformed", lambda: _authority_of_der(authorities.version_1)),
    "an authority that may not sign certificates": ("key-usage", lambda: below(key_usages=("crl_sign",))),
    "an authority too many": ("path-length", lambda: of(region().issuing.subordinate("One too many").issue())),
    # extensions
    "a critical extension nobody knows": (
        "unknown-critical-extension",
        lambda: from_leaf(extensions=((unknown_extension(), True),)),
    ),
    "an authority's critical extension": (
        "unknown-critical-extension",
        lambda: below(extensions=((unknown_extension(), True),)),
    ),
    # signatures
    "a bit of the signature": ("path-signature", _altered),
    "a signature of a bit less": ("path-signature", _unused_bits),
    "signed by another key": ("path-signature", _signed_by_another),
    "an authority's signature by another key": ("path-signature", _authority_signed_by_another),
    # names
    "another country": ("name-constraints", lambda: _outside(DN(authorities.name("C=FR")), MAIL("h@example.jp"))),
    "a country that is excluded": (
        "name-constraints",
        lambda: _inside(DN(authorities.name("C=jp")), MAIL("h@example.jp")),
    ),
    "a constraint two levels above": ("name-constraints", _constrained_above),
    "a directory name among the alternatives": (
        "name-constraints",
        lambda: _outside(_BASES[0], DN(authorities.name("C=FR"))),
    ),
    "another mailbox": ("name-constraints", lambda: _outside(MAIL("h@example.jp"), MAIL("g@example.jp"))),
    "another mail host": ("name-constraints", lambda: _outside(MAIL("example.jp"), MAIL("h@mail.example.jp"))),
    "the mail domain itself": ("name-constraints", lambda: _outside(MAIL(".example.jp"), MAIL("h@example.jp"))),
    "an excluded mail domain": ("name-constraints", lambda: _inside(MAIL(".example.jp"), MAIL("h@a.example.jp"))),
    "a mailbox in Unicode": (
        "name-constraints",
        lambda: _outside(MAIL("example.jp"), other_name("1.3.6.1.5.5.7.8.9", "花@example.jp")),
    ),
    "a mail address in the subject": ("name-constraints", lambda: _address_in_subject("h@example.com")),
    "no mail address in the subject": ("name-constraints", lambda: _address_in_subject("花子＠example.jp")),
    "another host": ("name-constraints", lambda: _outside(DNS("example.jp"), DNS("badexample.jp"))),
    "an excluded host": ("name-constraints", lambda: _inside(DNS("example.jp"), DNS("EXAMPLE.jp"))),
    "many hosts at once": ("name-constraints", lambda: _inside(DNS("a.example.jp"), DNS("*.example.jp"))),
    "another host of a URI": ("name-constraints", lambda: _outside(URI("example.jp"), URI("https://a.example.jp/"))),
    "a URI of an excluded domain": (
        "name-constraints",
        lambda: _inside(URI(".example.jp"), URI("https://a.example.jp/")),
    ),
    "a URI without a host": ("name-constraints", lambda: _inside(URI("example.jp"), URI("urn:example:jp"))),
    "a URI with an address": ("name-constraints", lambda: _inside(URI("example.jp"), URI("https://192.0.2.1/"))),
    "another network": (
        "name-constraints",
        lambda: _outside(_BASES[4], x509.IPAddress(ipaddress.ip_address("192.0.3.1"))),
    ),
    "an address of another version": (
        "name-constraints",
        lambda: _outside(_BASES[4], x509.IPAddress(ipaddress.ip_address("::1"))),
    ),
    "an excluded network": (
        "name-constraints",
        lambda: _inside(_BASES[4], x509.IPAddress(ipaddress.ip_address("192.0.2.1"))),
    ),
    "a constraint on a kind that is not understood": (
        "name-constraints",
        lambda: _inside(other_name("1.2.3.4", "x"), other_name("1.2.3.4", "y")),
    ),
    "a constraint with a minimum": ("name-constraints", _with_minimum),
    # policies
    "another policy": ("policy", lambda: from_leaf(policies=(OTHER_POLICY,))),
    "no policy": ("policy", lambda: from_leaf(policies=())),
    "an authority under another policy": ("policy", lambda: below(policies=(OTHER_POLICY,))),
    "an authority under no policy": ("policy", lambda: below(policies=())),
    "any policy where it is forbidden": (
        "policy",
        lambda: below(extensions=((x509.InhibitAnyPolicy(0), True),), leaf={"policies": (ANY_POLICY,)}),
    ),
    # uses
    "a key for something else": ("key-usage", lambda: from_leaf(key_usage=("key_encipherment",))),
    "another purpose": ("extended-key-usage", lambda: _for_purpose(EMAIL_PROTECTION)),
    "any purpose": ("extended-key-usage", lambda: _for_purpose("2.5.29.37.0")),
    "a purpose that its authority may not certify": (
        "extended-key-usage",
        lambda: _for_purposes(CLIENT_AUTH, authority=(EMAIL_PROTECTION,)),
    ),
    "an authority for another purpose": (
        "extended-key-usage",
        lambda: _for_purpose(CLIENT_AUTH, authority=(EMAIL_PROTECTION,)),
    ),
    # strength
    "RSA of 1,024 bits": ("weak-key", lambda: from_leaf(key="rsa-1024")),
    "RSA with exponent 3": ("weak-key", lambda: from_leaf(key="rsa-2048-3")),
    "P-224": ("weak-key", lambda: from_leaf(key="p-224")),
    "secp256k1": ("weak-key", lambda: from_leaf(key="secp256k1")),
    "Ed25519": ("weak-key", lambda: from_leaf(key="ed25519")),
    "DSA": ("weak-key", lambda: from_leaf(key="dsa")),
    "an authority with RSA of 1,024 bits": ("weak-key", lambda: _weak_issuing("rsa-1024")),
    "an authority on P-224": ("weak-key", lambda: _weak_issuing("p-224")),
    "an authority with Ed25519": ("weak-algorithm", lambda: _weak_issuing("ed25519")),
    "RSA and SHA-1": ("weak-algorithm", lambda: _of_rsa(digest="sha1")),
    "RSA and MD5": ("weak-algorithm", lambda: _of_rsa(digest="md5")),
    "RSASSA-PSS and SHA-1": ("weak-algorithm", lambda: _of_rsa(digest="sha1", pss=True)),
    "ECDSA and SHA-1": ("weak-algorithm", lambda: from_leaf(digest="sha1")),
    "an authority's SHA-1": ("weak-algorithm", lambda: below(digest="sha1")),
    # bounds
    "a thousand certificates": (
        "answer-too-large",
        lambda: Case(region().issued.der, region().issued.others * 1000, (region().root.certificate,)),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_refused_with_its_code(fault: str) -> None:
    """The reason is the true one, and says nothing of the person."""
    code, case = FAULTS[fault]

    found = refused(case())

    assert found.code == code
    assert "山田" not in str(found)
    assert "example" not in str(found)


def test_every_code_of_a_path_has_a_fault_here() -> None:
    """The codes from certificate-malformed to weak-algorithm, but for those that need the list's standing."""
    of_paths = list(CODES)[list(CODES).index("certificate-malformed") : list(CODES).index("revoked")]
    elsewhere = {"authority-withdrawn", "permitted-use"}

    assert {code for code, _ in FAULTS.values()} == set(of_paths) - elsewhere | {"answer-too-large"}


def test_every_rule_can_break() -> None:
    """No rule of the table is without a certificate that breaks it."""
    codes = {code for code, _ in FAULTS.values()}

    assert {rule.code for rule in paths.RULES} <= codes


def test_the_purpose_that_is_wanted_is_accepted() -> None:
    """Stated by the person's certificate, and allowed by the authority's."""
    assert _for_purpose(CLIENT_AUTH).path()
    assert _for_purpose(CLIENT_AUTH, EMAIL_PROTECTION, authority=("2.5.29.37.0",)).path()
    assert of(region().issued, wanted=_PURPOSE).path()
    assert _for_purposes(CLIENT_AUTH, authority=(EMAIL_PROTECTION, CLIENT_AUTH)).path()
    assert _for_purposes(authority=(EMAIL_PROTECTION,)).path()


def test_the_reason_is_that_of_the_path_that_came_farthest() -> None:
    """A certificate with two issuers of one name is refused for what is wrong with the right one."""
    withdrawn = region().root.subordinate("Issuing", not_after=BEFORE)
    issued = withdrawn.issue(authority_key_id=None)
    case = Case(issued.der, [*region().issued.others, *issued.others], (region().root.certificate,))

    assert refused(case).code == "expired"


def test_a_second_path_is_taken_where_the_first_does_not_hold() -> None:
    """One of two certificates of an authority is over; the other leads to the list."""
    root, issuing = region().root, region().issuing
    over = root.cross(issuing, not_after=BEFORE, policies=(ANY_POLICY,))
    for others in ([der_of(over), issuing.der], [issuing.der, der_of(over)]):
        case = Case(region().issued.der, others, (root.certificate,))

        assert case.path().certificates[1] == issuing.certificate


# --- hostile


def test_a_circle_of_cross_certificates_ends() -> None:
    """Authorities that certify one another lead nowhere, in bounded work."""
    circle = [Authority.root(f"Circle {number}") for number in range(4)]
    crossed = [der_of(one.cross(other)) for one in circle for other in circle if one is not other][:8]

    assert refused(Case(circle[0].issue().der, crossed, (region().root.certificate,))).code == "untrusted-issuer"


def test_many_authorities_of_one_name_cost_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """All call themselves the same and name no key: each pair's signature is looked at once, and not endlessly."""
    looked = 0
    really = paths.strength.check_signature

    def counted(*words: object) -> None:
        nonlocal looked
        looked += 1
        really(*words)  # type: ignore[arg-type] - passed on as they came

    monkeypatch.setattr(paths.strength, "check_signature", counted)
    subject = region().root.certificate.subject
    same = [Authority.root(subject, authority_key_id=None) for _ in range(8)]
    others = [der_of(same[number - 1].cross(each, authority_key_id=None)) for number, each in enumerate(same)]
    leaf = same[3].issue(authority_key_id=None)
    anchors = [Authority.root(subject).certificate for _ in range(8)]

    assert refused(Case(leaf.der, others, anchors)).code in {"path-signature", "untrusted-issuer"}
    assert looked <= paths.MAX_SIGNATURES


def test_a_certificate_of_the_largest_size_is_read() -> None:
    """What is refused for its size is far above any real one."""
    roomy = region().issuing.issue(san=(x509.UniformResourceIdentifier("https://example.jp/" + "x" * 12_000),))
    large = region().issuing.issue(san=(x509.UniformResourceIdentifier("https://example.jp/" + "x" * MAX_CERTIFICATE),))

    assert of(roomy).path()
    assert refused(of(large)).code == "certificate-malformed"


@cache
def _good() -> Case:
    return of(_deep(2).issue(san=(x509.RFC822Name("h@example.jp"), other_name("1.2.3.4", "山田"))))


@given(which=st.integers(0, 2), place=st.floats(0, 1, exclude_max=True), flipped=st.integers(1, 255))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(which=0, place=0.0, flipped=1)
def test_a_changed_octet_in_any_certificate_is_refused(which: int, place: float, flipped: int) -> None:
    """Whatever octet is changed to whatever, in whichever certificate: refused, with a code."""
    good = _good()
    certificates = [good.leaf, *good.others]
    changed = bytearray(certificates[which])
    changed[int(place * len(changed))] ^= flipped
    certificates[which] = bytes(changed)

    refused(Case(certificates[0], certificates[1:], good.anchors))


@given(leaf=st.binary(max_size=300), others=st.lists(st.binary(max_size=100), max_size=9))
@settings(max_examples=100, deadline=None)
def test_whatever_is_sent_only_refusals_are_raised(leaf: bytes, others: list[bytes]) -> None:
    """Octets that are no certificates."""
    refused(Case(leaf, others, (region().root.certificate,)))


@given(place=st.floats(0, 1, exclude_max=True), flipped=st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_changed_certificate_that_is_signed_anew_raises_nothing_else(place: float, flipped: int) -> None:
    """An authority signs nonsense: what reads it holds or refuses."""
    good = region().issued
    whole = authorities.asn1.Certificate.load(good.der)
    tbs = bytearray(whole["tbs_certificate"].dump())
    tbs[int(place * len(tbs))] ^= flipped
    signed = authorities.sign(bytes(tbs), region().issuing.key)
    der = good.der.replace(whole["tbs_certificate"].dump(), bytes(tbs))
    signature = whole["signature_value"].contents
    body = der[4 : len(der) - len(signature) - 2] + bytes([3, len(signed) + 1, 0]) + signed
    der = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    try:
        Case(der, good.others, (region().root.certificate,), Wanted()).path()
    except CertificateRefusedError as caught:
        assert caught.code in CODES  # noqa: PT017 - it may also hold


# --- names


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("CN=Example Authority", "CN=EXAMPLE  authority", True),
        ("CN=ＡＢＣ", "CN=abc", True),
        ("CN=Straße", "CN=STRASSE", True),
        ("CN=Example,O=A", "O=A,CN=Example", False),
        ("CN=Example", "O=Example", False),
        ("CN=ハ\u309a", "CN=パ", True),
        ("CN=Example", "CN=Examp1e", False),
        ("CN=a+O=b", "O=b+CN=a", True),
    ],
)
def test_names_are_compared_as_rfc_5280_says(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a table
    """Whatever the case, the spaces, the width and the composition of letters (§7.1)."""
    of_one, of_other = x509.Name.from_rfc4514_string(one), x509.Name.from_rfc4514_string(other)

    assert (names.canonical(of_one) == names.canonical(of_other)) is same
