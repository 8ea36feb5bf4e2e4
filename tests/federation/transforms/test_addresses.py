import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from federation.transforms import UnmappableError
from federation.transforms.address_parts import normalised
from federation.transforms.addresses import TRANSFORMS, join_address
from trust_lists.municipalities import DESIGNATED_CITIES, GOVERNMENTS, WARDS

from .test_transforms import TODAY

PARTS = ("address-prefecture", "address-city", "address-street", "address-block", "address-building")
U, A, N = "uncertain", "ambiguous-name", "not-given"


def part(name: str, text: str) -> str:
    """What the transform answers, or the reason why not."""
    try:
        (answer,) = TRANSFORMS[name].step(None)((text,), TODAY)
    except UnmappableError as refused:
        return refused.code
    return answer


def parts(text: str) -> tuple[str, ...]:
    """All five parts of an address."""
    return tuple(part(name, text) for name in PARTS)


@pytest.mark.parametrize(
    "written",
    [
        "群馬県前橋市大手町2-12-1",
        "群馬県前橋市大手町二丁目12番1号",
        "群馬県前橋市大手町２丁目１２番１号",
        "群馬県前橋市大手町２－１２－１",
        "群馬県前橋市大手町2‐12‐1",
        "群馬県前橋市大手町2—12–1",
        "群馬県前橋市大手町2−12−1",
        "群馬県前橋市大手町2ー12ー1",
        "群馬県前橋市大手町2ｰ12ｰ1",
        "群馬県前橋市大手町2丁目12-1",
        "群馬県前橋市大手町2丁目12の1",
        "群馬県前橋市大手町二丁目十二番一号",
        "群馬県前橋市大手町2丁目12番地の1",
        "群馬県前橋市大手町2丁目12番地1",
        "群馬県　前橋市　大手町　２丁目　１２番　１号",
        "前橋市大手町2丁目12番1号",
    ],
)
def test_one_address_however_it_is_written(written):
    """Width, kinds of hyphens, kanji numbers, 丁目番号 or hyphens, gaps, the prefecture left out: the same parts."""
    assert parts(written) == ("群馬県", "前橋市", "大手町", "2-12-1", N)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # municipalities whose names hold 市, 町, 村, numbers
        ("三重県四日市市諏訪町1番5号", ("三重県", "四日市市", "諏訪町", "1-5", N)),
        ("広島県廿日市市下平良一丁目11番1号", ("広島県", "廿日市市", "下平良", "1-11-1", N)),
        ("石川県野々市市三納一丁目1番地", ("石川県", "野々市市", "三納", "1-1", N)),
        ("長野県大町市大町3887番地", ("長野県", "大町市", "大町", "3887", N)),
        ("群馬県佐波郡玉村町大字下新田201番地", ("群馬県", "佐波郡玉村町", "大字下新田", "201", N)),
        ("北海道余市郡余市町朝日町26番地", ("北海道", "余市郡余市町", "朝日町", "26", N)),
        ("余市町朝日町26番地", ("北海道", "余市町", "朝日町", "26", N)),
        ("東京都町田市森野2-2-22", ("東京都", "町田市", "森野", "2-2-22", N)),
        ("千葉県市川市八幡一丁目1番1号", ("千葉県", "市川市", "八幡", "1-1-1", N)),
        ("新潟県村上市三之町1番1号", ("新潟県", "村上市", "三之町", "1-1", N)),
        ("新潟県三条市旭町二丁目3番1号", ("新潟県", "三条市", "旭町", "2-3-1", N)),
        ("東京都八王子市元本郷町三丁目24番1号", ("東京都", "八王子市", "元本郷町", "3-24-1", N)),
        ("東京都三宅島三宅村阿古497", ("東京都", "三宅島三宅村", "阿古", "497", N)),
        ("東京都利島村248番地", ("東京都", "利島村", N, "248", N)),
        ("茨城県龍ヶ崎市3710番地", ("茨城県", "龍ヶ崎市", N, "3710", N)),
        ("東京都葛\U000e0100飾区立石5-13-1", ("東京都", "葛\U000e0100飾区", "立石", "5-13-1", N)),
        # wards belong to the city
        ("北海道札幌市中央区北1条西2丁目", ("北海道", "札幌市中央区", "北1条西", "2丁目", N)),
        ("札幌市中央区北一条西二丁目3番地4", ("北海道", "札幌市中央区", "北一条西", "2-3-4", N)),
        ("神奈川県横浜市 都筑区センター南1丁目2-3", ("神奈川県", "横浜市都筑区", "センター南", "1-2-3", N)),
        ("静岡県浜松市中区元城町103-2", ("静岡県", U, U, U, U)),  # a ward of before 2024
        ("大阪府堺市堺区中瓦町2丁3番1号", ("大阪府", "堺市堺区", "中瓦町", "2-3-1", N)),
        ("大阪府堺市堺区中瓦町二丁3番1号", ("大阪府", "堺市堺区", U, U, U)),
        # numbers that are names
        ("東京都港区六本木六丁目10番1号", ("東京都", "港区", "六本木", "6-10-1", N)),
        ("東京都港区麻布十番一丁目2番3号", ("東京都", "港区", "麻布十番", "1-2-3", N)),
        ("東京都港区麻布十番2-3-4", ("東京都", "港区", "麻布十番", "2-3-4", N)),
        ("東京都千代田区一番町5-3", ("東京都", "千代田区", "一番町", "5-3", N)),
        ("東京都千代田区１番町５番地３", ("東京都", "千代田区", "1番町", "5-3", N)),
        ("愛媛県松山市一番町四丁目7番地2", ("愛媛県", "松山市", "一番町", "4-7-2", N)),
        ("和歌山県和歌山市七番丁23番地", ("和歌山県", "和歌山市", "七番丁", "23", N)),
        ("岩手県岩手郡雫石町第３地割１２番地", ("岩手県", "岩手郡雫石町", "第3地割", "12", N)),
        ("群馬県前橋市大手町百二十三番地", ("群馬県", "前橋市", "大手町", "123", N)),
        ("群馬県前橋市大手町一二三番地の四", ("群馬県", "前橋市", "大手町", "123-4", N)),
        # lots without a number, and no lot
        ("群馬県前橋市大手町無番地", ("群馬県", "前橋市", "大手町", "無番地", N)),
        ("群馬県前橋市大手町官有無番地", ("群馬県", "前橋市", "大手町", "官有無番地", N)),
        ("群馬県前橋市大手町", ("群馬県", "前橋市", "大手町", N, N)),
        ("群馬県前橋市", ("群馬県", "前橋市", N, N, N)),
        ("群馬県", ("群馬県", N, N, N, N)),
        # buildings
        ("前橋市大手町2-12-1 前橋ビル301号室", ("群馬県", "前橋市", "大手町", "2-12-1", "前橋ビル301号室")),
        ("前橋市大手町２丁目１２番１号前橋ビル３０１", ("群馬県", "前橋市", "大手町", "2-12-1", "前橋ビル301")),
        ("前橋市大手町2-12-1コーポ山田Ａ－１０１", ("群馬県", "前橋市", "大手町", "2-12-1", "コーポ山田Ａ-101")),
        ("前橋市大手町2-12-1 センタービル ３Ｆ", ("群馬県", "前橋市", "大手町", "2-12-1", "センタービル 3Ｆ")),
        ("前橋市大手町2-12-1 301", ("群馬県", "前橋市", "大手町", "2-12-1", "301")),
        ("前橋市大手町123番地4 山田様方", ("群馬県", "前橋市", "大手町", "123-4", "山田様方")),
        ("前橋市大手町123番地ハイツ大手", ("群馬県", "前橋市", "大手町", "123", "ハイツ大手")),
        ("前橋市大手町2丁目 前橋ビル", ("群馬県", "前橋市", "大手町", "2丁目", "前橋ビル")),
    ],
)
def test_addresses_in_their_parts(text, expected):
    """Written by hand from how such addresses are meant."""
    assert parts(text) == expected


