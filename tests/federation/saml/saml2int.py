"""The deployment rules of SAML2int, and what becomes of each here: kept and by which test, or why not.

"SAML V2.0 Deployment Profile for Federation Interoperability", version 2.0 (Kantara Initiative, 2019-12-09), called
SAML2int. Every numbered rule has a row, in the order of the document; `says` is in our words, the document decides.
Rules of the sections G, MD and ALG are held against both of the gateway's roles; those of SP against the gateway as the
ID systems see it, those of IDP as the services see it. `test_saml2int.py` checks the table.
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How strongly the document demands it: the strongest word of the rule (BCP 14)."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Verdict(StrEnum):
    """What becomes of a rule here."""

    KEPT = "kept"
    NOT_APPLICABLE = "not applicable"
    NOT_KEPT = "not kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `shown_by` are tests (`path under tests/::function`); of a rule not kept, of what is there instead."""

    id: str
    level: Level
    says: str
    verdict: Verdict
    shown_by: tuple[str, ...] = ()
    why: str = ""

    @property
    def section(self) -> str:
        """G, MD, ALG, SP or IDP."""
        return self.id.removeprefix("SDP-").rstrip("0123456789")

    @property
    def number(self) -> int:
        """The rule's number in its section, from 1."""
        return int(self.id.removeprefix("SDP-" + self.section))


MUST, SHOULD, MAY = Level.MUST, Level.SHOULD, Level.MAY


def kept(rule: str, level: Level, says: str, *shown_by: str, but: str = "") -> Rule:
    """A rule that is kept; `but` says where its edges are."""
    return Rule(id="SDP-" + rule, level=level, says=says, verdict=Verdict.KEPT, shown_by=shown_by, why=but)


def not_applicable(rule: str, level: Level, says: str, why: str) -> Rule:
    """A rule about something that is not there."""
    return Rule(id="SDP-" + rule, level=level, says=says, verdict=Verdict.NOT_APPLICABLE, why=why)


def not_kept(rule: str, level: Level, says: str, why: str, *shown_by: str) -> Rule:
    """A rule that is broken, knowingly."""
    return Rule(id="SDP-" + rule, level=level, says=says, verdict=Verdict.NOT_KEPT, shown_by=shown_by, why=why)


