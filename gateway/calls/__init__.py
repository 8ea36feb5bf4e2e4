"""What a proxied call (`gateway/proxy.py`) is made of: who calls, how often, its body, the asking, the answer."""