@pytest.mark.parametrize(
    "tail",
    [
        "2-12-1-101",
        "2-12-101",
        "2-12-101号室",
        "2丁目12-3-4",
        "12番1-101号",
        "120-3-4",
        "12番 1",
        "12番地101",
        "12番地201号",
        "12番地の201号",
        "12番 201号",
        "12番地の3の401",
        "12-201号",
        "2-12-101号",
        "12番地ロ",
        "五十五丁目1-1",
    ],
)
def test_a_number_that_may_be_a_rooms_is_not_taken_for_a_houses(tail):
    """The town before it is certain all the same."""
    assert parts(f"群馬県前橋市大手町{tail}") == ("群馬県", "前橋市", "大手町", U, U)


@pytest.mark.parametrize(
    "tail",
    [
        "寺町通御池上る上本能寺前町488番地",
        "烏丸通四条下ル水銀屋町637",
        "広坂イ123",
        "乙456番地",
        "字相川西3線12番地",
        "大手町21世紀ビル",
        "大手町 県庁",
        "大手町県庁内",
        "大手町コーポ2-3-1",
        "大手町県営住宅3-201",
        "大手町第一生命ビル3-2-1",
        "大手町(中央)2-1",
        "大手町二ー12ー1",
        "ｵｵﾃ町2-1",
        "大手町2-1\x00",
        "大手町2-1\ud800",
        "大手町2-1\u202e",
    ],
)
def test_a_town_that_is_not_certain_stays_in_the_whole_address(tail):
    """Kyoto's names of streets, lots with letters, numbers inside names, what no printer prints."""
    assert parts(f"京都府京都市中京区{tail}")[:3] == ("京都府", "京都市中京区", U)


