"""Signed lists of many entities: as large as those of federations, written once a run and loaded in fresh processes."""

import json
import statistics
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.benchmarks import saml_messages as messages
from tests.benchmarks.saml_driver import Peers
from tests.benchmarks.saml_gateway import NotStartedError
from tests.benchmarks.saml_messages import Pair
from tests.trust_lists.aggregates import entities
from tests.trust_lists.builders import Authority, aggregate

SIZES = (1_800, 10_000)
SECONDS = 240
VALID = timedelta(days=7)
HERE = Path(__file__).resolve().parent


def signed(count: int, peers: Peers, by: Pair) -> bytes:
    """A list of `count` entities, the driver's two among them."""
    certificate = x509.load_pem_x509_certificate(by.certificate_pem).public_bytes(Encoding.DER)
    now = datetime.now(UTC)
    return aggregate(
        messages.idp_metadata(peers.idp),
        messages.sp_metadata(peers.sp),
        *entities(count - 2),
        by=Authority(key_pem=by.key_pem, certificate_pem=by.certificate_pem, der=certificate),
        created=now,
        until=now + VALID,
    )


def loaded(python: Path | None, file: Path, anchor: Path, *, times: int) -> dict[str, dict[str, float]]:
    """Medians of loading it as the gateway does and, with SATOSA's `python`, as SATOSA does, in turns.

    Raises `NotStartedError` if one of them does not.
    """
    commands = {"gateway": [sys.executable, str(HERE / "saml_load.py")]}
    if python is not None:
        commands["pysaml2"] = [str(python), "-W", "ignore", str(HERE / "satosa" / "load.py")]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(times):
        for name, command in commands.items():
            done = subprocess.run(
                [*command, str(file), str(anchor)], capture_output=True, text=True, timeout=SECONDS, check=False
            )
            if done.returncode:
                raise NotStartedError(f"{name}: {done.stderr.strip()[-600:]}")
            runs[name].append(json.loads(done.stdout))
    return {
        name: {figure: round(statistics.median(run[figure] for run in each), 3) for figure in each[0]}
        for name, each in runs.items()
    }
