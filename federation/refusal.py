"""The one way out for refusals: a closed tree.

A `Refusal` says its machine code, how HTTP, SAML and OAuth render it, and two fixed public sentences (English here,
other languages in the message catalogue): what happened, and what the person can do. `detail` is for the log only and
never holds personal data; the page shows nothing of it.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from federation.guard import Found


def N_(text: str) -> str:  # noqa: N802 - gettext's conventional name for "extract, translate later"
    """Mark `text` for the message catalogue; it is translated where it is shown."""
    return text


SAML_STATUS = "urn:oasis:names:tc:SAML:2.0:status:"


class Refusal(Exception):  # noqa: N818 - a refusal is a decision, not a fault
    """Base of the tree; never raised itself."""

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    saml_status: ClassVar[str] = SAML_STATUS + "RequestDenied"
    oauth_error: ClassVar[str] = "access_denied"
    title: ClassVar[str] = N_("This sign-in was stopped")
    advice: ClassVar[str] = N_("Go back to the service and start again.")
    elsewhere: ClassVar[bool] = False
    """Whether another way to sign in can help: another ID system, or the same one once more."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.told = self.title
        """What the service is told, in English: SAML Core §3.2.2.3, RFC 6749 §4.1.2.1."""


# --- the relying service's side: the request itself is not acceptable, so no answer goes back to it


class BadRequest(Refusal):
    """The request of the relying service is malformed, unsigned where it must be signed, or forged."""

    code = "bad-request"
    saml_status = SAML_STATUS + "RequestUnsupported"
    oauth_error = "invalid_request"
    title = N_("The service sent a request that cannot be used")
    advice = N_("Please tell the service you came from, with the reference number below.")


class NameIdNotOffered(BadRequest):
    """The service demands a kind of name for the person that is never given out."""

    code = "name-id-not-offered"
    saml_status = SAML_STATUS + "InvalidNameIDPolicy"


class ContextUnknown(BadRequest):
    """The service demands a kind of sign-in that is none of the region's assurance levels."""

    code = "context-unknown"
    saml_status = SAML_STATUS + "NoAuthnContext"


class UnknownService(Refusal):
    """No such service is configured, or no list in force vouches for it."""

    code = "unknown-service"
    status = 403
    oauth_error = "unauthorized_client"
    title = N_("This service is not a member of the region")
    advice = N_("Nothing of yours was sent. Please tell the service you came from, with the reference number below.")


class UnknownPath(Refusal):
    """There is no page at this address."""

    code = "unknown-page"
    status = 404
    title = N_("There is no page here")
    advice = N_("Check the address, or go back to the service you came from.")

    def __init__(self, detail: str = "", *, allow: frozenset[str] = frozenset()) -> None:
        """`allow`: what the address takes, if it is the method that is wrong (RFC 9110 §15.5.6)."""
        super().__init__(detail)
        self.allow = allow


# --- the flow between two requests


class FlowUnknown(Refusal):
    """No such flow: never begun, already used, or expired. The three are not told apart on the page."""

    code = "flow-unknown"
    title = N_("This sign-in is no longer open")
    advice = N_(
        "It is over already, or took too long. If you are signed in, go on in the service. If not, go back to it and "
        "sign in again."
    )


class OtherBrowser(Refusal):
    """The answer came through another browser than the one that began."""

    code = "other-browser"
    status = 403
    title = N_("This sign-in began in another browser")
    advice = N_(
        "Go back to the service and sign in again in this browser. If you did not begin a sign-in, close this page."
    )


# --- single logout


class LogoutRefused(Refusal):
    """A logout message is malformed, unsigned, forged, not for us, or of nobody we know."""

    code = "logout-refused"
    title = N_("The request to sign you out cannot be used")
    advice = N_("You may still be signed in. To be sure, close all windows of this browser.")


