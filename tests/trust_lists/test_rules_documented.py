from pathlib import Path

import pytest

from trust_lists.xades import XADES_RULES
from trust_lists.xmlenc_rules import ENCRYPTION_RULES
from trust_lists.xmlgate import RULES

OPERATING = (Path(__file__).resolve().parents[2] / "docs" / "operating.md").read_text()


@pytest.mark.parametrize("rule", [*RULES, *ENCRYPTION_RULES, *XADES_RULES], ids=lambda rule: rule.code)
def test_whoever_reads_the_log_finds_each_reason_and_what_it_demands(rule: object) -> None:
    """The operators' guide has the table that the code has."""
    assert f"| `{rule.code}` | {rule.says} |" in OPERATING
