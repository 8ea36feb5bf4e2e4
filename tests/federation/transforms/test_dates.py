from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.transforms.dates import (
    ERAS,
    FIRST_SOLAR_DAY,
    DateRefusedError,
    era_digits,
    read_compact,
    read_era_digit,
    read_gregorian,
    read_jpki,
    read_wareki,
    read_year,
    write_era_digit,
    write_jpki,
    write_wareki,
    write_wareki_compact,
    write_wareki_kanji,
    write_wareki_letter,
)

WRITERS = (
    write_wareki,
    write_wareki_kanji,
    write_wareki_letter,
    write_wareki_compact,
    write_era_digit,
    write_jpki,
)

solar_days = st.dates(min_value=FIRST_SOLAR_DAY, max_value=date(2117, 12, 31))
FULL_WIDTH = str.maketrans("0123456789./-RHSTM", "０１２３４５６７８９．／－ＲＨＳＴＭ")


def kanji(number: int) -> str:
    """The number by tens, as in 二十三."""
    tens, ones = divmod(number, 10)
    digits = "〇一二三四五六七八九"
    return ("" if tens < 2 else digits[tens]) + ("十" if tens else "") + (digits[ones] if ones else "")


@given(solar_days)
def test_what_is_written_by_era_is_read_as_the_same_day(day):
    """Every day since 明治6年1月1日 goes to its era date and back."""
    assert read_wareki(write_wareki(day)) == day


@given(solar_days, st.sampled_from("./-,、 "), st.sampled_from(["", ".", " "]), st.booleans(), st.booleans())
def test_the_letters_of_eras_read_like_their_names(day, separator, after, wide, small):
    """R, H, S, T, M with any separator, in either width and case, with or without leading zeros, also S.60.3.15."""
    era = next(era for era in ERAS if era.first <= day <= era.last)
    letter = era.signs[-1].lower() if small else era.signs[-1]
    text = f"{letter}{after}{day.year - era.first.year + 1:02}{separator}{day.month:02}{separator}{day.day}"
    assert read_wareki(text.translate(FULL_WIDTH) if wide else text) == day


@given(solar_days)
def test_kanji_numbers_read_like_digits(day):
    """昭和六十年三月十五日."""
    era = next(era for era in ERAS if era.first <= day <= era.last)
    year = kanji(day.year - era.first.year + 1)
    assert read_wareki(f"{era.signs[0]}{year}年{kanji(day.month)}月{kanji(day.day)}日") == day


@given(solar_days)
def test_the_common_era_reads_in_every_way_it_is_written(day):
    """ISO, with other separators, with 年月日 and as eight digits."""
    expected = [day] * 4
    written = [day.isoformat(), day.strftime("%Y/%m/%d"), f"{day.year}.{day.month}.{day.day}"]
    read = [read_gregorian(text) for text in written]
    assert [*read, read_gregorian(f"{day.year:04}年{day.month}月{day.day}日")] == expected
    assert read_compact(day.strftime("%Y%m%d")) == day


@given(st.text(alphabet="昭和平成令明治大正RHSTM元0123456789〇一二十年月日不詳./- 　"))
def test_a_text_is_a_day_or_refused_with_a_known_reason(text):
    """Whatever comes, the answer is a day or one of five codes, and the refusal holds nothing of the text."""
    for read in (read_wareki, read_gregorian, read_compact, read_era_digit, read_jpki):
        try:
            outcome = type(read(text))
        except DateRefusedError as refused:
            outcome = str(refused)
        assert outcome in {date, "format", "partial", "impossible-date", "outside-era", "before-1873"}


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("明治45年7月30日", date(1912, 7, 30)),
        ("大正元年7月30日", date(1912, 7, 30)),
        ("大正15年12月25日", date(1926, 12, 25)),
        ("昭和元年12月25日", date(1926, 12, 25)),
        ("昭和64年1月7日", date(1989, 1, 7)),
        ("平成元年1月8日", date(1989, 1, 8)),
        ("平成31年4月30日", date(2019, 4, 30)),
        ("令和元年5月1日", date(2019, 5, 1)),
        ("令和1年5月1日", date(2019, 5, 1)),
        ("明治6年1月1日", date(1873, 1, 1)),
    ],
)
def test_the_edges_of_the_eras(text, day):
    """First and last days by the table of the law; the two double days are read in both eras."""
    assert read_wareki(text) == day


