"""The guard finds what must never pass under every disguise, and leaves alone what only looks like it."""

import base64
import gzip
import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from federation.guard import CANONICAL_FIELDS, RULES, Evidence, Field, Finding, Guard, Kind, Outcome, refused
from federation.guard_glance import ordinary
from federation.guard_numbers import finds, in_plain_digits, is_my_number, is_resident_code
from federation.vocabulary import CANONICAL

from .guard_sample import COLLIDING, DISGUISES, HARMLESS, NUMBER, RESIDENT_CODE, WRONG, check_digit, my_numbers

GUARD = Guard()


def outcomes(*values: str, name: str | None = "note", guard: Guard = GUARD) -> set[tuple[Kind, Outcome]]:
    """What is found in one field."""
    return {(found.kind, found.outcome) for found in guard.inspect(name, values)}


REFUSED = (Kind.MY_NUMBER, Outcome.REFUSE)
REPORTED = (Kind.MY_NUMBER, Outcome.REPORT)


# --- check digits


def test_the_check_digit_of_the_fact_sheet() -> None:
    """12345678901 has 8; another last digit is none."""
    assert [d for d in "0123456789" if is_my_number(NUMBER[:11] + d)] == ["8"]


@given(st.text("0123456789", min_size=11, max_size=11))
def test_one_last_digit_in_ten_is_right(digits: str) -> None:
    """It is the one that the rule's own words give, but for nobody's twelve zeros."""
    assert [d for d in "0123456789" if is_my_number(digits + d)] == ([check_digit(digits)] if int(digits) else [])


def test_the_check_digit_of_a_resident_code() -> None:
    """The same weights over ten digits."""
    assert is_resident_code(RESIDENT_CODE)
    assert not is_resident_code(RESIDENT_CODE[:-1] + str((int(RESIDENT_CODE[-1]) + 1) % 10))


# --- disguises


@pytest.mark.parametrize(
    "name", ["note", "fullName", "familyNameKana", "fullAddress", "dateOfBirth", "sex", "個人番号"]
)
def test_every_disguise_is_seen_through(name: str) -> None:
    """Whatever the field, but one for numbers."""
    for disguise, disguised in DISGUISES.items():
        assert REFUSED in outcomes(disguised(NUMBER), name=name), disguise


@pytest.mark.parametrize("disguise", ["plain", "spaces", "full width", "kanji", "JSON", "base64", "percent-encoding"])
def test_other_numbers_are_found_as_well(disguise: str) -> None:
    """A hundred invented numbers, those that begin with zeros too."""
    for number in [*my_numbers(100), "000000000019"[:11] + check_digit("00000000001")]:
        assert REFUSED in outcomes(DISGUISES[disguise](number), name="fullName"), disguise


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_named_field_is_refused_with_a_wrong_check_digit(disguise: str) -> None:
    """A mistyped My Number is one."""
    if disguise not in {"in words", "circled, from ten on"}:
        assert REFUSED in outcomes(DISGUISES[disguise](WRONG), name="my_number")


@pytest.mark.parametrize(
    "name",
    [
        "個人番号",
        "マイナンバー",
        "ﾏｲﾅﾝﾊﾞｰ",
        "mynumber",
        "myNumber",
        "My-Number",
        "MY_NUMBER",
        "ｍｙｎｕｍｂｅｒ",
        "kojin_bango",
        "kojinBangou",
        "urn:example:attributes:kojinbango",
        "https://city.example/claims/my_number",
        "individualNumber",
    ],
)
def test_names_that_say_what_it_is(name: str) -> None:
    """In Japanese, English and Latin letters, whatever stands around."""
    assert outcomes(WRONG, name=name) == {REFUSED}


@pytest.mark.parametrize(
    "name", ["住民票コード", "juminhyoCode", "jūminhyō_kōdo", "juminhyo-code", "residentRecordCode"]
)
def test_resident_codes_by_name(name: str) -> None:
    """Eleven digits there, whatever their check digit."""
    assert outcomes("12345678900", name=name) == {(Kind.RESIDENT_CODE, Outcome.REFUSE)}


@pytest.mark.parametrize("name", ["note", "givenName", "cityBlock", "postalCode"])
def test_resident_codes_anywhere(name: str) -> None:
    """With the check digit, where no number has any business."""
    assert outcomes(RESIDENT_CODE, name=name) == {(Kind.RESIDENT_CODE, Outcome.REFUSE)}