class LogoutUnknown(Refusal):
    """No such logout is under way in this browser: already finished, expired, or of another browser."""

    code = "logout-unknown"
    title = N_("This sign-out is no longer open")
    advice = N_("It was finished already or took too long. To be sure, close all windows of this browser.")


# --- the ID system's side


class IdSystemNotTrusted(Refusal):
    """No list in force vouches for the ID system."""

    code = "id-system-not-trusted"
    elsewhere = True
    status = 503
    title = N_("Sign-in with this municipality is not possible now")
    advice = N_("Nothing of yours was sent. Please try again later, or choose another municipality.")


class IdSystemNotAllowed(Refusal):
    """The service does not accept this ID system."""

    code = "id-system-not-allowed"
    status = 403
    saml_status = SAML_STATUS + "NoSupportedIDP"
    title = N_("The service does not accept an ID of this municipality")
    advice = N_("Go back to the service and choose another way to sign in.")


class IdSystemNotRecognised(Refusal):
    """The municipality of the service does not count the word of this ID system, or not for what the service is for."""

    code = "id-system-not-recognised"
    status = 403
    saml_status = SAML_STATUS + "NoSupportedIDP"
    title = N_("An ID of this municipality cannot be used for this service yet")
    advice = N_(
        "The municipality of the service and yours have no agreement on it. Nothing of yours was sent. "
        "Go back to the service and choose another way to sign in, or ask at your municipality's counter."
    )


class IdSystemAnswerRefused(Refusal):
    """The ID system's answer is forged, altered, not for us, not for this flow, or outside its time."""

    code = "id-system-answer-refused"
    elsewhere = True
    saml_status = SAML_STATUS + "AuthnFailed"
    title = N_("The answer of your municipality's ID system could not be verified")
    advice = N_("Go back to the service and sign in again. If it happens again, report the reference number below.")


class UnsolicitedNowhere(Refusal):
    """An ID system's answer that nobody asked for names no service to go on to (SAML Profiles §4.1.5)."""

    code = "unsolicited-nowhere"
    title = N_("It is not clear which service you wanted to sign in to")
    advice = N_("Nothing of yours was sent. Go to the service's own page and sign in from there.")


class IdSystemDenied(Refusal):
    """The ID system itself said no: the person cancelled or could not be authenticated."""

    code = "id-system-denied"
    elsewhere = True
    status = 403
    saml_status = SAML_STATUS + "AuthnFailed"
    title = N_("Your municipality's ID system did not sign you in")
    advice = N_("If you cancelled, nothing more is to be done. Otherwise go back to the service and try again.")


class IdSystemUnreachable(Refusal):
    """The ID system did not answer, or not in time."""

    code = "id-system-unreachable"
    elsewhere = True
    status = 502
    oauth_error = "temporarily_unavailable"
    title = N_("Your municipality's ID system does not answer")
    advice = N_("Please try again in a few minutes.")


# --- a certificate on the person's phone


class CertificateRefused(IdSystemAnswerRefused):
    """The certificate, or what was signed with it, does not hold for a reason that only the log can tell."""

    code = "certificate-refused"
    title = N_("Your certificate could not be verified")
    advice = N_(
        "Nothing of yours was sent. Go back to the service and sign in again. If it happens again, ask at your "
        "municipality's counter, with the reference number below."
    )


class CertificateExpired(CertificateRefused):
    """A certificate's time is over."""

    code = "certificate-expired"
    title = N_("Your certificate has expired")
    advice = N_(
        "Nothing of yours was sent. Renew the certificate in your phone's app, or at your municipality's counter. "
        "Then sign in again. Until then, choose another way to sign in."
    )


class CertificateNotYetValid(CertificateRefused):
    """A certificate's time has not begun."""

    code = "certificate-not-yet-valid"
    title = N_("Your certificate is not valid yet")
    advice = N_(
        "It counts from a later day on, which stands in the certificate. Nothing of yours was sent. Sign in again on "
        "that day. If you have an older certificate that still counts, use that one, or choose another way to sign in."
    )