def test_double_days_are_written_by_the_newer_era():
    """1912-07-30 and 1926-12-25 were the first days of 大正 and 昭和."""
    assert [write_wareki(date(1912, 7, 30)), write_wareki(date(1926, 12, 25))] == [
        "大正元年7月30日",
        "昭和元年12月25日",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "昭和６０年３月１５日",
        "昭和 60年 3月 15日",
        "　昭和60年3月15日　",
        "昭和六〇年三月一五日",
        "㍼60年3月15日",
        "Ｓ６０・３・１５",
        "s60−3−15",
        "S60.03.15",
    ],
)
def test_ways_of_writing_one_day(text):
    """Padding, full width, 漢数字 by place, the era's one-character sign, middle dots, a minus sign."""
    assert read_wareki(text) == date(1985, 3, 15)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("昭和64年1月8日", "outside-era"),
        ("平成元年1月7日", "outside-era"),
        ("平成31年5月1日", "outside-era"),
        ("令和元年4月30日", "outside-era"),
        ("大正元年7月29日", "outside-era"),
        ("昭和60年2月29日", "impossible-date"),
        ("昭和60年13月1日", "impossible-date"),
        ("昭和0年3月1日", "impossible-date"),
        ("明治5年12月2日", "before-1873"),
        ("明治5年12月3日", "before-1873"),
        ("明治元年9月8日", "before-1873"),
        ("昭和20年月日不詳", "partial"),
        ("昭和20年3月日不詳", "partial"),
        ("昭和20年3月不詳日", "partial"),
        ("昭和年月日不明", "partial"),
        ("昭和20年", "partial"),
        ("昭和20年3月", "partial"),
        ("S20.00.00", "partial"),
        ("S20.3", "partial"),
        ("昭和60/3.15", "format"),
        ("昭和60.3/15", "format"),
        ("昭和100年3月15日", "format"),
        ("慶応3年1月1日", "format"),
        ("X60.3.15", "format"),
        ("1985-03-15", "format"),
        ("昭和60年3月15日生", "format"),
        ("", "format"),
    ],
)
def test_era_dates_that_are_refused(text, code):
    """Never guessed: the reason says why the date stays absent."""
    with pytest.raises(DateRefusedError) as refused:
        read_wareki(text)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1985-02-29", "impossible-date"),
        ("0000-03-15", "partial"),
        ("1985-00-00", "partial"),
        ("1985年3月", "partial"),
        ("1985年不詳", "partial"),
        ("15/3/1985", "format"),
        ("85-3-15", "format"),
    ],
)
def test_dates_of_the_common_era_that_are_refused(text, code):
    """The year comes first and whole; a month or day of 00 is an unknown one."""
    with pytest.raises(DateRefusedError) as refused:
        read_gregorian(text)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [("19850229", "impossible-date"), ("19850300", "partial"), ("1985", "partial"), ("1985031", "format")],
)
def test_eight_digits_that_are_refused(text, code):
    """OpenID providers send such birth dates, incomplete ones among them."""
    with pytest.raises(DateRefusedError) as refused:
        read_compact(text)
    assert refused.value.code == code


def test_a_day_of_the_lunisolar_calendar_has_no_era_date():
    """The day before 明治6年1月1日 is not written by guess."""
    with pytest.raises(DateRefusedError) as refused:
        write_wareki(FIRST_SOLAR_DAY - timedelta(days=1))
    assert refused.value.code == "before-1873"


@pytest.mark.parametrize(
    "text",
    [
        "昭和六拾年参月拾五日",
        "昭和陸拾年参月壱伍日",
        "昭60.3.15",
        "昭60年3月15日",
        "S600315",
        "ｓ６００３１５",
        "昭和六○年三月十五日",
        "昭和60年\u00a03月\t15日",
        "㍼六〇・〇三・一五",
        "S60‑3‑15",
    ],
)
def test_more_ways_of_writing_one_day(text):
    """大字, the era's first character, JIS X 0301's basic format, ○ for 〇, odd spaces and hyphens."""
    assert read_wareki(text) == date(1985, 3, 15)


def test_twenty_and_thirty_have_characters_of_their_own():
    """廿 and 卅, as old registers write them."""
    assert read_wareki("昭和廿年一月卅一日") == date(1945, 1, 31)
    assert read_wareki("昭和廿一年十二月丗日") == date(1946, 12, 30)


@given(solar_days)
def test_every_written_form_is_read_as_the_same_day(day):
    """漢数字, letters with and without separators, era digits, JPKI's form."""
    assert [read_wareki(write(day)) for write in (write_wareki_kanji, write_wareki_letter, write_wareki_compact)] == [
        day
    ] * 3
    assert (read_era_digit(write_era_digit(day)), read_jpki(write_jpki(day))) == (day, day)


def test_the_written_forms():
    """As JIS X 0301, administrative systems and JPKI certificates write them."""
    day = date(1985, 3, 15)
    assert [write(day) for write in WRITERS] == [
        "昭和60年3月15日",
        "昭和六十年三月十五日",
        "S60.03.15",
        "S600315",
        "3600315",
        "319850315",
    ]
    assert write_wareki_kanji(date(2019, 5, 10)) == "令和元年五月十日"


