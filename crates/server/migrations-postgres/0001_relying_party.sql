-- The relying party's memory in PostgreSQL: the same tables as in SQLite, where the comments are.
-- `rowid` is the order of insertion, which SQLite has by itself. Flags are 0 and 1.

CREATE TABLE users (
    rowid        BIGINT GENERATED ALWAYS AS IDENTITY,
    handle       BYTEA  NOT NULL PRIMARY KEY,
    realm        BYTEA  NOT NULL,
    way          TEXT   NOT NULL CHECK (way IN ('browser', 'simulation')),
    name         TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    UNIQUE (realm, way, name)
);

CREATE TABLE credentials (
    rowid        BIGINT GENERATED ALWAYS AS IDENTITY,
    id           BYTEA  NOT NULL PRIMARY KEY,
    "user"       BYTEA  NOT NULL REFERENCES users (handle) ON DELETE CASCADE,
    record       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    label        TEXT
);
CREATE INDEX credentials_by_user ON credentials ("user");

CREATE TABLE challenges (
    rowid        BIGINT GENERATED ALWAYS AS IDENTITY,
    id           BYTEA  NOT NULL PRIMARY KEY,
    visitor      BYTEA  NOT NULL,
    ceremony     TEXT   NOT NULL CHECK (ceremony IN ('registration', 'authentication')),
    state        TEXT   NOT NULL,
    opened_at    BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX challenges_by_visitor ON challenges (visitor, opened_at);
CREATE INDEX challenges_by_expiry ON challenges (expires_at);

CREATE TABLE ceremonies (
    rowid        BIGINT GENERATED ALWAYS AS IDENTITY,
    id           BYTEA  NOT NULL PRIMARY KEY,
    visitor      BYTEA  NOT NULL,
    ceremony     TEXT   NOT NULL CHECK (ceremony IN ('registration', 'authentication')),
    way          TEXT   NOT NULL CHECK (way IN ('browser', 'simulation')),
    request      TEXT   NOT NULL,
    options      TEXT   NOT NULL,
    outcome      TEXT   NOT NULL CHECK (outcome IN
                 ('open', 'checking', 'accepted', 'refused', 'failed', 'expired')),
    client       TEXT,
    verdict      TEXT,
    started_at   BIGINT NOT NULL,
    finished_at  BIGINT
);
CREATE INDEX ceremonies_by_visitor ON ceremonies (visitor, started_at);

CREATE TABLE sessions (
    id               BYTEA  NOT NULL PRIMARY KEY,
    "user"           BYTEA  NOT NULL REFERENCES users (handle) ON DELETE CASCADE,
    credential       BYTEA,
    method           TEXT   NOT NULL CHECK (method IN ('registration', 'authentication', 'recovery')),
    user_verified    BIGINT NOT NULL,
    multi_factor     BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions ("user");
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE recovery_codes (
    hash       BYTEA  NOT NULL PRIMARY KEY,
    "user"     BYTEA  NOT NULL REFERENCES users (handle) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);
CREATE INDEX recovery_codes_by_user ON recovery_codes ("user");

CREATE TABLE secrets (
    name  TEXT  NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE audit (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at            BIGINT NOT NULL,
    event         TEXT   NOT NULL,
    "user"        BYTEA,
    user_name     TEXT,
    credential    BYTEA,
    aaguid        TEXT,
    user_verified BIGINT,
    code          TEXT,
    ceremony      BYTEA
);
CREATE INDEX audit_by_user ON audit ("user", id);
CREATE INDEX audit_by_credential ON audit (credential, id);
CREATE UNIQUE INDEX audit_by_ceremony ON audit (ceremony) WHERE ceremony IS NOT NULL;

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

CREATE TABLE meters (
    kind       TEXT   NOT NULL CHECK (kind IN ('address', 'account')),
    caller     BYTEA  NOT NULL,
    paid_until BIGINT NOT NULL,
    PRIMARY KEY (kind, caller)
);
CREATE INDEX meters_by_time ON meters (paid_until);

CREATE TABLE admin_tokens (
    name         TEXT   NOT NULL PRIMARY KEY,
    hash         BYTEA  NOT NULL UNIQUE,
    scopes       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT
);
