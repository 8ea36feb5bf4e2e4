"""The gateway's own leg to services behind routes: HTTP/1.1 over kept connections (`http1.py`, `pool.py`)."""