def test_a_double_day_is_read_with_either_digit_and_written_with_the_newer():
    """1926-12-25 is 大正15 and 昭和元."""
    day = date(1926, 12, 25)
    assert (read_jpki("219261225"), read_jpki("319261225"), write_jpki(day)) == (day, day, "319261225")
    assert (read_era_digit("2151225"), read_era_digit("3011225"), write_era_digit(day)) == (day, day, "3011225")


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(("day", "code"), [(date(1872, 12, 31), "before-1873"), (date(2118, 1, 1), "outside-era")])
def test_days_that_no_era_date_is_written_for(write, day, code):
    """The lunisolar calendar, and a hundredth year, which no reader would read."""
    with pytest.raises(DateRefusedError) as refused:
        write(day)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("319850300", "partial"),
        ("319850000", "partial"),
        ("300000315", "partial"),
        ("319850229", "impossible-date"),
        ("319890108", "outside-era"),
        ("519850315", "outside-era"),
        ("118721231", "before-1873"),
        ("019850315", "format"),
        ("619850315", "format"),
        ("19850315", "format"),
        ("3 9850315", "format"),
        ("31985031５日", "format"),
    ],
)
def test_birth_dates_of_certificates_that_are_refused(text, code):
    """An incomplete date, or a digit that contradicts the year, is no date."""
    with pytest.raises(DateRefusedError) as refused:
        read_jpki(text)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("3600300", "partial"),
        ("3000315", "impossible-date"),
        ("3640108", "outside-era"),
        ("1051231", "before-1873"),
        ("9600315", "format"),
        ("600315", "format"),
        ("S600315", "format"),
    ],
)
def test_seven_digits_that_are_refused(text, code):
    """Era digit, year, month, day; nothing else."""
    with pytest.raises(DateRefusedError) as refused:
        read_era_digit(text)
    assert refused.value.code == code


def test_the_digits_of_eras_are_a_table_that_a_map_may_replace():
    """Two of them are inferred only."""
    table = era_digits("0=明治, 7=S,8=㍻")
    assert (read_jpki("719850315", table), read_era_digit("8010108", table)) == (date(1985, 3, 15), date(1989, 1, 8))
    with pytest.raises(DateRefusedError):
        read_jpki("319850315", table)


@pytest.mark.parametrize("text", ["", "1", "1=", "1=慶応", "12=明治", "1=明治,1=大正", "x=明治", "１=明治"])
def test_tables_of_era_digits_that_are_refused(text):
    """One digit once, and an era that there is."""
    with pytest.raises(ValueError, match="digits and eras"):
        era_digits(text)


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("昭和60年3月15日", 1985),
        ("1985-03-15", 1985),
        ("19850315", 1985),
        ("S600315", 1985),
        ("昭和20年月日不詳", 1945),
        ("昭和20年3月日不詳", 1945),
        ("昭和20年", 1945),
        ("昭和20年不詳", 1945),
        ("昭和20年00月00日", 1945),
        ("昭和20年3月0日", 1945),
        ("S20.00.00", 1945),
        ("S20.3", 1945),
        ("S200000", 1945),
        ("昭和64年不詳", 1989),
        ("令和元年不明", 2019),
        ("1945", 1945),
        ("1945年3月", 1945),
        ("1945-00-00", 1945),
        ("1945-03", 1945),
        ("19450000", 1945),
        ("19450300", 1945),
    ],
)
def test_a_year_is_known_where_the_day_is_not(text, year):
    """What is partial as a date may be whole as a year."""
    assert read_year(text) == year


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("昭和年月日不明", "partial"),
        ("0000-03-15", "partial"),
        ("不詳", "partial"),
        ("昭和65年不詳", "outside-era"),
        ("昭和64年3月15日", "outside-era"),
        ("昭和0年不詳", "impossible-date"),
        ("昭和60年13月", "impossible-date"),
        ("1985-02-30", "impossible-date"),
        ("明治5年不詳", "before-1873"),
        ("昭和20年頃", "format"),
        ("昭和20年?月3日", "partial"),
        ("85", "format"),
        ("198503", "format"),
        ("", "format"),
    ],
)
def test_years_that_are_refused(text, code):
    """Without a year there is nothing to tell; what is no date has no year."""
    with pytest.raises(DateRefusedError) as refused:
        read_year(text)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "text", ["ſ60.3.15", "ﬆ60.3.15", "S60.3.1⁵", "S60.3.١٥", "昭和" + "6" * 2000, "昭和" + "年 " * 1000]
)
def test_what_only_looks_like_a_date_is_none(text):
    """The long s, ligatures, digits of other scripts; length costs nothing."""
    for read in (read_wareki, read_gregorian, read_compact, read_era_digit, read_jpki, read_year):
        with pytest.raises(DateRefusedError):
            read(text)
