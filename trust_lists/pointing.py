"""The pointers of a list of lists, as its authority writes them in the recipe of either ETSI format.

    pointers:
      - location: https://lists.maebashi.example/list.jwt
        certificates: [maebashi.pem]      # who must sign it: PEM files beside the recipe
        format: etsi-119602               # optional: the list's own format
        territory: JP                     # optional, as `type`: what readers may choose by
        type: http://uri.etsi.org/…       # (TSLType, LoTEType)

What comes of a pointer where others read it says `trust_lists/following.py`.
"""

from collections.abc import Mapping
from typing import Any

from trust_lists import certificates, rules
from trust_lists.etsi_json_services import uri
from trust_lists.following import JSON, MOST_CERTIFICATES, XML
from trust_lists.members import beside
from trust_lists.model import Pointer
from trust_lists.recipes import Recipe, Yaml, entry_error, read_yaml
from trust_lists.rules import EntryError, Place
from trust_lists.scheme import territory

MEDIA_TYPES: Mapping[str, str] = {XML: "application/vnd.etsi.tsl+xml", JSON: "application/jwt"}
"""What a pointer says of the format of the list that it leads to."""

_KEYS = ("location", "certificates", "format", "territory", "type")
_MOST = 200


def read_pointers(plan: Recipe) -> tuple[Pointer, ...]:
    """Read the pointers of a recipe. Raises `RecipeError`."""
    recipe = read_yaml(plan.path)
    stated = recipe.value.get("pointers")
    if stated is None:
        return ()
    if not isinstance(stated, list) or not 0 < len(stated) <= _MOST:
        raise recipe.error(("pointers",), f"pointers: 1 to {_MOST} are expected, as [{{location: …}}].")
    found: dict[str, Pointer] = {}
    for index, each in enumerate(stated):
        place: Place = ("pointers", index)
        try:
            pointer = _pointer(plan, recipe, each, place)
            if pointer.location in found:
                raise EntryError((*place, "location"), "the list points there twice")  # noqa: TRY301 - one way out
        except EntryError as error:
            raise entry_error(recipe, error) from error
        found[pointer.location] = pointer
    return tuple(found.values())


def _pointer(plan: Recipe, recipe: Yaml, stated: object, place: Place) -> Pointer:
    if not isinstance(stated, dict) or not {"location", "certificates"} <= stated.keys():
        raise EntryError(place, "{location: https://…, certificates: [FILE.pem]} is expected")
    for name in stated:
        if name not in _KEYS:
            raise EntryError((*place, name), f"unknown; known are {', '.join(_KEYS)}")
    form = stated.get("format", plan.format)
    if form not in MEDIA_TYPES:
        raise EntryError((*place, "format"), f"one of {', '.join(MEDIA_TYPES)} is expected")
    return Pointer(
        location=rules.web_address(stated["location"], (*place, "location")),
        certificates=_certificates(plan, recipe, stated["certificates"], (*place, "certificates")),
        kind=uri(stated["type"], (*place, "type")) if "type" in stated else None,
        territory=territory(stated["territory"], (*place, "territory")) if "territory" in stated else None,
        media_type=MEDIA_TYPES[form],
    )


def _certificates(plan: Recipe, recipe: Yaml, names: Any, place: Place) -> tuple[bytes, ...]:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise EntryError(place, "a list of PEM files is expected, as [maebashi.pem]")
    found: dict[bytes, None] = {}
    for index, name in enumerate(names):
        try:
            held = certificates.from_pem(beside(plan, recipe, (*place, index), name))
            for der in held:
                certificates.public_key(der)
        except ValueError as error:
            raise EntryError((*place, index), f"{name}: {error}; ask the list's operator for it again") from error
        found.update(dict.fromkeys(held))
    if len(found) > MOST_CERTIFICATES:
        raise EntryError(place, f"more than {MOST_CERTIFICATES} certificates; nobody would follow it")
    return tuple(found)