def test_a_doubted_check_digit() -> None:
    """Then names tell, and fields in which no number has any business."""
    doubting = Guard(resident_code_check=False)
    assert outcomes(RESIDENT_CODE, guard=doubting) == set()
    assert outcomes("12345678900", name="fullName", guard=doubting) == {(Kind.RESIDENT_CODE, Outcome.REFUSE)}
    assert outcomes("12345678900", name="住民票コード", guard=doubting) == {(Kind.RESIDENT_CODE, Outcome.REFUSE)}


def test_a_label_in_a_text_counts_as_a_name() -> None:
    """「マイナンバー」 shortly before twelve digits."""
    assert outcomes(f"マイナンバー: {WRONG}") == {REFUSED}
    assert outcomes(json.dumps({"my_number": WRONG})) == {REFUSED}
    assert outcomes("住民票コードは12345678900") == {(Kind.RESIDENT_CODE, Outcome.REFUSE)}
    assert outcomes(f"マイナンバーカードの窓口は 0120-95-0178、受付は平日です。お問い合わせ番号 {WRONG}") == set()


def test_written_backwards() -> None:
    """Found where no number has any business; in free text it would be every fifth row of digits."""
    assert REFUSED in outcomes(NUMBER[::-1], name="fullName")
    assert outcomes(NUMBER[::-1]) == set()


def test_within_longer_rows() -> None:
    """In a name a part of a longer row is refused; free text is full of such rows."""
    assert REFUSED in outcomes(f"7{NUMBER}7", name="fullNameKana")
    assert outcomes(f"7{NUMBER}7") == set()
    assert REFUSED in outcomes("7" * 100, name="fullName")


@pytest.mark.parametrize("word", ["x", "と", "の", "dash"])
def test_one_word_between_the_groups(word: str) -> None:
    """Refused where no number has any business; free text counts many things like that."""
    for number in (word.join(NUMBER), word.join((NUMBER[:4], NUMBER[4:8], NUMBER[8:]))):
        assert REFUSED in outcomes(number, name="fullName")
        assert outcomes(number) == {REPORTED}


def test_a_part_of_a_longer_row_in_an_address() -> None:
    """An address has no thirteen digits on end."""
    assert [found.rule for found in GUARD.inspect("fullAddress", [f"大手町7{NUMBER}7"])] == ["my-number-in-address"]


@pytest.mark.parametrize("size", [10_000, 1 << 20, 2 << 20])
def test_a_disguise_that_unpacks_to_much_hides_nothing(size: int) -> None:
    """A text whose disguises are too large to look at does not pass, wherever the number stands; nor one too deep."""
    bomb = base64.b64encode(gzip.compress(b" " * size)).decode()
    assert refused(GUARD.inspect("note", [f"{bomb} {DISGUISES['base64'](NUMBER)}"])) is not None
    inside = base64.b64encode(gzip.compress(b" " * size + NUMBER.encode())).decode()
    assert refused(GUARD.inspect("note", [inside + "." + "x " * 40_000])) is not None
    deep = NUMBER
    for _ in range(8):
        deep = base64.b64encode(deep.encode()).decode()
    assert [found.rule for found in GUARD.inspect("note", [deep])] == ["uninspected-expansion"]


# --- in parts


@pytest.mark.parametrize(
    "attributes",
    [
        {"a": (NUMBER[:6],), "b": (NUMBER[6:],)},
        {"b": (NUMBER[6:],), "x": ("山田",), "a": (NUMBER[:6],)},
        {"a": (NUMBER[:4],), "b": (NUMBER[4:8],), "c": (NUMBER[8:],)},
        {"a": (NUMBER[:5], NUMBER[5:])},
        {"a": tuple(NUMBER)},
        {"a": ("１２３４－５６",), "b": ("七八九〇一八",)},
        {"buildingNameEtc": (NUMBER[:3],), "cityBlock": (NUMBER[3:],)},
    ],
    ids=["two", "the other way round", "three", "values", "single digits", "scripts", "address"],
)
def test_a_number_in_parts(attributes: dict[str, tuple[str, ...]]) -> None:
    """Over attributes in either order, or over the values of one."""
    assert refused(GUARD.inspect_all(attributes)) == Finding(
        kind=Kind.MY_NUMBER, outcome=Outcome.REFUSE, rule="my-number-split"
    )


