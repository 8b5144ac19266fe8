-- name: events
INSERT INTO events BY NAME SELECT * FROM incoming;

-- name: firings
INSERT INTO firings BY NAME SELECT * FROM incoming;

-- name: dead_letters
INSERT INTO dead_letters BY NAME SELECT * FROM incoming;

-- name: resources
INSERT INTO resources BY NAME SELECT * FROM incoming;

-- name: runs
INSERT INTO runs BY NAME SELECT * FROM incoming;

-- name: actions
INSERT INTO actions BY NAME SELECT * FROM incoming;

-- name: automations
INSERT INTO automations BY NAME SELECT * FROM incoming;

-- Rows that are about to be written anew. `last_position` comes first: it leads to the few row groups that hold them.

-- name: forget_resources
DELETE FROM resources AS r USING incoming AS i
WHERE r.last_position = i.last_position AND r.id_key = i.id_key AND r.id = i.id AND r.workspace = i.workspace;

-- name: forget_runs
DELETE FROM runs AS r USING incoming AS i
WHERE r.last_position = i.last_position AND r.id_key = i.id_key AND r.id = i.id AND r.workspace = i.workspace;

-- name: forget_actions
DELETE FROM actions AS r USING incoming AS i
WHERE r.last_position = i.last_position AND r.id_key = i.id_key AND r.id = i.id AND r.workspace = i.workspace;

-- name: forget_automations
DELETE FROM automations AS r USING incoming AS i
WHERE r.last_position = i.last_position AND r.id_key = i.id_key AND r.id = i.id AND r.workspace = i.workspace;

-- Places of rows by key: only the narrow column is scanned, the rows themselves are then read by their place.

-- name: places_resources
SELECT r.rowid FROM resources AS r SEMI JOIN incoming AS i ON r.id_key = i.id_key;

-- name: places_runs
SELECT r.rowid FROM runs AS r SEMI JOIN incoming AS i ON r.id_key = i.id_key;

-- name: places_actions
SELECT r.rowid FROM actions AS r SEMI JOIN incoming AS i ON r.id_key = i.id_key;

-- name: places_automations
SELECT r.rowid FROM automations AS r SEMI JOIN incoming AS i ON r.id_key = i.id_key;

-- name: rows_resources
SELECT workspace, id, id_key, kind, name, labels, epoch_us(first_seen), epoch_us(last_seen), last_position,
       last_type, last_event_id, state, last_by_type
FROM resources WHERE rowid IN (SELECT unnest($places));

-- name: rows_runs
SELECT workspace, id, id_key, source, kind, job, job_name, name, url, parent, state, epoch_us(started),
       epoch_us(ended), duration, attempt, labels, epoch_us(first_seen), epoch_us(last_seen), first_position, last_position,
       epoch_us(state_time), generation, told_duration
FROM runs WHERE rowid IN (SELECT unnest($places));

-- name: rows_actions
SELECT workspace, id, id_key, firing, automation, kind, index, state, attempts, result, error, epoch_us(updated),
       last_position
FROM actions WHERE rowid IN (SELECT unnest($places));

-- name: rows_automations
SELECT workspace, id, id_key, revision, enabled, severity, description, document, epoch_us(created),
       epoch_us(updated), epoch_us(last_triggered), firings, deleted, last_position
FROM automations WHERE rowid IN (SELECT unnest($places));

-- name: known_ids
SELECT i.number FROM incoming AS i SEMI JOIN events AS e
ON e.id_key = i.id_key AND e.id = i.id AND e.workspace = i.workspace AND e.position BETWEEN i.first AND i.last;

-- name: unwritable
SELECT position FROM incoming WHERE NOT json_valid(payload);

-- name: move_position
UPDATE log_position SET position = $position, received = make_timestamptz($received), event_id = $event_id;
