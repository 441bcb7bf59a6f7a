"""An index of the one and two letters that a text has, together with status, program and year.

Trigrams can't find such short terms, and the students of a filter among them could only be counted by reading all of
them. ``student_search`` now has the filters beside the text, on PostgreSQL, too; SQLite's ``student_search_tokens`` and
PostgreSQL's index of that name hold both as tokens (see ``student_service.search``).
"""

# ruff: noqa: S608 - all of this SQL is put together from the constants below

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LONGEST_TEXT = 20_000  # characters; four names, an e-mail address and a number, folded (one may become eighteen)

# SQLite ---------------------------------------------------------------------------------------------------------------

# The only separators left are blanks: every other character belongs to a token.
PUNCTUATION = "!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"
TOKENIZER = f"ascii tokenchars '{PUNCTUATION}'".replace('"', '""')


def _tokens(row: str) -> str:
    """What a row of student_search is found by, as SQL on SQLite."""
    return f"""(
        SELECT group_concat(substr({row}.search_text, n, 1) || ' ' || substr({row}.search_text, n, 2), ' ')
            || ' =s:' || {row}.status
            || ifnull(' =p:' || hex({row}.program_key), '')
            || ifnull(' =y:' || {row}.year, '')
        FROM student_search_positions WHERE n <= length({row}.search_text))"""


DELETE_TOKENS = f"""
    INSERT INTO student_search_tokens (student_search_tokens, rowid, tokens)
        VALUES ('delete', old.id, {_tokens("old")});"""
INSERT_TOKENS = f"INSERT INTO student_search_tokens (rowid, tokens) VALUES (new.id, {_tokens('new')});"
COLUMNS = "student_id, search_text, status, program_key, year"
SAME_TEXT = "old.search_text = new.search_text AND (old.deleted_at IS NULL) = (new.deleted_at IS NULL)"
REPLACED_TRIGGERS = {
    "students_search_insert": f"""
        AFTER INSERT ON students WHEN new.deleted_at IS NULL BEGIN
            INSERT INTO student_search ({COLUMNS})
                VALUES (new.id, new.search_text, new.status, new.program_key, new.year);
        END""",
    "students_search_update": f"""
        AFTER UPDATE OF search_text, deleted_at ON students WHEN NOT ({SAME_TEXT}) BEGIN
            DELETE FROM student_search WHERE student_id = old.id;
            INSERT INTO student_search ({COLUMNS})
                SELECT new.id, new.search_text, new.status, new.program_key, new.year WHERE new.deleted_at IS NULL;
        END""",
}
NEW_TRIGGERS = {
    "students_search_refilter": f"""
        AFTER UPDATE OF status, program_key, year ON students
        WHEN {SAME_TEXT} AND new.deleted_at IS NULL
            AND (old.status <> new.status OR old.program_key IS NOT new.program_key OR old.year IS NOT new.year) BEGIN
            UPDATE student_search SET status = new.status, program_key = new.program_key, year = new.year
                WHERE student_id = new.id;
        END""",
    "student_search_tokens_insert": f"AFTER INSERT ON student_search BEGIN {INSERT_TOKENS} END",
    "student_search_tokens_update": f"AFTER UPDATE ON student_search BEGIN {DELETE_TOKENS} {INSERT_TOKENS} END",
    "student_search_tokens_delete": f"AFTER DELETE ON student_search BEGIN {DELETE_TOKENS} END",
}
# As 0003 made them.
FORMER_TRIGGERS = {
    "students_search_insert": """
        AFTER INSERT ON students WHEN new.deleted_at IS NULL BEGIN
            INSERT INTO student_search (student_id, search_text) VALUES (new.id, new.search_text);
        END""",
    "students_search_update": """
        AFTER UPDATE OF search_text, deleted_at ON students
        WHEN old.search_text <> new.search_text OR (old.deleted_at IS NULL) <> (new.deleted_at IS NULL) BEGIN
            DELETE FROM student_search WHERE student_id = old.id;
            INSERT INTO student_search (student_id, search_text)
                SELECT new.id, new.search_text WHERE new.deleted_at IS NULL;
        END""",
}


def _upgrade_sqlite() -> None:
    for column in ("status TEXT NOT NULL DEFAULT ''", "program_key TEXT", "year SMALLINT"):
        op.execute(f"ALTER TABLE student_search ADD COLUMN {column}")
    op.execute(
        "UPDATE student_search SET (status, program_key, year) ="
        " (SELECT status, program_key, year FROM students WHERE students.id = student_search.student_id)"
    )
    # Triggers can't count by themselves.
    op.execute("CREATE TABLE student_search_positions (n INTEGER PRIMARY KEY)")
    op.execute(
        "INSERT INTO student_search_positions"
        f" WITH RECURSIVE up (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < {LONGEST_TEXT}) SELECT n FROM up"
    )
    # Which documents a token is in, and nothing else: the texts are in student_search.
    op.execute(
        "CREATE VIRTUAL TABLE student_search_tokens USING"
        f" fts5(tokens, content='', columnsize=0, detail=none, tokenize=\"{TOKENIZER}\")"
    )
    op.execute(
        f"INSERT INTO student_search_tokens (rowid, tokens) SELECT id, {_tokens('student_search')} FROM student_search"
    )
    _replace_triggers(REPLACED_TRIGGERS)
    for name, does in NEW_TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {does}")