def test_parts_that_a_known_form_explains() -> None:
    """Postal codes, dates, codes of municipalities and telephones are no parts of anything."""
    for seed in range(300):
        dice = random.Random(seed)
        found = GUARD.inspect_all(
            {
                "sex": ("1",),
                "phoneNumber": (f"090{dice.randint(10**7, 10**8 - 1)}",),
                "postalCode": (f"371{dice.randint(1000, 9999)}",),
                "streetAddressId": ("0001001",),
                "localGovernmentCode": ("102016",),
                "birthplace": ("102024",),
                "dateOfBirth": ("1985-03-15",),
                "birthdate": ("19850315",),
                "cityBlock": (f"{dice.randint(1, 40)}-{dice.randint(1, 40)}",),
            }
        )
        assert refused(found) is None


# --- fields


def test_every_canonical_attribute_has_a_field() -> None:
    """And telephones alone are for numbers."""
    assert CANONICAL_FIELDS.keys() == CANONICAL.keys()
    assert [name for name, field in CANONICAL_FIELDS.items() if field is Field.NUMBER] == ["phoneNumber"]


@pytest.mark.parametrize("name", ["phoneNumber", "電話番号", "customerNo", "顧客番号", "account_number", "お客様番号"])
def test_fields_for_numbers_report(name: str) -> None:
    """A telephone or customer number may look like it: it passes, and is counted."""
    assert outcomes(NUMBER, name=name) == {REPORTED}
    assert outcomes("1234 5678 9018", name=name) == {REPORTED}
    assert outcomes(WRONG, name=name) == set()


def test_an_allowance() -> None:
    """It turns a refusal into a report, but for fields that are named after it, and for certificates."""
    lenient = Guard(allowances=["ticket", "個人番号", "x5c", "serialNumber"])
    assert outcomes(NUMBER, name="ticket", guard=lenient) == {REPORTED}
    assert outcomes(NUMBER, name="Ticket", guard=lenient) == {REPORTED}
    assert outcomes(NUMBER, name="個人番号", guard=lenient) == {REFUSED}
    assert outcomes("0A1B2C3D", name="serialNumber", guard=lenient) <= {(Kind.SERIAL, Outcome.REPORT)}
    assert (Kind.CERTIFICATE, Outcome.REFUSE) in outcomes(PEM, name="x5c", guard=lenient)


def test_a_field_that_is_dropped_only_reports() -> None:
    """What no rule of a map takes goes nowhere."""
    found = GUARD.inspect_all({"個人番号": (NUMBER,), "name": ("山田",)}, passing={"name"})
    assert {(each.kind, each.outcome) for each in found} == {REPORTED}


def test_a_finding_names_known_names_only() -> None:
    """A name from outside can be the number itself."""
    known = Guard(known=["note"])
    assert [each.name for each in known.inspect("note", [NUMBER])] == ["note"]
    assert [each.name for each in known.inspect(f"n{NUMBER}", [NUMBER])] == [None]
    assert NUMBER not in repr(known.inspect("note", [NUMBER]))


def test_the_table_of_rules() -> None:
    """Each case has one rule, each code stands once; nothing in a named field or with a certificate is let through."""
    cases = [(r.kind, field, e) for r in RULES for field in r.fields for e in r.evidence or {None}]
    assert len(set(cases)) == len(cases)
    assert len({rule.code for rule in RULES}) == len(RULES)
    for rule in RULES:
        if Field.NAMED in rule.fields or rule.kind is Kind.CERTIFICATE:
            assert rule.outcome is Outcome.REFUSE
    for kind in (Kind.MY_NUMBER, Kind.RESIDENT_CODE):
        assert {e for r in RULES if r.kind is kind and Field.NAMED in r.fields for e in r.evidence} == set(Evidence)


# --- certificates


def _certificate() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "見本 太郎")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 0x0A1B2C3D4E5F, begin, begin + timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


