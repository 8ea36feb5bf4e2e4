from datetime import UTC, datetime

import pytest

from federation.assurance import acr_uri, assess, level_of
from federation.attributes import InwardMap
from federation.model import Assurance, Identity, IdSystem, Level


def worth(identity: int, authentication: int) -> Assurance:
    """An assurance by its two numbers."""
    return Assurance(identity=Level(identity), authentication=Level(authentication))


SYSTEM = IdSystem(
    id="maebashi",
    kind="oidc",
    entity_id="https://id.maebashi.example",
    municipality="102016",
    name={"ja": "前橋市", "en": "Maebashi City"},
    reading="まえばしし",
    description={"ja": "", "en": ""},
    inward=InwardMap(),
    statements={
        "urn:example:jpki": worth(3, 3),
        "urn:example:counter": worth(3, 1),
        "urn:example:face": worth(1, 3),
    },
    default_assurance=worth(1, 1),
)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ((), worth(1, 1)),
        (("urn:example:unheard-of",), worth(1, 1)),
        (("urn:example:face", "urn:example:unheard-of"), worth(1, 3)),
        (("urn:example:face", "urn:example:jpki"), worth(3, 3)),
        (("urn:example:face", "urn:example:counter"), worth(3, 1)),
        (("URN:EXAMPLE:JPKI",), worth(1, 1)),
    ],
)
def test_the_highest_known_statement_counts_whole(statements, expected):
    """Unknown words are worth the default; two statements are never combined into a third."""
    identity = Identity(
        id_system="maebashi",
        subject="s",
        attributes={},
        statements=statements,
        authenticated_at=datetime(2026, 10, 1, tzinfo=UTC),
    )
    assert assess(SYSTEM, identity) == expected


def test_levels_have_uris_of_the_region():
    """There and back; anything else, even nearly the same, says nothing."""
    assert acr_uri(Level.TWO) == "urn:kakehashi:assurance:identity-2"
    assert [level_of(acr_uri(level)) for level in Level] == list(Level)
    assert [level_of(uri) for uri in ("identity-2", "urn:kakehashi:assurance:identity-02", "")] == [None] * 3
