"""What a service needs of a sign-in, what one came to, and what is said where it is too little."""

from federation import assurance
from federation.assurance import Decision, Tables
from federation.model import Assurance, Identity, IdSystem, Level, LoginRequest, Service
from federation.refusal import AssuranceTooLow
from trust_lists.recognition import Worth


def required(service: Service, request: LoginRequest) -> Level:
    """The identity level that this login must reach.

    What the service always requires, or asked this time, or requires of an attribute that it cannot do without.
    """
    attributes = (
        Level(rule.minimum)
        for rule in service.outward.rules
        if rule.required and rule.minimum and (request.claims is None or rule.to in request.claims)
    )
    return max(service.minimum, request.minimum, *attributes)


def needed(service: Service, request: LoginRequest) -> Assurance:
    """Every level that this login must reach."""
    return Assurance(identity=required(service, request), authentication=service.minimum_authentication)


def decide(
    system: IdSystem,
    identity: Identity,
    worth: Worth,
    *,
    tables: Tables,
    own: frozenset[str],
) -> Decision:
    """What the sign-in is worth: the lowest of the ID system's word, both answers on the way, list and recognitions.

    `own` is how the gateway's answer to the service will be protected.
    """
    statement = assurance.assess(system, identity, tables)
    return assurance.decide(
        statement,
        *assurance.unlearned(identity),
        assurance.protected(identity.protection, leg="answer"),
        assurance.protected(own, leg="own"),
        *assurance.caps(worth),
    )


def possible(worth: Worth) -> Decision:
    """The most that any sign-in there can be worth."""
    return assurance.decide(assurance.Statement(why=()), *assurance.caps(worth))


def recounted(decision: Decision, worth: Worth) -> Decision:
    """The decision as much as it still counts for: lists may have changed."""
    caps = tuple(reason for reason in assurance.caps(worth) if reason not in decision.why)
    level = assurance.meet((decision.assurance, *(reason.most for reason in caps)))
    also = decision.also if level == decision.assurance else ()
    return Decision(assurance=level, why=(*decision.why, *caps), methods=decision.methods, also=also)


def check(found: Decision, wanted: Assurance) -> None:
    """Raises `AssuranceTooLow` if not every level is reached, and says what limited it."""
    if not assurance.reaches(found.assurance, wanted):
        raise AssuranceTooLow(
            needed=(wanted.identity, wanted.authentication),
            came=(found.assurance.identity, found.assurance.authentication),
            why=tuple(map(str, found.why)),
        )
