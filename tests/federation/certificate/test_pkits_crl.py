"""NIST's PKITS, the parts on revocation lists: §4.4 basic, §4.14 distribution points, §4.15 deltas.

Only the question about one certificate is asked here; its path is `test_pkits.py`'s. Cases with indirect lists, and
with lists that another key of the issuer signed, must be refused: they are not supported.
"""

from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509

from federation.certificate import crl
from federation.certificate.crl import RevocationList
from federation.certificate.model import RevocationPolicy, Standing, StatusQuestion
from federation.certificate.sources import Moment, StatusRefusedError
from tests.federation.certificate.authorities import AT

PLACE = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
GOOD, REVOKED = Standing.GOOD, Standing.REVOKED

CASES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    # test's certificate, its issuer's, lists, what comes of it
    ("InvalidMissingCRLTest1EE", "NoCRLCACert", (), "crl-no-complete"),
    ("RevokedsubCACert", "GoodCACert", ("GoodCACRL",), REVOKED),  # Test 2
    ("InvalidRevokedEETest3EE", "GoodCACert", ("GoodCACRL",), REVOKED),
    ("InvalidBadCRLSignatureTest4EE", "BadCRLSignatureCACert", ("BadCRLSignatureCACRL",), "crl-signature"),
    ("InvalidBadCRLIssuerNameTest5EE", "BadCRLIssuerNameCACert", ("BadCRLIssuerNameCACRL",), "crl-issuer"),
    ("InvalidWrongCRLTest6EE", "WrongCRLCACert", ("WrongCRLCACRL",), "crl-issuer"),
    ("ValidTwoCRLsTest7EE", "TwoCRLsCACert", ("TwoCRLsCABadCRL", "TwoCRLsCAGoodCRL"), GOOD),
    (
        "InvalidUnknownCRLEntryExtensionTest8EE",
        "UnknownCRLEntryExtensionCACert",
        ("UnknownCRLEntryExtensionCACRL",),
        "crl-extension",
    ),
    ("InvalidUnknownCRLExtensionTest9EE", "UnknownCRLExtensionCACert", ("UnknownCRLExtensionCACRL",), "crl-extension"),
    ("InvalidUnknownCRLExtensionTest10EE", "UnknownCRLExtensionCACert", ("UnknownCRLExtensionCACRL",), "crl-extension"),
    ("InvalidOldCRLnextUpdateTest11EE", "OldCRLnextUpdateCACert", ("OldCRLnextUpdateCACRL",), "crl-over"),
    ("Invalidpre2000CRLnextUpdateTest12EE", "pre2000CRLnextUpdateCACert", ("pre2000CRLnextUpdateCACRL",), "crl-over"),
    (
        "ValidGeneralizedTimeCRLnextUpdateTest13EE",
        "GeneralizedTimeCRLnextUpdateCACert",
        ("GeneralizedTimeCRLnextUpdateCACRL",),
        GOOD,
    ),
    ("ValidNegativeSerialNumberTest14EE", "NegativeSerialNumberCACert", ("NegativeSerialNumberCACRL",), GOOD),
    # Test 15: the path's rules refuse its number
    ("ValidLongSerialNumberTest16EE", "LongSerialNumberCACert", ("LongSerialNumberCACRL",), GOOD),
    ("ValidLongSerialNumberTest17EE", "LongSerialNumberCACert", ("LongSerialNumberCACRL",), GOOD),
    ("InvalidLongSerialNumberTest18EE", "LongSerialNumberCACert", ("LongSerialNumberCACRL",), REVOKED),
    (
        "ValidSeparateCertificateandCRLKeysTest19EE",
        "SeparateCertificateandCRLKeysCertificateSigningCACert",
        ("SeparateCertificateandCRLKeysCRL",),
        "crl-issuer",  # not supported
    ),
    (
        "InvalidkeyUsageCriticalcRLSignFalseTest4EE",
        "keyUsageCriticalcRLSignFalseCACert",
        ("keyUsageCriticalcRLSignFalseCACRL",),
        "crl-sign",
    ),
    (
        "InvalidkeyUsageNotCriticalcRLSignFalseTest5EE",
        "keyUsageNotCriticalcRLSignFalseCACert",
        ("keyUsageNotCriticalcRLSignFalseCACRL",),
        "crl-sign",
    ),
    # §4.14
    ("ValiddistributionPointTest1EE", "distributionPoint1CACert", ("distributionPoint1CACRL",), GOOD),
    ("InvaliddistributionPointTest2EE", "distributionPoint1CACert", ("distributionPoint1CACRL",), REVOKED),
    ("InvaliddistributionPointTest3EE", "distributionPoint1CACert", ("distributionPoint1CACRL",), "crl-partition"),
    ("ValiddistributionPointTest4EE", "distributionPoint1CACert", ("distributionPoint1CACRL",), GOOD),
    ("ValiddistributionPointTest5EE", "distributionPoint2CACert", ("distributionPoint2CACRL",), GOOD),
    ("InvaliddistributionPointTest6EE", "distributionPoint2CACert", ("distributionPoint2CACRL",), REVOKED),
    ("ValiddistributionPointTest7EE", "distributionPoint2CACert", ("distributionPoint2CACRL",), GOOD),
    ("InvaliddistributionPointTest8EE", "distributionPoint2CACert", ("distributionPoint2CACRL",), "crl-partition"),
    ("InvaliddistributionPointTest9EE", "distributionPoint2CACert", ("distributionPoint2CACRL",), "crl-partition"),
    (
        "ValidNoissuingDistributionPointTest10EE",
        "NoissuingDistributionPointCACert",
        ("NoissuingDistributionPointCACRL",),
        GOOD,
    ),
    (
        "InvalidonlyContainsUserCertsTest11EE",
        "onlyContainsUserCertsCACert",
        ("onlyContainsUserCertsCACRL",),
        "crl-kind",
    ),
    ("InvalidonlyContainsCACertsTest12EE", "onlyContainsCACertsCACert", ("onlyContainsCACertsCACRL",), "crl-kind"),
    ("ValidonlyContainsCACertsTest13EE", "onlyContainsCACertsCACert", ("onlyContainsCACertsCACRL",), GOOD),
    (
        "InvalidonlyContainsAttributeCertsTest14EE",
        "onlyContainsAttributeCertsCACert",
        ("onlyContainsAttributeCertsCACRL",),
        "crl-kind",
    ),
    (
        "InvalidonlySomeReasonsTest15EE",
        "onlySomeReasonsCA1Cert",
        ("onlySomeReasonsCA1compromiseCRL", "onlySomeReasonsCA1otherreasonsCRL"),
        REVOKED,
    ),
    (
        "InvalidonlySomeReasonsTest16EE",
        "onlySomeReasonsCA1Cert",
        ("onlySomeReasonsCA1compromiseCRL", "onlySomeReasonsCA1otherreasonsCRL"),
        REVOKED,
    ),
    (
        "InvalidonlySomeReasonsTest17EE",
        "onlySomeReasonsCA2Cert",
        ("onlySomeReasonsCA2CRL1", "onlySomeReasonsCA2CRL2"),
        "crl-reasons",
    ),
    (
        "ValidonlySomeReasonsTest18EE",
        "onlySomeReasonsCA3Cert",
        ("onlySomeReasonsCA3compromiseCRL", "onlySomeReasonsCA3otherreasonsCRL"),
        GOOD,
    ),
    (
        "ValidonlySomeReasonsTest19EE",
        "onlySomeReasonsCA4Cert",
        ("onlySomeReasonsCA4compromiseCRL", "onlySomeReasonsCA4otherreasonsCRL"),
        GOOD,
    ),
    (
        "InvalidonlySomeReasonsTest20EE",
        "onlySomeReasonsCA4Cert",
        ("onlySomeReasonsCA4compromiseCRL", "onlySomeReasonsCA4otherreasonsCRL"),
        REVOKED,
    ),
    (
        "InvalidonlySomeReasonsTest21EE",
        "onlySomeReasonsCA4Cert",
        ("onlySomeReasonsCA4compromiseCRL", "onlySomeReasonsCA4otherreasonsCRL"),
        REVOKED,
    ),
    ("ValidIDPwithindirectCRLTest22EE", "indirectCRLCA1Cert", ("indirectCRLCA1CRL",), "crl-indirect"),
    ("InvalidIDPwithindirectCRLTest23EE", "indirectCRLCA1Cert", ("indirectCRLCA1CRL",), "crl-indirect"),
    ("ValidIDPwithindirectCRLTest24EE", "indirectCRLCA2Cert", ("indirectCRLCA1CRL",), "crl-issuer"),
    ("InvalidcRLIssuerTest27EE", "indirectCRLCA2Cert", ("GoodCACRL",), "crl-issuer"),
    # §4.15
    (
        "InvaliddeltaCRLIndicatorNoBaseTest1EE",
        "deltaCRLIndicatorNoBaseCACert",
        ("deltaCRLIndicatorNoBaseCACRL",),
        "crl-no-complete",
    ),
    ("ValiddeltaCRLTest2EE", "deltaCRLCA1Cert", ("deltaCRLCA1CRL", "deltaCRLCA1deltaCRL"), GOOD),
    ("InvaliddeltaCRLTest3EE", "deltaCRLCA1Cert", ("deltaCRLCA1CRL", "deltaCRLCA1deltaCRL"), REVOKED),
    ("InvaliddeltaCRLTest4EE", "deltaCRLCA1Cert", ("deltaCRLCA1CRL", "deltaCRLCA1deltaCRL"), REVOKED),
    ("ValiddeltaCRLTest5EE", "deltaCRLCA1Cert", ("deltaCRLCA1CRL", "deltaCRLCA1deltaCRL"), GOOD),
    ("InvaliddeltaCRLTest6EE", "deltaCRLCA1Cert", ("deltaCRLCA1CRL", "deltaCRLCA1deltaCRL"), REVOKED),
    ("ValiddeltaCRLTest7EE", "deltaCRLCA1Cert", ("deltaCRLCA1CRL", "deltaCRLCA1deltaCRL"), GOOD),
    ("ValiddeltaCRLTest8EE", "deltaCRLCA2Cert", ("deltaCRLCA2CRL", "deltaCRLCA2deltaCRL"), GOOD),
    ("InvaliddeltaCRLTest9EE", "deltaCRLCA2Cert", ("deltaCRLCA2CRL", "deltaCRLCA2deltaCRL"), REVOKED),
    ("InvaliddeltaCRLTest10EE", "deltaCRLCA3Cert", ("deltaCRLCA3CRL", "deltaCRLCA3deltaCRL"), "crl-over"),
)


def certificate(name: str) -> x509.Certificate:
    """One of PKITS."""
    return x509.load_der_x509_certificate((PLACE / "certs" / f"{name}.crt").read_bytes())


@pytest.mark.parametrize(("name", "issuer", "lists", "expected"), CASES, ids=[case[0] for case in CASES])
def test_pkits(name, issuer, lists, expected):
    """Each certificate is good, revoked, or refused for the reason for which the case was made."""
    issued_by = certificate(issuer)
    question = StatusQuestion(certificate=certificate(name), issuer=issued_by, policy=RevocationPolicy())
    read: list[RevocationList] = []
    refused: list[str] = []
    for each in lists:
        try:
            read.append(crl.read((PLACE / "crls" / f"{each}.crl").read_bytes(), issued_by))
        except StatusRefusedError as why:
            refused.append(why.code)
    if not read and refused:
        assert refused[-1] == expected
        return
    if isinstance(expected, Standing):
        assert crl.judged(question, read, Moment(at=AT)).standing is expected
        return
    with pytest.raises(StatusRefusedError) as caught:
        crl.judged(question, read, Moment(at=AT))
    assert caught.value.code == expected
