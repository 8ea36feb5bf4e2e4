"""The demo's maps as they stand in its configuration, and rules for what the demo has no use for: `further`."""

from datetime import date
from functools import cache

from federation.attributes import InwardMap, InwardRule, OutwardMap, OutwardRule, applied
from federation.transforms import TRANSFORMS, UnmappableError
from gateway.config import attribute_map
from gateway.demo.rendering import templates
from gateway.demo.residents import EBETSU_ARC

from .outcome import Absent, Outcome

TODAY = date(2026, 11, 22)
"""The day on which residents of the corpus sign in."""

SERVICES = ("gunma-portal", "takasaki-library", "participation")

ADDRESS = {"maebashi": "address", "ebetsu": f"{EBETSU_ARC}.5", "omura": "jusho.zen"}
TELEPHONE = {"maebashi": "phone_number", "ebetsu": f"{EBETSU_ARC}.8", "omura": "renraku.denwa"}
EMAIL = {"maebashi": "email", "ebetsu": f"{EBETSU_ARC}.9", "omura": "renraku.mail"}
"""What each system calls them."""

PARTS = {
    "prefecture": "address-prefecture",
    "cityAndCounty": "address-city",
    "streetAddress": "address-street",
    "cityBlock": "address-block",
    "buildingNameEtc": "address-building",
}


@cache
def inward_map(system: str) -> InwardMap:
    """The demo's, and `further` rules."""
    return InwardMap(rules=(*demo_rules(system), *further(system)))


@cache
def demo_rules(system: str) -> tuple[InwardRule, ...]:
    """The rules of `configs/demo/id-systems/`."""
    found = attribute_map(templates() / "id-systems" / f"{system}.yaml").rules
    return tuple(rule for rule in found if isinstance(rule, InwardRule))


def further(system: str) -> tuple[InwardRule, ...]:
    """The parts of an address, telephone number and e-mail."""
    stated = [
        *((to, ADDRESS[system], transform) for to, transform in PARTS.items()),
        ("phoneNumber", TELEPHONE[system], "phone-to-e164"),
        ("email", EMAIL[system], "email-address"),
    ]
    return tuple(InwardRule(to=to, sources=(name,), transforms=applied(transform)) for to, name, transform in stated)


@cache
def outward_map(service: str) -> OutwardMap:
    """The map of `configs/demo/services/`."""
    found = attribute_map(templates() / "services" / f"{service}.yaml").rules
    return OutwardMap(rules=tuple(rule for rule in found if isinstance(rule, OutwardRule)))


def transformed(transform: str, argument: str | None, text: str, *, today: date = TODAY) -> Outcome:
    """What one transform makes of one value."""
    try:
        (made,) = TRANSFORMS[transform].step(argument)((text,), today)
    except UnmappableError as reason:
        return Absent(reason.code)
    return made
