"""Signed tables of assurance: how they are written, admitted, compared and shown, and every rule a row can break."""

import json
from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.trust_lists.builders import NOW, authority, signed
from trust_lists import assurance_table, formats, jades, showing
from trust_lists.admission import mark_of
from trust_lists.assurance_rows import METHODS, Row, Said, Verified, When, read_row, write_row
from trust_lists.authoring import sign_list
from trust_lists.comparing import compare
from trust_lists.model import ListRefusedError, TrustList
from trust_lists.recipes import RecipeError
from trust_lists.rules import EntryError
from trust_lists.times import LEEWAY
from trust_lists.trusted_set import TrustedSet

ISSUER = "https://id.maebashi.example"
DAY = timedelta(days=1)
CARD: dict[str, Any] = {
    "id": "maebashi-card",
    "when": {"acr": "urn:example:card", "amr": ["face"]},
    "identity": 3,
    "authentication": 3,
    "amr": ["sc", "face"],
    "eidas": "high",
    "nist": {"ial": 3, "aal": 3, "fal": 2},
}
PASSWORD: dict[str, Any] = {"id": "password", "when": {"acr": "urn:example:pw"}, "identity": 1, "authentication": 1}


def published(*rows: Any, system: str | None = ISSUER, sequence: int = 1, **changes: Any) -> bytes:
    """A table of these rows about Maebashi's ID system, signed by the region."""
    by = authority("region", "ec")
    member = {"rows": list(rows)} | ({} if system is None else {"system": system})
    return assurance_table.publish(
        [member],
        **{
            "name": "region-assurance",
            "key_pem": by.key_pem,
            "certificate_pem": by.certificate_pem,
            "issued_at": NOW,
            "valid_until": NOW + 30 * DAY,
            "sequence": sequence,
            **changes,
        },
    )


def read(document: bytes, **changes: Any) -> TrustList:
    """Read as the gateway does."""
    asked = {"name": "region-assurance", "anchors": [authority("region", "ec").der], "now": NOW, **changes}
    return formats.read(document, kind="assurance-table", **asked)


def refusal(document: bytes, **changes: Any) -> str:
    """The code with which a document is refused, in words that name the table."""
    with pytest.raises(ListRefusedError) as refused:
        read(document, **changes)
    assert "region-assurance" in str(refused.value)
    return refused.value.code


def changed(**head: Any) -> bytes:
    """A validly signed table of which something is not as it should be; None takes a member out."""
    content = jades.payload_unsafe(published(CARD, PASSWORD))
    table = content["assurance_table"]
    for name, value in head.items():
        table[name] = value
        if value is None:
            del table[name]
    return signed(content, by=authority("region", "ec"), alg="ES256", iat=int(NOW.timestamp()))


# --- a good table


def test_what_is_written_is_what_is_read() -> None:
    """Every column; the table names nobody to be trusted."""
    found = read(published(CARD, PASSWORD))
    assert (found.name, found.format, found.sequence, found.entities, found.faults) == (
        "region-assurance",
        "assurance-table",
        1,
        (),
        (),
    )
    assert found.table is not None
    assert found.table.about(ISSUER)[0] == Row(
        id="maebashi-card",
        system=ISSUER,
        when=When(word="urn:example:card", methods=frozenset({"face"})),
        identity=3,
        authentication=3,
        federation=3,
        methods=("sc", "face"),
        eidas="high",
        nist=(3, 3, 2),
    )
    assert found.table.about("https://id.elsewhere.example") == ()


def test_rows_about_every_id_system_come_after_its_own() -> None:
    """A framework's word is worth the same whoever says it."""
    by = authority("region", "ec")
    document = assurance_table.publish(
        [{"rows": [{**PASSWORD, "id": "every"}]}, {"system": ISSUER, "rows": [CARD]}],
        name="region-assurance",
        key_pem=by.key_pem,
        certificate_pem=by.certificate_pem,
        issued_at=NOW,
        valid_until=NOW + DAY,
        sequence=1,
    )
    table = read(document).table
    assert table is not None
    assert [row.id for row in table.about(ISSUER)] == ["maebashi-card", "every"]
    assert [row.id for row in table.about("https://id.elsewhere.example")] == ["every"]