def _downgrade_sqlite() -> None:
    for name in NEW_TRIGGERS:
        op.execute(f"DROP TRIGGER {name}")
    _replace_triggers(FORMER_TRIGGERS)
    op.execute("DROP TABLE student_search_tokens")
    op.execute("DROP TABLE student_search_positions")
    for column in ("status", "program_key", "year"):
        op.execute(f"ALTER TABLE student_search DROP COLUMN {column}")


def _replace_triggers(triggers: dict[str, str]) -> None:
    for name, does in triggers.items():
        op.execute(f"DROP TRIGGER {name}")
        op.execute(f"CREATE TRIGGER {name} {does}")


# PostgreSQL -----------------------------------------------------------------------------------------------------------

POSTGRESQL = (
    # Narrow, so that what the index finds is quickly seen to be there.
    """
    CREATE TABLE student_search (
        student_id VARCHAR(36) COLLATE "C" NOT NULL,
        search_text TEXT COLLATE "C" NOT NULL,
        status TEXT COLLATE "C" NOT NULL,
        program_key TEXT COLLATE "C",
        year SMALLINT,
        CONSTRAINT pk_student_search PRIMARY KEY (student_id)
    ) WITH (parallel_workers = 0)""",
    """
    CREATE FUNCTION student_search_tokens(search_text text, status text, program_key text, year smallint)
    RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        found text[] := ARRAY['=s:' || status];
        former text;
        letter text;
    BEGIN
        IF program_key IS NOT NULL THEN
            found := found || ('=p:' || md5(program_key));  -- a key of the index has its greatest length
        END IF;
        IF year IS NOT NULL THEN
            found := found || ('=y:' || year);
        END IF;
        FOREACH letter IN ARRAY string_to_array(search_text, NULL) LOOP
            found := found || letter;
            IF former IS NOT NULL THEN
                found := found || (former || letter);
            END IF;
            former := letter;
        END LOOP;
        RETURN found;
    END $$""",
    """
    CREATE FUNCTION student_search_follow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' OR new.deleted_at IS NOT NULL THEN
            DELETE FROM student_search WHERE student_id = old.id;
        ELSE
            INSERT INTO student_search (student_id, search_text, status, program_key, year)
                VALUES (new.id, new.search_text, new.status, new.program_key, new.year)
                ON CONFLICT (student_id) DO UPDATE SET search_text = excluded.search_text,
                    status = excluded.status, program_key = excluded.program_key, year = excluded.year;
        END IF;
        RETURN NULL;
    END $$""",
    # Before the students there are: nobody can add one in between, since this takes the table's lock.
    """
    CREATE TRIGGER student_search_insert AFTER INSERT ON students FOR EACH ROW
    WHEN (new.deleted_at IS NULL) EXECUTE FUNCTION student_search_follow()""",
    """
    CREATE TRIGGER student_search_update AFTER UPDATE ON students FOR EACH ROW
    WHEN ((old.search_text, old.status, old.program_key, old.year, old.deleted_at IS NULL)
        IS DISTINCT FROM (new.search_text, new.status, new.program_key, new.year, new.deleted_at IS NULL))
    EXECUTE FUNCTION student_search_follow()""",
    """
    CREATE TRIGGER student_search_delete AFTER DELETE ON students FOR EACH ROW
    EXECUTE FUNCTION student_search_follow()""",
    """
    INSERT INTO student_search (student_id, search_text, status, program_key, year)
        SELECT id, search_text, status, program_key, year FROM students WHERE deleted_at IS NULL""",
    # A short list of what isn't sorted in yet: each search reads all of it.
    """
    CREATE INDEX student_search_tokens ON student_search
    USING gin (student_search_tokens(search_text, status, program_key, year)) WITH (gin_pending_list_limit = 256)""",
    # Functions, for their settings: the planner would rather make every row's tokens anew than believe in the index.
    """
    CREATE FUNCTION student_search_find(wanted text[]) RETURNS SETOF text
    LANGUAGE plpgsql STABLE ROWS 100 SET enable_seqscan = off SET jit = off AS $$
    BEGIN
        RETURN QUERY SELECT s.student_id::text FROM student_search s
            WHERE student_search_tokens(s.search_text, s.status, s.program_key, s.year) @> wanted;
    END $$""",
    """
    CREATE FUNCTION student_search_count(wanted text[]) RETURNS bigint
    LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
    BEGIN
        RETURN (SELECT count(*) FROM student_search s
            WHERE student_search_tokens(s.search_text, s.status, s.program_key, s.year) @> wanted);
    END $$""",
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _upgrade_sqlite()
        return
    for statement in POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _downgrade_sqlite()
        return
    for when in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER student_search_{when} ON students")
    op.execute("DROP TABLE student_search")
    for function in ("count", "find", "follow", "tokens"):
        op.execute(f"DROP FUNCTION student_search_{function}")
