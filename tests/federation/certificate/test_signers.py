"""Signers of attribute certificates: whose path is remembered, it counts no further than it would anew."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from federation.certificate import signers
from federation.certificate.model import CertificateRefusedError, Path
from tests.federation.certificate.authorities import ANY_POLICY, AT, OTHER_POLICY, POLICY, Authority, Issued
from tests.federation.certificate.sign_in_sample import ISSUING, ROOT

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
SIGNS = frozenset({OTHER_POLICY})


def signer(**changes: Any) -> Issued:
    """Somebody who signs attribute certificates."""
    usual = {"policies": (OTHER_POLICY,), "key_usage": ("digital_signature",)}
    return ISSUING.issue("Attributes", **{**usual, **changes})


def found(signer: Issued, *, at: Any = AT, anchor: x509.Certificate = ROOT.certificate, policies: Any = SIGNS) -> Path:
    """The signer's path now."""
    return signers.path(signer.der, signer.others, (anchor,), policies, at)


def why(signer: Issued, **now: Any) -> str:
    """Why the signer is not believed."""
    with pytest.raises(CertificateRefusedError) as refused:
        found(signer, **now)
    return refused.value.code


def test_a_path_that_held_is_not_sought_again() -> None:
    """It is the same for everybody whose attributes the signer signed."""
    one = signer()
    assert found(one) is found(one, at=AT + SECOND)


def test_a_signer_believed_before_is_not_believed_outside_its_time() -> None:
    """To the second, as paths.py counts."""
    one = signer(not_before=AT - DAY, not_after=AT + DAY)
    first = found(one)
    assert found(one, at=AT + DAY + SECOND / 2) is first
    assert why(one, at=AT + DAY + SECOND) == "expired"
    assert why(one, at=AT - DAY - SECOND) == "not-yet-valid"
    assert found(one, at=AT - DAY) is first


def test_a_signer_believed_before_is_not_believed_after_its_authoritys_end() -> None:
    """The time of every certificate in the path counts."""
    brief = ROOT.subordinate("Brief", not_before=AT - DAY, not_after=AT + DAY)
    one = brief.issue("Attributes", policies=(OTHER_POLICY,), key_usage=("digital_signature",))
    found(one)
    assert why(one, at=AT + 2 * DAY) == "expired"


def test_a_signer_believed_before_is_not_believed_once_lists_name_others() -> None:
    """Nor for another policy."""
    one = signer()
    found(one)
    assert why(one, anchor=Authority.root("Another").certificate) == "untrusted-issuer"
    assert why(one, policies=frozenset({POLICY})) == "policy"
    assert found(one)


@pytest.mark.parametrize("policies", [(POLICY,), (ANY_POLICY,), ()])
def test_nobody_without_a_signers_policy_is_remembered(policies: tuple[str, ...]) -> None:
    """Each time anew."""
    one = signer(policies=policies)
    assert (why(one), why(one)) == ("policy", "policy")


def test_a_false_signature_is_not_believed_because_the_true_one_was() -> None:
    """What is remembered is every octet."""
    one = signer()
    found(one)
    altered = bytearray(one.der)
    altered[-1] ^= 1
    with pytest.raises(CertificateRefusedError):
        signers.path(bytes(altered), one.others, (ROOT.certificate,), SIGNS, AT)


def test_so_many_are_remembered() -> None:
    """Whoever was believed first is forgotten first; nobody fills the memory with what comes along."""
    one = signer()
    first = found(one)
    for _ in range(signers.MOST):
        others = (*one.others, ISSUING.issue("Somebody").der)
        signers.path(one.der, others, (ROOT.certificate,), SIGNS, AT)
    assert found(one) is not first
    assert found(one) == first
