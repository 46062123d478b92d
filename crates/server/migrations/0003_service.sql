-- What the whole service shares: rate limits, and who may administer it.

-- A caller is an address or the hash of a user name; their requests are paid for until then.
CREATE TABLE meters (
    kind       TEXT    NOT NULL CHECK (kind IN ('address', 'account')),
    caller     BLOB    NOT NULL,
    paid_until INTEGER NOT NULL,                        -- Unix microseconds
    PRIMARY KEY (kind, caller)
) STRICT;

CREATE INDEX meters_by_time ON meters (paid_until);

-- Bearer tokens of the admin API. The hash is SHA-256 of 256 random bits.
CREATE TABLE admin_tokens (
    name         TEXT    NOT NULL PRIMARY KEY,
    hash         BLOB    NOT NULL UNIQUE,
    scopes       TEXT    NOT NULL,                      -- separated by spaces
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
