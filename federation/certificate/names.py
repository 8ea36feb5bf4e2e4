"""Names in certificates: when two are the same, and which an authority may certify (RFC 5280 §7.1 and §4.2.1.10)."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from federation.normal_form import nfkc

Canonical = tuple[frozenset[tuple[str, str | bytes]], ...]
"""A distinguished name in the form in which names are compared: relative names from the outermost to the innermost."""

_SMTP_UTF8_MAILBOX = "1.3.6.1.5.5.7.8.9"  # RFC 8398 §3


def canonical(name: x509.Name) -> Canonical:
    """The name as it is compared: whatever the string type, letter case, width and number of spaces (RFC 4518)."""
    return tuple(frozenset((each.oid.dotted_string, _folded(each.value)) for each in rdn) for rdn in name.rdns)


def _folded(value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return value
    if value.isascii():
        return " ".join(value.lower().split())
    folded = nfkc(nfkc(value).casefold())
    return " ".join(folded.split())


# --- constraints


def _within_directory(name: x509.Name, base: x509.Name) -> bool:
    outer = canonical(base)
    return canonical(name)[: len(outer)] == outer


def _below(host: str, domain: str) -> bool:
    """Whether `host` is strictly below ".domain"."""
    return host.endswith(domain) and len(host) > len(domain)


def _of_host(host: str, base: str) -> bool:
    """A host is that of the constraint; below it, if that begins with a full stop; any, if that is empty."""
    return not base or (_below(host, base) if base.startswith(".") else host == base)


def _within_mailbox(mailbox: str, base: str) -> bool:
    """A mailbox is named whole, by its host, or by a domain that begins with a full stop."""
    local, _, host = mailbox.rpartition("@")
    host = host.lower()
    of_base, at, base_host = base.rpartition("@")
    base_host = base_host.lower()
    if at:
        return local == of_base and host == base_host
    return _of_host(host, base_host)


def _within_dns(host: str, base: str) -> bool:
    """A host is within a domain if labels, or none, were added to the domain's left."""
    host, base = host.lower().rstrip("."), base.lower().rstrip(".")
    return _of_host(host, base) or _below(host, f".{base}")


def _within_uri(uri: str, base: str) -> bool:
    """The constraint is on the host: that one, or every host below a domain that begins with a full stop."""
    return _of_host(_host(uri), base.lower())


def _host(uri: str) -> str:
    """The host that a URI names; "" if it names none, or by an address instead of a name."""
    try:
        host = urlsplit(uri).hostname or ""
    except ValueError:
        return ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.lower()
    return ""


def _within_address(address: Any, base: Any) -> bool:
    return isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address)) and address in base


_KINDS: Mapping[type[x509.GeneralName], Callable[[Any, Any], bool]] = {
    x509.DirectoryName: _within_directory,
    x509.RFC822Name: _within_mailbox,
    x509.DNSName: _within_dns,
    x509.UniformResourceIdentifier: _within_uri,
    x509.IPAddress: _within_address,
}
"""The kinds of names whose constraints are understood. A name of any other kind that is constrained is refused."""


def _comparable(name: x509.GeneralName) -> bool:
    """Whether a name is plain enough for constraints to be applied to it (§4.2.1.10)."""
    if isinstance(name, x509.UniformResourceIdentifier):
        return bool(_host(name.value))
    if isinstance(name, x509.DNSName):
        return "*" not in name.value
    if isinstance(name, x509.RFC822Name):
        return "@" in name.value
    return type(name) in _KINDS


def constrained_names(subject: x509.Name, alternative: Sequence[x509.GeneralName]) -> tuple[x509.GeneralName, ...]:
    """All names of a certificate that constraints apply to (§4.2.1.10).

    They are the subject unless it is empty, the e-mail addresses in the subject, and the alternative names.
    """
    whole = (x509.DirectoryName(subject),) if subject.rdns else ()
    addresses = (_mailbox(each.value) for each in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS))
    return (*whole, *addresses, *alternative)


def _mailbox(text: str | bytes) -> x509.GeneralName:
    """The subject's e-mail address; what is no mailbox in ASCII counts as one that cannot be compared."""
    try:
        return x509.RFC822Name(text if isinstance(text, str) else "")
    except ValueError:
        return x509.OtherName(x509.ObjectIdentifier(_SMTP_UTF8_MAILBOX), b"")


def outside(names: Iterable[x509.GeneralName], constraints: x509.NameConstraints) -> str:
    """What is wrong with `names` under an authority's constraints: a kind of name, never the name; "" if nothing is.

    A name must be within one permitted subtree of its kind, if there are any, and within no excluded one.
    """
    permitted, excluded = constraints.permitted_subtrees or (), constraints.excluded_subtrees or ()
    for name in names:
        of_permitted = [base.value for base in permitted if _same_kind(name, base)]
        of_excluded = [base.value for base in excluded if _same_kind(name, base)]
        if not of_permitted and not of_excluded:
            continue
        if not _comparable(name):
            return f"a constrained {type(name).__name__} that cannot be compared"
        within = _KINDS[type(name)]
        if of_permitted and not any(within(name.value, base) for base in of_permitted):
            return f"a {type(name).__name__} outside the permitted subtrees"
        if any(within(name.value, base) for base in of_excluded):
            return f"a {type(name).__name__} in an excluded subtree"
    return ""


def _same_kind(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    """Whether a constraint is one on names of this kind. Mailboxes in Unicode count as mailboxes (RFC 8398 §6)."""
    if isinstance(name, x509.OtherName) and name.type_id.dotted_string == _SMTP_UTF8_MAILBOX:
        return isinstance(base, (x509.RFC822Name, x509.OtherName))
    return type(name) is type(base)