class CertificateRevoked(CertificateRefused):
    """The issuer says that the certificate does not count any more."""

    code = "certificate-revoked"
    title = N_("Your certificate has been stopped")
    advice = N_(
        "That happens when a phone is lost, when a certificate is replaced, or when somebody moves. Nothing of yours "
        "was sent. If you have a newer certificate, use that one. Otherwise ask at your municipality's counter."
    )


class CertificateWrong(CertificateRefused):
    """No listed authority issued it, or not under a policy that counts, or its issuer does not know it."""

    code = "certificate-wrong"
    title = N_("This certificate is not one of this municipality")
    advice = N_(
        "Nothing of yours was sent. Sign in again, and choose the right certificate in your phone's app, or put in the "
        "right card; or choose the municipality that issued yours."
    )


class CertificateUse(CertificateRefused):
    """The certificate may be used, but not for this: by its own word, or by that of the list."""

    code = "certificate-use"
    status = 403
    title = N_("This certificate may not be used for this service")
    advice = N_(
        "It was issued for something else. Nothing of yours was sent. Sign in again with another certificate, "
        "or choose another way to sign in."
    )


class CertificateWeak(CertificateRefused):
    """Its key or a signature is of a kind that may not be believed today."""

    code = "certificate-weak"
    title = N_("Your certificate is too old to be safe")
    advice = N_(
        "Its kind of signature may not be used any more. Nothing of yours was sent. "
        "Ask for a new certificate at your municipality's counter."
    )


class CertificateApp(CertificateRefused):
    """The phone's app signed its answer with an algorithm that is not accepted, whatever the certificate is like."""

    code = "certificate-app"
    title = N_("Your phone's app signed in a way that is not accepted here")
    advice = N_(
        "Your certificate is in order. Nothing of yours was sent. Update the app and sign in again, "
        "or choose another way to sign in."
    )


class CertificateStatusUnavailable(CertificateRefused):
    """Whether it was revoked could not be learned."""

    code = "certificate-status-unavailable"
    status = 503
    oauth_error = "temporarily_unavailable"
    title = N_("Your certificate cannot be checked now")
    advice = N_(
        "Its issuer does not answer. Your phone and your certificate are in order. Nothing of yours was sent. "
        "Please try again in a few minutes."
    )


class CertificateTimeOver(CertificateRefused):
    """Nobody answered in time, or the confirmation code was not typed in time."""

    code = "certificate-time-over"
    title = N_("The time for this sign-in is over")
    advice = N_("Nothing of yours was sent. Go back to the service and sign in again. You get a new QR code then.")


class CertificateDeclined(IdSystemDenied):
    """The person, or the phone's app, said no."""

    code = "certificate-declined"
    title = N_("The sign-in was declined on the phone")
    advice = N_(
        "Nothing of yours was sent. If you declined, nothing more is to be done. "
        "If you did not, go back to the service and sign in again."
    )


class CertificateCodes(CertificateRefused):
    """The confirmation code was wrong too often."""

    code = "certificate-codes"
    status = 403
    title = N_("The confirmation code was wrong too often")
    advice = N_(
        "Nothing of yours was sent. Go back to the service and sign in again. "
        "If somebody sent you the code, or asks you for it, do not go on: it may be a fraud."
    )


class CertificateAnswers(CertificateRefused):
    """Too many answers came that could not be verified."""

    code = "certificate-answers"
    title = N_("Too many answers came that could not be verified")
    advice = N_(
        "Nothing of yours was sent. Somebody else may have read the QR code. "
        "Go back to the service and sign in again, where only you can see the screen."
    )


