"""How a login and a call are decided: connectors, frontends, attribute maps, assurance, identifiers, consent, access.

Sans-IO: requests come in as data, answers go out as data, the time is a parameter.
"""