WORDS = st.text("abcXYZ:/-_髙", min_size=1, max_size=12)
ROWS = st.builds(
    Row,
    id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,20}", fullmatch=True),
    system=st.just(ISSUER),
    when=st.builds(
        When,
        word=st.none() | WORDS,
        methods=st.frozensets(WORDS, max_size=3),
        verified=st.none()
        | st.builds(Verified, trust_framework=WORDS, assurance_level=st.none() | WORDS, evidence=st.none() | WORDS),
        policies=st.frozensets(st.sampled_from(["1.2.3", "2.16.840.1"]), max_size=2),
    ),
    identity=st.integers(0, 3),
    authentication=st.integers(0, 3),
    federation=st.integers(0, 3),
    methods=st.lists(st.sampled_from(METHODS), max_size=3, unique=True).map(tuple),
    eidas=st.sampled_from([None, "low", "substantial", "high"]),
    nist=st.none() | st.tuples(*[st.integers(0, 3)] * 3),
)


@given(ROWS)
def test_a_row_survives_the_table(row: Row) -> None:
    """Written and read, it is the same."""
    assert read_row(json.loads(json.dumps(write_row(row))), (), system=ISSUER) == row


@given(ROWS, st.frozensets(WORDS, max_size=3), st.frozensets(WORDS, max_size=3))
def test_saying_more_never_makes_a_row_hold_less(row: Row, words: frozenset[str], methods: frozenset[str]) -> None:
    """What holds of some words holds of more."""
    some = Said(words=words, methods=methods)
    more = Said(words=words | {"more"}, methods=methods | {"more"}, policies=frozenset({"1.2.3"}))
    assert row.when.holds(more) or not row.when.holds(some)


# --- hostile tables

GOOD = published(CARD, PASSWORD)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", "format"),
        (b'{"assurance_table": {}}', "unsigned"),
        (GOOD[:-1], "format"),  # no base64url has such a length
        (GOOD.rpartition(b".")[0] + b".", "unsigned"),
        (GOOD.replace(GOOD.split(b".")[1][40:44], b"AAAA"), "signature"),
        (published(CARD, name="other-table"), "other-list"),
        (changed(version=2), "format"),
        (changed(version=True), "format"),
        (changed(name=None), "format"),
        (changed(name=7), "format"),
        (changed(sequence=-1), "format"),
        (changed(sequence="1"), "format"),
        (changed(sequence=2**60), "format"),
        (changed(issued_at="yesterday"), "format"),
        (changed(valid_until=None), "format"),
        (changed(rows={}), "format"),
        (changed(rows=None), "format"),
        (changed(more="x"), "format"),
        (changed(valid_until="2020-01-01T00:00:00Z"), "format"),
        (published(CARD, issued_at=NOW - 40 * DAY, valid_until=NOW), "expired"),
        (published(CARD, issued_at=NOW + LEEWAY + timedelta(seconds=1)), "future"),
        (signed({"LoTE": {}}, by=authority("region", "ec"), alg="ES256", iat=int(NOW.timestamp())), "format"),
        (signed([], by=authority("region", "ec"), alg="ES256", iat=int(NOW.timestamp())), "format"),
    ],
)
def test_a_table_that_is_not_as_it_should_be_is_refused(document: bytes, code: str) -> None:
    """As a whole, with a code and a sentence that names it."""
    assert refusal(document) == code


def test_another_key_signs_no_table() -> None:
    """A validly signed table of somebody else."""
    assert refusal(GOOD, anchors=[authority("elsewhere", "ec").der]) == "signature"
    assert refusal(GOOD, anchors=[]) == "signature"


def test_a_table_never_goes_back() -> None:
    """Neither to a lower number, nor to other content under the same one."""
    trusted = TrustedSet()
    newer = read(published(CARD, sequence=7))
    trusted.admit(newer)
    assert refusal(published(CARD, sequence=6), mark=mark_of(newer)) == "rollback"
    assert refusal(published(CARD, PASSWORD, sequence=7), mark=mark_of(newer)) == "same-sequence"
    again = read(published(CARD, sequence=7, valid_until=NOW + 60 * DAY), mark=mark_of(newer))
    trusted.admit(again)
    with pytest.raises(ListRefusedError, match="admitted before"):
        trusted.admit(read(published(CARD, sequence=6)))


