# ruff: noqa: E501 - the suite's names are long, and a case is a line
"""NIST's Public Key Interoperability Test Suite (PKITS 1.0.1), as far as it is about paths; revocation is elsewhere.

The certificates come with the package `cryptography_vectors`; what is expected of each is PKITS's, and the code of the
refusal is ours. All authorities of a case come along, those off the path too.
"""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any

import cryptography_vectors
import pytest
from cryptography import x509

from federation.certificate import paths
from federation.certificate.facts import read
from federation.certificate.model import CertificateRefusedError, Wanted
from federation.certificate.policies import ANY_POLICY, Initial, PolicyError, valid_policies

AT = datetime(2020, 6, 1, tzinfo=UTC)
"""A time at which PKITS's own certificates are valid."""

# section, what is expected, certificate ("EE" left out), authorities that come along ("Cert" left out)
PATHS = """
4.1.1 ok ValidCertificatePathTest1 GoodCA
4.1.2 path-signature InvalidCASignatureTest2 BadSignedCA
4.1.3 path-signature InvalidEESignatureTest3 GoodCA
4.1.4 weak-algorithm ValidDSASignaturesTest4 DSACA
4.1.5 certificate-malformed ValidDSAParameterInheritanceTest5 DSAParametersInheritedCA
4.1.6 path-signature InvalidDSASignatureTest6 DSACA
4.2.1 not-yet-valid InvalidCAnotBeforeDateTest1 BadnotBeforeDateCA
4.2.2 not-yet-valid InvalidEEnotBeforeDateTest2 GoodCA
4.2.3 ok Validpre2000UTCnotBeforeDateTest3 GoodCA
4.2.4 certificate-malformed ValidGeneralizedTimenotBeforeDateTest4 GoodCA
4.2.5 expired InvalidCAnotAfterDateTest5 BadnotAfterDateCA
4.2.6 expired InvalidEEnotAfterDateTest6 GoodCA
4.2.7 expired Invalidpre2000UTCEEnotAfterDateTest7 GoodCA
4.2.8 ok ValidGeneralizedTimenotAfterDateTest8 GoodCA
4.3.1 untrusted-issuer InvalidNameChainingTest1 GoodCA
4.3.2 untrusted-issuer InvalidNameChainingOrderTest2 NameOrderingCA
4.3.3 ok ValidNameChainingWhitespaceTest3 GoodCA
4.3.4 ok ValidNameChainingWhitespaceTest4 GoodCA
4.3.5 ok ValidNameChainingCapitalizationTest5 GoodCA
4.3.6 ok ValidNameUIDsTest6 UIDCA
4.3.7 ok ValidRFC3280MandatoryAttributeTypesTest7 RFC3280MandatoryAttributeTypesCA
4.3.8 ok ValidRFC3280OptionalAttributeTypesTest8 RFC3280OptionalAttributeTypesCA
4.3.9 ok ValidUTF8StringEncodedNamesTest9 UTF8StringEncodedNamesCA
4.3.10 ok ValidRolloverfromPrintableStringtoUTF8StringTest10 RolloverfromPrintableStringtoUTF8StringCA
4.3.11 ok ValidUTF8StringCaseInsensitiveMatchTest11 UTF8StringCaseInsensitiveMatchCA
4.4.14 ok ValidNegativeSerialNumberTest14 NegativeSerialNumberCA
4.4.16 ok ValidLongSerialNumberTest16 LongSerialNumberCA
4.4.17 ok ValidLongSerialNumberTest17 LongSerialNumberCA
4.5.1 ok ValidBasicSelfIssuedOldWithNewTest1 BasicSelfIssuedNewKeyCA BasicSelfIssuedNewKeyOldWithNewCA
4.5.3 ok ValidBasicSelfIssuedNewWithOldTest3 BasicSelfIssuedOldKeyCA BasicSelfIssuedOldKeyNewWithOldCA
4.5.4 ok ValidBasicSelfIssuedNewWithOldTest4 BasicSelfIssuedOldKeyCA BasicSelfIssuedOldKeyNewWithOldCA
4.5.6 ok ValidBasicSelfIssuedCRLSigningKeyTest6 BasicSelfIssuedCRLSigningKeyCA BasicSelfIssuedCRLSigningKeyCRL
4.5.8 not-a-ca InvalidBasicSelfIssuedCRLSigningKeyTest8 BasicSelfIssuedCRLSigningKeyCA BasicSelfIssuedCRLSigningKeyCRL
4.6.1 not-a-ca InvalidMissingbasicConstraintsTest1 MissingbasicConstraintsCA
4.6.2 not-a-ca InvalidcAFalseTest2 basicConstraintsCriticalcAFalseCA
4.6.3 not-a-ca InvalidcAFalseTest3 basicConstraintsNotCriticalcAFalseCA
4.6.4 ok ValidbasicConstraintsNotCriticalTest4 basicConstraintsNotCriticalCA
4.6.5 path-length InvalidpathLenConstraintTest5 pathLenConstraint0subCA pathLenConstraint0CA pathLenConstraint0SelfIssuedCA
4.6.6 path-length InvalidpathLenConstraintTest6 pathLenConstraint0subCA pathLenConstraint0CA pathLenConstraint0SelfIssuedCA
4.6.7 ok ValidpathLenConstraintTest7 pathLenConstraint0CA pathLenConstraint0SelfIssuedCA
4.6.8 ok ValidpathLenConstraintTest8 pathLenConstraint0CA pathLenConstraint0SelfIssuedCA
4.6.9 path-length InvalidpathLenConstraintTest9 pathLenConstraint6subsubCA00 pathLenConstraint6subCA0 pathLenConstraint6CA
4.6.10 path-length InvalidpathLenConstraintTest10 pathLenConstraint6subsubCA00 pathLenConstraint6subCA0 pathLenConstraint6CA
4.6.11 path-length InvalidpathLenConstraintTest11 pathLenConstraint6subsubsubCA11X pathLenConstraint6subsubCA11 pathLenConstraint6subCA1 pathLenConstraint6CA
4.6.12 path-length InvalidpathLenConstraintTest12 pathLenConstraint6subsubsubCA11X pathLenConstraint6subsubCA11 pathLenConstraint6subCA1 pathLenConstraint6CA
4.6.13 ok ValidpathLenConstraintTest13 pathLenConstraint6subsubsubCA41X pathLenConstraint6subsubCA41 pathLenConstraint6subCA4 pathLenConstraint6CA
4.6.14 ok ValidpathLenConstraintTest14 pathLenConstraint6subsubsubCA41X pathLenConstraint6subsubCA41 pathLenConstraint6subCA4 pathLenConstraint6CA
4.6.15 ok ValidSelfIssuedpathLenConstraintTest15 pathLenConstraint0CA pathLenConstraint0SelfIssuedCA
4.6.16 path-length InvalidSelfIssuedpathLenConstraintTest16 pathLenConstraint0subCA2 pathLenConstraint0CA pathLenConstraint0SelfIssuedCA
4.6.17 ok ValidSelfIssuedpathLenConstraintTest17 pathLenConstraint1SelfIssuedsubCA pathLenConstraint1subCA pathLenConstraint1CA pathLenConstraint1SelfIssuedCA
4.7.1 key-usage InvalidkeyUsageCriticalkeyCertSignFalseTest1 keyUsageCriticalkeyCertSignFalseCA
4.7.2 key-usage InvalidkeyUsageNotCriticalkeyCertSignFalseTest2 keyUsageNotCriticalkeyCertSignFalseCA
4.7.3 ok ValidkeyUsageNotCriticalTest3 keyUsageNotCriticalCA
4.9.1 ok ValidrequireExplicitPolicyTest1 requireExplicitPolicy10subsubsubCA requireExplicitPolicy10subsubCA requireExplicitPolicy10subCA requireExplicitPolicy10CA
4.9.2 ok ValidrequireExplicitPolicyTest2 requireExplicitPolicy5subsubsubCA requireExplicitPolicy5subsubCA requireExplicitPolicy5subCA requireExplicitPolicy5CA
4.9.3 policy InvalidrequireExplicitPolicyTest3 requireExplicitPolicy4subsubsubCA requireExplicitPolicy4subsubCA requireExplicitPolicy4subCA requireExplicitPolicy4CA
4.9.4 ok ValidrequireExplicitPolicyTest4 requireExplicitPolicy0subsubsubCA requireExplicitPolicy0subsubCA requireExplicitPolicy0subCA requireExplicitPolicy0CA
4.9.5 policy InvalidrequireExplicitPolicyTest5 requireExplicitPolicy7subsubsubCARE2RE4 requireExplicitPolicy7subsubCARE2RE4 requireExplicitPolicy7subCARE2 requireExplicitPolicy7CA
4.9.6 ok ValidSelfIssuedrequireExplicitPolicyTest6 requireExplicitPolicy2CA requireExplicitPolicy2SelfIssuedCA
4.9.7 policy InvalidSelfIssuedrequireExplicitPolicyTest7 requireExplicitPolicy2SelfIssuedsubCA requireExplicitPolicy2subCA requireExplicitPolicy2CA requireExplicitPolicy2SelfIssuedCA
4.9.8 policy InvalidSelfIssuedrequireExplicitPolicyTest8 requireExplicitPolicy2SelfIssuedsubCA requireExplicitPolicy2subCA requireExplicitPolicy2CA requireExplicitPolicy2SelfIssuedCA
4.10.1 ok ValidPolicyMappingTest1 Mapping1to2CA
4.10.2 policy InvalidPolicyMappingTest2 Mapping1to2CA
4.10.3 ok ValidPolicyMappingTest3 P12Mapping1to3subsubCA P12Mapping1to3subCA P12Mapping1to3CA
4.10.4 policy InvalidPolicyMappingTest4 P12Mapping1to3subsubCA P12Mapping1to3subCA P12Mapping1to3CA
4.10.5 ok ValidPolicyMappingTest5 P1Mapping1to234subCA P1Mapping1to234CA
4.10.6 ok ValidPolicyMappingTest6 P1Mapping1to234subCA P1Mapping1to234CA
4.10.7 policy InvalidMappingFromanyPolicyTest7 MappingFromanyPolicyCA
4.10.8 policy InvalidMappingToanyPolicyTest8 MappingToanyPolicyCA
4.10.9 ok ValidPolicyMappingTest9 PanyPolicyMapping1to2CA
4.10.10 policy InvalidPolicyMappingTest10 GoodsubCAPanyPolicyMapping1to2CA GoodCA
4.10.11 ok ValidPolicyMappingTest11 GoodsubCAPanyPolicyMapping1to2CA GoodCA
4.10.12 ok ValidPolicyMappingTest12 P12Mapping1to3CA
4.10.13 ok ValidPolicyMappingTest13 P1anyPolicyMapping1to2CA
4.10.14 ok ValidPolicyMappingTest14 P1anyPolicyMapping1to2CA
4.11.1 policy InvalidinhibitPolicyMappingTest1 inhibitPolicyMapping0subCA inhibitPolicyMapping0CA
4.11.2 ok ValidinhibitPolicyMappingTest2 inhibitPolicyMapping1P12subCA inhibitPolicyMapping1P12CA
4.11.3 policy InvalidinhibitPolicyMappingTest3 inhibitPolicyMapping1P12subsubCA inhibitPolicyMapping1P12subCA inhibitPolicyMapping1P12CA
4.11.4 ok ValidinhibitPolicyMappingTest4 inhibitPolicyMapping1P12subsubCA inhibitPolicyMapping1P12subCA inhibitPolicyMapping1P12CA
4.11.5 policy InvalidinhibitPolicyMappingTest5 inhibitPolicyMapping5subsubsubCA inhibitPolicyMapping5subsubCA inhibitPolicyMapping5subCA inhibitPolicyMapping5CA
4.11.6 policy InvalidinhibitPolicyMappingTest6 inhibitPolicyMapping1P12subsubCAIPM5 inhibitPolicyMapping1P12subCAIPM5 inhibitPolicyMapping1P12CA
4.11.7 ok ValidSelfIssuedinhibitPolicyMappingTest7 inhibitPolicyMapping1P1SelfIssuedsubCA inhibitPolicyMapping1P1subCA inhibitPolicyMapping1P1CA inhibitPolicyMapping1P1SelfIssuedCA
4.11.8 policy InvalidSelfIssuedinhibitPolicyMappingTest8 inhibitPolicyMapping1P1subsubCA inhibitPolicyMapping1P1SelfIssuedsubCA inhibitPolicyMapping1P1subCA inhibitPolicyMapping1P1CA inhibitPolicyMapping1P1SelfIssuedCA
4.11.9 policy InvalidSelfIssuedinhibitPolicyMappingTest9 inhibitPolicyMapping1P1subsubCA inhibitPolicyMapping1P1SelfIssuedsubCA inhibitPolicyMapping1P1subCA inhibitPolicyMapping1P1CA inhibitPolicyMapping1P1SelfIssuedCA
4.11.10 policy InvalidSelfIssuedinhibitPolicyMappingTest10 inhibitPolicyMapping1P1SelfIssuedsubCA inhibitPolicyMapping1P1subCA inhibitPolicyMapping1P1CA inhibitPolicyMapping1P1SelfIssuedCA
4.11.11 policy InvalidSelfIssuedinhibitPolicyMappingTest11 inhibitPolicyMapping1P1SelfIssuedsubCA inhibitPolicyMapping1P1subCA inhibitPolicyMapping1P1CA inhibitPolicyMapping1P1SelfIssuedCA
4.12.1 policy InvalidinhibitAnyPolicyTest1 inhibitAnyPolicy0CA
4.12.2 ok ValidinhibitAnyPolicyTest2 inhibitAnyPolicy0CA
4.12.3 ok inhibitAnyPolicyTest3 inhibitAnyPolicy1subCA1 inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA
4.12.4 policy InvalidinhibitAnyPolicyTest4 inhibitAnyPolicy1subCA1 inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA
4.12.5 policy InvalidinhibitAnyPolicyTest5 inhibitAnyPolicy5subsubCA inhibitAnyPolicy5subCA inhibitAnyPolicy5CA
4.12.6 policy InvalidinhibitAnyPolicyTest6 inhibitAnyPolicy1subCAIAP5 inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA
4.12.7 ok ValidSelfIssuedinhibitAnyPolicyTest7 inhibitAnyPolicy1SelfIssuedsubCA2 inhibitAnyPolicy1subCA2 inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA
4.12.8 policy InvalidSelfIssuedinhibitAnyPolicyTest8 inhibitAnyPolicy1subsubCA2 inhibitAnyPolicy1SelfIssuedsubCA2 inhibitAnyPolicy1subCA2 inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA
4.12.9 ok ValidSelfIssuedinhibitAnyPolicyTest9 inhibitAnyPolicy1SelfIssuedsubCA2 inhibitAnyPolicy1subCA2 inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA
4.12.10 policy InvalidSelfIssuedinhibitAnyPolicyTest10 inhibitAnyPolicy1SelfIssuedsubCA2 inhibitAnyPolicy1subCA2 inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA
4.13.1 ok ValidDNnameConstraintsTest1 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.2 name-constraints InvalidDNnameConstraintsTest2 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.3 name-constraints InvalidDNnameConstraintsTest3 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.4 ok ValidDNnameConstraintsTest4 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.5 ok ValidDNnameConstraintsTest5 nameConstraintsDN2CA
4.13.6 ok ValidDNnameConstraintsTest6 nameConstraintsDN3CA
4.13.7 name-constraints InvalidDNnameConstraintsTest7 nameConstraintsDN3CA
4.13.8 name-constraints InvalidDNnameConstraintsTest8 nameConstraintsDN4CA
4.13.9 name-constraints InvalidDNnameConstraintsTest9 nameConstraintsDN4CA
4.13.10 name-constraints InvalidDNnameConstraintsTest10 nameConstraintsDN5CA
4.13.11 ok ValidDNnameConstraintsTest11 nameConstraintsDN5CA
4.13.12 name-constraints InvalidDNnameConstraintsTest12 nameConstraintsDN1subCA1 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.13 name-constraints InvalidDNnameConstraintsTest13 nameConstraintsDN1subCA2 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.14 ok ValidDNnameConstraintsTest14 nameConstraintsDN1subCA2 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.15 name-constraints InvalidDNnameConstraintsTest15 nameConstraintsDN3subCA1 nameConstraintsDN3CA
4.13.16 name-constraints InvalidDNnameConstraintsTest16 nameConstraintsDN3subCA1 nameConstraintsDN3CA
4.13.17 name-constraints InvalidDNnameConstraintsTest17 nameConstraintsDN3subCA2 nameConstraintsDN3CA
4.13.18 ok ValidDNnameConstraintsTest18 nameConstraintsDN3subCA2 nameConstraintsDN3CA
4.13.19 ok ValidDNnameConstraintsTest19 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.20 name-constraints InvalidDNnameConstraintsTest20 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.21 ok ValidRFC822nameConstraintsTest21 nameConstraintsRFC822CA1
4.13.22 name-constraints InvalidRFC822nameConstraintsTest22 nameConstraintsRFC822CA1
4.13.23 ok ValidRFC822nameConstraintsTest23 nameConstraintsRFC822CA2
4.13.24 name-constraints InvalidRFC822nameConstraintsTest24 nameConstraintsRFC822CA2
4.13.25 ok ValidRFC822nameConstraintsTest25 nameConstraintsRFC822CA3
4.13.26 name-constraints InvalidRFC822nameConstraintsTest26 nameConstraintsRFC822CA3
4.13.27 ok ValidDNandRFC822nameConstraintsTest27 nameConstraintsDN1subCA3 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.28 name-constraints InvalidDNandRFC822nameConstraintsTest28 nameConstraintsDN1subCA3 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.29 name-constraints InvalidDNandRFC822nameConstraintsTest29 nameConstraintsDN1subCA3 nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA
4.13.30 ok ValidDNSnameConstraintsTest30 nameConstraintsDNS1CA
4.13.31 name-constraints InvalidDNSnameConstraintsTest31 nameConstraintsDNS1CA
4.13.32 ok ValidDNSnameConstraintsTest32 nameConstraintsDNS2CA
4.13.33 name-constraints InvalidDNSnameConstraintsTest33 nameConstraintsDNS2CA
4.13.34 ok ValidURInameConstraintsTest34 nameConstraintsURI1CA
4.13.35 name-constraints InvalidURInameConstraintsTest35 nameConstraintsURI1CA
4.13.36 ok ValidURInameConstraintsTest36 nameConstraintsURI2CA
4.13.37 name-constraints InvalidURInameConstraintsTest37 nameConstraintsURI2CA
4.13.38 name-constraints InvalidDNSnameConstraintsTest38 nameConstraintsDNS1CA
4.16.1 ok ValidUnknownNotCriticalCertificateExtensionTest1
4.16.2 unknown-critical-extension InvalidUnknownCriticalCertificateExtensionTest2
"""

