"""Members of a list as an authority keeps them: one file each, and what belongs to it beside it.

A member of an ETSI list is a YAML file (`trust_lists/entries.py`) that may name files with its keys; a SAML member is
its own metadata, and a YAML file of the same name says what the authority says of it.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from trust_lists import certificates, entries, rules, strict_json
from trust_lists.model import Status
from trust_lists.recipes import Recipe, RecipeError, Yaml, entry_error, read_file, read_yaml
from trust_lists.rules import EntryError, Place


def member_files(plan: Recipe, suffix: str, *, none: bool = False) -> list[Path]:
    """List the members' files, by name. Raises `RecipeError` if there is none (but with `none`), or a misnamed one."""
    for misnamed in sorted(plan.members.glob("*.yml")):
        raise RecipeError(f"{misnamed}: would not be read; rename it to {misnamed.stem}.yaml.")
    found = sorted(path for path in plan.members.glob(f"*{suffix}") if not path.name.startswith("."))
    if not found and not none:
        raise RecipeError(f"{plan.members}: no member is there; put at least one *{suffix} file in it.")
    return found


def with_files(plan: Recipe, member: Yaml) -> Yaml:
    """Put what a member names by a file in the file's place."""
    return _with_certificates(plan, _with_keys(plan, member))


def _with_keys(plan: Recipe, member: Yaml) -> Yaml:
    """Put the JWK Set of `metadata.jwks_file`, or of a system's `jwks_file`, in its place."""
    whole = member.value if isinstance(member.value, dict) else {}
    metadata = whole.get("metadata")
    within: Place = () if "jwks_file" in whole else ("metadata",)
    holder = whole if not within else metadata
    if not isinstance(holder, dict) or "jwks_file" not in holder:
        return member
    place = (*within, "jwks_file")
    stated = holder["jwks_file"]
    if "jwks" in holder or not isinstance(stated, str):
        raise member.error(place, "either jwks, or jwks_file with a file name, is expected.")
    try:
        jwks = strict_json.loads(beside(plan, member, place, stated))
    except ValueError as error:
        raise member.error(place, f"{stated} is not a JWK Set in JSON; ask the member for it again.") from error
    kept = {name: value for name, value in holder.items() if name != "jwks_file"} | {"jwks": jwks}
    lines = {**member.lines, (*within, "jwks"): member.lines[place]}
    return replace(member, value={**whole, "metadata": kept} if within else kept, lines=lines)


def _with_certificates(plan: Recipe, member: Yaml) -> Yaml:
    """Put the certificates of the PEM files that `certificates` names in their place."""
    stated = member.value.get("certificates") if isinstance(member.value, dict) else None
    if stated is None:
        return member
    if not isinstance(stated, list) or not stated or not all(isinstance(name, str) for name in stated):
        raise member.error(("certificates",), "certificates: a list of PEM files is expected, as [authority.pem].")
    found: list[str] = []
    lines: dict[Place, int] = dict(member.lines)
    for index, name in enumerate(stated):
        place = ("certificates", index)
        line = member.lines.get(place, 1)
        try:
            held = certificates.from_pem(beside(plan, member, place, name))
        except ValueError as error:
            raise member.error(place, f"{name}: {error}; ask the member for it again.") from error
        for der in held:
            lines["certificates", len(found)] = line
            found.append(base64.b64encode(der).decode())
    return replace(member, value={**member.value, "certificates": found}, lines=lines)


def beside(plan: Recipe, member: Yaml, place: Place, name: str) -> bytes:
    """Read a file that a member names; it must lie below the recipe."""
    path = (member.path.parent / name).resolve()
    if not path.is_relative_to(plan.path.resolve().parent):
        raise member.error(place, f"{name} lies outside the recipe's directory; copy it beside this file.")
    return read_file(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What the authority says of a SAML member in the file of the same name."""

    source: Yaml
    municipality: str | None = None
    scopes: tuple[str, ...] = ()
    uses: frozenset[str] = frozenset()
    maximum_identity: int | None = None
    withdrawn: bool = False
    since: datetime | None = None


def sidecars(plan: Recipe, paths: list[Path]) -> dict[Path, Sidecar]:
    """Read what the authority says of its members, by the path of each member."""
    found: dict[Path, Sidecar] = {}
    for path in sorted(plan.members.glob("*.yaml")):
        if path.with_suffix(".xml") not in paths:
            raise RecipeError(f"{path}: there is no {path.stem}.xml beside it; correct the name.")
        found[path.with_suffix(".xml")] = _sidecar(read_yaml(path))
    return found


SIDECAR: Mapping[str, Callable[[Any, Place], Any]] = {
    "municipality": rules.municipality,
    "scopes": lambda value, place: tuple(rules.scope(item, (*place, index)) for index, item in enumerate(value)),
    "uses": entries.uses,
    "maximum_identity": entries.level,
    "status": entries.status,
    "since": entries.since,
}
"""What may stand in such a file, and how."""


def _sidecar(source: Yaml) -> Sidecar:
    stated = source.value
    if not isinstance(stated, dict) or not stated or not set(stated) <= set(SIDECAR):
        raise source.error(
            (),
            'municipality: "CODE", scopes: [DOMAIN, …], uses: [civic, …], maximum_identity: 2, status: withdrawn or '
            "since: are expected, any of them, and nothing else.",
        )
    domains = stated.get("scopes", ["-"])
    if not isinstance(domains, list) or not domains:
        raise source.error(("scopes",), "scopes: a list of domains is expected, as [ebetsu.example].")
    try:
        found = {name: check(stated[name], (name,)) for name, check in SIDECAR.items() if name in stated}
    except EntryError as error:
        raise entry_error(source, error) from error
    status = found.pop("status", Status.GRANTED)
    if status is Status.RECOGNISED or ("since" in found and status is not Status.WITHDRAWN):
        place = ("status",) if status is Status.RECOGNISED else ("since",)
        raise source.error(place, "a SAML member is granted or withdrawn; since: says from when it is withdrawn.")
    return Sidecar(source=source, withdrawn=status is Status.WITHDRAWN, **found)