BAD_ROWS: tuple[tuple[Any, str], ...] = (
    ([], ""),
    ("x", ""),
    ({**CARD, "id": ""}, "id"),
    ({**CARD, "id": "髙橋"}, "id"),
    ({**CARD, "id": 7}, "id"),
    ({**CARD, "id": "a" * 65}, "id"),
    ({**CARD, "identity": 4}, "identity"),
    ({**CARD, "identity": -1}, "identity"),
    ({**CARD, "identity": True}, "identity"),
    ({**CARD, "identity": "3"}, "identity"),
    ({**CARD, "authentication": 2.5}, "authentication"),
    ({**CARD, "federation": None}, "federation"),
    ({name: CARD[name] for name in CARD if name != "identity"}, "identity"),
    ({**CARD, "maximum": 3}, "maximum"),
    ({**CARD, "when": {}}, "when"),
    ({**CARD, "when": []}, "when"),
    ({**CARD, "when": {"ACR": "x"}}, "when.ACR"),
    ({**CARD, "when": {"acr": "x", "context": "x"}}, "when"),
    ({**CARD, "when": {"acr": ""}}, "when.acr"),
    ({**CARD, "when": {"acr": " x"}}, "when.acr"),
    ({**CARD, "when": {"acr": "a\nb"}}, "when.acr"),
    ({**CARD, "when": {"acr": "a" * 501}}, "when.acr"),
    ({**CARD, "when": {"acr": ["x"]}}, "when.acr"),
    ({**CARD, "when": {"amr": []}}, "when.amr"),
    ({**CARD, "when": {"amr": ["face", "face"]}}, "when.amr"),
    ({**CARD, "when": {"amr": "face"}}, "when.amr"),
    ({**CARD, "when": {"policies": ["1.2.x"]}}, "when.policies[0]"),
    ({**CARD, "when": {"policies": ["9.2"]}}, "when.policies[0]"),
    ({**CARD, "when": {"verified_claims": {"assurance_level": "high"}}}, "when.verified_claims.trust_framework"),
    ({**CARD, "when": {"verified_claims": {"trust_framework": "x", "time": "y"}}}, "when.verified_claims.time"),
    ({**CARD, "amr": ["wink"]}, "amr[0]"),
    ({**CARD, "amr": list(METHODS) * 2}, "amr"),
    ({**CARD, "eidas": "highest"}, "eidas"),
    ({**CARD, "eidas": ["high"]}, "eidas"),
    ({**CARD, "nist": {"ial": 3}}, "nist.aal"),
    ({**CARD, "nist": {"ial": 3, "aal": 4, "fal": 1}}, "nist.aal"),
)


@pytest.mark.parametrize(("row", "place"), BAD_ROWS)
def test_a_row_that_breaks_a_rule_is_named_and_not_signed(row: Any, place: str) -> None:
    """With its place and the reason; and a reader drops it alone, and keeps the others."""
    with pytest.raises(EntryError) as broken:
        read_row(row, ("rows", 0), system=ISSUER)
    where = str(broken.value).partition(": ")[0]
    assert where.startswith("rows[0]")
    if isinstance(row, dict):
        assert where.removeprefix("rows[0]").lstrip(".") == place
    found = read(changed(rows=[{"system": ISSUER, **PASSWORD}, row]))
    assert found.table is not None
    assert [each.id for each in found.table.rows] == ["password"]
    assert [fault.where for fault in found.faults] == ["row 2"]


def test_rows_of_one_id_are_all_dropped() -> None:
    """Nobody can tell which of them was meant."""
    row = {"system": ISSUER, **PASSWORD}
    found = read(changed(rows=[row, row]))
    assert found.table is not None
    assert (found.table.rows, len(found.faults)) == ((), 2)


def test_only_a_row_about_one_id_system_holds_whatever_it_says() -> None:
    """About every one of them it would be a level for everybody."""
    anything = {"id": "else", "identity": 1, "authentication": 1}
    assert read_row(anything, (), system=ISSUER).when.holds(Said())
    with pytest.raises(EntryError, match="only a row about one ID system"):
        read_row(anything, (), system=None)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_anything_in_the_place_of_a_row_is_dropped(value: Any) -> None:
    """By a rule, never by a fault of the reader; rows are dropped one by one."""
    document = changed(rows=[value]) if not isinstance(value, list) else changed(rows=value)
    found = read(document)
    assert found.table is not None
    assert found.table.rows == ()


# --- written by an authority


def recipe(directory: Any, **members: Any) -> Any:
    """A recipe with these member files."""
    (directory / "assurance").mkdir(exist_ok=True)
    for name, member in members.items():
        (directory / "assurance" / f"{name}.yaml").write_text(yaml.safe_dump(member, sort_keys=False))
    stated = {
        "list": "region-assurance",
        "format": "assurance-table",
        "members": "assurance/",
        "output": "region-assurance.jwt",
        "valid_days": 30,
    }
    path = directory / "region-assurance.yaml"
    path.write_text(yaml.safe_dump(stated, sort_keys=False))
    by = authority("region", "ec")
    (directory / "key.pem").write_bytes(by.key_pem)
    (directory / "certificate.pem").write_bytes(by.certificate_pem)
    return path


