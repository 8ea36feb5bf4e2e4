"""What an ID system's word counts for at a service, now: the trusted set and the recognitions, in the login's terms.

The one place where a login or a call asks. The municipality that relies is the service's own; a service of the region
as a whole gets only what every municipality recognises.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from federation.assurance import ASKED, BACK_CHANNEL, ENCRYPTED, NOTHING, Tables
from federation.evidence import Lowered
from federation.model import OWN, Assurance, IdSystem, Level, Service
from federation.refusal import IdSystemNotRecognised, IdSystemNotTrusted
from federation.sessions import Basis
from trust_lists.assurance_rows import Row
from trust_lists.model import NotTrustedError, Role
from trust_lists.recognition import UNRESTRICTED, NotRecognisedError, Recognitions, Worth, worth
from trust_lists.trusted_set import TrustedSet

ROLES: Mapping[str, Role] = {
    "saml": Role.SAML_IDENTITY_PROVIDER,
    "oidc": Role.OPENID_PROVIDER,
    "certificate": Role.CERTIFICATE_AUTHORITY,
}
"""The role in which an ID system of each kind must be listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """Answers anew at each use, so that what a list withdraws ends at once.

    `tabled`: the region has a signed table of assurance, so that no word of an ID system counts without one.
    `evidence`: where operators count a way to know an attribute for less than `federation.evidence` does.
    """

    trust: TrustedSet
    recognitions: Recognitions = UNRESTRICTED
    tabled: bool = False
    evidence: Lowered = field(default_factory=dict)

    def of(self, system: IdSystem, service: Service, now: datetime) -> Worth:
        """Tell what the ID system's word counts for at the service. Raises as refusals.

        `IdSystemNotTrusted` if no list in force vouches for it, or as another municipality's; `IdSystemNotRecognised`
        if the service's municipality does not count the lists that do, or not for what the service is for. For what the
        gateway itself shows to a person no municipality relies on another.
        """
        try:
            found = worth(
                self.trust,
                UNRESTRICTED if service.kind == OWN else self.recognitions,
                system.entity_id,
                ROLES[system.kind],
                relying=service.municipality,
                use=service.use,
                at=now,
            )
        except NotRecognisedError as why:
            path = "".join(f" {each.id}" for each in why.path)
            raise IdSystemNotRecognised(f"{system.id} at {service.id}: {why.code}{path}") from None
        except NotTrustedError as why:
            raise IdSystemNotTrusted(why.code) from None
        if found.entity.municipality not in (None, system.municipality):
            raise IdSystemNotTrusted(f"{system.id}: lists say that it is of municipality {found.entity.municipality}")
        return found

    def tables(self, now: datetime) -> Tables:
        """The signed tables of assurance in force."""
        lists = (each for each in self.trust.lists() if each.table is not None and now < each.valid_until)
        return Tables(lists=tuple(lists), required=self.tabled)

    def protection(self, service: Service, now: datetime, *, asked: bool) -> frozenset[str]:
        """How an answer to the service is carried; `asked`: it answers a request of the service."""
        private: str | None = BACK_CHANNEL
        if service.kind == "saml":
            try:
                listed = self.trust.find(service.entity_id, Role.SAML_SERVICE_PROVIDER, now)
                private = ENCRYPTED if listed.encryption_certificates else None
            except NotTrustedError:  # it will not be answered then
                private = None
        return frozenset(filter(None, (ASKED if asked else None, private)))

    def counts(self, system: IdSystem, service: Service, now: datetime) -> bool:
        """Tell whether its word counts for anything there."""
        try:
            self.of(system, service, now)
        except (IdSystemNotTrusted, IdSystemNotRecognised):
            return False
        return True

    def upholds(self, basis: Basis, system: IdSystem, service: Service, now: datetime) -> bool:
        """Tell whether a session that rests on `basis` may go on: the word counts, and can be worth what was needed.

        How the person signed in is not remembered, so the most that any sign-in there can be worth is what counts: a
        table that is withdrawn, or calls the whole ID system lower, ends it. Raises `IdSystemNotTrusted`,
        `IdSystemNotRecognised` as `of` does.
        """
        listed = self.of(system, service, now).maximum_identity
        most = _highest(system, self.tables(now))
        identity = most.identity if listed is None else min(most.identity, listed)
        return identity >= max(basis.needed, service.minimum) and most.authentication >= service.minimum_authentication


def _highest(system: IdSystem, tables: Tables) -> Assurance:
    """What no sign-in at the ID system can be worth more than, by the signed tables and by the operator's own."""
    most = []
    for each in tables.lists:
        rows = () if each.table is None else each.table.about(system.entity_id)
        if rows:
            most.append(Assurance(identity=_top(rows, "identity"), authentication=_top(rows, "authentication")))
    if not most and (tables.required or tables.lists):
        return NOTHING
    if not most or system.default_assurance is not None:
        own = [*system.statements.values(), system.default_assurance or NOTHING]
        most.append(Assurance(identity=_top(own, "identity"), authentication=_top(own, "authentication")))
    return Assurance(identity=min(each.identity for each in most), authentication=min(e.authentication for e in most))


def _top(stated: Iterable[Row | Assurance], kind: str) -> Level:
    return Level(max(getattr(each, kind) for each in stated))
