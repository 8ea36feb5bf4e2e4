"""SATOSA with signatures in process, and nothing else changed. Runs in SATOSA's environment."""

from plug import plug_in
from satosa.proxy_server import WsgiApplication
from satosa.wsgi import app

_inner = app
while not isinstance(_inner, WsgiApplication):
    _inner = _inner.app  # both layers around it keep what they wrap there
for _frontend in _inner.module_router.frontends.values():
    plug_in(_frontend["instance"].idp)
for _backend in _inner.module_router.backends.values():
    plug_in(_backend["instance"].sp)
