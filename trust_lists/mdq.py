"""The Metadata Query protocol: one entity's signed metadata instead of a whole aggregate.

draft-young-md-query §2, §3 (the protocol) and draft-young-md-query-saml §2, §3 (its SAML profile). Requests are
`GET BASE/entities/IDENTIFIER` with the identifier percent-encoded; `{sha1}` and the SHA-1 of an entity ID in
hexadecimal stands for the entity ID. Answers are single signed `md:EntityDescriptor` documents of `MEDIA_TYPE`.

Here is what has no network: paths, and the files of a directory from which any web server answers. SHA-1 only names
files; nothing is believed because of it.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from urllib.parse import quote, unquote_to_bytes

from trust_lists import saml_metadata
from trust_lists.model import TrustList
from trust_lists.rules import EntryError, entity_id
from trust_lists.xmldsig import Signer

MEDIA_TYPE = "application/samlmetadata+xml"
"""What requests accept and answers are (the SAML profile, §2)."""

ENTITIES = "entities"
"""The collection that holds every entity."""

CACHE = timedelta(hours=6)
"""How long clients are asked to keep an answer."""

_TRANSFORMED = re.compile(r"\{sha1\}[0-9a-f]{40}", re.ASCII)
_LONGEST_FILE_NAME = 255


def transformed(stated: str) -> str:
    """The identifier that stands for an entity ID: `{sha1}` and 40 hexadecimal digits (the SAML profile, §3)."""
    return "{sha1}" + hashlib.sha1(stated.encode(), usedforsecurity=False).hexdigest()


def request_path(identifier: str) -> str:
    """The path, below the service's base, that asks for an entity ID or a transformed one."""
    return f"/{ENTITIES}/{quote(identifier, safe='')}"


def identifier(path: str) -> str:
    """Read the entity ID, or its transformed form, that a request's raw path below the base asks for.

    Raises ValueError for what no `request_path` gives: several segments, no entity ID, encodings that are not UTF-8.
    """
    start, segment = f"/{ENTITIES}/", path.removeprefix(f"/{ENTITIES}/")
    if not path.startswith(start) or "/" in segment or re.search(r"%(?![0-9A-Fa-f]{2})|[?#]", segment):
        message = "not the path of one entity"
        raise ValueError(message)
    found = unquote_to_bytes(segment).decode("utf-8")
    if found.startswith("{") and not _TRANSFORMED.fullmatch(found):
        message = "an unknown transformation; {sha1} and 40 hexadecimal digits in lower case are expected"
        raise ValueError(message)
    try:
        return entity_id(found, ())
    except EntryError as error:
        raise ValueError(error.reason) from error


def file_names(stated: str) -> tuple[str, ...]:
    """The names under which an entity's file lies in the directory `entities`.

    The transformed identifier as it stands, for servers that decode a path before they look for a file; and the
    percent-encoded entity ID, for servers that do not, if it is not longer than a file's name may be and cannot be
    taken for a file of the web server's own: entity IDs are what members wish, `.htaccess` or `index.html` too.
    """
    encoded = quote(stated, safe="")
    usable = len(encoded) <= _LONGEST_FILE_NAME and is_file_name(encoded)
    return (transformed(stated), encoded) if usable else (transformed(stated),)


def is_file_name(name: str) -> bool:
    """Tell whether `file_names` may have made this name; a web server's own files are not named so."""
    return _TRANSFORMED.fullmatch(name) is not None or ("%" in name and not name.startswith("."))


def publish(
    document: bytes, *, read: TrustList, anchors: Sequence[bytes], signer: Signer, cache: timedelta = CACHE
) -> Iterator[tuple[str, bytes]]:
    """Sign each entity of an aggregate alone and name its files, which lie in the directory `entities`.

    `read` is what `document` was read as with `anchors`. Raises `ListRefusedError` as its reader does.
    """
    for stated, alone in saml_metadata.publish_entities(read, document, anchors=anchors, signer=signer, cache=cache):
        for name in file_names(stated):
            yield name, alone
