#!/bin/sh
# Debian's Chromium and a Japanese font for the browser tests, if they are missing and may be installed.
# Never fails: without them the browser tests say that they did not run, and why.
need=
command -v chromium >/dev/null 2>&1 || need="chromium"
if command -v fc-list >/dev/null 2>&1 && [ -n "$(fc-list :lang=ja 2>/dev/null)" ]; then :; else need="$need fonts-noto-cjk"; fi
[ -z "$need" ] && exit 0
command -v apt-get >/dev/null 2>&1 || exit 0
if [ "$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else exit 0; fi
echo "Installing for the browser tests: $need"
$as_root apt-get update -qq >/dev/null 2>&1
# shellcheck disable=SC2086 # a list of packages
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $need >/dev/null 2>&1 \
  || echo "They could not be installed."
exit 0
