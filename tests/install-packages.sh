#!/bin/sh
# Debian packages for tests, if they are missing and may be installed: Chromium and a Japanese font (browser), and the
# program xmlsec1 (which pysaml2 calls as a peer; the gateway does not).
# Never fails: without them the tests that need them say that they did not run, and why.
need=
command -v chromium >/dev/null 2>&1 || need="chromium"
if command -v fc-list >/dev/null 2>&1 && [ -n "$(fc-list :lang=ja 2>/dev/null)" ]; then :; else need="$need fonts-noto-cjk"; fi
command -v xmlsec1 >/dev/null 2>&1 || need="$need xmlsec1"
[ -z "$need" ] && exit 0
command -v apt-get >/dev/null 2>&1 || exit 0
if [ "$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else exit 0; fi
echo "Installing for the tests: $need"
$as_root apt-get update -qq >/dev/null 2>&1
# One by one: what cannot be had does not keep out the rest.
for package in $need; do
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 \
    || echo "$package could not be installed."
done
exit 0
