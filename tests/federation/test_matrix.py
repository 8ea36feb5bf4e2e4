"""Every ID system with every service: what each service gets of whom, by its own names.

For a few residents of the demo all of it is written out. For the hundreds of the corpus it follows from what is written
there of their attributes: a service gets those that its map names, in its own words, and nothing else.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from federation.attributes import Mapped, Value, inward, outward
from federation.guard import refused
from federation.oidc.claims import flatten
from federation.refusal import AttributeMissing
from federation.transforms import TRANSFORMS, UnmappableError
from gateway.demo import residents as demo
from tests.corpus.maps import SERVICES, TODAY, inward_map, outward_map, transformed
from tests.corpus.names import NAMES
from tests.corpus.outcome import SYSTEMS, Absent, Outcome
from tests.corpus.residents import Resident, residents
from tests.corpus.services import ADULTS, FACTS, HOME, MEMBERS, SHRUNK

RESIDENTS = tuple(residents())
PAIRINGS = [(system, service) for system in SYSTEMS for service in SERVICES]

NAME = "urn:oid:2.16.840.1.113730.3.1.241"
GUNMA = "https://portal.gunma.example/attributes/"
LIBRARY = "https://library.takasaki.example/attributes/"
POSTAL_ADDRESS = "urn:oid:2.5.4.16"

# --- a few residents, written out

GIVEN: Mapping[tuple[str, str, str], Mapping[str, str]] = {
    # ID system, resident, service: what it gets
    ("maebashi", "takahashi", "gunma-portal"): {
        NAME: "髙橋 花子",
        GUNMA + "furigana": "タカハシ ハナコ",
        GUNMA + "seinengappi": "1985-03-15",
        GUNMA + "seibetsu": "女性",
        POSTAL_ADDRESS: "群馬県前橋市大手町２丁目１２－１",
        GUNMA + "dantai-code": "102016",
    },
    ("maebashi", "takahashi", "takasaki-library"): {NAME: "髙橋 花子", LIBRARY + "yomi": "タカハシ ハナコ"},
    ("maebashi", "takahashi", "participation"): {"name": "髙橋 花子", "adult": "true", "member_resident": "true"},
    ("maebashi", "suryani", "gunma-portal"): {
        NAME: "SURYANI",
        GUNMA + "tsusho": "木村　スリヤニ",
        GUNMA + "seinengappi": "1997-08-22",
        GUNMA + "seibetsu": "女性",
        POSTAL_ADDRESS: "群馬県前橋市千代田町５—１—１６",
        GUNMA + "dantai-code": "102016",
    },
    ("maebashi", "suryani", "takasaki-library"): {NAME: "SURYANI"},
    ("maebashi", "suryani", "participation"): {"name": "SURYANI", "adult": "true", "member_resident": "true"},
    ("ebetsu", "sasaki", "gunma-portal"): {
        NAME: "佐々木　一郎",
        GUNMA + "furigana": "ササキ イチロウ",
        GUNMA + "seinengappi": "1985-03-15",
        GUNMA + "seibetsu": "男性",
        POSTAL_ADDRESS: "北海道江別市高砂町６番地",
        GUNMA + "dantai-code": "012173",
    },
    ("ebetsu", "sasaki", "takasaki-library"): {NAME: "佐々木　一郎", LIBRARY + "yomi": "ササキ イチロウ"},
    ("ebetsu", "sasaki", "participation"): {"name": "佐々木　一郎", "adult": "true", "member_resident": "true"},
    ("ebetsu", "honma", "gunma-portal"): {
        NAME: "本間　ハナ",
        GUNMA + "furigana": "ホンマ ハナ",
        GUNMA + "seibetsu": "女性",
        POSTAL_ADDRESS: "北海道江別市大麻中町２６番地の７",
        GUNMA + "dantai-code": "012173",
    },
    ("ebetsu", "chen", "gunma-portal"): {
        NAME: "CHEN WEI",
        GUNMA + "furigana": "チェン ウェイ",
        GUNMA + "tsusho": "江田　偉",
        GUNMA + "seinengappi": "1992-02-29",
        GUNMA + "seibetsu": "男性",
        POSTAL_ADDRESS: "北海道江別市野幌町１０－１",
        GUNMA + "dantai-code": "012173",
    },
    ("ebetsu", "chen", "takasaki-library"): {NAME: "CHEN WEI", LIBRARY + "yomi": "チェン ウェイ"},
    ("maebashi", "tamura", "participation"): {"name": "田村 さくら", "adult": "false", "member_resident": "true"},
    ("ebetsu", "honma", "participation"): {"name": "本間　ハナ", "member_resident": "true"},
    ("omura", "iwanaga", "gunma-portal"): {
        NAME: "岩永　一",
        GUNMA + "furigana": "イワナガ ハジメ",
        GUNMA + "seinengappi": "1961-11-03",
        GUNMA + "seibetsu": "男性",
        POSTAL_ADDRESS: "長崎県大村市本町４５８–２　プラットおおむら",
        GUNMA + "dantai-code": "422053",
    },
    ("omura", "yoshida", "takasaki-library"): {NAME: "𠮷田　修", LIBRARY + "yomi": "ヨシダ オサム"},
    ("omura", "yoshida", "participation"): {"name": "𠮷田　修", "adult": "true", "member_resident": "true"},
    ("omura", "santos", "gunma-portal"): {
        NAME: "SANTOS CRUZ MARIA",
        GUNMA + "seinengappi": "2001-07-09",
        POSTAL_ADDRESS: "長崎県大村市植松３‑７６３",
        GUNMA + "dantai-code": "422053",
    },
    ("omura", "santos", "takasaki-library"): {NAME: "SANTOS CRUZ MARIA"},
    ("omura", "santos", "participation"): {"name": "SANTOS CRUZ MARIA", "adult": "true", "member_resident": "true"},
}

REGISTERS = {"maebashi": demo.maebashi, "ebetsu": demo.ebetsu, "omura": demo.omura}


@pytest.mark.parametrize(("system", "key", "service"), GIVEN, ids=lambda value: value)
def test_what_a_service_gets_of_a_resident(system: str, key: str, service: str) -> None:
    """All of it, each under the service's own name."""
    resident = demo.find(REGISTERS[system](TODAY), key)
    assert resident is not None
    names = demo.EBETSU_NAMES if system == "ebetsu" else {}
    record = {names.get(name, name): value for name, value in resident.record.items()}
    found = released(service, came(system, record))
    assert dict(found.attributes) == {name: (value,) for name, value in GIVEN[system, key, service].items()}


