"""What of a message is signed, and the octets that stand for it (RFC 9421 §2): the signature base.

Trailers (`tr`) are not signed here: who checks a message wants to know before the content whether to read it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from federation.signatures.message import Message, Request, Response, lines
from federation.signatures.structured import (
    NONE,
    Item,
    Member,
    Parameters,
    StructuredFieldError,
    read_dictionary,
    read_item,
    read_list,
    write,
    write_bare,
    write_parameters,
)

_FIELD = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")  # RFC 9110 §5.6.2, in lower case
_URL = re.compile(r'[!$-~"]+')  # visible ASCII; no fragment, which is no part of a target URI (RFC 9110 §7.1)
_DICTIONARIES = frozenset(
    {
        "cdn-cache-control",
        "content-digest",
        "priority",
        "repr-digest",
        "signature",
        "signature-input",
        "want-content-digest",
        "want-repr-digest",
    }
)
_LISTS = frozenset({"accept-ch", "cache-status", "proxy-status"})
_ITEMS = frozenset({"idempotency-key"})
"""Fields whose structure is known, so that `sf` and `key` have one meaning (RFC 9421 §2.1.1, §2.1.2)."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


class ComponentError(Exception):
    """Something that cannot be signed, or is not there; `code` is one of the signature's codes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Component:
    """The name of something that is signed, with its parameters (RFC 9421 §1.1).

    Two are the same whatever the order of their parameters. Raises `ComponentError`: `component-unknown` for a name or
    parameter that is not of this file.
    """

    name: str
    parameters: Parameters = field(default_factory=lambda: NONE, hash=False)
    text: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not (_fits_derived(self) if self.name.startswith("@") else _fits_field(self)):
            raise ComponentError("component-unknown")
        object.__setattr__(self, "text", write(Item(self.name, self.parameters)))

    def __str__(self) -> str:
        return self.text

    @property
    def of_request(self) -> bool:
        """Whether it stands in the request that is answered (RFC 9421 §2.4)."""
        return self.parameters.get("req") is True

    @classmethod
    def of(cls, written: "str | Component") -> "Component":
        """A component from its name, or from what stands in a signature: `"@method";req`. Raises `ComponentError`."""
        return written if isinstance(written, Component) else _written(written)

    @classmethod
    def read(cls, item: Item) -> "Component":
        """A component from an inner list. Raises `ComponentError`."""
        if type(item.value) is not str:
            raise ComponentError("component-unknown")
        return cls(item.value, item.parameters)


@lru_cache(maxsize=256)
def _written(text: str) -> Component:
    try:
        return Component.read(read_item(text, once=True)) if text.startswith('"') else Component(text)
    except StructuredFieldError:
        raise ComponentError("component-unknown") from None


def _fits_derived(component: Component) -> bool:
    allowed = {"req", "name"} if component.name == "@query-param" else {"req"}
    return (
        component.name in _DERIVED
        and component.parameters.keys() <= allowed
        and component.parameters.get("req", True) is True
        and (type(component.parameters.get("name")) is str) == (component.name == "@query-param")
        and not (component.name == "@status" and component.of_request)
    )


def _fits_field(component: Component) -> bool:
    name, parameters = component.name, component.parameters
    return (
        _FIELD.fullmatch(name) is not None
        and parameters.keys() <= {"req", "sf", "bs", "key"}
        and all(parameters.get(flag, True) is True for flag in ("req", "sf", "bs"))
        and not ("bs" in parameters and parameters.keys() & {"sf", "key"})  # RFC 9421 §2.1.3
        and ("key" not in parameters or (type(parameters["key"]) is str and name in _DICTIONARIES))
        and ("sf" not in parameters or name in _DICTIONARIES | _LISTS | _ITEMS)
    )


def signature_parameters(components: Iterable[Component], parameters: Parameters) -> str:
    """What a signature covers and says of itself, as it stands in `Signature-Input` (RFC 9421 §2.3)."""
    return f"({' '.join(component.text for component in components)}){write_parameters(parameters)}"


def signature_base(message: Message, components: Iterable[Component], parameters: Parameters) -> bytes:
    """The octets that are signed (RFC 9421 §2.5).

    Raises `ComponentError`: `component-twice`, `component-absent`, `component-value`.
    """
    named = tuple(components)
    if len(set(named)) < len(named):
        raise ComponentError("component-twice")
    base = [f"{component.text}: {_value(message, component)}" for component in named]
    base.append(f'"@signature-params": {signature_parameters(named, parameters)}')
    return "\n".join(base).encode("ascii")


def _value(message: Message, component: Component) -> str:
    of: Message | None = message
    if component.of_request:
        of = message.request if isinstance(message, Response) else None
    if of is None:
        raise ComponentError("component-absent")
    value = _derived(of, component) if component.name.startswith("@") else _field(of, component)
    if not value.isascii() or any(each in value for each in "\r\n\0"):
        raise ComponentError("component-value")
    return value


# --- fields (RFC 9421 §2.1)


def _field(message: Message, component: Component) -> str:
    found = lines(message.headers, component.name)
    if not found:
        raise ComponentError("component-absent")
    if "bs" in component.parameters:
        return _wrapped(found)
    text = ", ".join(found)
    if not component.parameters.keys() & {"sf", "key"}:
        return text
    try:
        return _structured(component, text)
    except StructuredFieldError:
        raise ComponentError("component-value") from None


def _structured(component: Component, text: str) -> str:
    if "key" in component.parameters:
        found: Member | None = read_dictionary(text).get(str(component.parameters["key"]))
        if found is None:
            raise ComponentError("component-absent")
        return write(found)
    if component.name in _DICTIONARIES:
        return write(read_dictionary(text))
    return write(read_list(text) if component.name in _LISTS else read_item(text))


def _wrapped(found: Iterable[str]) -> str:
    """Each line for itself as a byte sequence (RFC 9421 §2.1.3)."""
    try:
        return ", ".join(write_bare(line.encode("latin-1")) for line in found)
    except UnicodeEncodeError:
        raise ComponentError("component-value") from None


# --- derived components (RFC 9421 §2.2)


def _derived(message: Message, component: Component) -> str:
    if isinstance(message, Response):
        if component.name != "@status":
            raise ComponentError("component-absent")  # a request's, and not asked for with `req`
        return f"{message.status:03d}"
    if component.name == "@status":
        raise ComponentError("component-absent")
    try:
        if not _URL.fullmatch(message.url):
            raise ComponentError("component-value")
        return _DERIVED[component.name](message, component)
    except ValueError:  # no URL
        raise ComponentError("component-value") from None


def _authority(request: Request, _: Component) -> str:
    parts = request.split()
    if parts.hostname is None or "@" in parts.netloc:
        raise ValueError("no authority, or one with a user")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port
    return host if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f"{host}:{port}"


def _query(request: Request, _: Component) -> str:
    return f"?{request.split().query}"


def _target(request: Request, _: Component) -> str:
    if request.target is not None:
        return request.target
    parts = request.split()
    query = f"?{parts.query}" if "?" in request.url.partition("#")[0] else ""
    return f"{parts.path or '/'}{query}"


def _query_parameter(request: Request, component: Component) -> str:
    """One parameter, decoded and encoded again as forms are (RFC 9421 §2.2.8)."""
    wanted = unquote_to_bytes(str(component.parameters["name"]))
    pairs = parse_qsl(request.split().query, keep_blank_values=True, encoding="latin-1", max_num_fields=1000)
    found = [value for name, value in pairs if name.encode("latin-1") == wanted]
    if not found:
        raise ComponentError("component-absent")
    if len(found) > 1:
        raise ComponentError("component-value")  # "MUST NOT be included"
    return quote(found[0].encode("latin-1"), safe="*").replace("~", "%7E")


_DERIVED: Mapping[str, Callable[[Request, Component], str]] = {
    "@authority": _authority,
    "@method": lambda request, _: request.method,
    "@path": lambda request, _: request.split().path or "/",
    "@query": _query,
    "@query-param": _query_parameter,
    "@request-target": _target,
    "@scheme": lambda request, _: request.split().scheme.lower(),
    "@status": lambda _request, _component: "",
    "@target-uri": lambda request, _: request.url,
}
