"""Who runs a list, as a list says it for people: operator, address, contact, territory, where the list is published.

The same for both ETSI formats (TS 119 612 §5.3, TS 119 602 §6.3). Nothing is decided by it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trust_lists import rules
from trust_lists.rules import EntryError, Place

_TERRITORY = re.compile(r"[A-Z]{2}", re.ASCII)
_CONTACT = re.compile(r"mailto:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
_MAXIMUM_POINTS = 16

OPERATOR = ("name", "postal_address", "contact", "information")
"""What a recipe may state of the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """What a list says of whoever runs it. `operator` and `postal_address` are by language."""

    operator: Mapping[str, str] = field(default_factory=dict)
    postal_address: Mapping[str, str] = field(default_factory=dict)
    contact: str | None = None
    information: str | None = None
    territory: str = "JP"
    distribution: tuple[str, ...] = ()


def read_scheme(stated: Mapping[str, Any]) -> Scheme:
    """Read `operator`, `territory` and `distribution` of a recipe. Raises `EntryError`."""
    operator = stated.get("operator", {})
    if not isinstance(operator, Mapping) or ("operator" in stated and "name" not in operator):
        raise EntryError(("operator",), "the name of whoever runs the list is expected, as {name: {ja: …, en: …}}")
    for member in operator:
        if member not in OPERATOR:
            raise EntryError(("operator", str(member)), f"unknown; known are {', '.join(OPERATOR)}")

    def of_operator(name: str, check: Callable[[Any, Place], Any], otherwise: Any) -> Any:
        return check(operator[name], ("operator", name)) if name in operator else otherwise

    return Scheme(
        operator=of_operator("name", rules.names, {}),
        postal_address=of_operator("postal_address", rules.names, {}),
        contact=of_operator("contact", contact, None),
        information=of_operator("information", rules.web_address, None),
        territory=territory(stated.get("territory", "JP"), ("territory",)),
        distribution=_distribution(stated["distribution"]) if "distribution" in stated else (),
    )


def contact(value: object, place: Place) -> str:
    """Check an address for people: `mailto:` or a web address."""
    if isinstance(value, str) and _CONTACT.fullmatch(value):
        return value
    if not isinstance(value, str) or not value.startswith("https:"):
        raise EntryError(place, "an e-mail address is expected, as mailto:id@city.example.jp, or an https address")
    return rules.web_address(value, place)


def territory(value: object, place: Place) -> str:
    """Check a country (ISO 3166-1 alpha-2) in capital letters."""
    if not isinstance(value, str) or not _TERRITORY.fullmatch(value):
        raise EntryError(place, "a country in two capital letters is expected, as JP")
    return value


def _distribution(value: object) -> tuple[str, ...]:
    place = ("distribution",)
    if not isinstance(value, list) or not 0 < len(value) <= _MAXIMUM_POINTS:
        raise EntryError(place, "a list of addresses is expected, as [https://lists.example.jp/list.jwt]")
    return tuple(rules.web_address(item, (*place, index)) for index, item in enumerate(value))