@pytest.mark.parametrize(
    "text", ["", " ", "前橋", "大手町2-12-1", "〒371-8601 群馬県前橋市大手町2-12-1", "Maebashi", "群馬"]
)
def test_what_begins_with_no_place_has_no_parts(text):
    """Nothing is searched for in the middle."""
    assert parts(text) == (U, U, U, U, U)


@pytest.mark.parametrize("text", ["府中市宮西町2-24", "中央区銀座1-2-3", "北区王子1-2-3", "池田町1-2"])
def test_a_municipality_that_is_not_the_only_one_needs_its_prefecture(text):
    """Two cities of Fuchū; 中央区 may be Tokyo's, or a ward of nine cities."""
    assert parts(text) == (A,) * 5


def test_a_municipality_that_a_merger_ended_is_not_guessed_at():
    """大胡町 went into 前橋市 in 2004; the prefecture is certain."""
    assert parts("群馬県勢多郡大胡町堀越1115") == ("群馬県", U, U, U, U)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("群馬県前橋市大手町2-12-1", "102016"),
        ("札幌市中央区北1条西2丁目", "011002"),
        ("静岡県浜松市中区元城町103-2", "221309"),
        ("広島県府中市府川町315", "342084"),
        ("府中市府川町315", A),
        ("群馬県", N),
        ("群馬県勢多郡大胡町堀越1115", U),
    ],
)
def test_an_address_tells_the_municipalitys_code(text, code):
    """Of the city where there are wards, also where the ward is not known."""
    assert part("address-municipality-code", text) == code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" 前橋市　大手町　２－１２－１ ", "前橋市 大手町 2-12-1"),
        ("センター－３", "センター－3"),
        ("センター3ー1", "センター3-1"),
        ("コーポA‐101", "コーポA-101"),
        ("二丁目", "二丁目"),
    ],
)
def test_normalising_touches_digits_hyphens_and_gaps_only(text, expected):
    """ー is a hyphen between digits and a part of a word after kana."""
    assert part("address-normalise", text) == expected


# --- laws

MUNICIPALITIES = [each for each in GOVERNMENTS if each.kind != "prefecture"]
CITIES = st.sampled_from(
    [(each.prefecture, each.county + each.name) for each in MUNICIPALITIES if each.code not in DESIGNATED_CITIES]
    + [(each.city.prefecture, each.city.name + each.name) for each in WARDS.values()]
)
TOWNS = st.sampled_from(
    ["大手町", "六本木", "一番町", "北1条西", "第3地割", "大字上細井", "センター南", "丸の内", "霞ケ関", "﨑山"]
)
CHOME, LOTS, HOUSES = st.integers(1, 49), st.integers(1, 9999), st.integers(1, 99)
BUILDINGS = st.sampled_from(["", "前橋ビル301", "コーポA-101", "101", "センタービル 3F", "山田様方"])
WRITINGS = (
    lambda a, b, c: f"{a}-{b}-{c}",
    lambda a, b, c: f"{a}丁目{b}番{c}号",
    lambda a, b, c: f"{a}丁目{b}番地{c}",
    lambda a, b, c: f"{a}丁目{b}番地の{c}",
    lambda a, b, c: f"{a}丁目 {b}-{c}",
    lambda a, b, c: f"{a}の{b}の{c}",
    lambda a, b, c: f"{kanji(a)}丁目{kanji(b)}番{kanji(c)}号",
)
WIDE = str.maketrans("0123456789-", "０１２３４５６７８９－")


