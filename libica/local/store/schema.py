"""The tables of the database, and how those of earlier versions become them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Schema(NamedTuple):
    """The tables of a database.

    Attributes:
        version: Its number, which the file has as `user_version`.
        statements: What creates the tables.
        migrations: For each earlier version, what turns its tables into these.
    """

    version: int
    statements: str
    migrations: Mapping[int, str] = {}


# What was taken along from another service, for whom, and its state then.
_MIRRORED = """
CREATE TABLE mirrored (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, timeModified TEXT NOT NULL,
    listed TEXT NOT NULL, leftOut TEXT NOT NULL
) WITHOUT ROWID;
"""

# An audience is who may see an object: its creator (of what was taken along from another service,
# the user who did), and whoever its access list names. There are few, so that a list has one index
# entry to begin at for each audience that its caller belongs to.
_TABLES = f"""
{_MIRRORED}
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE tokens (
    digest BLOB PRIMARY KEY, label TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL, workgroup TEXT NOT NULL, user TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE audiences (
    id INTEGER PRIMARY KEY, createdBy TEXT NOT NULL, acl TEXT NOT NULL, UNIQUE (createdBy, acl)
);
CREATE TABLE grants (
    entry TEXT NOT NULL, audience INTEGER NOT NULL, PRIMARY KEY (entry, audience)
) WITHOUT ROWID;
CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, scope TEXT NOT NULL,
    audience INTEGER NOT NULL, name TEXT NOT NULL,
    timeCreated TEXT NOT NULL, timeModified TEXT NOT NULL,
    tenantId TEXT NOT NULL, summary TEXT NOT NULL, UNIQUE (tenantId, name)
);
CREATE TABLE versions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, scope TEXT NOT NULL,
    audience INTEGER NOT NULL, version TEXT NOT NULL,
    timeCreated TEXT NOT NULL, timeModified TEXT NOT NULL,
    summary TEXT NOT NULL, execution TEXT, UNIQUE (scope, version)
);
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, scope TEXT NOT NULL,
    audience INTEGER NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    timeCreated TEXT NOT NULL, timeModified TEXT NOT NULL,
    versionId TEXT NOT NULL, version TEXT NOT NULL,
    aborting INTEGER NOT NULL, handle TEXT NOT NULL DEFAULT '', engine TEXT NOT NULL DEFAULT '',
    startAfter REAL NOT NULL DEFAULT 0,
    summary TEXT NOT NULL, execution TEXT NOT NULL, logs TEXT NOT NULL
);
CREATE TABLE counts (
    audience INTEGER NOT NULL, status TEXT NOT NULL, version TEXT NOT NULL, versionId TEXT NOT NULL,
    runs INTEGER NOT NULL, PRIMARY KEY (audience, status, version, versionId)
) WITHOUT ROWID;
CREATE TABLE name_counts (
    audience INTEGER NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    runs INTEGER NOT NULL, PRIMARY KEY (audience, name, status)
) WITHOUT ROWID;
"""

# Each index ends with `seq`, as all of SQLite's do.
_INDEXES = """
CREATE INDEX tasks_created ON tasks (audience, timeCreated);
CREATE INDEX tasks_modified ON tasks (audience, timeModified);
CREATE INDEX tasks_name ON tasks (audience, name, timeCreated);
CREATE INDEX versions_created ON versions (audience, scope, timeCreated);
CREATE INDEX runs_created ON runs (audience, timeCreated);
CREATE INDEX runs_modified ON runs (audience, timeModified);
CREATE INDEX runs_name ON runs (audience, name, timeCreated);
CREATE INDEX runs_status ON runs (audience, status, timeCreated);
CREATE INDEX runs_status_modified ON runs (audience, status, timeModified);
CREATE INDEX runs_status_name ON runs (audience, status, name, timeCreated);
CREATE INDEX runs_version ON runs (audience, version, timeCreated);
CREATE INDEX runs_versionId ON runs (audience, versionId, timeCreated);
CREATE INDEX runs_waiting ON runs (seq) WHERE status = 'Pending';
CREATE INDEX runs_running ON runs (seq) WHERE status = 'Running';
"""

# Totals are kept, since counting takes time that depends on the number of runs.
_ADD = """
    INSERT INTO counts VALUES (new.audience, new.status, new.version, new.versionId, 1)
    ON CONFLICT (audience, status, version, versionId) DO UPDATE SET runs = runs + 1;
    INSERT INTO name_counts VALUES (new.audience, new.name, new.status, 1)
    ON CONFLICT (audience, name, status) DO UPDATE SET runs = runs + 1;