class CertificateOtherBrowser(OtherBrowser):
    """A phone's app went on to another browser than the one whose link opened it."""

    code = "certificate-other-browser"
    title = N_("Your phone's app opened another browser")
    advice = N_(
        "Nothing of yours was sent. Go back to the service and begin again in this browser; it is the one that your "
        "phone's app opens. If somebody sent you a link or a QR code, do not go on: it may be a fraud."
    )


class FormerCertificateRefused(CertificateRefused):
    """The former certificate is over for too long, or was stopped for a reason that speaks against its key."""

    code = "certificate-former-refused"
    title = N_("Your former certificate cannot show any more that you are the same person")
    advice = N_(
        "It expired more than 400 days ago, or it was stopped because somebody else may have had it. Nothing of yours "
        "was sent, and nothing was changed. Please ask at your municipality's counter before you sign in as a new "
        "person."
    )


class FormerCertificateOther(CertificateRefused):
    """The new certificate and the former one do not state the same person, or nothing of a person in common."""

    code = "certificate-former-other"
    status = 403
    title = N_("The two certificates do not show the same person")
    advice = N_(
        "Nothing of yours was sent, and nothing was changed. Use only certificates of your own, not those of your "
        "family. If your name has changed, please ask at your municipality's counter."
    )


class FormerCertificateUnknown(CertificateRefused):
    """What was shown as the former certificate is the new one, or one that was never used here."""

    code = "certificate-former-unknown"
    title = N_("This is not the certificate that you used here before")
    advice = N_(
        "Nothing of yours was sent, and nothing was changed. Sign in again: first with your new certificate, then, "
        "where the page asks for it, with the former one. If you have never used another one here, say that it is "
        "your first time."
    )


class CardMissing(CertificateRefused):
    """The browser showed no certificate in the handshake of the listener for card readers."""

    code = "card-missing"
    status = 403
    title = N_("Your browser showed no certificate")
    advice = N_(
        "Nothing of yours was sent. Put the card into the reader, close every window of this browser, "
        "go back to the service and sign in again. Then choose the certificate when the browser asks."
    )


OF_CERTIFICATES: Mapping[str, type[Refusal]] = {
    "request-unknown": CertificateRefused,
    "request-expired": CertificateTimeOver,
    "answer-malformed": CertificateRefused,
    "answer-too-large": CertificateRefused,
    "nonce": CertificateRefused,
    "audience": CertificateRefused,
    "request-altered": CertificateRefused,
    "answer-time": CertificateRefused,
    "certificate-malformed": CertificateWrong,
    "untrusted-issuer": CertificateWrong,
    "authority-withdrawn": IdSystemNotTrusted,
    "expired": CertificateExpired,
    "not-yet-valid": CertificateNotYetValid,
    "not-a-ca": CertificateWrong,
    "path-length": CertificateWrong,
    "name-constraints": CertificateWrong,
    "unknown-critical-extension": CertificateWrong,
    "path-signature": CertificateWrong,
    "policy": CertificateWrong,
    "key-usage": CertificateUse,
    "extended-key-usage": CertificateUse,
    "permitted-use": CertificateUse,
    "weak-key": CertificateWeak,
    "weak-algorithm": CertificateWeak,
    "answer-algorithm": CertificateApp,
    "revoked": CertificateRevoked,
    "replaced": CertificateRevoked,
    "status-unknown": CertificateWrong,
    "status-unavailable": CertificateStatusUnavailable,
    "signature": CertificateRefused,
    "subject-missing": CertificateWrong,
    "attributes-unverified": CertificateRefused,
}
"""What a person is told for each reason of `certificate/model.py`."""


# --- the decision