def test_every_pairing_is_written_out() -> None:
    """At least once."""
    assert {(system, service) for system, _, service in GIVEN} == set(PAIRINGS)


# --- all residents of the corpus

WORDS: Mapping[str, Outcome] = {"0": "不明", "1": "男性", "2": "女性", "9": Absent("not-expressible")}
"""What Gunma's portal calls the codes of ISO/IEC 5218."""

WANTS: Mapping[str, Mapping[str, str]] = {
    "gunma-portal": {
        NAME: "fullName",
        GUNMA + "furigana": "fullNameKana",
        GUNMA + "tsusho": "commonName",
        GUNMA + "seinengappi": "dateOfBirth",
        GUNMA + "seibetsu": "sex",
        POSTAL_ADDRESS: "fullAddress",
        GUNMA + "dantai-code": "localGovernmentCode",
    },
    "takasaki-library": {NAME: "fullName", LIBRARY + "yomi": "fullNameKana"},
    "participation": {"name": "fullName", "adult": "dateOfBirth", "member_resident": "localGovernmentCode"},
}
"""Service → its own name → the attribute that it wants there, or of which it learns a fact."""

REQUIRED = {"gunma-portal": NAME, "takasaki-library": NAME, "participation": "name"}


def came(system: str, record: Mapping[str, Any]) -> Mapped[Value]:
    """What the region learns."""
    return inward(inward_map(system), flatten(record), source=system, today=TODAY)


