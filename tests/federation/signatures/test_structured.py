"""Structured fields are read as RFC 9651 says, strictly, and written as it says."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.signatures.structured import (
    MAX_FIELD,
    Date,
    Display,
    InnerList,
    Item,
    StructuredFieldError,
    Token,
    read_dictionary,
    read_item,
    read_list,
    write,
    write_bare,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("-0", 0),
        ("-999999999999999", -999_999_999_999_999),
        ("4.5", Decimal("4.5")),
        ("-123456789012.125", Decimal("-123456789012.125")),
        ('"hello \\"world\\" \\\\"', 'hello "world" \\'),
        ('""', ""),
        ("foo123/456", Token("foo123/456")),
        ("*a:b", Token("*a:b")),
        (":aGVsbG8=:", b"hello"),
        (":aGVsbG8:", b"hello"),
        ("::", b""),
        ("?1", True),
        ("?0", False),
        ("@1659578233", Date(1659578233)),
        ("@-1", Date(-1)),
        ('%"This is intended for display to %c3%bcsers."', Display("This is intended for display to üsers.")),
    ],
)
def test_every_kind_of_value_is_read(text, value):
    """RFC 9651 §3.3: a value of each kind, with its type."""
    item = read_item(text)

    assert (type(item.value), item) == (type(value), Item(value))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "1 2",
            "1,2",
            "+1",
            "- 1",
            "1.",
            ".5",
            "1.2345",
            "1234567890123456",
            "1234567890123.1",
            "--1",
            "0x1",
        ),
        *(
            "1e3",
            "١",
            '"',
            '"a',
            '"\\a"',
            '"a\tb"',
            '"é"',
            '"a"b',
            "a b",
            "é",
            "{}",
            "?2",
            "?",
            "?true",
            ":a:",
            ":a b:",
        ),
        *(":aGk=", ":a=Gk:", ":aGk===:", ":aG-k:", "@1.5", "@", "@@1", '%"%C3%BC"', '%"%ff"', '%"%2"', "%a", '%"é"'),
        *("a;", "a; =1", "a;B=1", "a;b=", "a ;b", "a;b=(1)", "(a)", "a\n", "a\0", "a;b=1;", "a\t"),
    ],
)
def test_what_is_no_item_is_refused(text):
    """One item, whole; no other number, escape, alphabet or space."""
    with pytest.raises(StructuredFieldError):
        read_item(text)


@pytest.mark.parametrize(
    "text", ["a,", ",a", "a,,b", "a b", "(a", "(a b", "(a,b)", '("a""b")', "a, ", "(a)b", "((a))", ")"]
)
def test_what_is_no_list_is_refused(text):
    """No empty member, no list within an inner list, nothing left open."""
    with pytest.raises(StructuredFieldError):
        read_list(text)


@pytest.mark.parametrize("text", ["a=", "=a", "A=1", "a=1,", "a=1;", "a 1", "a=1 b=2", "1=a", "a==1", "a=1,=2"])
def test_what_is_no_dictionary_is_refused(text):
    """Names in lower case, one value each."""
    with pytest.raises(StructuredFieldError):
        read_dictionary(text)


def test_members_with_their_parameters():
    """A bare name is true, inner lists and their items have parameters, white space may stand."""
    found = read_dictionary('  a=1;x, b;y="z" \t, c=( "d";e   f );g=?0,h  ')

    assert dict(found) == {
        "a": Item(1, {"x": True}),
        "b": Item(True, {"y": "z"}),
        "c": InnerList((Item("d", {"e": True}), Item(Token("f"))), {"g": False}),
        "h": Item(True),
    }
    assert write(found) == 'a=1;x, b;y="z", c=("d";e f);g=?0, h'


def test_of_two_members_with_one_name_the_last_counts_unless_once_is_asked_for():
    """RFC 9651 §3.2; where a decision hangs on it, such a field is refused."""
    assert dict(read_dictionary("a=1, b=2, a=3")) == {"a": Item(3), "b": Item(2)}
    assert read_item("a;b=1;b=2") == Item(Token("a"), {"b": 2})
    for read, text in ((read_dictionary, "a=1, b=2, a=3"), (read_item, "a;b=1;b=2"), (read_list, "(a;b;b)")):
        with pytest.raises(StructuredFieldError):
            read(text, once=True)


def test_an_empty_list_and_dictionary():
    """A field without members is written as nothing."""
    assert (read_list(""), dict(read_dictionary("  ")), write(()), write({})) == ((), {}, "", "")


def test_a_field_that_is_too_long_is_not_read():
    """However well it is formed."""
    assert len(read_list("a," * (MAX_FIELD // 2 - 1) + "a")) == MAX_FIELD // 2
    with pytest.raises(StructuredFieldError):
        read_list("a," * (MAX_FIELD // 2) + "a")


@pytest.mark.parametrize(
    "value",
    [
        *(10**15, -(10**15), Decimal(10**12), Decimal("NaN"), Decimal("Infinity"), Decimal("999999999999.9996")),
        *("é", "a\nb", "\x7f", Token(""), Token("1a"), Token("a b"), Token('"'), Date(10**15), Display("\ud800")),
    ],
)
def test_what_cannot_be_written_is_refused(value):
    """Rather than written as something else."""
    with pytest.raises(StructuredFieldError):
        write_bare(value)


@pytest.mark.parametrize("name", ["", "A", "a b", "1", "é", "a=b"])
def test_a_name_that_cannot_be_written_is_refused(name):
    """Of a member and of a parameter."""
    for value in ({name: Item(1)}, Item(1, {name: 1})):
        with pytest.raises(StructuredFieldError):
            write(value)


@pytest.mark.parametrize(
    ("value", "text"), [("1.0", "1.0"), ("1", "1.0"), ("0.0005", "0.0"), ("0.0015", "0.002"), ("-2.5", "-2.5")]
)
def test_decimals_are_rounded_half_to_even(value, text):
    """RFC 9651 §4.1.5."""
    assert write_bare(Decimal(value)) == text


KEYS = st.from_regex(r"[a-z*][a-z0-9_\-.*]{0,5}", fullmatch=True)
BARE = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.decimals(-(10**12) + 1, 10**12 - 1, places=3),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=9),
    st.from_regex(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]{0,9}", fullmatch=True).map(Token),
    st.binary(max_size=9),
    st.booleans(),
    st.integers(-(10**15) + 1, 10**15 - 1).map(Date),
    st.text(max_size=9).map(Display),
)
PARAMETERS = st.dictionaries(KEYS, BARE, max_size=2)
ITEMS = st.builds(Item, BARE, PARAMETERS)
MEMBERS = st.one_of(ITEMS, st.builds(InnerList, st.lists(ITEMS, max_size=3).map(tuple), PARAMETERS))


@given(st.dictionaries(KEYS, MEMBERS, max_size=4))
def test_what_is_written_is_read_again(members):
    """Every dictionary there is: the same members with the same types in the same order, and the same text."""
    text = write(members)
    read = read_dictionary(text)

    assert (dict(read), list(read), write(read)) == (members, list(members), text)


@given(st.text(alphabet='ab1-.;=,() \t"\\:?@%*cé\n', max_size=30))
def test_any_text_is_read_or_refused(text):
    """Nothing but the error that stands for it; what is read has one canonical form."""
    for read in (read_item, read_list, read_dictionary):
        try:
            value = read(text)
        except StructuredFieldError:
            continue
        canonical = write(value)
        assert (read(canonical), write(read(canonical))) == (value, canonical)
