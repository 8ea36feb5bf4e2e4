"""What the log may say of an exception: its type, where in our code, and its text only if it is one of ours.

Other libraries put into an exception's text whatever they were given, and a frame's locals hold everything;
neither is written. Exceptions of our own rooms never hold personal data.
"""

import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from structlog.typing import EventDict

ROOMS = frozenset({"gateway", "observability", "federation", "trust_lists"})
"""The packages whose code and exceptions are ours."""

LONGEST_MESSAGE = 400
MOST_FRAMES = 24
MOST_EXCEPTIONS = 6
"""How many of a chain or group are described."""


class Described:
    """A described exception: only this module makes one, so nobody can pass a text of their own as one."""

    __slots__ = ("content",)

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content


def describe_exception(entry: EventDict) -> EventDict:
    """Replace `exc_info` with what may be written of it."""
    given = entry.pop("exc_info", None)
    entry.pop("exception", None)
    entry.pop("stack_info", None)
    error: Any = given
    if isinstance(given, tuple):
        error = given[1] if len(given) > 1 else None
    elif given and not isinstance(given, BaseException):
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        entry["exception"] = Described(describe(error))
    return entry


def describe(error: BaseException) -> dict[str, Any]:
    """Type, our frames (`file:function:line`, innermost last), causes; the text of our exceptions only."""
    return _describe(error, set())


def _describe(error: BaseException, seen: set[int]) -> dict[str, Any]:
    seen.add(id(error))
    kind = type(error)
    told: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"[:160]}
    if _is_ours(kind.__module__):
        told["message"] = str(error)[:LONGEST_MESSAGE]
    told["frames"] = _frames(error.__traceback__)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    below = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    if cause is not None and _may_describe(cause, seen):
        told["cause"] = _describe(cause, seen)
    for other in below:
        if _may_describe(other, seen):
            told.setdefault("group", []).append(_describe(other, seen))
    return told


def _may_describe(error: BaseException, seen: set[int]) -> bool:
    return id(error) not in seen and len(seen) < MOST_EXCEPTIONS


def _frames(trace: TracebackType | None) -> list[str]:
    ours: list[str] = []
    last: str | None = None
    while trace is not None:
        code = trace.tb_frame.f_code
        last = place(code.co_filename, code.co_name, trace.tb_lineno)
        if _is_ours(trace.tb_frame.f_globals.get("__name__", "")):
            ours.append(last)
            last = None
        trace = trace.tb_next
    # Where another library raised it is the one frame of theirs that helps.
    return [*ours[-MOST_FRAMES:], *([last] if last else [])]


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in ROOMS


def place(file: str, function: str, line: int) -> str:
    """`file:function:line`, the file as seen from its package."""
    parts = Path(file).parts
    if "site-packages" in parts:
        short = parts[len(parts) - parts[::-1].index("site-packages") :]
    else:
        start = max((i for i, part in enumerate(parts) if part in ROOMS), default=max(0, len(parts) - 2))
        short = parts[start:]
    return f"{'/'.join(short)}:{function}:{line}"