REFUSED_ON_PURPOSE = {
    "4.1.4": "DSA is not believed",
    "4.1.5": "DSA is not believed, and the library does not read inherited parameters",
    "4.2.4": "RFC 5280 §4.1.2.5 has times before 2050 written as UTCTime; the library's verifier insists on it",
}
"""What PKITS calls valid and is refused nevertheless, and why."""

REVOKED_ELSEWHERE = {"4.4.15", "4.4.18", "4.5.2", "4.5.5", "4.5.7", "4.7.4", "4.7.5"}
"""What PKITS calls invalid because of a revocation list, and is left to the tests of those."""


@cache
def der(name: str) -> bytes:
    """A certificate of the suite."""
    with cryptography_vectors.open_vector_file(f"x509/PKITS_data/certs/{name}.crt", "rb") as file:
        content: bytes = file.read()
    return content


@cache
def root() -> x509.Certificate:
    """The suite's trust anchor."""
    return x509.load_der_x509_certificate(der("TrustAnchorRootCertificate"))


def outcome(certificate: str, authorities: tuple[str, ...], wanted: Wanted) -> str | frozenset[str]:
    """The code of the refusal, or the policies."""
    try:
        path = paths.path(der(f"{certificate}EE"), [der(f"{each}Cert") for each in authorities], (root(),), wanted, AT)
    except CertificateRefusedError as refused:
        return refused.code
    return path.policies


