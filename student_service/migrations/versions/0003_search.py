"""A trigram index of the search texts on SQLite, and an index that counts without reading the students.

PostgreSQL's trigram index needs an extension, and so a privilege that not everybody has: ``search.prepare`` makes it at
each start where it can.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TRIGGERS = {
    # Only students that aren't deleted are in the index: the lists are about them.
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
    "students_search_delete": """
        AFTER DELETE ON students BEGIN
            DELETE FROM student_search WHERE student_id = old.id;
        END""",
    "student_search_insert": """
        AFTER INSERT ON student_search BEGIN
            INSERT INTO students_fts (rowid, search_text) VALUES (new.id, new.search_text);
        END""",
    "student_search_delete": """
        AFTER DELETE ON student_search BEGIN
            INSERT INTO students_fts (students_fts, rowid, search_text) VALUES ('delete', old.id, old.search_text);
        END""",
}


def upgrade() -> None:
    op.execute(
        "CREATE INDEX ix_students_present_counted ON students (program_key, year, status, program)"
        " WHERE deleted_at IS NULL"
    )
    if op.get_bind().dialect.name != "sqlite":
        return
    # The texts stand in a table of their own: its key stays what it is, while a VACUUM may renumber the students' rows.
    op.execute(
        "CREATE TABLE student_search (id INTEGER PRIMARY KEY, student_id VARCHAR(36) NOT NULL UNIQUE,"
        " search_text TEXT NOT NULL)"
    )
    op.execute(
        "CREATE VIRTUAL TABLE students_fts USING fts5(search_text, content='student_search', content_rowid='id',"
        " tokenize='trigram case_sensitive 1')"
    )
    op.execute(
        "INSERT INTO student_search (student_id, search_text)"
        " SELECT id, search_text FROM students WHERE deleted_at IS NULL"
    )
    op.execute("INSERT INTO students_fts (students_fts) VALUES ('rebuild')")
    for name, does in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {does}")


def downgrade() -> None:
    op.drop_index("ix_students_present_counted", "students")
    if op.get_bind().dialect.name == "sqlite":
        for name in TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
        op.execute("DROP TABLE students_fts")
        op.execute("DROP TABLE student_search")
    else:
        op.execute("DROP INDEX IF EXISTS ix_students_search_text")
