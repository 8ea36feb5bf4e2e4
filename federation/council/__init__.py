"""Requests of the policy council: one question of a member's system, put to many members, and what each answered."""
