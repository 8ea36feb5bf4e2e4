"""What a certificate says of its holder, and the name by which its issuer promises to know the person."""

from typing import Any

import pytest
from asn1crypto import core
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from federation.certificate import subject
from federation.certificate.model import CertificateRefusedError, Path
from federation.transforms.calendar import jpki_date_to_iso
from tests.federation.certificate.authorities import AT, Issued, name, other_name
from tests.federation.certificate.sign_in_sample import ISSUING, JPKI, NAME, NUMBER

EMAIL = x509.RFC822Name("hanako@example.jp")


def path(issued: Issued) -> Path:
    """A path that holds."""
    return Path(certificates=(issued.certificate, ISSUING.certificate), policies=frozenset())


def known(distinguished: Any = NAME, *, by: str = "subject.serialNumber", **changes: Any) -> str:
    """The issuer's word for the holder of such a certificate."""
    return subject.subject_id(path(ISSUING.issue(distinguished, **changes)), by)


def code(distinguished: Any = NAME, **changes: Any) -> str:
    """Why the holder of such a certificate is not known."""
    with pytest.raises(CertificateRefusedError) as why:
        known(distinguished, **changes)
    return why.value.code


def said(distinguished: Any = NAME, **changes: Any) -> Any:
    """What such a certificate says of its holder."""
    return subject.attributes(ISSUING.issue(distinguished, **changes).certificate)


# --- attributes


def test_every_field_of_the_name_is_an_attribute_with_all_its_values() -> None:
    """X.520's long names; what has none here is left out."""
    distinguished = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "市民課"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "窓口"),
            x509.NameAttribute(NameOID.SURNAME, "山田"),
            x509.NameAttribute(NameOID.GIVEN_NAME, "花子"),
            x509.NameAttribute(x509.ObjectIdentifier("1.3.6.1.4.1.32473.7"), "x"),
        ]
    )
    assert said(distinguished) == {
        "subject.countryName": ("JP",),
        "subject.organizationalUnitName": ("市民課", "窓口"),
        "subject.surname": ("山田",),
        "subject.givenName": ("花子",),
    }


def test_jpkis_fields_have_names_by_their_meaning() -> None:
    """Six otherNames; the date is one that the region's transforms read."""
    values = ("山田　花子", "00000", "2", "319850315", "群馬県前橋市大手町二丁目", "000000000000")
    found = said(san=tuple(other_name(f"{JPKI}.{number}", value) for number, value in enumerate(values, 1)))
    names = ("name", "name-substitutes", "sex", "dateOfBirth", "address", "address-substitutes")
    assert {each: found[f"jpki.{each}"] for each in names} == {
        each: (value,) for each, value in zip(names, values, strict=True)
    }
    assert jpki_date_to_iso(found["jpki.dateOfBirth"][0]) == "1985-03-15"
    assert {subject.evidence(f"jpki.{each}") for each in names} == {"signing-certificate"}


def test_other_names_and_mailboxes_are_attributes_where_they_are_text() -> None:
    """Directory names, addresses, and otherNames of other types are not."""
    number = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.32473.1"), core.Integer(5).dump())
    uri = x509.UniformResourceIdentifier("https://example.jp")
    found = said("CN=x", san=(EMAIL, number, uri, other_name("1.3.6.1.4.1.32473.2", "会員")))
    assert found == {
        "subject.commonName": ("x",),
        "san.email": ("hanako@example.jp",),
        "san.otherName.1.3.6.1.4.1.32473.2": ("会員",),
    }


def test_values_stay_as_the_issuer_wrote_them() -> None:
    """NFC would make another name of a compatibility ideograph; nothing is trimmed or folded."""
    assert said("CN=x", san=(other_name(f"{JPKI}.1", "福\ufa1a　 が"),))["jpki.name"] == ("福\ufa1a　 が",)


def test_empty_and_endless_values_are_no_attributes() -> None:
    """An issuer that has no value may write none."""
    fields = (other_name(f"{JPKI}.1", " "), other_name(f"{JPKI}.3", ""), other_name(f"{JPKI}.5", "あ" * 1025))
    assert said("CN=x", san=fields) == {"subject.commonName": ("x",)}


@pytest.mark.parametrize("written", [str, hex, "{:x}".format, "{:X}".format, "00{:x}".format])
def test_the_certificates_own_serial_number_is_never_given_out(written: Any) -> None:
    """Not even where the issuer repeats it in the subject: the next certificate has another."""
    serial = x509.random_serial_number() | 1 << 100
    repeated = name(f"CN=x,2.5.4.5={written(serial)}")
    assert said(repeated, serial=serial) == {"subject.commonName": ("x",)}
    assert code(repeated, serial=serial) == "subject-missing"
    assert known(repeated)  # of another certificate, it is a number like any other


def test_a_certificate_without_names_beside_the_subject_is_read() -> None:
    """JPKI's are critical for nobody."""
    assert said("CN=x") == {"subject.commonName": ("x",)}


# --- the person


def test_a_renewed_certificate_stays_the_same_person() -> None:
    """Another key, serial number, time and name: the promised field is the same."""
    renewed = known(f"CN=佐藤 花子,2.5.4.5={NUMBER},C=JP", not_before=AT, key="rsa")
    assert known() == renewed == f"subject.serialNumber:{NUMBER}"