CERTIFICATE = _certificate()
DER = CERTIFICATE.public_bytes(Encoding.DER)
PEM = CERTIFICATE.public_bytes(Encoding.PEM).decode()
P7 = pkcs7.serialize_certificates([CERTIFICATE], Encoding.DER)
DER64, P764 = base64.b64encode(DER).decode(), base64.b64encode(P7).decode()
CERTIFICATES = {
    "PEM": PEM,
    "PEM on one line": PEM.replace("\n", "\\n"),
    "base64": DER64,
    "base64url": base64.urlsafe_b64encode(DER).decode().rstrip("="),
    "base64 in short lines": "\n".join(DER64[n : n + 10] for n in range(0, len(DER64), 10)),
    "base64 in escaped lines": "\\n".join(DER64[n : n + 64] for n in range(0, len(DER64), 64)),
    "hexadecimal": DER.hex(),
    "hexadecimal with colons": DER.hex(":"),
    "base64 twice": base64.b64encode(DER64.encode()).decode(),
    "x5c": json.dumps({"x5c": [DER64]}),
    "x5c of a JWT": base64.urlsafe_b64encode(json.dumps({"alg": "ES256", "x5c": [DER64]}).encode()).decode()
    + ".e30.c2ln",
    "XML": f"<ds:X509Certificate>{DER64}</ds:X509Certificate>",
    "JSON in JSON": json.dumps(json.dumps({"cert": PEM})),
    "PKCS #7": P764,
    "PKCS #7, PEM": pkcs7.serialize_certificates([CERTIFICATE], Encoding.PEM).decode(),
    "percent-encoded": PEM.replace("-", "%2D").replace("\n", "%0A"),
    "a data URL": f"data:application/pkix-cert;base64,{DER64}",
}


@pytest.mark.parametrize("form", CERTIFICATES)
@pytest.mark.parametrize("name", ["note", "phoneNumber", "fullName", "userCertificate", None])
def test_certificates(form: str, name: str | None) -> None:
    """In every form and field."""
    assert (Kind.CERTIFICATE, Outcome.REFUSE) in outcomes(CERTIFICATES[form], name=name)


def test_keys_and_signatures_are_no_certificates() -> None:
    """What a service may well exchange."""
    key = CERTIFICATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert outcomes(key) == set()
    assert outcomes(base64.b64encode(CERTIFICATE.signature).decode()) == set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("serialNumber", "0A1B2C3D"),
        ("certificateSerialNumber", "4a:3b:2c:1d"),
        ("X509SerialNumber", "123456789"),
        ("2.5.4.5", "99887766"),
        ("urn:oid:2.5.4.5", "99887766"),
        ("シリアル番号", "1a2b3c4d"),
        ("note", "serialNumber=0A1B2C3D, CN=見本"),
        ("note", '{"serial_number": "0A1B2C3D4E"}'),
        ("note", "証明書のシリアル番号：0A1B2C3D4E"),
        ("note", "<X509SerialNumber>123456789012345678</X509SerialNumber>"),
        ("note", "ｓｅｒｉａｌＮｕｍｂｅｒ＝０Ａ１Ｂ２Ｃ３Ｄ"),
        ("fullName", "4a:3b:2c:1d:5e:6f:70:81"),
    ],
)
def test_serial_numbers_of_certificates(name: str, value: str) -> None:
    """By the name of the field, the OID of the name's part, or what the text says."""
    assert outcomes(value, name=name) == {(Kind.SERIAL, Outcome.REFUSE)}


# --- what is none

SIZE = 400


def rates() -> dict[str, tuple[float, float]]:
    """How often what is harmless is refused, and reported, by its kind; in free text, or in the field it belongs in."""
    cases = {kind: ("note", made) for kind, made in HARMLESS.items()} | dict(COLLIDING)
    found = {}
    for kind, (name, made) in cases.items():
        dice = random.Random(kind)
        seen = [outcomes(made(dice), name=name) for _ in range(SIZE)]
        found[kind] = tuple(
            sum(any(outcome is wanted for _, outcome in each) for each in seen) / SIZE for wanted in Outcome
        )
    return found  # type: ignore[return-value]  # two outcomes


def test_what_is_harmless_passes() -> None:
    """Nothing of the corpus is refused; what may collide is reported as often as check digits must by chance."""
    found = rates()
    assert {kind: refusals for kind, (refusals, _) in found.items() if refusals} == {}
    assert {kind: reports for kind, (_, reports) in found.items() if reports > 0.2} == {}


@pytest.mark.parametrize("value", ["725ab7df8da63e001654927134c6aee1", f"a1b2c3d4e5f6a7b8c9d0e1f2a{'00' + NUMBER}f"])
def test_zeros_before_a_number_in_a_hexadecimal_word(value: str) -> None:
    """A person's hexadecimal identifier is not refused for the digits that chance put there."""
    assert refused(GUARD.inspect("subject", [value])) is None


