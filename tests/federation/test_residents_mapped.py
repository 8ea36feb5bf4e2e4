"""Hundreds of invented residents, brought in by the demo's own maps: what comes is what was written down by hand."""

from collections.abc import Iterable

import pytest

from federation.attributes import Mapped, Value, inward
from federation.oidc.claims import flatten
from tests.corpus.addresses import ADDRESSES
from tests.corpus.births import BIRTHS
from tests.corpus.codes import CODES, EMAILS, POSTAL_CODES, SEXES, TELEPHONES
from tests.corpus.elsewhere import ALIKE, APART, ELSEWHERE
from tests.corpus.maps import TODAY, inward_map, transformed
from tests.corpus.names import NAMES, ODD_NAMES
from tests.corpus.outcome import SYSTEMS, Absent, Outcome
from tests.corpus.residents import EACH, Resident, residents

RESIDENTS = tuple(residents())
OF_SYSTEM = {system: tuple(each for each in RESIDENTS if each.system == system) for system in SYSTEMS}


def came(resident: Resident) -> Mapped[Value]:
    """What the region learns of a resident."""
    return inward(inward_map(resident.system), flatten(resident.record), source=resident.system, today=TODAY)


def outcomes(found: Mapped[Value]) -> dict[str, Outcome]:
    """Value or reason of each attribute; there is one of both for each."""
    there: dict[str, Outcome] = {}
    for name, values in found.attributes.items():
        (value,) = values
        there[name] = value.text
    assert not there.keys() & found.absent.keys()
    return there | {name: Absent(reason) for name, reason in found.absent.items()}


def differences(of: Iterable[Resident]) -> dict[str, dict[str, tuple[Outcome | None, Outcome | None]]]:
    """Resident → attribute → expected and found, where they differ."""
    found: dict[str, dict[str, tuple[Outcome | None, Outcome | None]]] = {}
    for resident in of:
        comes = outcomes(came(resident))
        names = resident.expected.keys() | comes.keys()
        differ = {
            name: (resident.expected.get(name), comes.get(name))
            for name in sorted(names)
            if resident.expected.get(name) != comes.get(name)
        }
        if differ:
            found[resident.corner] = differ
    return found


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_resident_comes_in_as_written_down(system: str) -> None:
    """Every attribute of the map, present or absent with its reason; nothing else."""
    assert len(OF_SYSTEM[system]) == EACH
    assert differences(OF_SYSTEM[system]) == {}


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_row_of_every_table_is_somebody(system: str) -> None:
    """So that no corner is left out by how rows are put together."""
    assert max(len(NAMES) + len(ODD_NAMES), len(ADDRESSES), len(BIRTHS)) <= EACH
    corners = {part for each in OF_SYSTEM[system] for part in each.corner.split(", ")}
    tables = {"birth": BIRTHS, "sex": SEXES, "code": CODES, "postal": POSTAL_CODES, "email": EMAILS}
    for what, table in (*tables.items(), ("telephone", TELEPHONES)):
        for row in table:
            assert set(f"{what}: {row.corner}".split(", ")) <= corners, (what, row.corner)
    for each in (*NAMES, *ODD_NAMES, *ADDRESSES):
        assert set(each.corner.split(", ")) <= corners, each.corner


# --- what other systems send


@pytest.mark.parametrize(("transform", "argument", "written", "expected"), ELSEWHERE)
def test_what_other_systems_send(transform: str, argument: str | None, written: str, expected: Outcome) -> None:
    """Certificates, codes, names in letters: as written down."""
    assert transformed(transform, argument, written) == expected


@pytest.mark.parametrize(("transform", "texts"), ALIKE)
def test_one_key_for_what_is_written_differently(transform: str, texts: tuple[str, ...]) -> None:
    """The ways in which town halls write one name."""
    keys = {transformed(transform, None, text) for text in texts}
    assert len(keys) == 1
    assert isinstance(keys.pop(), str)


@pytest.mark.parametrize(("transform", "texts"), APART)
def test_other_keys_for_other_names(transform: str, texts: tuple[str, ...]) -> None:
    """A key forgets how a name is written, not which one it is."""
    assert len({transformed(transform, None, text) for text in texts}) == len(texts)
