"""Load a signed list in this fresh process as SATOSA does by pysaml2, and print as JSON what it took.

    load.py FILE CERTIFICATE

It is pysaml2's loader of remote metadata, which verifies with the program xmlsec1; the file stands in for the network.
Runs in SATOSA's environment. `saml_load.py` does the same with the gateway's code; both measure alike.
"""

import gc
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from saml2.attribute_converter import ac_factory
from saml2.config import SPConfig
from saml2.mdstore import MetadataStore


def memory(name):
    """`VmRSS` or `VmHWM` in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1000


def main():
    """Load and tell."""
    file, certificate = sys.argv[1:]
    config = SPConfig().load({"entityid": "bench", "service": {"sp": {"endpoints": {}}}})
    store = MetadataStore(ac_factory(), config)
    store.http = SimpleNamespace(send=lambda url: SimpleNamespace(status_code=200, content=Path(url).read_bytes()))
    gc.collect()
    before, began, used = memory("VmRSS"), time.perf_counter(), os.times()
    store.load("remote", url=file, cert=certificate)
    seconds, after = time.perf_counter() - began, os.times()
    gc.collect()
    told = {
        "entities": len(store.metadata[file].entity),
        "faults": 0,
        "seconds": seconds,
        "cpu_seconds": sum(after[:4]) - sum(used[:4]),
        "memory_mb": memory("VmRSS") - before,
        "peak_mb": memory("VmHWM") - before,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
