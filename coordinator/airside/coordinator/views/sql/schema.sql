-- The views' tables. Bump VERSION in schema.py with every change here or in how events are folded.

CREATE TABLE views_file (version INTEGER NOT NULL, incarnation VARCHAR NOT NULL);

CREATE TABLE log_position (
    position BIGINT NOT NULL,
    received TIMESTAMPTZ,
    event_id VARCHAR,
    stream_created VARCHAR
);
INSERT INTO log_position VALUES (0, NULL, NULL, NULL);

-- Append only. `id_key` is the 64-bit key of airside.coordinator.ids.
CREATE TABLE events (
    position BIGINT NOT NULL,
    received TIMESTAMPTZ NOT NULL,
    id VARCHAR NOT NULL,
    id_key UBIGINT NOT NULL,
    type VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    source VARCHAR NOT NULL,
    workspace VARCHAR NOT NULL,
    resource_id VARCHAR NOT NULL,
    resource_kind VARCHAR NOT NULL,
    resource_name VARCHAR NOT NULL,
    labels JSON NOT NULL,
    related JSON NOT NULL,
    payload JSON,
    causes JSON NOT NULL,
    -- A payload of more than 4 KB is here, and `payload` is NULL: DuckDB decompresses 2,048 large texts to read one of
    -- them, half a gigabyte of the largest, but of uncompressed ones it reads only those that are asked for.
    large_payload JSON USING COMPRESSION uncompressed,
    bytes BIGINT NOT NULL -- of the JSON columns: how much of the table fits one page or one file
);

-- Append only. `position` is what the rule decided on, `log_position` where the firing itself stands.
CREATE TABLE firings (
    workspace VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    automation VARCHAR NOT NULL,
    revision BIGINT NOT NULL,
    outcome VARCHAR NOT NULL,
    key JSON NOT NULL,
    "window" JSON,
    position BIGINT NOT NULL,
    log_position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    decided TIMESTAMPTZ NOT NULL,
    reason VARCHAR NOT NULL,
    clause JSON,
    severity VARCHAR,
    event_count BIGINT NOT NULL,
    events JSON NOT NULL,
    actions JSON NOT NULL,
    late_by DOUBLE,
    resolves VARCHAR
);

-- Append only. `data` is the entry's body, the first 64 KB.
CREATE TABLE dead_letters (
    workspace VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    received TIMESTAMPTZ NOT NULL,
    subject VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    data BLOB NOT NULL
);

-- Keyed by (workspace, id), which only the projector guarantees: a table without an index takes batches fastest.
-- A changed row is deleted and appended, so rows lie in the order of `last_position` and recent ones are found quickly.
CREATE TABLE resources (
    workspace VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    id_key UBIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    labels JSON NOT NULL,
    first_seen TIMESTAMPTZ NOT NULL,
    last_seen TIMESTAMPTZ NOT NULL,
    last_position BIGINT NOT NULL,
    last_type VARCHAR,
    last_event_id VARCHAR,
    state VARCHAR,
    last_by_type JSON NOT NULL
);

-- `generation`, `state_time` and `told_duration` are of the event that the state was taken from.
CREATE TABLE runs (
    workspace VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    id_key UBIGINT NOT NULL,
    source VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    job VARCHAR,
    job_name VARCHAR,
    name VARCHAR,
    url VARCHAR,
    parent VARCHAR,
    state VARCHAR NOT NULL,
    started TIMESTAMPTZ,
    ended TIMESTAMPTZ,
    duration DOUBLE,
    attempt BIGINT,
    labels JSON NOT NULL,
    first_seen TIMESTAMPTZ NOT NULL,
    last_seen TIMESTAMPTZ NOT NULL,
    first_position BIGINT NOT NULL,
    last_position BIGINT NOT NULL,
    state_time TIMESTAMPTZ NOT NULL,
    generation BIGINT NOT NULL,
    told_duration DOUBLE
);

CREATE TABLE actions (
    workspace VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    id_key UBIGINT NOT NULL,
    firing VARCHAR NOT NULL,
    automation VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    index BIGINT NOT NULL,
    state VARCHAR NOT NULL,
    attempts BIGINT NOT NULL,
    result JSON,
    error VARCHAR,
    updated TIMESTAMPTZ NOT NULL,
    last_position BIGINT NOT NULL
);

CREATE TABLE automations (
    workspace VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    id_key UBIGINT NOT NULL,
    revision BIGINT NOT NULL,
    enabled BOOLEAN NOT NULL,
    severity VARCHAR,
    description VARCHAR,
    document JSON NOT NULL,
    created TIMESTAMPTZ NOT NULL,
    updated TIMESTAMPTZ NOT NULL,
    last_triggered TIMESTAMPTZ,
    firings BIGINT NOT NULL,
    deleted BOOLEAN NOT NULL,
    last_position BIGINT NOT NULL
);
