-- Accounts of a whole site, beside those that each visitor of the demo has.

-- A realm is a set of accounts: empty for the site, else the visitor of the demo.
ALTER TABLE users RENAME COLUMN visitor TO realm;

ALTER TABLE credentials ADD COLUMN label TEXT;          -- what its owner calls it

-- Who is signed in. The id is the SHA-256 of the cookie.
CREATE TABLE sessions (
    id               BLOB    NOT NULL PRIMARY KEY,
    user             BLOB    NOT NULL REFERENCES users (handle) ON DELETE CASCADE,
    credential       BLOB,                              -- NULL: a recovery code
    method           TEXT    NOT NULL CHECK (method IN ('registration', 'authentication', 'recovery')),
    user_verified    INTEGER NOT NULL,                  -- the UV flag
    multi_factor     INTEGER NOT NULL,                  -- the UV flag, and it may be relied on
    authenticated_at INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_user ON sessions (user);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Recovery codes: SHA-256 of 100 random bits each.
CREATE TABLE recovery_codes (
    hash       BLOB    NOT NULL PRIMARY KEY,
    user       BLOB    NOT NULL REFERENCES users (handle) ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX recovery_codes_by_user ON recovery_codes (user);

-- Keys of the service itself, made at first use.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Who did what, with user verification or without, with which model. Rows are only ever added.
CREATE TABLE audit (
    id            INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at            INTEGER NOT NULL,
    event         TEXT    NOT NULL,
    user          BLOB,                                 -- handle, also after the account is gone
    user_name     TEXT,
    credential    BLOB,
    aaguid        TEXT,                                 -- as the key says
    user_verified INTEGER,
    code          TEXT,                                 -- why it was refused
    ceremony      BLOB                                  -- the challenge that was answered
) STRICT;

CREATE INDEX audit_by_user ON audit (user, id);
CREATE INDEX audit_by_credential ON audit (credential, id);
-- Whatever else goes wrong: a challenge is concluded once.
CREATE UNIQUE INDEX audit_by_ceremony ON audit (ceremony) WHERE ceremony IS NOT NULL;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
