from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.dates import (
    ERAS,
    FIRST_SOLAR_DAY,
    DateRefusedError,
    read_compact,
    read_gregorian,
    read_wareki,
    write_wareki,
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


@given(solar_days, st.sampled_from("./-"), st.booleans(), st.booleans())
def test_the_letters_of_eras_read_like_their_names(day, separator, wide, small):
    """R, H, S, T, M with `.`, `/` or `-`, in either width and case, with or without leading zeros."""
    era = next(era for era in ERAS if era.first <= day <= era.last)
    letter = era.signs[-1].lower() if small else era.signs[-1]
    text = f"{letter}{day.year - era.first.year + 1:02}{separator}{day.month:02}{separator}{day.day}"
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
    for read in (read_wareki, read_gregorian, read_compact):
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
        ("0000-01-01", "impossible-date"),
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
