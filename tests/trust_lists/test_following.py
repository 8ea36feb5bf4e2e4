"""Which pointers of a list are followed, and what that leaves of the lists that they lead to: laws, no network."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_lists.following import MOST_CERTIFICATES, Follow, bounded, leads, root
from trust_lists.model import NotTrustedError, Pointer, Role, TrustedEntity, TrustList
from trust_lists.trusted_set import TrustedSet

NOW = datetime(2026, 4, 1, tzinfo=UTC)
UNTIL = NOW + timedelta(days=30)
ROLE = Role.OPENID_PROVIDER

POINTERS = st.builds(
    Pointer,
    location=st.sampled_from(
        ["https://a.example/1", "https://a.example/2", "https://b.example/", "http://plain.example/", "no address"]
    ),
    certificates=st.sampled_from([(), (b"one",), (b"one", b"two"), (b"many",) * (MOST_CERTIFICATES + 1)]),
    kind=st.sampled_from([None, "http://a.example/type", "http://b.example/type"]),
    territory=st.sampled_from([None, "JP", "FR", "../..", "日本"]),
    media_type=st.sampled_from([None, "application/jwt", "TEXT/XML; charset=utf-8", "application/pdf", ""]),
)
FOLLOWS = st.builds(
    Follow,
    territories=st.sampled_from([None, frozenset({"JP"})]),
    types=st.sampled_from([None, frozenset({"http://a.example/type"})]),
)


def a_list(
    *entities: TrustedEntity, pointers: tuple[Pointer, ...] = (), name: str = "japan", days: int = 30
) -> TrustList:
    """A list that was admitted."""
    until = NOW + timedelta(days=days)
    return TrustList(
        name=name,
        issued_at=NOW,
        valid_until=until,
        sequence=1,
        entities=entities,
        pointers=pointers,
        format="etsi-119612",
    )


def entity(name: str = "op", listed_in: str = "japan", **changes: object) -> TrustedEntity:
    """An entity of a list."""
    stated: dict[str, object] = {"valid_until": UNTIL, **changes}
    return TrustedEntity(
        entity_id=f"https://{name}.example",
        roles=frozenset({ROLE}),
        listed_in=listed_in,
        **stated,  # type: ignore[arg-type]
    )


@given(st.lists(POINTERS, max_size=8).map(tuple), FOLLOWS)
def test_what_is_followed(pointers: tuple[Pointer, ...], follow: Follow) -> None:
    """Every pointer asked for is followed or reported; what is followed has keys, address, format, name."""
    found, left = leads(a_list(pointers=pointers), follow, addresses=("https://b.example/",))
    asked = [
        each
        for each in pointers
        if each.location != "https://b.example/"
        and (follow.territories is None or each.territory in follow.territories)
        and (follow.types is None or each.kind in follow.types)
    ]
    assert len(found) + len(left) == len(asked)
    assert len({each.name for each in found}) == len(found)
    for lead in found:
        assert lead.location.startswith("https://")
        assert 0 < len(lead.anchors) <= MOST_CERTIFICATES
        assert lead.format in ("etsi-119612", "etsi-119602")
        assert root(lead.name) == "japan"
        assert "/" not in lead.name
        assert lead.name.isascii()


@given(st.permutations([f"https://a.example/{n}" for n in range(5)]))
def test_names_do_not_hang_on_the_order(addresses: list[str]) -> None:
    """Each address has its own name, wherever it stands."""
    pointers = tuple(Pointer(location=each, certificates=(b"key",), territory="JP") for each in addresses)
    found, _ = leads(a_list(pointers=pointers), Follow(), addresses=())
    again, _ = leads(a_list(pointers=pointers[::-1]), Follow(), addresses=())
    assert {each.location: each.name for each in found} == {each.location: each.name for each in again}


@given(st.integers(1, 60), st.integers(1, 60))
def test_nothing_holds_longer_than_what_led_to_it(days: int, above: int) -> None:
    """At each use, of each entity."""
    until = NOW + timedelta(days=above)
    found = bounded(
        a_list(entity(valid_until=NOW + timedelta(days=days)), name="own name", days=days),
        name="japan.jp-1",
        through=("japan",),
        location="https://a.example/1",
        until=until,
    )
    trusted = TrustedSet()
    trusted.admit(found)
    last = NOW + timedelta(days=min(days, above))
    assert trusted.find("https://op.example", ROLE, last - timedelta(seconds=1)).listed_in == "japan.jp-1"
    with pytest.raises(NotTrustedError, match="expired"):
        trusted.find("https://op.example", ROLE, last)
    assert (found.called, found.through) == ("own name", ("japan",))


def test_a_list_that_is_let_go_leaves_no_trace() -> None:
    """As if it had never come, but for its mark; what other lists say of the same entities counts again alone."""
    one, other = entity(maximum_identity=3), entity(listed_in="other", maximum_identity=1)
    trusted, without = TrustedSet(), TrustedSet()
    for each in (a_list(one), a_list(other, entity("second", "other"), name="other")):
        trusted.admit(each)
    without.admit(a_list(one))
    assert trusted.find("https://op.example", ROLE, NOW).maximum_identity == 1
    trusted.drop("other")
    trusted.drop("nobody")
    assert trusted.lists() == without.lists()
    assert trusted.conflicts() == without.conflicts() == ()
    assert trusted.find("https://op.example", ROLE, NOW) == without.find("https://op.example", ROLE, NOW)
    assert trusted.roles("https://second.example") == frozenset()
    assert trusted.highest().keys() == {"japan", "other"}


def test_lists_that_leave_a_provider_different_things() -> None:
    """What both permit is left, by name; who does not speak of a name leaves it to the other."""
    trusted = TrustedSet()
    stated = {"a_supported": ("1", "2"), "b_supported": ("x",)}
    trusted.admit(a_list(entity(permitted=stated)))
    trusted.admit(a_list(entity(listed_in="other", permitted={"a_supported": ("2", "3")}), name="other"))
    assert trusted.find("https://op.example", ROLE, NOW).permitted == {"a_supported": ("2",), "b_supported": ("x",)}
    assert [each.about for each in trusted.conflicts()] == [("permitted",)]