def released(service: str, found: Mapped[Value], wanted: set[str] | None = None) -> Mapped[str]:
    """What the service gets of it."""
    return outward(outward_map(service), found.attributes, today=TODAY, wanted=wanted, absent=found.absent)


def due(service: str, resident: Resident) -> dict[str, Outcome]:
    """What the service is to get, by what the corpus says of the resident."""
    there = {name: resident.expected.get(source, Absent("not-given")) for name, source in WANTS[service].items()}
    said = {GUNMA + "seibetsu": WORDS, "adult": ADULTS, "member_resident": MEMBERS}
    return {
        name: said[name][outcome] if name in said and isinstance(outcome, str) else outcome
        for name, outcome in there.items()
    }


def of(system: str) -> list[Resident]:
    """The corpus's residents of that ID system."""
    return [resident for resident in RESIDENTS if resident.system == system]


@pytest.mark.parametrize(("system", "service"), PAIRINGS)
def test_a_service_gets_its_own_attributes_in_its_own_words_and_nothing_else(system: str, service: str) -> None:
    """Everybody: value or reason for each name of the map; without what it requires, a refusal that holds no value."""
    refusals = 0
    for resident in of(system):
        found, expected = came(system, resident.record), due(service, resident)
        required = expected[REQUIRED[service]]
        if isinstance(required, Absent):
            refusals += 1
            with pytest.raises(AttributeMissing) as refusal:
                released(service, found)
            assert refusal.value.detail == f"{REQUIRED[service]}: {required.reason}", resident.corner
            continue
        got = released(service, found)
        assert {
            **{name: values[0] for name, values in got.attributes.items()},
            **{name: Absent(reason) for name, reason in got.absent.items()},
        } == expected, resident.corner
        assert all(len(values) == 1 for values in got.attributes.values())
    assert refusals == sum(isinstance(each.expected["fullName"], Absent) for each in of(system)) > 0


@pytest.mark.parametrize(("system", "service"), PAIRINGS)
def test_what_is_not_wanted_does_not_leave(system: str, service: str) -> None:
    """Whatever single attribute is asked for, that one at most; nothing where nothing is wanted."""
    for resident in of(system):
        found = came(system, resident.record)
        assert released(service, found, set()) == Mapped(attributes={}, absent={})
        for name, expected in due(service, resident).items():
            if isinstance(expected, Absent) and name == REQUIRED[service]:
                continue
            got = released(service, found, {name, "fullAddress", "dateOfBirth"})
            assert dict(got.attributes) == ({} if isinstance(expected, Absent) else {name: (expected,)})


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_guard_lets_residents_pass(system: str) -> None:
    """Odd names, dates, addresses and telephone numbers hold nothing that must not pass; 500 digits in a row may."""
    for resident in of(system):
        digits = "a row of digits" in resident.corner and system != "omura"  # who writes them in kanji, all alike
        finding = refused(inward_map(system).findings(flatten(resident.record)))
        assert (finding is not None) == digits, resident.corner
        for service in SERVICES:
            if isinstance(due(service, resident)[REQUIRED[service]], str):
                got = released(service, came(system, resident.record))
                assert refused(outward_map(service).findings(got.attributes)) is None, resident.corner


# --- there and back

