"""What every answer of the public listener says that says nothing else of it."""

from collections.abc import Iterable

from multidict import CIMultiDict

SERVER = ("Server", "kakehashi")  # and not which versions of what

SAFE = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)

HSTS = ("Strict-Transport-Security", "max-age=31536000")
"""RFC 6797; without includeSubDomains, since the gateway does not own its neighbours' names."""


def stamp(headers: CIMultiDict[str], *, secure: bool) -> None:
    """Put them on an answer; a page has set stricter ones already."""
    headers[SERVER[0]] = SERVER[1]
    for name, value in SAFE:
        if name not in headers:
            headers[name] = value
    if secure:
        headers[HSTS[0]] = HSTS[1]


def stamped(headers: Iterable[tuple[str, str]], *, secure: bool) -> list[tuple[str, str]]:
    """The same for an answer's headers as a list, whose names are all different from `SERVER` and `HSTS`."""
    given = list(headers)
    names = {name.lower() for name, _ in given}
    given.append(SERVER)
    given += [(name, value) for name, value in SAFE if name.lower() not in names]
    if secure:
        given.append(HSTS)
    return given
