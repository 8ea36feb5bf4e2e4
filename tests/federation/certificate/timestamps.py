"""A timestamp authority for tests (RFC 3161), with every fault; it shares nothing with the code under test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1

from tests.federation.certificate.authorities import AT, Authority, Issued, sign, signature_algorithm

TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
TSA_POLICY = "1.3.6.1.4.1.32473.2.1"


def tsa_certificate(authority: Authority, subject: str = "Timestamps", **changes: Any) -> Issued:
    """A certificate for timestamps alone (RFC 3161 §2.3)."""
    changes.setdefault("extended_key_usages", (TIME_STAMPING,))
    changes.setdefault("extended_key_usages_critical", True)
    changes.setdefault("key_usage", ("digital_signature",))
    changes.setdefault("policies", ())
    return authority.issue(subject, **changes)


@dataclass
class Tsa:
    """Answers queries at the moment `at`. What is in `info` and `faults` replaces what would be right."""

    issued: Issued
    at: datetime = AT
    info: Mapping[str, Any] = field(default_factory=dict)
    digest: str = "sha256"
    pss: bool = False
    certificate_id: str | None = "v2"
    wrong: frozenset[str] = frozenset()
    chain: bool = True

    def answer(self, query: bytes) -> bytes:
        """A TimeStampResp to a TimeStampReq."""
        token = cms.ContentInfo.load(self.token(query))
        return bytes(tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump())

    def token(self, query: bytes) -> bytes:
        """A TimeStampToken: CMS signed data over a TSTInfo."""
        asked = tsp.TimeStampReq.load(query, strict=True)
        info: dict[str, Any] = {
            "version": "v1",
            "policy": TSA_POLICY,
            "message_imprint": asked["message_imprint"],
            "serial_number": 4711,
            "gen_time": self.at,
            "accuracy": {"seconds": 1},
            "nonce": asked["nonce"],
        }
        info = {name: value for name, value in {**info, **self.info}.items() if value is not None}
        content = tsp.TSTInfo(info).dump()
        signed = cms.CMSAttributes(self._attributes(content))
        octets = signed.dump()
        certificate = asn1.Certificate.load(self.issued.der)
        along = [self.issued.der, *(self.issued.others if self.chain else ())]
        signature = sign(octets, self.issued.key, self.digest, pss=self.pss)
        if "signature" in self.wrong:
            signature = sign(octets + b"!", self.issued.key, self.digest, pss=self.pss)
        data = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": self.digest}],
                "encap_content_info": {
                    "content_type": "data" if "type" in self.wrong else "tst_info",
                    "content": core.ParsableOctetString(content),
                },
                "certificates": [asn1.Certificate.load(der) for der in along],
                "signer_infos": [
                    {
                        "version": "v1",
                        "sid": cms.SignerIdentifier(
                            "issuer_and_serial_number",
                            {"issuer": certificate.issuer, "serial_number": certificate.serial_number},
                        ),
                        "digest_algorithm": {"algorithm": self.digest},
                        "signed_attrs": signed,
                        "signature_algorithm": signature_algorithm(self.issued.key, self.digest, pss=self.pss),
                        "signature": signature,
                    }
                ],
            }
        )
        return bytes(cms.ContentInfo({"content_type": "signed_data", "content": data}).dump())

    def _attributes(self, content: bytes) -> list[dict[str, Any]]:
        digest = hashlib.new(self.digest, content + (b"!" if "digest" in self.wrong else b"")).digest()
        attributes: list[dict[str, Any]] = [
            {"type": "content_type", "values": ["data" if "type" in self.wrong else "tst_info"]},
            {"type": "message_digest", "values": [digest]},
        ]
        of = self.issued.der + (b"!" if "certificate-id" in self.wrong else b"")
        if self.certificate_id == "v2":
            value: Any = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(of).digest()}]})
            attributes.append({"type": "signing_certificate_v2", "values": [value]})
        if self.certificate_id == "v1":
            value = tsp.SigningCertificate({"certs": [{"cert_hash": hashlib.sha1(of).digest()}]})
            attributes.append({"type": "signing_certificate", "values": [value]})
        return attributes


def refusal() -> bytes:
    """A TimeStampResp that grants nothing: without a token (RFC 3161 §2.4.2)."""
    status = tsp.PKIStatusInfo({"status": "rejection", "fail_info": {"bad_alg"}})
    contents = status.dump()
    return b"\x30" + bytes([len(contents)]) + bytes(contents)