class AssuranceTooLow(Refusal):
    """The sign-in is worth less than the service requires."""

    code = "assurance-too-low"
    elsewhere = True
    status = 403
    saml_status = SAML_STATUS + "NoAuthnContext"
    oauth_error = "unmet_authentication_requirements"  # OpenID Connect Core Error Code 1.0
    title = N_("The service needs a stronger proof of identity")
    advice = N_(
        "Nothing of yours was sent. Sign in with a My Number Card or your municipality's certificate, "
        "or ask at your municipality's counter."
    )

    def __init__(
        self,
        detail: str = "",
        *,
        needed: tuple[int, int] | None = None,
        came: tuple[int, int] | None = None,
        why: tuple[str, ...] = (),
    ) -> None:
        """`needed` and `came` are levels of identity and authentication (DS-511); `why` is for the log."""
        said = None if needed is None or came is None else f"needed {_levels(needed)}; came {_levels(came)}"
        super().__init__("; ".join(filter(None, (detail, said, *why))))
        self.needed = needed
        self.came = came
        self.why = why
        if said is not None:
            self.told = f"{self.title} ({said})"


def _levels(levels: tuple[int, int]) -> str:
    return f"identity {levels[0]:d}, authentication {levels[1]:d}"


class AttributeMissing(Refusal):
    """An attribute that the service requires is absent or could not be mapped."""

    code = "attribute-missing"
    status = 403
    title = N_("Your municipality did not give something that the service requires")
    advice = N_("Nothing of yours was sent. Please ask your municipality's counter, with the reference number below.")


class ForbiddenContent(Refusal):
    """The ID system's word, or what would be made of it, holds what must never pass (`federation/guard.py`)."""

    code = "forbidden-content"
    status = 403
    title = N_("Your municipality's ID system sent something that must not be passed on")
    advice = N_(
        "It looks like a My Number, a resident-record code or a certificate. Nothing of yours was sent. "
        "Please tell your municipality's counter, with the reference number below."
    )

    def __init__(self, detail: str = "", *, found: Iterable[Found] = ()) -> None:
        super().__init__(detail)
        self.found = tuple(found)
        """What was found, for the record."""


class ConsentDenied(Refusal):
    """The person said "not now"."""

    code = "consent-denied"
    status = 403
    title = N_("You chose not to share your data")
    advice = N_("Nothing of yours was sent. You can go back to the service whenever you like.")


class InteractionNeeded(Refusal):
    """The service asked for an answer without showing a page, and a page would have to be shown."""

    code = "interaction-needed"
    status = 403
    saml_status = SAML_STATUS + "NoPassive"
    oauth_error = "login_required"
    title = N_("Sign-in needs your part")
    advice = N_("Go back to the service and sign in there.")


class ConsentNeeded(InteractionNeeded):
    """The service asked for an answer without showing a page, and the person has not agreed yet."""

    code = "consent-needed"
    oauth_error = "consent_required"


class Unavailable(Refusal):
    """The gateway itself cannot do it now (its store does not answer)."""

    code = "unavailable"
    status = 503
    oauth_error = "temporarily_unavailable"
    title = N_("Sign-in is interrupted for a moment")
    advice = N_("Nothing was lost. Please try again in a minute.")


class InternalFault(Refusal):
    """A fault of the gateway; the log has the details under the reference number."""

    code = "internal-fault"
    status = 500
    oauth_error = "server_error"
    title = N_("Something went wrong on our side")
    advice = N_("Please try again. If it happens again, report the reference number below.")


# --- calls: rendered as RFC 9457 problem JSON


class CallRefusal(Refusal):
    """Base of refusals of a proxied call. `challenge` is the error code of RFC 6750 §3.1, where one applies."""

    challenge: ClassVar[str | None] = None
    title = N_("The call was refused")
    advice = N_("See the type of this problem in the documentation.")
    retry_after: int | None = None
    """Seconds until the same call may be made again, where that is known (RFC 9110 §10.2.3)."""


class NoRoute(CallRefusal):
    """No route serves this path."""

    code = "no-route"
    status = 404
    title = N_("No such route")
    advice = N_("Check the path against the list of routes.")


