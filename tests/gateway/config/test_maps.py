"""Attribute maps as files: one map like another, except; and what goes wrong with that."""

import shutil
from pathlib import Path

import pytest

from gateway.config import ConfigurationError, attribute_map, check, format_mistakes
from gateway.config.domain import inward_rules, outward_rules
from gateway.config.files import read
from gateway.config.models import OidcService, SamlIdSystem

from .sample import OIDC, PROVIDER, REFERENCE, SAML, edit

TOWN = "id-systems/town.yaml"


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """The reference, and a town whose ID system is like the example's."""
    copy = Path(shutil.copytree(REFERENCE, tmp_path / "region"))
    text = (copy / SAML).read_text(encoding="utf-8")
    text = text.replace("id: example-saml", "id: town").replace("entity_id: https://", "entity_id: https://town.")
    text = text.replace("#attributes_like: other-saml", "attributes_like: example-saml")
    (copy / TOWN).write_text(text, encoding="utf-8")
    return copy


def kinds(region: Path) -> set[str]:
    """What is wrong."""
    mistakes, _ = check(region)
    return {mistake.kind for mistake in mistakes}


def test_a_town_reads_attributes_as_the_prefecture_does_except(region: Path) -> None:
    """What it leaves out is gone, what it says itself counts, the rest is the other's."""
    edit(region, TOWN, "attributes_without: []", "attributes_without: [fullName]")
    assert kinds(region) == set(), format_mistakes(check(region)[0])


def model(region: Path, file: str, kind: type) -> object:
    """One file as its model."""
    document, mistakes = read(region / file, file)
    assert mistakes == []
    return kind.model_validate(document.data)


def test_the_rules_of_the_other_come_first_and_ones_own_take_their_places(region: Path) -> None:
    """Rules by what they make."""
    prefecture = model(region, SAML, SamlIdSystem)
    town = model(region, TOWN, SamlIdSystem).model_copy(update={"attributes": (prefecture.attributes[0],)})
    village = town.model_copy(update={"id": "village", "attributes_like": "town", "attributes": ()})
    made = inward_rules(village, (prefecture, town, village))
    assert [rule.to for rule in made] == [rule.to for rule in prefecture.attributes]

    site = model(region, "services/example-oidc.yaml", OidcService)
    like = site.model_copy(update={"id": "b", "attributes_like": site.id, "attributes": ()})
    assert outward_rules(like, (site, like)) == outward_rules(site, (site,))
    less = like.model_copy(update={"attributes_without": ("name",)})
    assert "name" not in [rule.to for rule in outward_rules(less, (site, less))]


def test_an_id_system_without_any_map_is_a_mistake(region: Path) -> None:
    """Nothing would ever be known of anybody: "attributes-absent"."""
    text = (region / OIDC).read_text(encoding="utf-8")
    start, end = text.index("attributes:\n"), text.index("# このIDシステムの言う保証")
    (region / OIDC).write_text(text[:start] + text[end:], encoding="utf-8")
    assert kinds(region) == {"attributes-absent"}


def test_maps_that_are_like_each_other_are_a_mistake_at_both(region: Path) -> None:
    """A circle has no first map: "attributes-like-itself"."""
    edit(region, SAML, "#attributes_like: other-saml", "attributes_like: town")
    mistakes, _ = check(region)
    assert [mistake.kind for mistake in mistakes] == ["attributes-like-itself"] * 2


def test_only_what_the_other_makes_can_be_left_out(region: Path) -> None:
    """A slip would otherwise let pass what should not: "attributes-without-unknown"."""
    edit(region, TOWN, "attributes_without: []", "attributes_without: [nationality]")
    assert kinds(region) == {"attributes-without-unknown"}


def test_a_slip_in_the_name_of_the_other_is_pointed_out(region: Path) -> None:
    """The nearest of the same kind."""
    edit(region, TOWN, "attributes_like: example-saml", "attributes_like: example-sam")
    assert kinds(region) == {"unknown-reference-near"}


def test_services_of_one_sector_belong_to_one_municipality(region: Path) -> None:
    """They can compare people: "sector-alone" is a mistake, and where it is meant, "sector-shared" says so."""
    client = "services/example-oidc.yaml"
    for file in (client, PROVIDER):
        edit(region, file, "#sector: library", "sector: library")
    assert kinds(region) == set()
    assert "sector-shared" in {note.kind for note in check(region)[1]}
    edit(region, client, 'municipality: "100005"', 'municipality: "102016"')
    assert kinds(region) == {"sector-alone"}
    edit(region, client, 'municipality: "102016"\n', "")
    assert kinds(region) == {"sector-alone"}


def test_a_file_that_is_no_map_is_refused(region: Path) -> None:
    """With where maps are: "map-file"."""
    with pytest.raises(ConfigurationError) as wrong:
        attribute_map(region / "gateway.yaml")
    assert [mistake.kind for mistake in wrong.value.mistakes] == ["map-file"]


def test_services_are_like_services(region: Path) -> None:
    """A service's map is never like an ID system's."""
    edit(region, PROVIDER, "#attributes_like: other-saml", "attributes_like: example-oidc")
    assert kinds(region) == {"attributes-like-kind"}
    edit(region, PROVIDER, "attributes_like: example-oidc", "attributes_like: town")
    assert kinds(region) == {"unknown-reference-none"}
