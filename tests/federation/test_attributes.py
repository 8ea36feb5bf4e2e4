import gc
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.attributes import (
    CANONICAL,
    LONGEST,
    MOST,
    TRANSFORMS,
    Applied,
    InwardMap,
    InwardRule,
    OutwardMap,
    OutwardRule,
    Value,
    applied,
    derived,
    inward,
    outward,
)
from federation.model import Kept
from federation.refusal import AttributeMissing
from federation.web import Document, HttpRequest, HttpResponse, PostForm, Redirect, WebRequest

TODAY = date(2026, 11, 22)


def read(raw, *rules):
    """What Maebashi's attributes come to by these rules."""
    return inward(InwardMap(rules=rules), raw, source="maebashi", today=TODAY)


def rule(to, *sources, transforms=()):
    """An inward rule."""
    return InwardRule(to=to, sources=sources, transforms=applied(*transforms))


def values(**texts):
    """Canonical attributes of one value each, from Maebashi."""
    return {name: (Value(text=text, source="maebashi"),) for name, text in texts.items()}


MAEBASHI = InwardMap(
    rules=(
        rule("familyName", "family_name", transforms=["strip", "nfc-safe"]),
        rule("familyNameKana", "family_name#ja-Kana-JP", transforms=["strip", "kana-full-width"]),
        rule("dateOfBirth", "birthdate", transforms=["wareki-to-iso"]),
        rule("fullName", "family_name", "given_name", transforms=["strip", "join-space"]),
        rule("email", "email"),
    )
)


def test_an_id_systems_attributes_become_canonical_values_with_their_source():
    """Names, kana, dates and joins; what no rule reads is dropped."""
    raw = {
        "family_name": ("髙橋\u3000",),
        "given_name": ("花子",),
        "family_name#ja-Kana-JP": ("ﾀｶﾊｼ",),
        "birthdate": ("昭和60年3月15日",),
        "email": ("a@example.jp", "b@example.jp"),
        "staff_note": ("secret",),
    }
    mapped = inward(MAEBASHI, raw, source="maebashi", today=TODAY)
    assert mapped.attributes == {
        "familyName": (Value(text="髙橋", source="maebashi"),),
        "familyNameKana": (Value(text="タカハシ", source="maebashi"),),
        "dateOfBirth": (Value(text="1985-03-15", source="maebashi"),),
        "fullName": (Value(text="髙橋 花子", source="maebashi"),),
        "email": (
            Value(text="a@example.jp", source="maebashi"),
            Value(text="b@example.jp", source="maebashi"),
        ),
    }
    assert mapped.absent == {}


def test_what_several_rules_read_of_one_text_is_what_each_would_read_alone():
    """The parts of an address, certain or not: the text is read once for all of them, and no rule notices."""
    parts = ("prefecture", "cityAndCounty", "streetAddress", "cityBlock", "buildingNameEtc")
    steps = ("address-prefecture", "address-city", "address-street", "address-block", "address-building")
    rules = [rule(to, "jusho", transforms=[step]) for to, step in zip(parts, steps, strict=True)]
    for text in ("群馬県前橋市大手町二丁目12番1号 市庁舎", "群馬県前橋市大手町2-12-1-101", "府中市宮西町2-24", "?"):
        together = inward(InwardMap(rules=tuple(rules)), {"jusho": (text,)}, source="s", today=TODAY)
        alone = [inward(InwardMap(rules=(each,)), {"jusho": (text,)}, source="s", today=TODAY) for each in rules]
        assert together.attributes == {name: v for each in alone for name, v in each.attributes.items()}
        assert together.absent == {name: code for each in alone for name, code in each.absent.items()}