class MethodNotAllowed(CallRefusal):
    """The route exists, but not for this method."""

    code = "method-not-allowed"
    status = 405
    title = N_("This method is not allowed on this route")
    advice = N_("Use one of the methods in the Allow header.")

    def __init__(self, detail: str = "", *, allow: frozenset[str] = frozenset()) -> None:
        super().__init__(detail)
        self.allow = allow


class TokenMissing(CallRefusal):
    """No bearer token (RFC 6750 §3: a challenge without an error code)."""

    code = "token-missing"
    status = 401
    title = N_("An access token is required")
    advice = N_("Send an access token of this gateway in the Authorization header.")


class TokenInvalid(CallRefusal):
    """The token is malformed, forged, expired or not for this gateway."""

    code = "token-invalid"
    status = 401
    challenge = "invalid_token"
    title = N_("The access token is not valid")
    advice = N_("Get a new access token; this one is expired, altered or meant for another server.")


class TokenBound(CallRefusal):
    """The token is bound to a key or a certificate that the caller did not show (RFC 8705 §3, RFC 9449 §7.2).

    `key`: to a key, so that the challenge asks for DPoP.
    """

    code = "token-bound"
    status = 401
    challenge = "invalid_token"
    title = N_("The access token belongs to another key or certificate")
    advice = N_("Use the key or the certificate with which the token was asked for.")

    def __init__(self, detail: str = "", *, key: bool = False) -> None:
        super().__init__(detail)
        self.key = key


class ProofInvalid(CallRefusal):
    """The proof of possession is missing, or does not hold for this request (RFC 9449 §4.3)."""

    code = "proof-invalid"
    status = 401
    challenge = "invalid_dpop_proof"
    oauth_error = "invalid_dpop_proof"
    title = N_("The proof of possession (DPoP) does not hold")
    advice = N_("Send one new proof with each call: for its method, its address and its token, by the token's key.")


class ScopeMissing(CallRefusal):
    """The token lacks the scope of the route."""

    code = "scope-missing"
    status = 403
    challenge = "insufficient_scope"
    title = N_("The access token lacks the scope of this route")
    advice = N_("Ask for the scope named in the WWW-Authenticate header.")

    def __init__(self, detail: str = "", *, scope: str = "") -> None:
        super().__init__(detail)
        self.scope = scope


class CallAssuranceTooLow(CallRefusal):
    """The login behind the token is worth less than the route requires (RFC 9470)."""

    code = "call-assurance-too-low"
    status = 403
    challenge = "insufficient_user_authentication"
    title = N_("This route needs a stronger proof of identity")
    advice = N_("Let the person sign in again with the acr named in the WWW-Authenticate header.")

    def __init__(self, detail: str = "", *, acr: str = "") -> None:
        super().__init__(detail)
        self.acr = acr