"""
_REMOVE = """
    UPDATE counts SET runs = runs - 1 WHERE (audience, status, version, versionId)
        = (old.audience, old.status, old.version, old.versionId);
    DELETE FROM counts WHERE (audience, status, version, versionId)
        = (old.audience, old.status, old.version, old.versionId) AND runs = 0;
    UPDATE name_counts SET runs = runs - 1 WHERE (audience, name, status)
        = (old.audience, old.name, old.status);
    DELETE FROM name_counts WHERE (audience, name, status)
        = (old.audience, old.name, old.status) AND runs = 0;
"""
_TRIGGERS = f"""
CREATE TRIGGER run_added AFTER INSERT ON runs BEGIN {_ADD} END;
CREATE TRIGGER run_removed AFTER DELETE ON runs BEGIN {_REMOVE} END;
CREATE TRIGGER run_changed AFTER UPDATE ON runs WHEN
    (new.audience, new.name, new.status, new.version, new.versionId)
    <> (old.audience, old.name, old.status, old.version, old.versionId)
BEGIN {_REMOVE} {_ADD} END;
"""

_FROM_1 = f"""
ALTER TABLE settings RENAME TO old_settings;
ALTER TABLE tokens RENAME TO old_tokens;
ALTER TABLE tasks RENAME TO old_tasks;
ALTER TABLE versions RENAME TO old_versions;
ALTER TABLE runs RENAME TO old_runs;
{_TABLES}
INSERT INTO settings SELECT * FROM old_settings;
INSERT INTO tokens SELECT * FROM old_tokens;
INSERT INTO audiences (createdBy, acl)
    SELECT createdBy, acl FROM old_tasks UNION SELECT createdBy, acl FROM old_versions
    UNION SELECT createdBy, acl FROM old_runs;
INSERT OR IGNORE INTO grants SELECT value, audiences.id FROM audiences, json_each(acl);
INSERT INTO tasks
    (seq, id, scope, audience, name, timeCreated, timeModified, tenantId, summary)
    SELECT seq, old.id, scope, audiences.id, name, timeCreated, timeModified, tenantId, summary
    FROM old_tasks AS old JOIN audiences USING (createdBy, acl);
INSERT INTO versions
    (seq, id, scope, audience, version, timeCreated, timeModified, summary, execution)
    SELECT seq, old.id, scope, audiences.id, version, timeCreated, timeModified, summary, execution
    FROM old_versions AS old JOIN audiences USING (createdBy, acl);
INSERT INTO runs
    (seq, id, scope, audience, name, status, timeCreated, timeModified, versionId, version,
    aborting, summary, execution, logs)
    SELECT seq, old.id, scope, audiences.id, name, status, timeCreated, timeModified, versionId,
    version, aborting, summary, execution, logs
    FROM old_runs AS old JOIN audiences USING (createdBy, acl);
INSERT INTO counts
    SELECT audience, status, version, versionId, count(*) FROM runs GROUP BY 1, 2, 3, 4;
INSERT INTO name_counts SELECT audience, name, status, count(*) FROM runs GROUP BY 1, 2, 3;
DROP TABLE old_settings;
DROP TABLE old_tokens;
DROP TABLE old_tasks;
DROP TABLE old_versions;
DROP TABLE old_runs;
{_INDEXES} {_TRIGGERS}"""  # noqa: S608

SCHEMA = Schema(3, _TABLES + _INDEXES + _TRIGGERS, {1: _FROM_1, 2: _MIRRORED})