def test_the_same_value_in_two_fields_is_two_people() -> None:
    """The field's name stands before it."""
    distinguished = f"CN={NUMBER},2.5.4.5={NUMBER}"
    assert known(distinguished, by="subject.commonName") != known(distinguished)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("san.email", "hanako@example.jp"),
        ("jpki.name", "山田　葛\U000e0100子"),
        (f"san.otherName.{JPKI}.1", "山田　葛\U000e0100子"),
    ],
)
def test_a_person_may_be_known_by_other_names(field: str, value: str) -> None:
    """Whatever the issuer promises to keep."""
    assert known(by=field, san=(EMAIL, other_name(f"{JPKI}.1", "山田　葛\U000e0100子"))) == f"{field}:{value}"


def test_where_nothing_is_promised_the_person_is_the_key() -> None:
    """The same with another certificate for it, another with another key; never the key itself."""
    first = ISSUING.issue("CN=a")
    again = subject.subject_id(path(ISSUING.issue("CN=b", key=first.key)), "key")
    assert subject.subject_id(path(first), "key") == again
    assert known(by="key") != again
    assert again.startswith("key:")
    assert len(again) == 47


@pytest.mark.parametrize(
    "distinguished",
    [
        "CN=x",
        f"CN=x,2.5.4.5={NUMBER},2.5.4.5=R-2",
        f"CN=x,2.5.4.5={NUMBER},2.5.4.5={NUMBER}",
        x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, " ")]),
        x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, f" {NUMBER}")]),
    ],
    ids=["missing", "two", "the same twice", "empty", "with a space before it"],
)
def test_a_field_without_one_clear_value_names_nobody(distinguished: Any) -> None:
    """Rather no sign-in than another person's."""
    assert code(distinguished) == "subject-missing"


@pytest.mark.parametrize("value", ["", "  ", "R\n1", "R\x001", "R\u202e1", "R\u200b1", "あ" * 1025])
def test_a_value_that_cannot_be_seen_names_nobody(value: str) -> None:
    """Control characters, invisible ones, text without end."""
    assert code(by="jpki.name", san=(other_name(f"{JPKI}.1", value),)) == "subject-missing"


def test_a_field_that_is_no_text_names_nobody() -> None:
    """Two otherNames of the type, of which one is a number, would be one value too few: it is not guessed."""
    number = x509.OtherName(x509.ObjectIdentifier(f"{JPKI}.1"), core.Integer(5).dump())
    assert code(by="jpki.name", san=(number,)) == "subject-missing"


@pytest.mark.parametrize(
    "field",
    [
        "serial",
        "serialNumber",
        "certificate.serialNumber",
        "subject.serial",
        "jpki.number",
        "san.uri",
        "",
        "san.otherName.",
    ],
)
def test_what_is_no_field_is_a_mistake_of_the_operator(field: str) -> None:
    """The certificate's own serial number above all."""
    assert not subject.is_field(field)
    with pytest.raises(ValueError, match="no field"):
        known(by=field)


def test_the_fields_are_those_of_the_table() -> None:
    """Each name that attributes have can be promised."""
    fields = (*subject.NAMES.values(), *subject.JPKI_FIELDS.values())
    names = [f"subject.{each}" for each in subject.NAMES.values()]
    names += [f"jpki.{each}" for each in subject.JPKI_FIELDS.values()]
    assert len(fields) == len(set(names))
    assert all(map(subject.is_field, (*names, "key", "san.email", f"san.otherName.{JPKI}.1")))


# --- strings


@pytest.mark.parametrize(
    ("der", "text"),
    [
        (core.UTF8String("山田").dump(), "山田"),
        (core.PrintableString("A").dump(), "A"),
        (core.IA5String("a@b").dump(), "a@b"),
        (core.BMPString("山").dump(), "山"),
        (core.UTF8String("あ" * 100).dump(), "あ" * 100),
        (core.OctetString(b"x").dump(), None),
        (core.Integer(1).dump(), None),
        (b"\x0c\x01\xff", None),
        (b"\x0c\x02A", None),
        (b"\x0c\x01AB", None),
        (b"\x0c\x81\x01A", None),
        (b"\x0c\x82\x00\x80" + b"A" * 128, None),
        (b"\x0c\x80A\x00\x00", None),
        (b"\x13\x01\xe9", None),
        (b"\x1e\x01A", None),
        (b"\x1e\x02\xd8\x00", None),
        (b"\x0c", None),
        (b"", None),
    ],
)
def test_character_strings_are_read_strictly(der: bytes, text: str | None) -> None:
    """DER, and the octets that each type has."""
    assert subject.character_string(der) == text


@given(st.text(max_size=300))
def test_every_text_comes_back(text: str) -> None:
    """As another library wrote it."""
    assert subject.character_string(core.UTF8String(text).dump()) == text


@given(st.binary(max_size=60))
def test_whatever_octets_come_nothing_is_raised(octets: bytes) -> None:
    """They are text or they are not."""
    assert subject.character_string(octets) is None or octets