def test_nothing_of_a_mapping_waits_for_the_garbage_collector():
    """Values go when the login goes, refused ones too."""
    rules = [rule("prefecture", "jusho", transforms=["address-prefecture"])]
    rules.append(rule("cityAndCounty", "jusho", transforms=["address-city"]))
    gc.collect()
    gc.disable()
    try:
        assert read({"jusho": ("どこか",)}, *rules).absent == {"prefecture": "uncertain", "cityAndCounty": "uncertain"}
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("raw", "made", "reason"),
    [
        ({}, rule("familyName", "sn"), "not-given"),
        ({"sn": ()}, rule("familyName", "sn"), "not-given"),
        ({"sn": ("\u3000",)}, rule("familyName", "sn"), "empty"),
        ({"sn": ("髙橋", "高橋")}, rule("familyName", "sn"), "several-values"),
        ({"sn": ("山\x00田",)}, rule("familyName", "sn"), "unusable-character"),
        ({"sn": ("山\ud800田",)}, rule("familyName", "sn"), "unusable-character"),
        ({"sn": ("山\u202e田",)}, rule("familyName", "sn"), "unusable-character"),
        ({"sn": ("山" * (LONGEST + 1),)}, rule("familyName", "sn"), "too-long"),
        (
            {"mail": tuple(f"{i}@example.jp" for i in range(MOST + 1))},
            rule("email", "mail"),
            "too-many-values",
        ),
        ({"kana": ("たかはし",)}, rule("familyNameKana", "kana"), "not-canonical"),
        ({"birth": ("1985-02-30",)}, rule("dateOfBirth", "birth"), "not-canonical"),
        (
            {"birth": ("昭和20年月日不詳",)},
            rule("dateOfBirth", "birth", transforms=["wareki-to-iso"]),
            "partial",
        ),
        ({"code": ("102017",)}, rule("localGovernmentCode", "code"), "not-canonical"),
        ({"code": ("011011",)}, rule("localGovernmentCode", "code"), "not-canonical"),  # 札幌市中央区, a ward
        ({"code": ("103012",)}, rule("localGovernmentCode", "code"), "not-canonical"),  # 大胡町, merged in 2004
        ({"a": ("佐藤",)}, rule("fullName", "a", "b", transforms=["join-space"]), "not-given"),
        (
            {"a": ("佐藤", "鈴木"), "b": ("花子",)},
            rule("fullName", "a", "b", transforms=["join-space"]),
            "several-values",
        ),
        ({}, rule("commonName", "a", "b", transforms=["first"]), "not-given"),
    ],
)
def test_what_cannot_be_mapped_is_absent_with_a_reason(raw, made, reason):
    """Nothing is cut, picked or filled in: half a full name or one of two family names would be a guess."""
    mapped = read(raw, made)
    assert (mapped.attributes, mapped.absent) == ({}, {made.to: reason})


def test_first_passes_over_sources_that_are_not_there():
    """An alias if the person has one, the alphabetic name otherwise: the map says so, nobody guesses."""
    made = rule("commonName", "alias", "name", transforms=["strip", "first"])
    assert read({"alias": ("",), "name": ("JOHN SMITH",)}, made).attributes == values(commonName="JOHN SMITH")
    assert read({"alias": ("山田",), "name": ("JOHN SMITH",)}, made).attributes == values(commonName="山田")


def test_the_same_value_twice_is_one_value():
    """Some identity providers repeat themselves."""
    assert read({"sn": ("髙橋", "髙橋 ")}, rule("familyName", "sn", transforms=["strip"])).attributes == values(
        familyName="髙橋"
    )


@given(st.dictionaries(st.sampled_from(["family_name", "given_name", "birthdate"]), st.tuples(st.text())))
def test_each_rule_makes_its_attribute_or_gives_a_reason(raw):
    """Whatever an ID system sends: every attribute is there with values or absent with a code, never both."""
    mapped = inward(MAEBASHI, raw, source="maebashi", today=TODAY)
    assert set(mapped.attributes) | set(mapped.absent) == {made.to for made in MAEBASHI.rules}
    assert not set(mapped.attributes) & set(mapped.absent)
    assert all(mapped.attributes.values())
    assert all(code.replace("-", "").isalnum() for code in mapped.absent.values())


GUNMA = OutwardMap(
    rules=(
        OutwardRule(to="urn:oid:2.5.4.4", friendly_name="sn", sources=("familyName",), required=True),
        OutwardRule(to="name", sources=("familyName", "givenName"), transforms=applied("join-space")),
        OutwardRule(to="birth", sources=("dateOfBirth",), transforms=applied("iso-to-wareki")),
    )
)


def test_a_service_gets_its_own_names_and_formats():
    """What cannot be made is absent with its reason and stops nothing, unless it is required."""
    canonical = values(familyName="髙橋", dateOfBirth="1985-03-15", email="a@example.jp")
    mapped = outward(GUNMA, canonical, today=TODAY)
    assert mapped.attributes == {"urn:oid:2.5.4.4": ("髙橋",), "birth": ("昭和60年3月15日",)}
    assert mapped.absent == {"name": "not-given"}


def test_only_what_is_wanted_is_made():
    """Nothing else leaves, not even a reason; names outside the map are ignored."""
    canonical = values(familyName="髙橋", givenName="花子", dateOfBirth="1985-03-15")
    mapped = outward(GUNMA, canonical, wanted={"birth", "phone"}, today=TODAY)
    assert (mapped.attributes, mapped.absent) == ({"birth": ("昭和60年3月15日",)}, {})


def test_without_a_required_attribute_nothing_is_released():
    """The refusal names attribute and reason; the reason is that of the way in, if it failed there."""
    with pytest.raises(AttributeMissing) as refused:
        outward(GUNMA, values(givenName="花子"), today=TODAY)
    assert refused.value.detail == "urn:oid:2.5.4.4: not-given"
    with pytest.raises(AttributeMissing) as refused:
        outward(GUNMA, values(givenName="花子"), absent={"familyName": "several-values"}, today=TODAY)
    assert refused.value.detail == "urn:oid:2.5.4.4: several-values"


