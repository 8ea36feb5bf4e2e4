"""Requests of the policy council, carried: kept, put to each member once, streamed as answers come."""
