"""The gate's table itself, and what the gate lets stand or refuses whatever it costs."""

import re

import pytest
from lxml import etree

from tests.trust_lists.hostile import BOMBS, COSTLY, not_for_ever
from trust_lists import xmlgate
from trust_lists.xmlgate import LIST_LIMITS, MESSAGE_LIMITS, Limits, SignatureRefusedError, gate, parse

ID_NAMES = ("ID", "Id", "id", "iD", "xml:id", "AssertionID", "x:ID", "x:id", "x:AssertionID")


def refusal(document: bytes, limits: Limits = MESSAGE_LIMITS) -> str | None:
    """The code under which the gate refuses the document, or None."""
    try:
        gate(document, roots=("a",), limits=limits)
    except SignatureRefusedError as refused:
        return refused.code
    return None


def test_every_rule_has_a_code_and_a_sentence() -> None:
    """A reader holds the table against the specification: no rule without words, no code twice in one stage."""
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.code) and rule.says for rule in xmlgate.RULES)
    stages = [(rule.stage, rule.code) for rule in xmlgate.RULES]
    assert len(stages) == len(set(stages))


@pytest.mark.parametrize("second", ID_NAMES)
@pytest.mark.parametrize("first", ID_NAMES)
def test_an_identifier_is_one_under_every_name(first: str, second: str) -> None:
    """Whatever a library takes for an identifier: no value twice, on one element, on two, or nested."""
    for pattern in (
        '<a xmlns:x="urn:x"><b {}="_v"/><b {}="_v"/></a>',
        '<a xmlns:x="urn:x"><b {}="_v"><b {}="_v"/></b></a>',
        '<a xmlns:x="urn:x" {}="_v"><b {}="_v"/></a>',
    ):
        assert refusal(pattern.format(first, second).encode()) == "id-not-unique"
        assert refusal(pattern.replace("_v", "_w", 1).format(first, second).encode()) is None
    if first != second:
        assert refusal(f'<a xmlns:x="urn:x" {first}="_v" {second}="_v"/>'.encode()) == "id-not-unique"


@pytest.mark.parametrize("limits", [MESSAGE_LIMITS, LIST_LIMITS], ids=["message", "list"])
@pytest.mark.parametrize("name", COSTLY)
def test_the_gate_decides_in_a_bounded_time(name: str, limits: Limits) -> None:
    """As costly as a message can be: let through or refused, by a code and soon."""
    body = COSTLY[name](MESSAGE_LIMITS.octets - 100)
    with not_for_ever():
        refusal(b"<a>" + body + b"</a>", limits)


@pytest.mark.parametrize("bomb", BOMBS)
def test_nothing_is_expanded_or_fetched(bomb: str) -> None:
    """What would grow or fetch is refused before a parser runs; what looks like it stays as it is written."""
    with not_for_ever():
        code = refusal(BOMBS[bomb], LIST_LIMITS)
    if bomb == "xinclude":
        assert code is None
        assert "".join(parse(BOMBS[bomb]).itertext()) == ""
    else:
        assert code in {"declaration", "encoding", "processing-instruction", "malformed"}


@pytest.mark.parametrize("entity", ['"evil"', "SYSTEM 'file:///etc/hostname'", "PUBLIC 'x' 'http://evil.example/'"])
def test_behind_the_rules_of_octets_a_parser_leaves_references_alone(entity: str) -> None:
    """Should a declaration ever slip through, nothing is resolved, and the tree is refused."""
    root = etree.fromstring(f"<!DOCTYPE a [<!ENTITY x {entity}>]><a>&x;</a>".encode(), xmlgate.parser())
    assert root.text is None
    with pytest.raises(SignatureRefusedError) as caught:
        xmlgate.check_tree(root, limits=LIST_LIMITS)
    assert caught.value.code == "declaration"
