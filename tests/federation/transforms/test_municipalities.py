import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.transforms import TRANSFORMS
from trust_lists.municipalities import GOVERNMENTS, PREFECTURES, WARDS

from .test_transforms import TODAY, apply, refusal

MUNICIPALITIES = [each for each in GOVERNMENTS if each.kind != "prefecture"]
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
CODES = [
    "municipality-code",
    "municipality-code-6-to-5",
    "code-to-municipality-name",
    "code-to-full-name",
    "code-to-prefecture",
    "code-to-kana",
]


def test_every_code_loses_and_gets_its_check_digit():
    """Six digits to five and back, whatever the width."""
    for code in (government.code for government in GOVERNMENTS):
        (five,) = apply("municipality-code-6-to-5", code.translate(WIDE))
        assert five == code[:5]
        assert apply("municipality-code-5-to-6", five.translate(WIDE)) == (code,), code
        assert apply("municipality-code", code.translate(WIDE)) == (code,), code


@given(st.sampled_from(MUNICIPALITIES), st.sampled_from(["", " ", "\u3000"]))
def test_every_name_with_its_prefecture_is_its_code(government, gap):
    """With the county or without, with gaps or without; and back."""
    for county in ("", government.county):
        name = gap.join(filter(None, (government.prefecture, county, government.name)))
        assert apply("municipality-name-to-code", name) == (government.code,)
    full = apply("code-to-full-name", government.code)
    assert full == (government.prefecture + government.name,)
    assert apply("municipality-name-to-code", *full) == (government.code,)


@given(st.sampled_from(MUNICIPALITIES))
def test_every_name_is_its_code_within_its_prefecture(government):
    """For the systems of one prefecture, which leave it out."""
    within = TRANSFORMS["municipality-name-in"].step(government.prefecture)
    assert within((government.name,), TODAY) == (government.code,)
    assert within((government.prefecture + government.name,), TODAY) == (government.code,)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("前橋市", "102016"),
        ("群馬県前橋市", "102016"),
        ("余市郡余市町", "014087"),
        ("四日市市", "242021"),
        ("廿日市市", "342131"),
        ("千代田区", "131016"),
        ("竜ケ崎市", "082082"),
        ("檮原町", "394050"),
        ("葛\U000e0100城市", "292117"),
        ("広島県府中市", "342084"),
        ("上川郡清水町", "016365"),
    ],
)
def test_names_as_people_write_them(name, code):
    """Without prefecture where there is only one, with old characters, with a variation selector."""
    assert apply("municipality-name-to-code", name) == (code,)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("府中市", "ambiguous-name"),
        ("伊達市", "ambiguous-name"),
        ("池田町", "ambiguous-name"),
        ("中央区", "ambiguous-name"),
        ("群馬県", "not-a-municipality"),
        ("札幌市中央区", "not-a-municipality"),
        ("大胡町", "unknown-name"),
        ("群馬県前橋", "unknown-name"),
        ("前橋市大手町", "unknown-name"),
        ("東京都前橋市", "unknown-name"),
        ("Maebashi", "unknown-name"),
        ("", "unknown-name"),
    ],
)
def test_names_that_are_refused(name, reason):
    """Two cities of one name; what is no municipality; what is none any more; what is more or less than a name."""
    assert refusal("municipality-name-to-code", name) == reason


def test_the_prefecture_of_a_map_is_held_against_the_table():
    """A mistake in a map is told when it is read; another prefecture's name is not taken."""
    with pytest.raises(ValueError, match="name of a prefecture"):
        TRANSFORMS["municipality-name-in"].step("広島")
    within = TRANSFORMS["municipality-name-in"].step("広島県")
    assert within(("府中市",), TODAY) == ("342084",)
    for name in ("前橋市", "東京都府中市", "広島県", ""):
        with pytest.raises(Exception, match="unknown-name"):
            within((name,), TODAY)


def test_what_a_code_tells():
    """Name, name with prefecture, prefecture, reading; a prefecture's code tells its prefecture."""
    told = [apply(name, "102016") for name in CODES[2:]]
    assert told == [("前橋市",), ("群馬県前橋市",), ("群馬県",), ("マエバシシ",)]
    assert apply("code-to-prefecture", "100005") == ("群馬県",)
    assert refusal("code-to-municipality-name", "100005") == "not-a-municipality"


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("102017", "check-digit"),
        ("10201", "five-digits"),
        ("42056", "five-digits"),  # 042056 as a number, or a code of 42 長崎県 without its check digit
        ("103012", "unknown-code"),  # 大胡町, until 2004
        ("482013", "unknown-code"),
        ("011011", "ward-code"),
        ("1020160", "format"),
        ("10201-6", "format"),
        ("一〇二〇一六", "format"),
        ("١٠٢٠١٦", "format"),
        ("", "format"),
    ],
)
def test_codes_that_are_refused(name, code, reason):
    """Mistyped, of five digits, ended by a merger, of no prefecture, of a ward, no code at all."""
    assert refusal(name, code) == reason


def test_five_digits_are_held_against_the_table_too():
    """A check digit that is computed checks nothing."""
    assert refusal("municipality-code-5-to-6", "10301") == "unknown-code"
    assert refusal("municipality-code-5-to-6", "01101") == "ward-code"


def test_a_wards_code_becomes_its_citys():
    """Resident records of designated cities carry it; the city's own code stays."""
    for ward in WARDS.values():
        assert apply("ward-code-to-municipality-code", ward.code) == (ward.city.code,)
        assert apply("ward-code-to-municipality-code", ward.city.code) == (ward.city.code,)


@given(st.sampled_from([*CODES, "ward-code-to-municipality-code", "municipality-name-to-code"]), st.data())
def test_whatever_comes_is_refused_with_a_reason_that_is_named(name, data):
    """Near misses of codes and of names."""
    text = data.draw(
        st.text("0123456789０１", min_size=4, max_size=7)
        | st.lists(
            st.sampled_from([*PREFECTURES, "府中市", "郡", "市", " ", "東", "村山市", "中央区"]), max_size=4
        ).map("".join)
    )
    try:
        answers = len(apply(name, text))
    except Exception as refused:  # noqa: BLE001 - every exception but the documented ones fails below
        answers = refused.args
    assert answers in {1, *((reason,) for reason in TRANSFORMS[name].reasons)}


def test_the_names_are_as_long_as_the_search_for_them_supposes():
    """From 津市 to the longest with a county or a ward."""
    names = [name for each in MUNICIPALITIES for name in (each.name, each.county + each.name)]
    names += [ward.city.name + ward.name for ward in WARDS.values()]
    assert (min(map(len, names)), max(map(len, names))) == (2, 10)
