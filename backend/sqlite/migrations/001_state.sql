-- Everything that must survive. Bodies are the JSON of the records in
-- records.go; the columns beside them are what is searched or must be unique.
-- Times are Unix nanoseconds.

CREATE TABLE meta (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE apps (
	id    TEXT PRIMARY KEY,
	team  TEXT NOT NULL,
	space TEXT NOT NULL,
	name  TEXT NOT NULL,
	body  BLOB NOT NULL,
	UNIQUE (team, space, name)
);

CREATE TABLE jobs (
	id    TEXT PRIMARY KEY,
	team  TEXT NOT NULL,
	space TEXT NOT NULL,
	name  TEXT NOT NULL,
	body  BLOB NOT NULL,
	UNIQUE (team, space, name)
);

CREATE TABLE releases (
	app    TEXT NOT NULL,
	number INTEGER NOT NULL,
	body   BLOB NOT NULL,
	PRIMARY KEY (app, number)
) WITHOUT ROWID;

CREATE TABLE instances (
	id    TEXT PRIMARY KEY,
	owner TEXT NOT NULL,
	ended INTEGER NOT NULL,
	body  BLOB NOT NULL
);
CREATE INDEX instances_owner ON instances (owner, ended);

CREATE TABLE runs (
	id       TEXT PRIMARY KEY,
	owner    TEXT NOT NULL,
	process  TEXT NOT NULL,
	idx      INTEGER NOT NULL,
	number   INTEGER NOT NULL,
	instance TEXT NOT NULL,
	state    TEXT NOT NULL,
	started  INTEGER NOT NULL,
	body     BLOB NOT NULL
);
CREATE INDEX runs_slot ON runs (owner, process, idx, number);
CREATE INDEX runs_instance ON runs (instance, number);

CREATE TABLE operations (
	seq     INTEGER PRIMARY KEY AUTOINCREMENT,
	id      TEXT NOT NULL UNIQUE,
	target  TEXT NOT NULL,
	kind    TEXT NOT NULL,
	state   TEXT NOT NULL,
	created INTEGER NOT NULL,
	body    BLOB NOT NULL
);
CREATE INDEX operations_target ON operations (target, seq);
CREATE INDEX operations_open ON operations (seq) WHERE state IN ('scheduled', 'queued', 'running');

CREATE TABLE events (
	idx   INTEGER PRIMARY KEY,
	time  INTEGER NOT NULL,
	kind  TEXT NOT NULL,
	owner TEXT NOT NULL,
	level INTEGER NOT NULL,
	quiet INTEGER NOT NULL,
	body  BLOB NOT NULL
);
CREATE INDEX events_told ON events (idx) WHERE quiet = 0;
CREATE INDEX events_owner ON events (owner, idx) WHERE quiet = 0;

CREATE TABLE audit (
	seq       INTEGER PRIMARY KEY AUTOINCREMENT,
	time      INTEGER NOT NULL,
	principal TEXT NOT NULL,
	door      TEXT NOT NULL,
	address   TEXT NOT NULL,
	request   TEXT NOT NULL,
	verb      TEXT NOT NULL,
	target    TEXT NOT NULL,
	operation TEXT NOT NULL,
	outcome   TEXT NOT NULL,
	reason    TEXT NOT NULL
);

CREATE TABLE documents (
	kind    TEXT NOT NULL,
	team    TEXT NOT NULL,
	space   TEXT NOT NULL,
	name    TEXT NOT NULL,
	version INTEGER NOT NULL,
	body    BLOB NOT NULL,
	PRIMARY KEY (kind, team, space, name)
) WITHOUT ROWID;

CREATE TABLE keys (
	key       TEXT PRIMARY KEY,
	created   INTEGER NOT NULL,
	operation TEXT NOT NULL,
	body      BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE levels (
	app      TEXT NOT NULL,
	instance TEXT NOT NULL,
	logger   TEXT NOT NULL,
	body     BLOB NOT NULL,
	PRIMARY KEY (app, instance, logger)
) WITHOUT ROWID;