RULES = (
    # --- general
    kept(
        "G01",
        MUST,
        "Clocks may differ by three to five minutes, either way, whenever a time in a message is judged.",
        "federation/saml/test_saml2int.py::test_clocks_may_differ_by_three_to_five_minutes",
        "federation/saml/test_service_provider.py::test_an_answer_ages_with_one_leeway",
        "federation/saml/test_service_provider.py::test_an_early_answer_is_within_the_leeway_or_refused",
        "federation/saml/test_identity_provider.py::test_a_request_ages_with_one_leeway",
        but="Trust lists are judged more sharply: two minutes for their beginning, none for their end.",
    ),
    not_kept(
        "G02",
        MUST,
        "No text of an element or attribute that we make is longer than 256 characters.",
        "Names of people are kept far below it; an attribute's value is as long as the municipality's register has it, "
        "and is not cut off: half an address is worse than a long one.",
        "federation/saml/test_saml2int.py::test_identifiers_that_we_make_are_short",
    ),
    kept(
        "G03",
        MUST,
        "No message that we make has a document type definition.",
        "federation/saml/test_saml2int.py::test_no_document_of_ours_has_a_type_definition",
    ),
    kept(
        "G04",
        MUST,
        "Our entity IDs are absolute URIs of at most 256 characters.",
        "flows/test_saml_peers.py::test_the_metadata_say_what_saml2int_wants",
        but="They are the public address and a short path; the operator chooses the address.",
    ),
    # --- metadata
    kept(
        "MD01",
        MUST,
        "Peers' endpoints, keys and wishes come from their metadata alone, read again by itself when they change.",
        "trust_lists/test_saml_metadata.py::test_an_aggregate_becomes_a_trust_list",
        "gateway/test_holder.py::test_a_newer_list_comes_into_force",
        "federation/saml/test_identity_provider.py::test_the_address_of_the_answer_is_always_a_listed_one",
        "federation/saml/test_identity_provider.py::test_unsigned_requests",
        "flows/test_saml_peers.py::test_an_assertion_is_encrypted_for_who_lists_a_key",
        "flows/test_saml_peers.py::test_an_identifier_that_the_metadata_require",
        but="What a service may learn, and who gets a common identifier, is the operator's decision.",
    ),
    kept(
        "MD02",
        MUST,
        "Metadata count only if their signature verifies, with a key that is not one of those in them.",
        "trust_lists/test_saml_metadata.py::test_unsigned",
        "trust_lists/test_saml_metadata.py::test_wrong_anchor",
        "trust_lists/test_saml_metadata.py::test_one_of_several_anchors_is_enough",
    ),
    not_kept(
        "MD03",
        MUST,
        "Metadata without an end are refused, and so are metadata that end too far in the future.",
        "Without an end they are refused. How long a list may last is the word of the authority that signs it; the "
        "gateway sets no bound of its own.",
        "trust_lists/test_saml_metadata.py::test_times_are_required",
        "trust_lists/test_saml_metadata.py::test_expired",
    ),
    kept(
        "MD04",
        MUST,
        "We offer metadata that say what we need and can do, and nothing that we cannot.",
        "flows/test_saml_peers.py::test_every_address_of_the_metadata_is_served",
        "flows/test_joining.py::test_the_metadata_are_signed_as_others_verify_it",
    ),
    kept(
        "MD05",
        MUST,
        "Keys stand in metadata as X.509 certificates.",
        "trust_lists/test_saml_metadata.py::test_each_role_has_its_own_keys",
        "federation/saml/test_service_provider.py::test_metadata_are_signed_and_end",
    ),
    kept(
        "MD06",
        MUST,
        "RSA keys have 2048 bits or more; 3072 for new ones.",
        "federation/saml/test_saml2int.py::test_weak_keys_are_not_taken",
        "flows/test_saml_peers.py::test_the_metadata_say_what_saml2int_wants",
    ),
    kept(
        "MD07",
        MUST,
        "Keys on elliptic curves have 256 bits or more.",
        "federation/saml/test_saml2int.py::test_weak_keys_are_not_taken",
    ),
    kept(
        "MD08",
        MUST,
        "An identity provider lists a signing key, a service provider an encryption key.",
        "flows/test_saml_peers.py::test_the_metadata_say_what_saml2int_wants",
    ),
    not_kept(
        "MD09",
        MUST,
        "Metadata name the entity for people and show its logo; a service provider's lead to its privacy statement.",
        "The name is there, in every language of the region. Region and municipalities have no logo here, and none is "
        "made up for them; what is done with people's data stands on the consent page itself.",
        "flows/test_saml_peers.py::test_the_metadata_say_what_saml2int_wants",
    ),
    not_applicable("MD10", MUST, "A logo is an https or data URL.", "No logo is listed (MD09)."),
    not_kept(
        "MD11",
        MUST,
        "Metadata name a technical contact with an electronic mail address.",
        "Whom to ask stands on every page, as the operator wrote it: towns give a telephone number. The list's "
        "authority knows its members' technicians by other ways.",
    ),
    not_kept(
        "MD12",
        MUST,
        "An identity provider's metadata lead to a page for people whose sign-in lacked something.",
        "The gateway itself sees what a service requires and what came, and shows such a page before the service is "
        "answered.",
        "flows/test_joining.py::test_something_that_the_service_requires_does_not_come",
    ),
    # --- algorithms
    kept(
        "ALG01",
        MUST,
        "SHA-256; RSA or ECDSA with SHA-256; AES-GCM with 128 or 256 bits; RSA-OAEP with SHA-1 as its digest.",
        "trust_lists/test_xmldsig.py::test_signs_and_verifies_with_both_families_of_keys",
        "flows/test_saml_peers.py::test_an_assertion_is_encrypted_for_who_lists_a_key",
        "flows/test_saml_peers.py::test_an_encrypted_assertion_is_opened",
        "flows/test_saml_peers.py::test_encryption_that_can_be_undone_piecemeal_is_refused",
    ),
    # --- the gateway as the service provider of the ID systems
    kept(
        "SP01",
        MUST,
        "The Web Browser SSO profile.",
        "flows/test_logins.py::test_every_pairing_of_protocols",
        "flows/test_joining.py::test_pysaml2_is_an_id_system",
        "flows/test_saml_peers.py::test_pysaml2s_stock_server_is_an_id_system",
    ),
    kept(
        "SP02",
        MUST,
        "AuthnRequests travel by HTTP-Redirect.",
        "federation/saml/test_service_provider.py::test_a_request_says_what_was_asked",
        "federation/saml/test_service_provider.py::test_no_request_without_an_address",
    ),
    kept(
        "SP03",
        MUST,
        "Requests are made in the whole window, never in a frame.",
        "gateway/test_pages.py::test_headers_keep_others_out",
        "browser/test_walk.py::test_walk",
    ),
    not_kept(
        "SP04",
        MUST,
        "No NameIDPolicy, or one that allows creation and names no format.",
        "ID systems whose people are known by their NameID are asked for a persistent one, since any other would make "
        "a new person of everybody at each sign-in. Where an attribute names the person, there is no NameIDPolicy.",
        "federation/saml/test_saml2int.py::test_no_kind_of_name_is_asked_for_where_an_attribute_names_the_person",
    ),
    kept(
        "SP05",
        MUST,
        "The address for the answer is named by URL and not by index.",
        "federation/saml/test_service_provider.py::test_a_request_says_what_was_asked",
    ),
    kept(
        "SP06",
        MUST,
        "That address is one of our metadata, character by character.",
        "federation/saml/test_saml2int.py::test_the_address_asked_for_stands_in_our_metadata",
    ),
    kept(
        "SP07",
        MUST,
        "A kind of authentication is asked for only if it is needed, and then exactly.",
        "federation/saml/test_connector.py::test_an_assurance_is_asked_for_in_the_systems_own_words",
        "federation/saml/test_service_provider.py::test_a_request_says_what_was_asked",
    ),
    kept(
        "SP08",
        MUST,
        "Responses are taken by HTTP-POST.",
        "federation/saml/test_connector.py::test_exactly_one_response_is_posted",
        "flows/test_joining.py::test_pysaml2_is_an_id_system",
    ),
    kept(
        "SP09",
        MUST,
        "The address that takes them is protected by TLS.",
        "gateway/config/test_config.py::test_plain_http_stays_on_loopback",
        "gateway/test_serve.py::test_its_own_tls",
    ),
    kept(
        "SP10",
        MUST,
        "EncryptedAssertion is decrypted.",
        "flows/test_saml_peers.py::test_an_encrypted_assertion_is_opened",
    ),
    kept(
        "SP11",
        MUST,
        "An answer of refusal is handled gracefully.",
        "flows/test_logins.py::test_cancelling_at_the_id_system",
        "flows/test_logins.py::test_an_id_system_that_cannot_reach_the_level",
        "federation/saml/test_service_provider.py::test_a_refusal_of_the_provider_is_told_apart",
    ),
    kept(
        "SP12",
        MUST,
        "If attributes are missing, the person reads so, and where to get help.",
        "flows/test_joining.py::test_something_that_the_service_requires_does_not_come",
        "gateway/test_pages.py::test_region_and_contact_stand_in_the_footer",
    ),
    kept(
        "SP13",
        MUST,
        "No NameID is required.",
        "federation/saml/test_connector.py::test_the_subject_may_be_an_attribute",
        "federation/saml/test_service_provider.py::test_a_subject_may_have_no_name",
        but="The operator may choose it as what identifies people, for ID systems that give nothing better.",
    ),
    kept(
        "SP14",
        MUST,
        "People are known again by pairwise-id or subject-id, if the ID system has them.",
        "federation/saml/test_saml2int.py::test_people_are_known_by_their_subject_identifiers",
        but="An ID system's file says by which attribute, or by its persistent NameID.",
    ),
    not_kept(
        "SP15",
        MUST,
        "Our metadata say which subject identifier we need.",
        "One entity of ours speaks to all ID systems, and what it needs differs from one to the next; the operator and "
        "the ID system agree on it when the system joins.",
    ),
    kept(
        "SP16",
        MUST,
        "Equal identifiers of different identity providers are different people.",
        "federation/test_identifiers.py::test_different_people_have_different_references",
        "federation/saml/test_connector.py::test_name_qualifiers_belong_to_the_name",
    ),
    kept(
        "SP17",
        MUST,
        "Scoped identifiers count only from whom the list's authority gives the scope.",
        "federation/saml/test_saml2int.py::test_a_scope_belongs_to_whom_the_list_gives_it",
        "federation/saml/test_saml2int.py::test_people_are_known_by_their_subject_identifiers",
    ),
    kept(
        "SP18",
        SHOULD,
        "What people are shown of themselves comes from other attributes than identifiers.",
        "flows/test_logins.py::test_formats_are_mapped",
        "gateway/test_pages.py::test_consent_shows_what_leaves",
    ),
    kept(
        "SP19",
        MUST,
        "Attributes with a definition elsewhere are taken as that definition allows, with several values too.",
        "federation/saml/test_service_provider.py::test_a_sign_in_comes_through_whole",
        "federation/saml/test_service_provider.py::test_attribute_values_are_text_whatever_type_they_claim",
    ),
    kept(
        "SP20",
        MUST,
        "Any request may be met by more than one identity provider.",
        "flows/test_logins.py::test_every_pairing_of_protocols",
        "flows/test_saml_peers.py::test_strangers_meet_through_the_gateway",
    ),
    not_applicable(
        "SP21",
        MUST,
        "A link to a page leads to that page after the sign-in.",
        "No page of the gateway lies behind a sign-in; a service gets its RelayState back (IDP01).",
    ),
    kept(
        "SP22",
        SHOULD,
        "What was posted before the sign-in is still there after it.",
        "flows/test_saml_post.py::test_names_are_of_the_kind_that_was_asked",
    ),
    kept(
        "SP23",
        MUST,
        "People can say which identity provider is theirs, and need not say so each time.",
        "flows/test_logins.py::test_every_pairing_of_protocols",
        "gateway/test_pages.py::test_choice_offers_the_last_choice_first",
        "browser/test_corners.py::test_come_again",
    ),
    # single logout towards the ID systems
    kept(
        "SP24",
        MAY,
        "Single logout.",
        "flows/test_saml_peers.py::test_signing_out_at_a_service_ends_it_at_the_id_system",
        "flows/test_saml_peers.py::test_signing_out_at_the_id_system_ends_it_everywhere",
        "flows/test_logout.py::test_an_id_system_begins",
    ),
    kept(
        "SP25",
        MUST,
        "LogoutRequests travel by HTTP-Redirect.",
        "federation/saml/test_logout.py::test_redirect_is_preferred",
        "flows/test_saml_peers.py::test_signing_out_at_a_service_ends_it_at_the_id_system",
        but="By HTTP-POST only to a peer that lists no Redirect address.",
    ),
    kept(
        "SP26",
        MUST,
        "LogoutRequests are taken by HTTP-Redirect.",
        "flows/test_saml_peers.py::test_signing_out_at_the_id_system_ends_it_everywhere",
    ),
    kept(
        "SP27",
        MUST,
        "They are made in the whole window, never in a frame.",
        "gateway/test_pages.py::test_headers_keep_others_out",
        "flows/test_saml_peers.py::test_signing_out_at_a_service_ends_it_at_the_id_system",
    ),
    kept(
        "SP28",
        MUST,
        "Requests are signed over the query.",
        "federation/saml/test_logout.py::test_a_request_says_everything_and_is_signed",
    ),
    kept(
        "SP29",
        MUST,
        "The NameID of a request is exactly the one that came.",
        "federation/saml/test_logout.py::test_the_name_is_exactly_the_one_that_was_given",
        "flows/test_saml_peers.py::test_signing_out_at_a_service_ends_it_at_the_id_system",
        "flows/test_logout.py::test_who_is_told_hears_the_name_that_they_were_given",
    ),
    kept(
        "SP30",
        MUST,
        "The NameID is not encrypted.",
        "federation/saml/test_logout.py::test_the_name_is_exactly_the_one_that_was_given",
        "flows/test_saml_peers.py::test_signing_out_at_a_service_ends_it_at_the_id_system",
    ),
    kept(
        "SP31",
        MUST,
        "LogoutResponses travel by HTTP-Redirect.",
        "federation/saml/test_logout.py::test_redirect_is_preferred",
        "flows/test_saml_peers.py::test_signing_out_at_the_id_system_ends_it_everywhere",
        but="By HTTP-POST only to a peer that lists no Redirect address.",
    ),
    kept(
        "SP32",
        MUST,
        "LogoutResponses are taken by HTTP-Redirect.",
        "flows/test_saml_peers.py::test_signing_out_at_a_service_ends_it_at_the_id_system",
    ),
    kept(
        "SP33",
        MUST,
        "Responses are signed over the query.",
        "federation/saml/test_logout.py::test_a_response_goes_where_responses_go",
        "flows/test_saml_peers.py::test_python3_saml_begins_to_sign_out",
    ),
    kept(
        "SP34",
        MUST,
        "Our own session ends before the request leaves.",
        "flows/test_saml_peers.py::test_a_browser_that_gets_lost_leaves_nothing_behind",
        "flows/test_logout.py::test_the_gateway_forgets_first",
    ),
    not_applicable(
        "SP35",
        MUST,
        "No LogoutRequest because somebody was idle.",
        "Nothing here ends by idleness: what is kept of a sign-in has a fixed end, and is then dropped in silence.",
    ),
    not_applicable("SP36", SHOULD, "One entity ID for each virtual host.", "One gateway has one public address."),
    # keys and metadata towards the ID systems
    kept(
        "SP37",
        MUST,
        "Of several signing certificates of an identity provider, any verifies.",
        "federation/saml/test_service_provider.py::test_two_keys_are_listed_during_a_change",
        "trust_lists/test_xmldsig.py::test_tries_every_key_that_fits",
    ),
    kept(
        "SP38",
        MUST,
        "Of several decryption keys of ours, any decrypts.",
        "trust_lists/test_xmlenc.py::test_opens_with_every_key_during_a_change",
        "gateway/test_keys.py::test_a_former_encryption_key_still_opens_while_the_new_one_is_published",
    ),
    not_kept(
        "SP39",
        MUST,
        "Our metadata have all of it: addresses, encryption key, name, logo, privacy statement, requirement, contact.",
        "Logo, privacy statement (MD09), contact (MD11) and subject requirement (SP15) are not there; the rest is.",
        "flows/test_saml_peers.py::test_the_metadata_say_what_saml2int_wants",
    ),
    # --- the gateway as the identity provider of the services
    kept(
        "IDP01",
        MUST,
        "The Web Browser SSO profile.",
        "flows/test_joining.py::test_python3_saml_is_a_service",
        "flows/test_saml_peers.py::test_pysaml2s_stock_client_is_a_service",
        "federation/saml/test_identity_provider.py::test_an_answer_is_what_the_profile_wants",
    ),
    kept(
        "IDP02",
        MUST,
        "AuthnRequests are taken by HTTP-Redirect.",
        "federation/saml/test_identity_provider.py::test_requests_arrive_whole_by_both_bindings",
        "flows/test_saml_peers.py::test_pysaml2s_stock_client_is_a_service",
    ),
    kept(
        "IDP03",
        MUST,
        "The address that takes them is protected by TLS.",
        "gateway/config/test_config.py::test_plain_http_stays_on_loopback",
        "gateway/test_serve.py::test_its_own_tls",
    ),
    kept(
        "IDP04",
        MUST,
        "Unsigned requests are taken, but not from a service whose metadata say that it signs.",
        "federation/saml/test_identity_provider.py::test_unsigned_requests",
        "flows/test_saml_peers.py::test_a_request_of_another_is_not_taken_for_theirs",
    ),
    kept(
        "IDP05",
        MUST,
        "A signature that is there must verify.",
        "federation/saml/test_identity_provider.py::test_nothing_but_the_signed_octets_is_believed",
        "federation/saml/test_identity_provider.py::test_a_key_that_is_not_listed_signs_nothing",
        "federation/saml/test_frontend.py::test_a_forged_request_gets_no_answer",
    ),
    kept(
        "IDP06",
        MUST,
        "The answer goes to an address of the service's metadata, the default one if none is asked for.",
        "federation/saml/test_identity_provider.py::test_the_address_of_the_answer_is_always_a_listed_one",
        "federation/saml/test_frontend.py::test_a_service_that_left_meanwhile_gets_nothing",
    ),
    kept(
        "IDP07",
        MUST,
        "ForceAuthn is met by a new sign-in, whose time is stated, or the request fails.",
        "federation/saml/test_connector.py::test_a_forced_sign_in_must_be_new",
        "federation/oidc/test_connector.py::test_forced_sign_in_must_be_new",
        "federation/saml/test_frontend.py::test_what_is_released_arrives_and_nothing_else",
    ),
    kept(
        "IDP08",
        MUST,
        "Responses travel by HTTP-POST.",
        "federation/saml/test_identity_provider.py::test_an_answer_is_what_the_profile_wants",
    ),
    kept(
        "IDP09",
        MUST,
        "A Response is signed itself.",
        "federation/saml/test_identity_provider.py::test_response_and_assertion_are_signed_each",
        "flows/test_saml_peers.py::test_an_assertion_is_encrypted_for_who_lists_a_key",
    ),
    kept(
        "IDP10",
        MUST,
        "It holds one assertion with one AuthnStatement and at most one AttributeStatement.",
        "federation/saml/test_identity_provider.py::test_an_answer_is_what_the_profile_wants",
        "federation/saml/test_identity_provider.py::test_an_answer_without_attributes_has_no_statement_of_them",
    ),
    kept(
        "IDP11",
        MUST,
        "The assertion is encrypted as a whole, and nothing within it once more.",
        "flows/test_saml_peers.py::test_an_assertion_is_encrypted_for_who_lists_a_key",
        "flows/test_saml_peers.py::test_python3_saml_takes_an_encrypted_assertion",
        but="A service that lists no encryption key breaks MD08 itself, and gets a plain assertion.",
    ),
    not_kept(
        "IDP12",
        MUST,
        "The NameID is transient.",
        "It is what the service asks for, and persistent if it asks for nothing: many products know people by nothing "
        "else. It is another one at every service.",
        "flows/test_saml_post.py::test_names_are_of_the_kind_that_was_asked",
        "flows/test_logins.py::test_identifiers_are_pairwise_and_stable",
    ),
    kept(
        "IDP13",
        MUST,
        "pairwise-id, subject-id or both are there for whoever must know people again.",
        "flows/test_saml_peers.py::test_an_identifier_that_the_metadata_require",
        "federation/saml/test_frontend.py::test_a_common_identifier_is_an_attribute_that_was_agreed_to",
    ),
    kept(
        "IDP14",
        MUST,
        "The metadata list the scopes of these identifiers, none of them a pattern.",
        "flows/test_saml_peers.py::test_the_metadata_say_what_saml2int_wants",
    ),
    kept(
        "IDP15",
        MUST,
        "What a service's metadata require of subject identifiers is heeded.",
        "flows/test_saml_peers.py::test_an_identifier_that_the_metadata_require",
        "federation/saml/test_frontend.py::test_pairwise_id_is_given_to_whom_it_is_due",
    ),
    kept(
        "IDP16",
        MAY,
        "What cannot be met is left out, or refused.",
        "federation/saml/test_frontend.py::test_a_common_identifier_that_the_operator_does_not_allow_is_refused",
    ),
    kept(
        "IDP17",
        MAY,
        "Without a requirement, either, both or none is given.",
        "federation/saml/test_frontend.py::test_pairwise_id_is_given_to_whom_it_is_due",
    ),
    not_kept(
        "IDP18",
        MUST,
        "Names of attributes are URIs, and say so.",
        "Names that are URIs say so by themselves. A service may have names of its own in the operator's file, which "
        "are then said to be basic, or of the format that the file gives.",
        "federation/saml/test_frontend.py::test_what_is_released_arrives_and_nothing_else",
    ),
    kept(
        "IDP19",
        SHOULD,
        "Each value is one text.",
        "federation/saml/test_saml2int.py::test_each_value_is_an_element_with_one_text",
        "federation/saml/test_identity_provider.py::test_markup_in_values_stays_text",
    ),
    kept(
        "IDP20",
        MUST,
        "Several values are several elements.",
        "federation/saml/test_saml2int.py::test_each_value_is_an_element_with_one_text",
    ),
    # single logout towards the services
    kept(
        "IDP21",
        MUST,
        "Single logout.",
        "flows/test_saml_peers.py::test_signing_out_at_a_service_ends_it_at_the_id_system",
        "flows/test_saml_peers.py::test_signing_out_at_the_id_system_ends_it_everywhere",
        "flows/test_logout.py::test_a_service_begins",
        "flows/test_logout.py::test_a_request_must_be_the_services_own",
    ),
    not_kept(
        "IDP22", MAY, "People may keep their session here.", "Who signs out at a service has said what they want."
    ),
    kept(
        "IDP23",
        MAY,
        "The other services are told.",
        "flows/test_saml_peers.py::test_the_other_services_are_told",
        "flows/test_logout.py::test_who_is_told_hears_the_name_that_they_were_given",
    ),
    kept(
        "IDP24",
        MUST,
        "LogoutRequests travel by HTTP-Redirect.",
        "federation/saml/test_logout.py::test_redirect_is_preferred",
        "flows/test_saml_peers.py::test_signing_out_at_a_service_ends_it_at_the_id_system",
        but="By HTTP-POST only to a peer that lists no Redirect address.",
    ),
    kept(
        "IDP25",
        MUST,
        "LogoutRequests are taken by HTTP-Redirect.",
        "flows/test_saml_peers.py::test_signing_out_at_a_service_ends_it_at_the_id_system",
    ),
    kept(
        "IDP26",
        MUST,
        "Requests are signed over the query.",
        "federation/saml/test_logout.py::test_a_request_says_everything_and_is_signed",
    ),
    kept(
        "IDP27",
        MUST,
        "The NameID is not encrypted.",
        "federation/saml/test_logout.py::test_the_name_is_exactly_the_one_that_was_given",
        "flows/test_saml_peers.py::test_signing_out_at_a_service_ends_it_at_the_id_system",
    ),
    kept(
        "IDP28",
        MUST,
        "LogoutResponses travel by HTTP-Redirect.",
        "federation/saml/test_logout.py::test_redirect_is_preferred",
        "flows/test_saml_peers.py::test_signing_out_at_the_id_system_ends_it_everywhere",
        but="By HTTP-POST only to a peer that lists no Redirect address.",
    ),
    kept(
        "IDP29",
        MUST,
        "LogoutResponses are taken by HTTP-Redirect.",
        "flows/test_saml_peers.py::test_the_other_services_are_told",
    ),
    kept(
        "IDP30",
        MUST,
        "Responses are signed over the query.",
        "federation/saml/test_logout.py::test_a_response_goes_where_responses_go",
        "flows/test_saml_peers.py::test_python3_saml_begins_to_sign_out",
    ),
    kept(
        "IDP31",
        MUST,
        "The status says whether the session ended.",
        "federation/saml/test_logout.py::test_the_status_is_true",
        "flows/test_saml_peers.py::test_the_other_services_are_told",
        "flows/test_saml_peers.py::test_a_service_that_cannot_be_told_makes_it_partial",
        "flows/test_logout.py::test_a_service_that_refuses_makes_it_partial",
    ),
    # keys and metadata towards the services
    kept(
        "IDP32",
        MUST,
        "Of several signing certificates of a service, any verifies.",
        "federation/saml/test_saml2int.py::test_any_listed_key_of_a_service_verifies",
    ),
    not_kept(
        "IDP33",
        MUST,
        "Our metadata have all of it: addresses of both kinds, signing key, page of help, name, logo, scope, contact.",
        "Logo (MD09), contact (MD11) and page of help (MD12) are not there; the rest is.",
        "flows/test_saml_peers.py::test_the_metadata_say_what_saml2int_wants",
    ),
)
