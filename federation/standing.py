"""What an ID system's word counts for at a service, now: the trusted set and the recognitions, in the login's terms.

The one place where a login or a call asks. The municipality that relies is the service's own; a service of the region
as a whole gets only what every municipality recognises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from federation.model import IdSystem, Service
from federation.refusal import IdSystemNotRecognised, IdSystemNotTrusted
from trust_lists.model import NotTrustedError, Role
from trust_lists.recognition import UNRESTRICTED, NotRecognisedError, Recognitions, Worth, worth
from trust_lists.trusted_set import TrustedSet

ROLES: Mapping[str, Role] = {"saml": Role.SAML_IDENTITY_PROVIDER, "oidc": Role.OPENID_PROVIDER}
"""The role in which an ID system of each kind must be listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """Answers anew at each use, so that what a list withdraws ends at once."""

    trust: TrustedSet
    recognitions: Recognitions = UNRESTRICTED

    def of(self, system: IdSystem, service: Service, now: datetime) -> Worth:
        """Tell what the ID system's word counts for at the service. Raises as refusals.

        `IdSystemNotTrusted` if no list in force vouches for it, or as another municipality's; `IdSystemNotRecognised`
        if the service's municipality does not count the lists that do, or not for what the service is for.
        """
        try:
            found = worth(
                self.trust,
                self.recognitions,
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

    def counts(self, system: IdSystem, service: Service, now: datetime) -> bool:
        """Tell whether its word counts for anything there."""
        try:
            self.of(system, service, now)
        except (IdSystemNotTrusted, IdSystemNotRecognised):
            return False
        return True