@pytest.mark.parametrize("case", PATHS.strip().splitlines(), ids=lambda case: case.split()[0])
def test_the_path_is_judged_as_the_suite_says(case: str) -> None:
    """Accepted, or refused for the reason that the suite has in mind."""
    section, expected, certificate, *authorities = case.split()

    found = outcome(certificate, tuple(authorities), Wanted(key_usages=frozenset()))

    assert (found if isinstance(found, str) else "ok") == expected
    if certificate.startswith("Invalid") or section in REFUSED_ON_PURPOSE:
        assert expected != "ok"
    else:
        assert expected == "ok" or certificate.startswith("inhibitAnyPolicy")


def test_every_case_about_paths_is_run() -> None:
    """All numbers of the sections on paths are in the tables, but for those on revocation."""
    counts = {
        "4.1": 6, "4.2": 8, "4.3": 11, "4.5": 8, "4.6": 17, "4.7": 5, "4.8": 20,
        "4.9": 8, "4.10": 14, "4.11": 11, "4.12": 10, "4.13": 38, "4.16": 2,
    }  # fmt: skip
    all_of = {f"{section}.{number}" for section, count in counts.items() for number in range(1, count + 1)}
    run = {line.split()[0] for line in PATHS.strip().splitlines()} | {section for section, *_ in POLICIES}

    assert all_of - run == REVOKED_ELSEWHERE - {"4.4.15", "4.4.18"}