class FactMissing(CallRefusal):
    """The route is for people of whom all `facts` are true; one of them is not true of this person, or not known."""

    code = "fact-missing"
    status = 403
    title = N_("This route is not for everybody")
    advice = N_("Tell the person what it takes: the member `facts` names it. Signing in again may not help.")

    def __init__(self, detail: str = "", *, facts: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.facts = facts


class ConsentWithdrawn(CallRefusal):
    """The person took back the consent on which the token rests."""

    code = "consent-withdrawn"
    status = 401
    challenge = "invalid_token"
    title = N_("The person has withdrawn their consent")
    advice = N_("Let the person sign in again; they will be asked once more.")


class CallerNotAllowed(CallRefusal):
    """The route is for people and a system calls, or the other way round."""

    code = "caller-not-allowed"
    status = 403
    title = N_("This route is not for callers of this kind")
    advice = N_("Some routes are for people who signed in, others for municipalities' own systems.")


class NotAMember(CallRefusal):
    """The caller's municipality takes no part in what the route serves."""

    code = "not-a-member"
    status = 403
    title = N_("The caller's municipality does not take part in this service")
    advice = N_("Ask the municipality whether it is a member of the policy council, and of this service.")


class RouteClosed(CallRefusal):
    """The route has hours or days, and this is none of them; `seconds` until it opens, if that is known."""

    code = "route-closed"
    status = 403
    title = N_("This route is closed at this hour")
    advice = N_("Try again when the service is open.")

    def __init__(self, detail: str = "", *, seconds: int | None = None) -> None:
        super().__init__(detail)
        self.retry_after = seconds


class ContentTypeNotAllowed(CallRefusal):
    """The body is of a type that the route does not take."""

    code = "content-type-not-allowed"
    status = 415
    title = N_("The body of the call is of a type that this route does not take")
    advice = N_("Send one of the types in the Accept header.")

    def __init__(self, detail: str = "", *, types: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.types = types


class QuotaExceeded(CallRefusal):
    """The person, or the municipality, called more often than the route allows (RFC 6585 §4)."""

    code = "quota-exceeded"
    status = 429
    title = N_("Too many calls")
    advice = N_("Wait for the seconds that the Retry-After header says.")

    def __init__(self, detail: str = "", *, seconds: int | None = None) -> None:
        super().__init__(detail)
        self.retry_after = seconds


class IdempotencyKeyMissing(CallRefusal):
    """The route wants a key by which a repeated call is known, and the call has none."""

    code = "idempotency-key-missing"
    status = 400
    title = N_("This route needs an Idempotency-Key")
    advice = N_("Send a new key with every new request, and the same key when you repeat one.")


class IdempotencyKeyInvalid(CallRefusal):
    """The key is no string of 1 to 255 characters, or there are several."""

    code = "idempotency-key-invalid"
    status = 400
    title = N_("The Idempotency-Key cannot be read")
    advice = N_("Send one key: a string of 1 to 255 visible ASCII characters in quotes.")


class IdempotencyKeyReused(CallRefusal):
    """The same caller used the key for another call."""

    code = "idempotency-key-reused"
    status = 422
    title = N_("This Idempotency-Key was used for another request")
    advice = N_("Send a new key with every new request, and the same key when you repeat one.")


class IdempotencyInFlight(CallRefusal):
    """The call with this key is under way."""

    code = "idempotency-in-flight"
    status = 409
    title = N_("The same request is still being processed")
    advice = N_("Send it again, with the same key, after the seconds that the Retry-After header says.")
    retry_after = 1


class IdempotencyUnknown(CallRefusal):
    """The call with this key was sent, its answer was lost, and the service would do it twice."""

    code = "idempotency-unknown"
    status = 409
    title = N_("It is not known whether this request took effect")
    advice = N_("Ask the service what it did. Use a new key only if it did nothing.")


class BodyTooLarge(CallRefusal):
    """The caller's body is longer than this gateway carries."""

    code = "body-too-large"
    status = 413
    title = N_("The body of the call is too large")
    advice = N_("Send less at once.")


class CallForbiddenContent(CallRefusal):
    """The call holds what must never pass (`federation/guard.py`)."""

    code = "call-forbidden-content"
    status = 422
    title = N_("The call holds a number or a certificate that must not pass")
    advice = N_("Leave out My Numbers, resident-record codes, certificates and their serial numbers.")


class CallNotInspectable(CallRefusal):
    """The route's calls are looked at, and nobody could look at this one."""

    code = "call-not-inspectable"
    status = 415
    title = N_("The body of the call cannot be looked at")
    advice = N_("Send JSON, a form, XML or text in UTF-8, uncompressed or with gzip.")


class AnswerForbiddenContent(CallRefusal):
    """The service's answer holds what must never pass."""

    code = "answer-forbidden-content"
    status = 502
    title = N_("The answer of the service holds a number or a certificate that must not pass")
    advice = N_("Nothing of it was passed on. Please tell whoever runs the service.")


class AnswerNotInspectable(CallRefusal):
    """The route's answers are looked at, and nobody could look at this one."""

    code = "answer-not-inspectable"
    status = 502
    title = N_("The answer of the service cannot be looked at")
    advice = N_("Nothing of it was passed on. Please tell whoever runs the service.")


class ContentDigestWrong(CallRefusal):
    """The caller's `Content-Digest` (RFC 9530) cannot be read, or is of other content."""

    code = "content-digest-wrong"
    status = 400
    title = N_("The Content-Digest is not that of the content")
    advice = N_("Send the SHA-256 or SHA-512 digest of exactly what you send, or none.")


class AnswerSignatureInvalid(CallRefusal):
    """The service's answer is not signed as the route wants it, or its signature does not hold."""

    code = "answer-signature-invalid"
    status = 502
    title = N_("The signature of the service's answer does not hold")
    advice = N_("Nothing can be relied on in such an answer. Please tell whoever runs the service.")


class UpstreamUnreachable(CallRefusal):
    """The service behind the route cannot be reached or broke off."""

    code = "upstream-unreachable"
    status = 502
    title = N_("The service behind this route does not answer")
    advice = N_("Try again later.")


class UpstreamTooSlow(CallRefusal):
    """The service behind the route did not answer within the route's time; 502 as the region's contract says."""

    code = "upstream-too-slow"
    status = 502
    title = N_("The service behind this route took too long")
    advice = N_("Try again later.")


class UpstreamBusy(CallRefusal):
    """Too many calls wait for the service behind the route already."""

    code = "upstream-busy"
    status = 503
    title = N_("The service behind this route has too much to do")
    advice = N_("Try again in a few seconds.")
    retry_after = 5


class CouncilRequestMalformed(CallRefusal):
    """A council request is not in the form that is read; `where` is a JSON pointer (RFC 6901), the rest sentences."""

    code = "council-request-malformed"
    status = 400
    title = N_("The council request is not in the expected form")
    advice = N_("Correct the place that `where` names, as `expected` and `do` say.")

    def __init__(self, detail: str = "", *, where: str = "/", expected: str = "", do: str = "") -> None:
        super().__init__(detail or f"at {where}")
        self.where = where
        self.expected = expected
        self.do = do


class CouncilRequestUnknown(CallRefusal):
    """No such council request: never begun, forgotten, or of another municipality. The three are not told apart."""

    code = "council-request-unknown"
    status = 404
    title = N_("There is no such council request")
    advice = N_("Ask for the list of your municipality's own requests.")


class CouncilRequestOpen(CallRefusal):
    """What was asked for needs a council request that has ended, and this one has not."""

    code = "council-request-open"
    status = 409
    title = N_("The council request is still under way")
    advice = N_("Wait until it has ended, or cancel it.")


class CouncilRequestsTooMany(CallRefusal):
    """The municipality has as many council requests under way as it may."""

    code = "council-requests-too-many"
    status = 429
    title = N_("Too many council requests are under way")
    advice = N_("Wait until one of them has ended, or cancel one.")


class EvidenceNotKept(CallRefusal):
    """No evidence of the call could be kept, and the operator wants no calls without."""

    code = "evidence-not-kept"
    status = 503
    title = N_("Calls are not possible now: they could not be recorded")
    advice = N_("Try again in a minute.")
    retry_after = 60


class CallUnavailable(CallRefusal):
    """The gateway cannot decide now."""

    code = "call-unavailable"
    status = 503
    title = N_("Calls are interrupted for a moment")
    advice = N_("Try again in a minute.")


def tree(root: type[Refusal] = Refusal) -> tuple[type[Refusal], ...]:
    """Every refusal there is, each once."""
    return tuple(found for child in root.__subclasses__() for found in (child, *tree(child)))


BY_CODE = {kind.code: kind for kind in tree() if kind is not CallRefusal}


def by_code(code: str) -> Refusal:
    """The refusal of that machine code. Raises `KeyError` for a code that is none."""
    return BY_CODE[code]()