def kanji(number: int) -> str:
    """The number by tens and hundreds."""
    digits = "〇一二三四五六七八九"
    text = ""
    for value, sign in ((1000, "千"), (100, "百"), (10, "十")):
        count, number = divmod(number, value)
        text += (digits[count] if count > 1 else "") + (sign if count else "")
    return text + (digits[number] if number else "")


@given(CITIES, TOWNS, CHOME, LOTS, HOUSES, BUILDINGS, st.sampled_from(WRITINGS), st.booleans())
def test_every_municipalitys_addresses_come_apart(  # noqa: PLR0917 - each part has its own strategy
    city, town, chome, lot, house, building, writing, wide
):
    """In each municipality and ward of the country, in each way of writing, the parts are those that it was made of."""
    written = f"{''.join(city)}{town}{writing(chome, lot, house)}" + (f" {building}" if building else "")
    assert parts(written.translate(WIDE) if wide else written) == (
        *city,
        town,
        f"{chome}-{lot}-{house}",
        building or N,
    )


@given(CITIES, TOWNS, CHOME, LOTS, HOUSES, BUILDINGS.filter(bool))
def test_parts_put_together_come_apart_again(  # noqa: PLR0917 - each part has its own strategy
    city, town, chome, lot, house, building
):
    """`join-address` is undone by the five transforms."""
    given_parts = (*city, town, f"{chome}-{lot}-{house}", building)
    assert parts(*join_address(given_parts)) == given_parts


PIECES = st.sampled_from(
    [
        *"0123456789０１一二三十百千-‐ーの 　甲イ上号番",
        "丁目",
        "番地",
        "号室",
        "大手町",
        "条",
        "ビル",
        "コーポ",
        "無番地",
        "地割",
        "A",
        "通",
        "先",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
@example("2丁目-")
@example("12番地の")
def test_parts_lose_and_invent_nothing(tail):
    """Where all parts of an address are certain, they are the address, but for gaps and the words between numbers."""
    written = f"群馬県前橋市{tail}"
    answers = parts(written)
    if U in answers:
        return
    whole = "".join(answer for answer in answers if answer != N)
    assert essence(whole) == essence(normalised(written))


def essence(text: str) -> str:
    """The text without gaps, hyphens and the words between numbers; kanji numbers digit by digit, tens written out."""
    bare = re.sub("[一二三十百千]+(?=丁目|番|号|$)", lambda found: str(value(found[0])), text)
    return re.sub("[- のノ]|(?<=[0-9])(丁目?|番地?|号)", "", bare)


def value(numeral: str) -> int:
    """The number that a kanji numeral is; by place if it has no 十, 百, 千."""
    if not re.search("[十百千]", numeral):
        return int("".join(str("〇一二三".index(digit)) for digit in numeral))
    total, digit = 0, 1
    for sign in numeral:
        if sign in "一二三":
            digit = "〇一二三".index(sign)
        else:
            total, digit = total + digit * {"十": 10, "百": 100, "千": 1000}[sign], 1
    return total + (digit if numeral[-1] in "一二三" else 0)


@given(st.text(max_size=60) | st.lists(PIECES, max_size=60).map("".join))
def test_normalising_an_address_twice_is_normalising_it_once(text):
    """And any text is answered or refused with a reason that the transform names."""
    once = part("address-normalise", text)
    assert part("address-normalise", once) == once
    for name, transform in TRANSFORMS.items():
        for address in (text, f"東京都港区{text}"):
            if not transform.combines:
                assert isinstance(part(name, address), str)


@pytest.mark.parametrize(
    "text", ["群馬県前橋市" + "一" * 5000, "群馬県前橋市" + " " * 100_000, "群馬県" + "あ" * 100_000, "1-" * 50_000]
)
def test_long_texts_are_refused(text):
    """No address is that long."""
    assert part("address-block", text) == U
    assert part("address-normalise", text) == U
