from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.transforms import TRANSFORMS, UnmappableError

days = st.dates(min_value=date(1900, 1, 1), max_value=date(2026, 11, 22))


def fact(name: str, argument: str, *values: str, today: date = date(2026, 11, 22)) -> str:
    """What the service is told."""
    (told,) = TRANSFORMS[name].step(argument)(values, today)
    return told


def refusal(name: str, argument: str, *values: str) -> str:
    """Why it is told nothing."""
    with pytest.raises(UnmappableError) as refused:
        fact(name, argument, *values)
    return refused.value.code


@pytest.mark.parametrize(
    ("birth", "today", "over", "reaches"),
    [
        ("2008-11-22", date(2026, 11, 20), "false", "false"),
        ("2008-11-22", date(2026, 11, 21), "false", "true"),
        ("2008-11-22", date(2026, 11, 22), "true", "true"),
        # born on a leap day: 18 at the end of 28 February
        ("2008-02-29", date(2026, 2, 27), "false", "false"),
        ("2008-02-29", date(2026, 2, 28), "false", "true"),
        ("2008-02-29", date(2026, 3, 1), "true", "true"),
        # born on 1 April: 18 at the end of 31 March, so in the school year before
        ("2008-04-01", date(2026, 3, 31), "false", "true"),
        ("2008-01-01", date(2025, 12, 31), "false", "true"),
    ],
)
def test_an_age_is_reached_at_the_end_of_the_day_before_the_birthday(birth, today, over, reaches):
    """At noon of that day nobody is 18 yet; a law that counts by days counts that day."""
    assert fact("over", "18", birth, today=today) == over
    assert fact("reaches", "18", birth, today=today) == reaches


@given(days, st.integers(1, 100), st.integers(0, 40_000))
def test_who_is_of_an_age_stays_so_and_reached_it_the_day_before(birth, years, later):
    """Ages only rise, and `reaches` is `over` of the next day."""
    today = birth + timedelta(days=later)
    if later and (today - birth).days < 129 * 365:
        told = fact("over", str(years), birth.isoformat(), today=today)
        assert told == fact("reaches", str(years), birth.isoformat(), today=today - timedelta(days=1))
        assert told == "false" or fact("over", str(years), birth.isoformat(), today=today + timedelta(1)) == "true"


@pytest.mark.parametrize(
    ("birth", "band"),
    [("2026-11-22", "0-14"), ("2011-11-23", "0-14"), ("2011-11-22", "15-64"), ("1961-11-22", "65-")],
)
def test_a_band_of_ages(birth, band):
    """The band begins on the birthday."""
    assert fact("age-band", "15,65", birth) == band


@given(days, st.integers(1, 100))
def test_the_bands_tell_no_more_than_the_ages(birth, years):
    """A band with one bound says what `over` says."""
    band = fact("age-band", str(years), birth.isoformat())
    assert band == (f"{years}-" if fact("over", str(years), birth.isoformat()) == "true" else f"0-{years - 1}")


def test_residents():
    """A municipality, several, or a whole prefecture by its code."""
    assert fact("resident-of", "102016", "102016") == "true"
    assert fact("resident-of", "102016", "102024") == "false"
    assert fact("resident-of", "102016, 102024", "102024") == "true"
    assert fact("resident-of", "100005", "102024") == "true"
    assert fact("resident-of", "100005", "012173") == "false"
    assert fact("same-prefecture", "102016", "102024") == "true"
    assert fact("same-prefecture", "102016", "422053") == "false"


def test_an_adult_resident_is_both():
    """One fact instead of two, so that the service does not learn which of them fails."""
    told = [
        fact("adult-resident-of", "102016", birth, code)
        for birth in ("1985-03-15", "2020-03-15")
        for code in ("102016", "102024")
    ]
    assert told == ["true", "false", "false", "false"]
    assert TRANSFORMS["adult-resident-of"].ordered


@pytest.mark.parametrize(
    ("name", "argument", "values", "reason"),
    [
        ("over", "18", ("1985-02-30",), "format"),
        ("over", "18", ("昭和60年",), "format"),
        ("over", "18", ("2026-11-23",), "in-the-future"),
        ("over", "18", ("1895-01-01",), "implausible-age"),
        ("age-band", "18", ("",), "format"),
        ("resident-of", "102016", ("10201",), "unknown-code"),
        ("resident-of", "102016", ("100005",), "not-a-municipality"),
        ("resident-of", "011002", ("011011",), "ward-code"),  # 札幌市中央区, which is in the city
        ("resident-of", "102016", ("103012",), "unknown-code"),  # 大胡町, since 2004 in 前橋市
        ("same-prefecture", "102016", ("103012",), "unknown-code"),
        ("same-prefecture", "102016", ("前橋市",), "unknown-code"),
        ("adult-resident-of", "102016", ("1985-03-15",), "not-given"),
        ("adult-resident-of", "102016", ("2027-03-15", "102024"), "in-the-future"),
    ],
)
def test_what_does_not_follow_is_not_told(name, argument, values, reason):
    """Absent, never `false`: that would be a statement about the person."""
    assert refusal(name, argument, *values) == reason
    assert reason in TRANSFORMS[name].reasons


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("over", None),
        ("over", "grown up"),
        ("over", "0"),
        ("over", "130"),
        ("over", "18.5"),
        ("over", "１８"),
        ("age-band", ""),
        ("age-band", "65,15"),
        ("age-band", "15,15"),
        ("resident-of", "前橋市"),
        ("resident-of", "102017"),
        ("resident-of", "011011"),
        ("resident-of", ""),
        ("same-prefecture", "10"),
    ],
)
def test_arguments_that_make_no_sense_are_found_at_loading(name, argument):
    """Not when a resident signs in."""
    with pytest.raises(ValueError, match=r"age|codes|argument|rise"):
        TRANSFORMS[name].step(argument)
