"""The only room with sockets: aiohttp applications, store, HTTP client, configuration, command line, pages, demo."""
