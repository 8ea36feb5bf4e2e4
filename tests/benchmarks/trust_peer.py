"""Read a signed ETSI TS 119 612 list in this fresh process with pyHanko, and print as JSON what it took.

    trust_peer.py FILE CERTIFICATE

Measured as `trust_load.py` measures the gateway. pyHanko keeps the authorities' certificates in its registry.
"""

import gc
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from asn1crypto.x509 import Certificate
from pyhanko.sign.validation.qualified.eutl_parse import trust_list_to_registry

from tests.benchmarks.report import resident_mb


def main() -> None:
    """Load and tell."""
    signer = Certificate.load(Path(sys.argv[2]).read_bytes())
    gc.collect()
    before, began = resident_mb(), time.perf_counter()
    document = Path(sys.argv[1]).read_bytes()
    registry, complaints = trust_list_to_registry(document.decode(), [signer])
    seconds = time.perf_counter() - began
    del document
    gc.collect()
    told = {
        "version": version("pyHanko"),
        "entities": len(list(registry.known_certificate_authorities)),
        "faults": len(complaints),
        "load_s": seconds,
        "memory_mb": resident_mb() - before,
        "peak_mb": resident_mb(peak=True) - before,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
