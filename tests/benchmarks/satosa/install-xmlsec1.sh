#!/bin/sh
# The program xmlsec1 for the peer of the benchmark `saml`, if it is missing and may be installed. The gateway never
# starts it. Never fails: without it the benchmark says what it did not measure, and why.
command -v xmlsec1 >/dev/null 2>&1 && exit 0
command -v apt-get >/dev/null 2>&1 || exit 0
if [ "$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else exit 0; fi
echo "Installing for the benchmark: xmlsec1"
$as_root apt-get update -qq >/dev/null 2>&1
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends xmlsec1 >/dev/null 2>&1 \
  || echo "It could not be installed."
exit 0
