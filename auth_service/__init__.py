"""Users, sessions, tokens and revocations: the only service that signs."""
