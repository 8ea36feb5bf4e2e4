"""The demo's configuration: copied from `configs/demo/` at each start, with the actual addresses.

Files that someone added are kept. So are files that someone edited: only a file that is still as it was
rendered is rendered again.
"""

import hashlib
import json
from pathlib import Path

from gateway.demo.addresses import Addresses

RECORD = "rendered.json"
"""In the state directory: the digest of each file as it was rendered last."""

PACKAGE = Path(__file__).resolve().parent.parent

TEXT = {".yaml", ".md"}


def templates() -> Path:
    """Where `configs/demo/` is: in the installed package, or beside it in the repository."""
    installed = PACKAGE / "_configs" / "demo"
    return installed if installed.is_dir() else PACKAGE.parent / "configs" / "demo"


def render(state: Path, addresses: Addresses) -> tuple[Path, list[Path]]:
    """Bring `state/config` up to date; answers it, and the files that were left as someone edited them."""
    source, target = templates(), state / "config"
    before = _read(state / RECORD)
    after: dict[str, str] = {}
    edited: list[Path] = []
    for path in sorted(source.rglob("*")):
        if path.suffix not in TEXT:
            continue
        name = path.relative_to(source).as_posix()
        content = addresses.rewrite(path.read_text(encoding="utf-8")).encode()
        if put(target / name, content, before.get(name)):
            after[name] = digest(content)
        else:
            after[name] = before.get(name, "")
            edited.append(target / name)
    for name in before.keys() - after.keys():
        if (target / name).is_file() and digest((target / name).read_bytes()) == before[name]:
            (target / name).unlink()
    (state / RECORD).write_text(json.dumps(after, indent=1))
    return target, edited


def put(path: Path, content: bytes, rendered: str | None) -> bool:
    """Write `content` unless the file is not as it was `rendered` (a digest); answers whether it is there."""
    if path.exists():
        there = path.read_bytes()
        if there == content:
            return True
        if digest(there) != rendered:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
