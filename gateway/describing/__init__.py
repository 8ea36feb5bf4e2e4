"""What the gateway says of its own endpoints, in the words of OpenAPI 3.1."""
