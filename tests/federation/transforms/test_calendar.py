from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.transforms import UnmappableError
from federation.transforms.calendar import TRANSFORMS

TODAY = date(2026, 11, 22)
DIGITS = "1=明治,2=大正,3=昭和,4=平成,5=令和"
WRITERS = sorted(name for name in TRANSFORMS if name.startswith("iso-to-"))
READERS = sorted(set(TRANSFORMS) - set(WRITERS))
hostile = st.text(max_size=20) | st.text(alphabet="昭和令明元〇十廿卅拾年月日不詳0123456789./-SRＳ　 ", max_size=14)


def apply(name: str, text: str, argument: str | None = None) -> str:
    """What the transform answers."""
    (answer,) = TRANSFORMS[name].step(argument)((text,), TODAY)
    return answer


def refusal(name: str, text: str, argument: str | None = None) -> str:
    """Why the transform refuses."""
    with pytest.raises(UnmappableError) as refused:
        apply(name, text, argument)
    return refused.value.code


@given(st.sampled_from(WRITERS), st.dates(min_value=date(1873, 1, 1), max_value=date(2117, 12, 31)))
def test_what_is_written_is_read_by_its_inverse_as_the_same_day(name, day):
    """Each form of a date says which transform gives the day back."""
    inverse = TRANSFORMS[name].inverse
    assert inverse is not None
    assert apply(inverse, apply(name, day.isoformat())) == day.isoformat()


@given(st.sampled_from(READERS), hostile)
def test_a_text_is_a_whole_date_or_refused_with_a_documented_reason(name, text):
    """Never a day that was not told: an answer is `YYYY-MM-DD`, or for `year-of-birth` a year."""
    argument = DIGITS if TRANSFORMS[name].argument else None
    try:
        answer = apply(name, text, argument)
    except UnmappableError as refused:
        assert refused.code in TRANSFORMS[name].reasons  # noqa: PT017 - either outcome is right
        return
    if name == "year-of-birth":
        answer += "-01-01"
    assert date.fromisoformat(answer).isoformat() == answer


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("wareki-to-iso", "昭和六十年三月十五日", "1985-03-15"),
        ("wareki-to-iso", "S600315", "1985-03-15"),
        ("era-digit-date-to-iso", "3600315", "1985-03-15"),
        ("jpki-date-to-iso", "319850315", "1985-03-15"),
        ("year-of-birth", "昭和20年月日不詳", "1945"),
        ("year-of-birth", "1985-03-15", "1985"),
        ("iso-to-wareki-letter", "2019-05-01", "R01.05.01"),
        ("iso-to-wareki-compact", "1989-01-08", "H010108"),
        ("iso-to-wareki-kanji", "1912-07-30", "大正元年七月三十日"),
        ("iso-to-era-digit-date", "1926-12-25", "3011225"),
        ("iso-to-jpki-date", "2019-05-01", "520190501"),
    ],
)
def test_dates_of_each_form(name, text, answer):
    """By hand."""
    assert apply(name, text) == answer


@pytest.mark.parametrize("name", ["wareki-to-iso", "gregorian-to-iso", "compact-date-to-iso"])
@pytest.mark.parametrize("text", ["昭和20年月日不詳", "1945", "1945年不詳"])
def test_a_partial_date_never_becomes_a_whole_one(name, text):
    """It is absent, and the reason says so or that it was another form."""
    assert refusal(name, text) in {"partial", "format"}


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "iso-to-compact-date"])
def test_only_whole_iso_dates_are_written(name):
    """No tolerance on the way out."""
    assert refusal(name, "1985/3/15") == "format"
    assert refusal(name, "1985") == "format"
    assert refusal(name, "1872-12-31") == "before-1873"
    assert refusal(name, "2118-01-01") == "outside-era"


@pytest.mark.parametrize(("name", "text"), [("era-digit-date-by", "2600315"), ("jpki-date-by", "219850315")])
def test_a_map_may_give_its_own_era_digits(name, text):
    """An ID system that counts from 0, or a correction of the inferred digits."""
    counted_from_0 = "0=明治,1=大正,2=昭和,3=平成,4=令和"
    assert apply(name, text, counted_from_0) == "1985-03-15"
    assert refusal(name, text, DIGITS) == "outside-era"
    with pytest.raises(ValueError, match="digits and eras"):
        TRANSFORMS[name].step("1=江戸")
