"""The demo region: three ID systems, three relying services, two shared services, and a gateway between them.

Each system is an aiohttp application of its own, listens on its own port, keeps its own keys, and speaks to
the others only over HTTP. Everything that a resident sees here is invented; the protocols are not.
"""
