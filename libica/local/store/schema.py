"""The tables of the database."""

SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE tokens (
    digest BLOB PRIMARY KEY, label TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL, workgroup TEXT NOT NULL, user TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    createdBy TEXT NOT NULL, acl TEXT NOT NULL, name TEXT NOT NULL,
    timeCreated TEXT NOT NULL, timeModified TEXT NOT NULL, summary TEXT NOT NULL,
    tenantId TEXT NOT NULL, UNIQUE (tenantId, name)
);
CREATE INDEX tasks_name ON tasks (name, id);
CREATE INDEX tasks_created ON tasks (timeCreated, id);
CREATE INDEX tasks_modified ON tasks (timeModified, id);
CREATE TABLE versions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    createdBy TEXT NOT NULL, acl TEXT NOT NULL, version TEXT NOT NULL,
    timeCreated TEXT NOT NULL, timeModified TEXT NOT NULL, summary TEXT NOT NULL,
    execution TEXT, UNIQUE (scope, version)
);
CREATE INDEX versions_created ON versions (scope, timeCreated, id);
CREATE INDEX versions_modified ON versions (scope, timeModified, id);
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    createdBy TEXT NOT NULL, acl TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    timeCreated TEXT NOT NULL, timeModified TEXT NOT NULL, summary TEXT NOT NULL,
    versionId TEXT NOT NULL, version TEXT NOT NULL, execution TEXT NOT NULL,
    logs TEXT NOT NULL, aborting INTEGER NOT NULL
);
CREATE INDEX runs_name ON runs (name, id);
CREATE INDEX runs_status ON runs (status, id);
CREATE INDEX runs_created ON runs (timeCreated, id);
CREATE INDEX runs_modified ON runs (timeModified, id);
CREATE INDEX runs_waiting ON runs (seq) WHERE status = 'Pending';
"""
