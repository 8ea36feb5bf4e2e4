"""Sign-in with a certificate on the resident's phone: requests, answers, paths, revocation; sans-IO."""