def sign(path: Any) -> bytes:
    """Sign as `kakehashi trust sign` does."""
    keys = {name: path.parent / f"{name}.pem" for name in ("key", "certificate")}
    return bytes(sign_list(path, **keys, now=NOW).read_bytes())


def test_an_authority_signs_its_rows_as_any_list(tmp_path: Any) -> None:
    """From YAML files, one for each ID system; what people see of it tells each row."""
    path = recipe(tmp_path, maebashi={"system": ISSUER, "rows": [CARD]}, everyone={"rows": [PASSWORD]})
    document = sign(path)
    found = showing.read_any(document, anchors=[authority("region", "ec").der], now=NOW)
    assert found.table is not None
    assert {row.id for row in found.table.rows} == {"maebashi-card", "password"}
    assert showing.format_of(document) == "assurance-table"
    told = "\n".join(showing.lines(found, "en"))
    assert f"Row maebashi-card of the table of assurance ({ISSUER})" in told
    assert "  identity: 3" in told
    assert "Row password of the table of assurance (every ID system)" in told
    assert showing.describe(found)["rows"][1] == {"system": ISSUER, "federation": 3, **CARD}
    later = showing.read_any(sign(path), anchors=[authority("region", "ec").der], now=NOW + timedelta(seconds=1))
    assert later.sequence > found.sequence


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"a": {"system": ISSUER, "rows": [{**CARD, "identity": 4}]}}, "a.yaml:8: rows[0].identity: a level"),
        (
            {
                "a": {
                    "system": ISSUER,
                    "rows": [CARD, dict(CARD, when={"acr": "x"}, amr=["sc"], nist=dict(CARD["nist"]))],
                }
            },
            "a.yaml:3: rows[0].id: occurs twice",
        ),
        ({"a": {"rows": [CARD]}, "b": {"rows": [CARD]}}, "b.yaml:2: rows[0].id: occurs twice"),
        ({"a": {"system": "no id", "rows": [CARD]}}, "a.yaml:1: system: an identifier"),
        ({"a": {"systems": ISSUER, "rows": [CARD]}}, "a.yaml:1: system (an entity ID"),
        ({"a": {"system": ISSUER, "rows": []}}, "a.yaml:2: rows: a list with at least one row"),
        ({"a": [CARD]}, "a.yaml:1: system (an entity ID"),
    ],
)
def test_mistakes_of_an_authority_have_file_line_and_reason(tmp_path: Any, members: Any, said: str) -> None:
    """And nothing is signed."""
    path = recipe(tmp_path, **members)
    with pytest.raises(RecipeError) as refused:
        sign(path)
    assert said in str(refused.value)
    assert not (tmp_path / "region-assurance.jwt").exists()


# --- compared by those who approve

LOWER = {**CARD, "identity": 2}


@pytest.mark.parametrize(
    ("before", "after", "codes", "widens"),
    [
        ((CARD,), (CARD,), [], False),
        ((PASSWORD,), (PASSWORD, CARD), ["row-added"], True),
        ((PASSWORD, CARD), (PASSWORD,), ["row-removed"], False),
        ((CARD,), (LOWER,), ["row-lowered"], False),
        ((LOWER,), (CARD,), ["row-changed"], True),
        ((CARD,), ({**CARD, "when": {"acr": "urn:example:card"}},), ["row-changed"], True),
        ((CARD,), ({**LOWER, "eidas": "low"},), ["row-changed"], True),
    ],
)
def test_what_is_wider_in_a_new_version(before: Any, after: Any, codes: list[str], widens: bool) -> None:  # noqa: FBT001
    """A row more, or one that says something else, unless only its levels fell. Told in both languages."""
    found = compare(read(published(*before)), read(published(*after, sequence=2)))
    assert ([change.code for change in found.changes], found.widens) == (codes, widens)
    for language in ("ja", "en"):
        assert all("{" not in line.replace('{"', "").replace(": {", "") for line in found.lines(language))


def test_the_last_row_about_an_id_system_limits_other_tables() -> None:
    """When it goes, another table's word alone counts: a person should look."""
    gone = compare(read(published(CARD)), read(published(PASSWORD, system=None, sequence=2)))
    assert {change.code for change in gone.changes} == {"row-none-left", "row-added"}
    assert compare(None, read(published(CARD))).widens
