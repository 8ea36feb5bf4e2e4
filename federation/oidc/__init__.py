"""OpenID Connect in both directions: relying party of ID systems, provider for services."""
