import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.transforms import UnmappableError

from .test_transforms import apply, refusal

SEPARATORS = st.sampled_from(["", "-", " ", "－", "ー", "‐", "\u3000"])
WIDE = str.maketrans("0123456789+()", "０１２３４５６７８９＋（）")
MOBILE = st.tuples(st.sampled_from(["050", "060", "070", "080", "090"]), st.from_regex("[0-9]{4}", fullmatch=True))
FIXED = st.tuples(st.sampled_from(["027", "011", "099", "026"]), st.from_regex("[1-9][0-9]{2}", fullmatch=True))
LAST = st.from_regex("[0-9]{4}", fullmatch=True)


@given(st.from_regex("[0-9]{7}", fullmatch=True))
def test_postal_codes_get_and_lose_their_hyphen(code):
    """371-8601 and 3718601."""
    (written,) = apply("postal-code-with-hyphen", code)
    assert (written[3], apply("postal-code", written)) == ("-", (code,))


@pytest.mark.parametrize("text", ["371-8601", "３７１８６０１", "37186011", "", "٣٧١٨٦٠١"])
def test_only_seven_digits_get_a_hyphen(text):
    """The canonical form, and nothing that looks like it."""
    assert refusal("postal-code-with-hyphen", text) == "format"


@given(MOBILE | FIXED, LAST, SEPARATORS, st.booleans())
def test_a_japanese_number_is_one_number_however_it_is_written(begin, last, separator, wide):
    """Hyphens, gaps, full width, parentheses, +81 with the trunk zero or without: the same; and back."""
    area, middle = begin
    expected = f"+81{area[1:]}{middle}{last}"
    for written in (
        separator.join((area, middle, last)),
        f"({area}){middle}{separator}{last}",
        f"+81{separator}{area[1:]}{separator}{middle}{separator}{last}",
        f"+81 (0){area[1:]}{middle}{last}",
        f"+81-{area}-{middle}-{last}",
    ):
        assert apply("phone-to-e164", written.translate(WIDE) if wide else written) == (expected,)
    (national,) = apply("phone-to-national", expected)
    assert national == f"{area}{middle}{last}"
    assert apply("phone-to-e164", national) == (expected,)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0120-123-456", "+81120123456"),
        ("0800-123-4567", "+818001234567"),
        ("0570-012-345", "+81570012345"),
        ("04992-2-0000", "+81499220000"),
        ("+1 (212) 555-0100", "+12125550100"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+82-2-312-3456", "+8223123456"),
    ],
)
def test_numbers_of_other_kinds(text, number):
    """Free of charge, of islands, of other countries."""
    assert apply("phone-to-e164", text) == (number,)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("027-224-1111 内線123", "extension"),
        ("027-224-1111（内）123", "extension"),
        ("027-224-1111 ext. 123", "extension"),
        ("027-224-1111#123", "extension"),
        ("224-1111", "unknown-number"),
        ("110", "unknown-number"),
        ("090-1234-567", "unknown-number"),
        ("027-224-11111", "unknown-number"),
        ("020-1234-5678", "unknown-number"),  # machines' numbers
        ("010-1-212-555-0100", "unknown-number"),
        ("00-1-212-555-0100", "unknown-number"),
        ("+81", "unknown-number"),
        ("+81 90 1234", "unknown-number"),
        ("+0 1234 5678", "unknown-number"),
        ("+1234567890123456", "unknown-number"),
        ("090-1234-5678 / 027-224-1111", "format"),
        ("+81+90", "format"),
        ("なし", "format"),
        ("", "format"),
        ("0" * 10_000, "format"),
    ],
)
def test_what_is_no_single_complete_number_is_refused(text, reason):
    """An extension would be lost; a number without its area code is nobody's."""
    assert refusal("phone-to-e164", text) == reason


def test_a_number_of_another_country_has_no_form_for_japan():
    """It is not dialled like this there."""
    assert refusal("phone-to-national", "+12125550100") == "not-japanese"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Hanako.Takahashi@Example.JP\u3000", "Hanako.Takahashi@example.jp"),
        ("hanako+town@mail.example.jp", "hanako+town@mail.example.jp"),
        ("hanako..t.@carrier.example", "hanako..t.@carrier.example"),
        ("hanako@日本語.example", "hanako@xn--wgv71a119e.example"),
        ("hanako@ＥＸＡＭＰＬＥ．jp", "hanako@example.jp"),
        ("h@xn--wgv71a119e.jp", "h@xn--wgv71a119e.jp"),
    ],
)
def test_email_addresses_keep_what_stands_before_the_at(text, address):
    """Capital letters there may mean something; mobile carriers gave out dots beside one another."""
    assert apply("email-address", text) == (address,)
    assert apply("email-address", address) == (address,)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Hanako <hanako@example.jp>", "format"),
        ('"hanako t"@example.jp', "format"),
        ("花子@example.jp", "format"),
        ("hanako@example.jp, taro@example.jp", "format"),
        ("hanako@town@example.jp", "format"),
        ("hanako@localhost", "format"),
        ("hanako@[192.0.2.1]", "format"),
        ("hanako@192.0.2.1", "format"),
        ("hanako@-example.jp", "format"),
        ("hanako@example..jp", "format"),
        ("hanako@straße.example", "format"),
        ("hanako@\ud800.jp", "format"),
        ("hanako\x00@example.jp", "format"),
        ("hanako@example.jp\r\nBcc: x@example.jp", "format"),
        ("@example.jp", "format"),
        ("hanako", "format"),
        ("", "format"),
        ("h" * 65 + "@example.jp", "too-long"),
        ("h@" + "a." * 130 + "jp", "too-long"),
        ("h@" + "あ" * 60 + ".jp", "format"),
    ],
)
def test_what_is_no_single_email_address_is_refused(text, reason):
    """No names in front, no quoted local parts, no numbers for a domain; no line that could begin a header."""
    assert refusal("email-address", text) == reason


@given(st.text(max_size=30) | st.text("ab.@-あ日ßＡ。 ", max_size=30))
def test_an_email_address_that_is_taken_is_taken_again_as_it_is(text):
    """Reading twice is reading once."""
    try:
        once = apply("email-address", text)
    except UnmappableError:
        return
    assert apply("email-address", *once) == once
