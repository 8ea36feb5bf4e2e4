import base64
import logging

import pytest
from saml2.sigver import CryptoBackend

from federation.saml.second_opinion import NothingLeftToVerify
from federation.saml.service_provider import SamlResponseRefusedError
from tests.federation.saml.peers import adding, arrived, reissued, setting

UNHEARD_OF = adding("//s:Subject", '<s:SubjectConfirmation Method="urn:example:unheard-of"/>')


@pytest.mark.parametrize(
    "edit",
    [
        UNHEARD_OF,
        setting("//s:AuthnStatement", SessionNotOnOrAfter="2026-04-01T99:00:00Z"),
    ],
    ids=["unknown-confirmation", "no-instant"],
)
def test_a_sign_in_that_one_of_the_two_readers_refuses_is_refused(edit: object) -> None:
    """Our own tables first, then pysaml2's reading of the schema and the profile."""
    with pytest.raises(SamlResponseRefusedError):
        arrived(reissued(edit))


def test_the_code_says_that_it_was_the_second_reader() -> None:
    """So that whoever looks for the reason knows where."""
    with pytest.raises(SamlResponseRefusedError, match="second-opinion"):
        arrived(reissued(UNHEARD_OF))


@pytest.mark.parametrize(
    "operation", ["encrypt", "encrypt_assertion", "decrypt", "sign_statement", "validate_signature"]
)
def test_pysaml2s_signature_engine_does_nothing_and_starts_nothing(operation: str) -> None:
    """Every operation of a CryptoBackend is refused: there is nothing left to verify when pysaml2 reads."""
    engine = NothingLeftToVerify()
    assert isinstance(engine, CryptoBackend)
    arguments = [b""] * (getattr(CryptoBackend, operation).__code__.co_argcount - 1)
    with pytest.raises(Exception, match="verified before"):
        getattr(engine, operation)(*arguments)


def test_pysaml2_logs_nothing_of_a_person(caplog: pytest.LogCaptureFixture) -> None:
    """Neither on success nor on failure, at whatever level the log is."""
    caplog.set_level(logging.DEBUG)
    arrived(reissued())
    with pytest.raises(SamlResponseRefusedError):
        arrived(reissued(UNHEARD_OF))
    assert [record for record in caplog.records if record.name.startswith("saml2")] == []
    assert base64.b64encode(b"person-1").decode() not in caplog.text
    assert "person-1" not in caplog.text