# --- policies asked for in different ways (§4.8, §4.10, §4.12: each test's parts)

P1, P2, P3, P6 = (f"2.16.840.1.101.3.2.1.48.{number}" for number in (1, 2, 3, 6))
EXPLICIT = {"explicit": True}

POLICIES: tuple[tuple[str, str, str, dict[str, Any], set[str] | None], ...] = (
    # section, certificate, authorities from above, what is asked, the policies that hold or None for refused
    ("4.8.1", "ValidCertificatePathTest1", "GoodCA", EXPLICIT, {P1}),
    ("4.8.1", "ValidCertificatePathTest1", "GoodCA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.8.1", "ValidCertificatePathTest1", "GoodCA", EXPLICIT | {"accepted": {P2}}, None),
    ("4.8.1", "ValidCertificatePathTest1", "GoodCA", EXPLICIT | {"accepted": {P1, P2}}, {P1}),
    ("4.8.2", "AllCertificatesNoPoliciesTest2", "NoPoliciesCA", {}, set()),
    ("4.8.2", "AllCertificatesNoPoliciesTest2", "NoPoliciesCA", EXPLICIT, None),
    ("4.8.3", "DifferentPoliciesTest3", "GoodCA PoliciesP2subCA", {}, set()),
    ("4.8.3", "DifferentPoliciesTest3", "GoodCA PoliciesP2subCA", EXPLICIT, None),
    ("4.8.3", "DifferentPoliciesTest3", "GoodCA PoliciesP2subCA", EXPLICIT | {"accepted": {P1, P2}}, None),
    ("4.8.4", "DifferentPoliciesTest4", "GoodCA GoodsubCA", EXPLICIT, None),
    ("4.8.5", "DifferentPoliciesTest5", "GoodCA PoliciesP2subCA2", EXPLICIT, None),
    ("4.8.6", "OverlappingPoliciesTest6", "PoliciesP1234CA PoliciesP1234subCAP123 PoliciesP1234subsubCAP123P12", {}, {P1}),
    ("4.8.6", "OverlappingPoliciesTest6", "PoliciesP1234CA PoliciesP1234subCAP123 PoliciesP1234subsubCAP123P12", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.8.6", "OverlappingPoliciesTest6", "PoliciesP1234CA PoliciesP1234subCAP123 PoliciesP1234subsubCAP123P12", EXPLICIT | {"accepted": {P2}}, None),
    ("4.8.7", "DifferentPoliciesTest7", "PoliciesP123CA PoliciesP123subCAP12 PoliciesP123subsubCAP12P1", EXPLICIT, None),
    ("4.8.8", "DifferentPoliciesTest8", "PoliciesP12CA PoliciesP12subCAP1 PoliciesP12subsubCAP1P2", EXPLICIT, None),
    ("4.8.9", "DifferentPoliciesTest9", "PoliciesP123CA PoliciesP123subCAP12 PoliciesP123subsubCAP12P2 PoliciesP123subsubsubCAP12P2P1", EXPLICIT, None),
    ("4.8.10", "AllCertificatesSamePoliciesTest10", "PoliciesP12CA", {}, {P1, P2}),
    ("4.8.10", "AllCertificatesSamePoliciesTest10", "PoliciesP12CA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.8.10", "AllCertificatesSamePoliciesTest10", "PoliciesP12CA", EXPLICIT | {"accepted": {P2}}, {P2}),
    ("4.8.11", "AllCertificatesanyPolicyTest11", "anyPolicyCA", {}, {ANY_POLICY}),
    ("4.8.11", "AllCertificatesanyPolicyTest11", "anyPolicyCA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.8.12", "DifferentPoliciesTest12", "PoliciesP3CA", EXPLICIT, None),
    ("4.8.13", "AllCertificatesSamePoliciesTest13", "PoliciesP123CA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.8.13", "AllCertificatesSamePoliciesTest13", "PoliciesP123CA", EXPLICIT | {"accepted": {P2}}, {P2}),
    ("4.8.13", "AllCertificatesSamePoliciesTest13", "PoliciesP123CA", EXPLICIT | {"accepted": {P3}}, {P3}),
    ("4.8.14", "AnyPolicyTest14", "anyPolicyCA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.8.14", "AnyPolicyTest14", "anyPolicyCA", EXPLICIT | {"accepted": {P2}}, None),
    ("4.8.15", "UserNoticeQualifierTest15", "", {}, {P1}),
    ("4.8.16", "UserNoticeQualifierTest16", "GoodCA", {}, {P1}),
    ("4.8.17", "UserNoticeQualifierTest17", "GoodCA", {}, {P1}),
    ("4.8.18", "UserNoticeQualifierTest18", "PoliciesP12CA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.8.18", "UserNoticeQualifierTest18", "PoliciesP12CA", EXPLICIT | {"accepted": {P2}}, {P2}),
    ("4.8.19", "UserNoticeQualifierTest19", "", {}, {P1}),
    ("4.8.20", "CPSPointerQualifierTest20", "GoodCA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.10.1", "ValidPolicyMappingTest1", "Mapping1to2CA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.10.1", "ValidPolicyMappingTest1", "Mapping1to2CA", EXPLICIT | {"accepted": {P2}}, None),
    ("4.10.1", "ValidPolicyMappingTest1", "Mapping1to2CA", EXPLICIT | {"mapping_inhibited": True}, None),
    ("4.10.2", "InvalidPolicyMappingTest2", "Mapping1to2CA", EXPLICIT | {"mapping_inhibited": True}, None),
    ("4.10.3", "ValidPolicyMappingTest3", "P12Mapping1to3CA P12Mapping1to3subCA P12Mapping1to3subsubCA", EXPLICIT | {"accepted": {P1}}, None),
    ("4.10.3", "ValidPolicyMappingTest3", "P12Mapping1to3CA P12Mapping1to3subCA P12Mapping1to3subsubCA", EXPLICIT | {"accepted": {P2}}, {P2}),
    ("4.10.5", "ValidPolicyMappingTest5", "P1Mapping1to234CA P1Mapping1to234subCA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.10.5", "ValidPolicyMappingTest5", "P1Mapping1to234CA P1Mapping1to234subCA", EXPLICIT | {"accepted": {P6}}, None),
    ("4.10.6", "ValidPolicyMappingTest6", "P1Mapping1to234CA P1Mapping1to234subCA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.10.6", "ValidPolicyMappingTest6", "P1Mapping1to234CA P1Mapping1to234subCA", EXPLICIT | {"accepted": {P6}}, None),
    ("4.10.12", "ValidPolicyMappingTest12", "P12Mapping1to3CA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.10.12", "ValidPolicyMappingTest12", "P12Mapping1to3CA", EXPLICIT | {"accepted": {P2}}, {P2}),
    ("4.10.13", "ValidPolicyMappingTest13", "P1anyPolicyMapping1to2CA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.10.14", "ValidPolicyMappingTest14", "P1anyPolicyMapping1to2CA", EXPLICIT | {"accepted": {P1}}, {P1}),
    ("4.12.3", "inhibitAnyPolicyTest3", "inhibitAnyPolicy1CA inhibitAnyPolicy1subCA1", {}, {P1}),
    ("4.12.3", "inhibitAnyPolicyTest3", "inhibitAnyPolicy1CA inhibitAnyPolicy1subCA1", EXPLICIT | {"any_inhibited": True}, None),
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(POLICIES)), ids=lambda number: f"{POLICIES[number][0]}-{number}")
def test_policies_are_judged_as_the_suite_says(number: int) -> None:
    """With the suite's settings: which policies are asked for, and what is inhibited from the beginning."""
    _, certificate, authorities, asked, expected = POLICIES[number]
    chain = [*(f"{each}Cert" for each in authorities.split()), f"{certificate}EE"]
    initial = Initial(**{name: frozenset(value) if isinstance(value, set) else value for name, value in asked.items()})

    stated = [read(der(each)).stated for each in chain]

    if expected is None:
        with pytest.raises(PolicyError):
            valid_policies(stated, initial)
    else:
        assert valid_policies(stated, initial) == expected


ASKABLE = [number for number, case in enumerate(POLICIES) if set(case[3]) in (set(), {"explicit", "accepted"})]
"""The cases whose settings an ID system can have."""


@pytest.mark.parametrize("number", ASKABLE, ids=lambda number: f"{POLICIES[number][0]}-{number}")
def test_whole_paths_are_judged_so_where_policies_are_wanted(number: int) -> None:
    """The same cases through `paths.path`: with accepted policies, or with nothing asked."""
    _, certificate, authorities, asked, expected = POLICIES[number]
    wanted = Wanted(policies=frozenset(asked.get("accepted", ())), key_usages=frozenset())

    assert outcome(certificate, tuple(authorities.split()), wanted) == ("policy" if expected is None else expected)


def test_the_names_of_the_suite_and_the_table_agree() -> None:
    """A number in the table is that in the certificate's name."""
    for line in PATHS.strip().splitlines():
        section, _, certificate, *_ = line.split()
        found = re.search(r"Test(\d+)$", certificate)
        assert found is not None
        assert section.split(".")[-1] == found[1]
