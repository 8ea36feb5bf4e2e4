import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.model import Identity
from federation.refusal import IdSystemAnswerRefused
from federation.saml.identity_provider import SamlAttribute
from federation.saml.scopes import PAIRWISE_ID, SCOPED, SUBJECT_ID, within
from tests.federation.saml.peers import Lists, answer, listed_idp
from tests.federation.saml.test_connector import arrive, asked, connector, depart

AFFILIATION = "urn:oid:1.3.6.1.4.1.5923.1.1.1.9"
EMAIL = "urn:oid:0.9.2342.19200300.100.1.3"


def signed_in(name: str, *values: str, scopes: tuple[str, ...] = ("ebetsu.example",), **options: object) -> Identity:
    """An ID system that the list gives these scopes states one attribute."""
    door = connector(trust=Lists(listed_idp(scopes=scopes)), **options)
    departed = depart(door)
    stated = (SamlAttribute(name=name, values=values),)
    return arrive(door, answer(request=asked(departed), attributes=stated), departed)


def test_a_value_in_a_scope_that_the_list_gives_is_kept() -> None:
    """Whatever the case of the scope."""
    identity = signed_in(AFFILIATION, "resident@ebetsu.example", "member@EBETSU.example")
    assert identity.attributes == {AFFILIATION: ("resident@ebetsu.example", "member@EBETSU.example")}
    assert identity.out_of_scope == ()


@pytest.mark.parametrize(
    "foreign",
    [
        "resident@maebashi.example",
        "resident@sub.ebetsu.example",
        "resident@ebetsu.example.",
        "resident",
        "@ebetsu.example",
        "resident@ebetsu.example@maebashi.example",
        "resident@",
        "resident@ebetsu.example ",
    ],
)
def test_a_value_outside_the_listed_scopes_is_dropped_and_told(foreign: str) -> None:
    """The others of the same attribute stay; the name is for the log, the value is not."""
    identity = signed_in(AFFILIATION, foreign, "member@ebetsu.example")
    assert identity.attributes == {AFFILIATION: ("member@ebetsu.example",)}
    assert identity.out_of_scope == (AFFILIATION,)


def test_whom_the_list_gives_no_scope_states_nothing_scoped() -> None:
    """No scope is not every scope."""
    identity = signed_in(AFFILIATION, "resident@ebetsu.example", scopes=())
    assert AFFILIATION not in identity.attributes
    assert identity.out_of_scope == (AFFILIATION,)


def test_an_at_sign_alone_makes_no_scope() -> None:
    """E-mail addresses are what they are, unless the configuration says otherwise."""
    assert signed_in(EMAIL, "hanako@elsewhere.example").attributes == {EMAIL: ("hanako@elsewhere.example",)}
    scoped = signed_in(EMAIL, "hanako@elsewhere.example", scoped_attributes=(EMAIL,))
    assert scoped.attributes == {}


@pytest.mark.parametrize("name", [PAIRWISE_ID, SUBJECT_ID])
def test_a_subject_identifier_names_a_person_without_regard_to_case(name: str) -> None:
    """The same person, however the ID system writes it today."""
    one = signed_in(name, "ABC=12-3@ebetsu.example", subject_attribute=name)
    other = signed_in(name, "abc=12-3@Ebetsu.Example", subject_attribute=name)
    assert one.subject == other.subject == "abc=12-3@ebetsu.example"


@pytest.mark.parametrize(
    "values",
    [
        ("abc@maebashi.example",),
        ("abc",),
        ("-abc@ebetsu.example",),
        ("a b@ebetsu.example",),
        ("a" * 128 + "@ebetsu.example",),
        ("abc@ebetsu.example", "abd@ebetsu.example"),
    ],
)
def test_a_subject_identifier_out_of_scope_or_form_signs_nobody_in(values: tuple[str, ...]) -> None:
    """One value, of the form that the profile gives, in a scope of this ID system."""
    with pytest.raises(IdSystemAnswerRefused, match="subject-attribute-missing"):
        signed_in(PAIRWISE_ID, *values, subject_attribute=PAIRWISE_ID)


@given(
    st.dictionaries(st.sampled_from([*sorted(SCOPED), EMAIL]), st.lists(st.text(max_size=30), max_size=3).map(tuple)),
    st.sets(st.sampled_from(["a.example", "b.example"])),
)
def test_nothing_scoped_leaves_its_scope(attributes: dict[str, tuple[str, ...]], listed: set[str]) -> None:
    """Whatever is stated: every scoped value that is left ends in a listed scope, and the rest is untouched."""
    kept, dropped = within(attributes, listed, SCOPED)
    for name, values in kept.items():
        if name in SCOPED:
            assert all(value.lower().rpartition("@")[2] in listed for value in values)
        else:
            assert values == attributes[name]
    assert set(attributes) == set(kept) | set(dropped) | {name for name, values in attributes.items() if not values}