def test_addresses_in_their_fields_pass() -> None:
    """Blocks, rooms and postal codes in address fields are never refused."""
    for kind in ("address", "address with its postal code", "postal code"):
        dice = random.Random(kind)
        for name in ("fullAddress", "cityBlock", "buildingNameEtc"):
            found = [outcomes(HARMLESS[kind](dice), name=name) for _ in range(SIZE)]
            assert not any(outcome is Outcome.REFUSE for each in found for _, outcome in each), kind


def test_names_and_ordinary_attributes_pass() -> None:
    """Names with numerals among them, and a whole set of attributes."""
    attributes = {
        "familyName": ("三田村",),
        "fullName": ("一二三 五十六",),
        "fullNameEn": ("YAMADA Taro III",),
        "fullNameKana": ("ミタムラ　イソロク",),
        "dateOfBirth": ("1985-03-15",),
        "sex": ("1",),
        "localGovernmentCode": ("102016",),
        "postalCode": ("3718601",),
        "fullAddress": ("群馬県前橋市大手町二丁目１２番１号　第三ビル１２０３号室",),
        "email": ("taro.yamada.1985@mail.example.jp",),
        "subject": ("b7f2c1de-4f5a-4c1a-9d36-2f1f0a9c8b11",),
    }
    assert GUARD.inspect_all(attributes) == ()


# --- any text


def test_lone_surrogates_are_no_error() -> None:
    """JSON carries them, also behind an escape; an encoding error would quote the text."""
    for text in ("\ud800%31%32", "%5cud800 %31", "\\ud800%31", "\udc80&amp;=31=32", "\ud800" * 20):
        assert outcomes(text) == set()
        assert REFUSED in outcomes(f"{text} {NUMBER}", name="fullName")


@given(st.text(max_size=200), st.sampled_from(["note", "fullName", "phoneNumber", "個人番号", None]))
def test_any_text_is_looked_at(text: str, name: str | None) -> None:
    """Surrogates, controls, mixed scripts: an answer, never an exception."""
    GUARD.inspect(name, (text,))
    list(finds(in_plain_digits(text), anything=True))


_SIGNS = st.sampled_from(
    [
        *"0123456789",
        "１",
        "二",
        "⑫",
        "½",
        "㏠",
        "億",
        "万",
        "千",
        "十",
        " ",
        "-",
        "\u200b",
        "x",
        "&#4",
        "%3",
        "\\x",
        "MI",
        "erial",
        "=",
        ":",
        "3",
        "ſ",
        "ı",
        "シリアル",
        "ＥＲ",
        "-----BEGIN",
        "CERTIFICATE",
        "2.5.4.5",
        "\n",
        "0x",
        "T",
        "Z",
        "+09:00",
        "MTIz",
    ]
)
_LIKELY = st.one_of(
    st.lists(_SIGNS, max_size=40).map("".join),
    st.text("0123456789abcdef-T:Z.+ ", max_size=40),
    st.sampled_from(sorted(DISGUISES)).map(lambda each: DISGUISES[each](NUMBER)),
    st.sampled_from(sorted(HARMLESS)).map(lambda each: HARMLESS[each](random.Random(each))),
    st.binary(max_size=20).map(lambda octets: octets.hex(":")),
    st.uuids().map(str),
    st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
)


@given(st.lists(_LIKELY, min_size=1, max_size=3).map("".join), st.sampled_from([*Field]))
@example("00000000-0002-1000-0000-00000000000a", Field.NAMED)
def test_what_seems_ordinary_at_a_glance_holds_nothing(text: str, field: Field) -> None:
    """The glance, which most texts pass, never lets anything through that a close look finds."""
    if ordinary(text):
        assert list(GUARD._look(text, field, Kind.MY_NUMBER if field is Field.NAMED else None)) == []


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_number_among_other_text(before: str, after: str) -> None:
    """Text around it, with a word between, does not hide it in a name."""
    text = f"{before} x {NUMBER} x {after}"
    assert REFUSED in outcomes(text, name="fullName")


LONG = ("1", "1 ", "a1", "%31", "ab:", "M ", "\\", "MI", "&#49", "=", "49 ", "1,", "億", "0x", "A", "{", '"', "<")


@pytest.mark.parametrize("text", [piece * (100_000 // len(piece)) for piece in LONG], ids=map(repr, LONG))
def test_long_texts_end(text: str) -> None:
    """Nothing goes over the same text again and again."""
    for name in ("note", "fullName"):
        GUARD.inspect(name, (text,))
