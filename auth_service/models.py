"""The tables of auth_service. Their history is in migrations/; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, MetaData, String, Table

from servicekit.database import UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("username", String(64), nullable=False),  # as its owner writes it
    Column("username_key", String(64), nullable=False, unique=True),  # usernames.key_of
    Column("password_hash", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("password_changed_at", UtcDateTime, nullable=False),
    Column("last_sign_in_at", UtcDateTime),
    Index("ix_users_created_at_id", "created_at", "id"),
)

# One sign-in on one device: the family of its refresh tokens, and the `sid` of its access tokens.
sessions = Table(
    "sessions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(36), ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("device", String(64), nullable=False),
    Column("user_agent", String(400), nullable=False),
    Column("address", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),  # of the newest refresh token
    Column("ends_at", UtcDateTime, nullable=False),  # the absolute end: no refresh goes beyond it
    Column("access_expires_at", UtcDateTime, nullable=False),  # of the longest-lived access token given out
    Column("revoked_at", UtcDateTime),
    Column("revoked_because", String(32)),
    Index("ix_sessions_user_id_created_at", "user_id", "created_at"),
    Index("ix_sessions_expires_at", "expires_at"),
)

# Only hashes: a read of this table signs nobody in. `successor_salt` is set when a token is spent (refresh_tokens.py).
refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("session_id", String(36), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("spent_at", UtcDateTime),
    Column("successor_salt", String(64)),
    Index("ix_refresh_tokens_session_id", "session_id"),
)

# The truth about revoked sessions; Redis holds its fast copy. No foreign key: it outlives a deleted user.
revocations = Table(
    "revocations",
    metadata,
    Column("session_id", String(36), primary_key=True),
    Column("user_id", String(36), nullable=False),
    Column("revoked_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),  # when the last access token of the session is dead by itself
    Column("published_at", UtcDateTime),  # None: not yet known to be in Redis (the outbox)
    Index("ix_revocations_user_id", "user_id"),
    Index("ix_revocations_published_at", "published_at"),
    Index("ix_revocations_expires_at", "expires_at"),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("event", String(64), nullable=False),
    Column("actor_id", String(36)),  # who did it; None when nobody was signed in
    Column("actor", String(64)),
    Column("subject_id", String(36)),  # to whom
    Column("subject", String(64)),
    Column("session_id", String(36)),
    Column("address", String(64)),
    Column("request_id", String(64)),
    Column("details", JSON, nullable=False),
    Index("ix_audit_events_at_id", "at", "id"),
    Index("ix_audit_events_actor_id", "actor_id"),
    Index("ix_audit_events_subject_id", "subject_id"),
)
