"""Load a signed list in this fresh process as the gateway does, and print as JSON what it took.

    saml_load.py FILE CERTIFICATE

`satosa/load.py` does the same with pysaml2; both measure alike. Memory is resident memory after the load, with the
file's octets let go and garbage collected, less what it was before; the peak is the kernel's high-water mark.
"""

import gc
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from trust_lists import saml_metadata
from trust_lists.trusted_set import TrustedSet


def memory(name: str) -> float:
    """`VmRSS` or `VmHWM` in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1000


def main() -> None:
    """Load and tell."""
    anchor = x509.load_pem_x509_certificate(Path(sys.argv[2]).read_bytes()).public_bytes(Encoding.DER)
    gc.collect()
    before, began, used = memory("VmRSS"), time.perf_counter(), os.times()
    trusted = TrustedSet()
    document = Path(sys.argv[1]).read_bytes()
    trusted.admit(saml_metadata.read(document, name="bench", anchors=[anchor], now=datetime.now(UTC)))
    seconds, after = time.perf_counter() - began, os.times()
    del document
    gc.collect()
    (admitted,) = trusted.lists()
    told = {
        "entities": len({entity.entity_id for entity in admitted.entities}),
        "faults": len(admitted.faults),
        "seconds": seconds,
        "cpu_seconds": sum(after[:4]) - sum(used[:4]),
        "memory_mb": memory("VmRSS") - before,
        "peak_mb": memory("VmHWM") - before,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