BOTH_WAYS = (
    # attribute, outward transform
    ("dateOfBirth", "iso-to-wareki"),
    ("dateOfBirth", "iso-to-wareki-kanji"),
    ("dateOfBirth", "iso-to-wareki-letter"),
    ("dateOfBirth", "iso-to-wareki-compact"),
    ("dateOfBirth", "iso-to-era-digit-date"),
    ("dateOfBirth", "iso-to-jpki-date"),
    ("dateOfBirth", "iso-to-compact-date"),
    ("sex", "sex-to-japanese"),
    ("sex", "sex-to-openid"),
    ("sex", "sex-to-letter"),
    ("fullNameKana", "kana-half-width"),
    ("fullNameKana", "katakana-to-hiragana"),
    ("familyNameKana", "kana-half-width"),
    ("givenNameKana", "katakana-to-hiragana"),
    ("localGovernmentCode", "municipality-code-6-to-5"),
    ("localGovernmentCode", "code-to-full-name"),
    ("postalCode", "postal-code-with-hyphen"),
    ("phoneNumber", "phone-to-national"),
    ("cityBlock", "ascii-full-width"),
)
"""Transforms that another gives back what they took."""

ONE_WAY = {
    "dateOfBirth": {"before-1873"},
    "sex": {"not-expressible"},
    "localGovernmentCode": {"not-a-municipality"},
    "phoneNumber": {"not-japanese"},
}
"""What they may refuse of the corpus's values."""


@pytest.mark.parametrize(("attribute", "transform"), BOTH_WAYS)
def test_what_a_service_gets_leads_back_to_what_the_region_knows(attribute: str, transform: str) -> None:
    """For everybody of the corpus: back to the same value, or a refusal where there is no way to write it."""
    inverse = TRANSFORMS[transform].inverse
    assert inverse is not None
    there, back = TRANSFORMS[transform].step(None), TRANSFORMS[inverse].step(None)
    values = {each.expected.get(attribute) for each in RESIDENTS}
    texts = {value for value in values if isinstance(value, str)}
    refusals: dict[str, str] = {}
    for text in texts:
        try:
            written = there((text,), TODAY)
        except UnmappableError as reason:
            refusals[text] = reason.code
        else:
            assert back(written, TODAY) == (text,), transform
    assert set(refusals.values()) <= ONE_WAY.get(attribute, set())
    assert len(refusals) <= len(texts) / 2


# --- services that take fewer characters, or learn facts alone


@pytest.mark.parametrize(("registered", "small", "substitutes"), SHRUNK, ids=str)
def test_a_service_with_fewer_characters_is_told_which_are_substitutes(
    registered: str, small: Outcome, substitutes: Outcome
) -> None:
    """By one explicit table; what that does not know is refused, never dropped."""
    assert transformed("shrink", "jis-x-0208", registered) == small
    assert transformed("shrunk-characters", "jis-x-0208", registered) == substitutes


def test_every_name_of_the_corpus_fits_or_is_refused() -> None:
    """Within JIS X 0208 after shrinking, by a codec that is not ours; nobody's name is cut."""
    for name in NAMES:
        registered = name.family + name.given
        small = transformed("shrink", "jis-x-0208", registered)
        if isinstance(small, Absent):
            assert small.reason == "outside-repertoire"
            assert name.corner in {"hangul", "simplified characters"}
        else:
            small.encode("iso2022_jp")
            assert len(small) == sum(not 0xE0100 <= ord(character) <= 0xE01EF for character in registered)


@pytest.mark.parametrize(("birth", "adult", "reached", "group"), FACTS)
def test_facts_of_an_age(birth: str, adult: str, reached: str, group: str) -> None:
    """From the birthday on; by the day before it for what counts in whole days."""
    assert transformed("over", "18", birth) == adult
    assert transformed("reaches", "18", birth) == reached
    assert transformed("age-band", "15,65", birth) == group


@pytest.mark.parametrize(("code", "here", "near"), HOME)
def test_facts_of_a_home(code: str, here: Outcome, near: Outcome) -> None:
    """Of municipalities that there are, and of no ward, prefecture, or one that a merger ended."""
    assert transformed("resident-of", "102016,102024", code) == here
    assert transformed("same-prefecture", "102016", code) == near
