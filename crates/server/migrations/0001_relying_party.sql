-- The relying party's memory. A visitor is the SHA-256 of a session cookie:
-- whoever reads this file cannot take over a session with it.

CREATE TABLE users (
    handle       BLOB    NOT NULL PRIMARY KEY,          -- WebAuthn user handle, random
    visitor      BLOB    NOT NULL,
    way          TEXT    NOT NULL CHECK (way IN ('browser', 'simulation')),
    name         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,                      -- Unix seconds, as all times here
    UNIQUE (visitor, way, name)
) STRICT;

CREATE TABLE credentials (
    id           BLOB    NOT NULL PRIMARY KEY,          -- credential ID: one owner in the whole store
    user         BLOB    NOT NULL REFERENCES users (handle) ON DELETE CASCADE,
    record       TEXT    NOT NULL,                      -- credential record of the `rp` crate, JSON
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;

CREATE INDEX credentials_by_user ON credentials (user);

-- Open ceremonies. Taken out by DELETE ... RETURNING before a signature is looked at.
CREATE TABLE challenges (
    id           BLOB    NOT NULL PRIMARY KEY,
    visitor      BLOB    NOT NULL,
    ceremony     TEXT    NOT NULL CHECK (ceremony IN ('registration', 'authentication')),
    state        TEXT    NOT NULL,                      -- challenge state of `rp` with its policy, JSON
    opened_at    INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX challenges_by_visitor ON challenges (visitor, opened_at);
CREATE INDEX challenges_by_expiry ON challenges (expires_at);

-- What happened: one row for each ceremony, the same id as its challenge.
CREATE TABLE ceremonies (
    id           BLOB    NOT NULL PRIMARY KEY,
    visitor      BLOB    NOT NULL,
    ceremony     TEXT    NOT NULL CHECK (ceremony IN ('registration', 'authentication')),
    way          TEXT    NOT NULL CHECK (way IN ('browser', 'simulation')),
    request      TEXT    NOT NULL,                      -- what the visitor chose, JSON
    options      TEXT    NOT NULL,                      -- the options that were sent, JSON
    outcome      TEXT    NOT NULL CHECK (outcome IN
                 ('open', 'checking', 'accepted', 'refused', 'failed', 'expired')),
    client       TEXT,                                  -- what key and platform did, JSON (simulation)
    verdict      TEXT,                                  -- what the relying party concluded, JSON
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER
) STRICT;

CREATE INDEX ceremonies_by_visitor ON ceremonies (visitor, started_at);
