"""The demo authority's timestamps (RFC 3161): that some octets, known by their digest, existed at some time."""

import hashlib
import secrets
from datetime import datetime

from asn1crypto import algos, cms, core, tsp, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.demo.authority_keys import TIMESTAMPS_POLICY, Pair

LARGEST_QUERY = 4096
DIGESTS = {"sha256": 32, "sha384": 48, "sha512": 64}
"""The digests of which a timestamp is given, and their octets."""
ACCURACY_SECONDS = 1

UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
"""What asn1crypto raises for octets that are not what they should be."""


class _RejectedError(Exception):
    """A query that gets no timestamp; the text is the PKIFailureInfo (RFC 3161 §2.4.2)."""


def timestamp_answer(query: bytes, signer: Pair, issuer: Pair, now: datetime) -> bytes:
    """The DER answer to a DER query: a timestamp, or what is wrong with the query (RFC 3161 §2.4.2)."""
    try:
        asked = _read(query)
    except _RejectedError as why:
        status: bytes = tsp.PKIStatusInfo({"status": "rejection", "fail_info": {str(why)}}).dump()
        return b"\x30" + bytes([len(status)]) + status  # a TimeStampResp without a token, which asn1crypto cannot make
    stated = {
        "version": "v1",
        "policy": TIMESTAMPS_POLICY,
        "message_imprint": asked["message_imprint"],
        "serial_number": secrets.randbits(120) | 1 << 119,
        "gen_time": now.replace(microsecond=0),
        "accuracy": {"seconds": ACCURACY_SECONDS},
    }
    if asked["nonce"].native is not None:
        stated["nonce"] = asked["nonce"].native
    wanted = bool(asked["cert_req"].native)
    token = _token(tsp.TSTInfo(stated), signer, issuer, now, certificates=wanted)
    return bytes(tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump())


def _read(query: bytes) -> tsp.TimeStampReq:
    """The query, if a timestamp can be given. Raises `_RejectedError`."""
    if len(query) > LARGEST_QUERY:
        raise _RejectedError("bad_request")
    try:
        asked = tsp.TimeStampReq.load(query, strict=True)
        algorithm = asked["message_imprint"]["hash_algorithm"]["algorithm"].native
        imprint = asked["message_imprint"]["hashed_message"].native
        for why, wrong in (
            ("bad_request", asked["version"].native != "v1"),
            ("bad_alg", algorithm not in DIGESTS),
            ("bad_data_format", len(imprint) != DIGESTS.get(algorithm)),
            ("unaccepted_policy", asked["req_policy"].native not in (None, TIMESTAMPS_POLICY)),
            ("unaccepted_extensions", bool(asked["extensions"].native)),
        ):
            if wrong:
                raise _RejectedError(why)
        _ = asked["nonce"].native, asked["cert_req"].native
    except UNREADABLE:
        raise _RejectedError("bad_data_format") from None
    return asked


def _token(info: tsp.TSTInfo, signer: Pair, issuer: Pair, now: datetime, *, certificates: bool) -> cms.ContentInfo:
    """The timestamp as SignedData (RFC 5652), naming its signer's certificate (RFC 5816)."""
    content = info.dump()
    held = x509.Certificate.load(signer.der)
    named = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(signer.der).digest()}]})
    attributes = cms.CMSAttributes(
        [
            {"type": "content_type", "values": ["tst_info"]},
            {"type": "signing_time", "values": [cms.Time({"utc_time": now.replace(microsecond=0)})]},
            {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
            {"type": "signing_certificate_v2", "values": [named]},
        ]
    )
    data = {
        "version": "v3",
        "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
        "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
        "signer_infos": [
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    {
                        "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                            {"issuer": held.issuer, "serial_number": held.serial_number}
                        )
                    }
                ),
                "digest_algorithm": {"algorithm": "sha256"},
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": "sha256_ecdsa"},
                "signature": signer.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
            }
        ],
    }
    if certificates:
        data["certificates"] = [held, x509.Certificate.load(issuer.der)]
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(data)})