def test_no_repr_of_what_travels_shows_a_value():
    """Messages and kept records hold attributes, codes and tokens; a log of them must not."""
    seen = [
        Kept(kind="code", key="k", value={"name": "髙橋"}, lifetime=timedelta(1)),
        HttpRequest(method="POST", url="https://a.example", headers={"Authorization": "髙橋"}, body="髙橋".encode()),
        HttpResponse(status=200, headers={"x": "髙橋"}, body="髙橋".encode()),
        WebRequest(method="POST", url="https://a.example", raw_query="髙橋", form=[("a", "髙橋")]),
        PostForm(action="https://a.example", fields=(("SAMLResponse", "髙橋"),)),
        Redirect(location="https://a.example?code=髙橋"),
        Document(body="髙橋".encode(), content_type="application/json"),
    ]
    assert "髙橋" not in repr(seen)
    assert "xe9" not in repr(seen)


def test_no_repr_shows_a_value():
    """Reprs reach logs."""
    mapped = read({"sn": ("髙橋",)}, rule("familyName", "sn"))
    assert "髙橋" not in repr(mapped.attributes) + repr(mapped) + repr(outward(GUNMA, mapped.attributes, today=TODAY))
    assert repr(Value(text="髙橋", source="maebashi")) == "Value(source='maebashi', evidence='')"


def test_the_consent_page_has_a_name_for_everything():
    """Every canonical attribute in both languages; an outward one by its own label or by its sources'."""
    assert all(texts["ja"] and texts["en"] for texts in CANONICAL.values())
    own = OutwardRule(to="x", sources=("sex",), label={"ja": "区分", "en": "Class"})
    assert own.shown_as() == {"ja": "区分", "en": "Class"}
    assert GUNMA.labels() == {
        "urn:oid:2.5.4.4": {"ja": "氏名（姓）", "en": "Family name"},
        "name": {"ja": "氏名（姓）・氏名（名）", "en": "Family name, Given name"},
        "birth": {"ja": "生年月日", "en": "Date of birth"},
    }


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: rule("surname", "sn"), "no such attribute in the vocabulary: surname"),
        (lambda: rule("familyName"), "familyName: at least one source is needed"),
        (lambda: rule("familyName", "sn", transforms=["trim"]), "no such transform: trim"),
        (lambda: rule("fullName", "a", "a", transforms=["join-space"]), "fullName: a source is named twice"),
        (
            lambda: rule("fullName", "a", "b"),
            "fullName: several sources need a transform that makes one value of them ("
            + ", ".join(name for name, each in TRANSFORMS.items() if each.combines)
            + ")",
        ),
        (
            lambda: rule("fullName", "a", transforms=["join-space"]),
            "fullName: join-space needs several sources, since several values of one have no order",
        ),
        (
            lambda: InwardMap(rules=(rule("sex", "a"), rule("sex", "b"))),
            "sex: two rules make the same attribute",
        ),
        (lambda: Applied("strip", "left"), "strip: takes no argument"),
        (lambda: Applied("over"), "over: needs an argument: an age from 1 to 129, such as 18"),
        (
            lambda: OutwardRule(to="x", sources=("surname",)),
            "no such attribute in the vocabulary: surname",
        ),
    ],
)
def test_maps_that_make_no_sense_are_not_made(make, text):
    """A mistake in a map is found when it is read, not when a resident signs in."""
    with pytest.raises(ValueError) as mistake:  # noqa: PT011 - the whole text is compared below
        make()
    assert str(mistake.value) == text


ADULT = OutwardRule(to="adult", sources=("dateOfBirth",), transforms=(Applied("over", "18"),))


def test_a_service_that_needs_an_adult_never_sees_a_birth_date():
    """What leaves is true or false, and the consent page says so."""
    mapped = outward(OutwardMap(rules=(ADULT,)), values(dateOfBirth="1985-03-15"), today=TODAY)
    assert mapped.attributes == {"adult": ("true",)}
    assert ADULT.shown_as() == {"ja": "18歳以上かどうか", "en": "Whether you are 18 or older"}
    assert OutwardMap(rules=(ADULT, *GUNMA.rules)).truths() == {"adult"}


def test_a_map_may_be_like_another_except():
    """In the other's order: what is left out is gone, what stands in both is one's own, what is new comes last."""
    own = (rule("fullName", "name"), rule("email", "mail"))
    like = (rule("familyName", "sn"), rule("fullName", "cn"), rule("sex", "gender"))
    assert derived(own, like, {"sex", "phoneNumber"}) == (like[0], own[0], own[1])
    assert derived((), like, ()) == like
