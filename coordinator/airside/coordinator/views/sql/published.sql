-- What people's SQL sees of each table. The name before the dot is the table, `rows` goes into a snapshot's files,
-- `view` reads them; there `parts` stands for the files. The workspace is the same in all rows and not stored.

-- name: events_rows
SELECT position, received, id, type, time, source, resource_id, resource_kind, resource_name, labels, related,
       coalesce(payload, large_payload) AS payload, causes
FROM events

-- name: events_view
SELECT * FROM parts

-- name: firings_rows
SELECT id, automation, revision, outcome, key, "window", position, log_position, time, decided, reason, clause, severity,
       event_count, events, actions, late_by, resolves
FROM firings

-- name: firings_view
SELECT f.*, r.resolved_by
FROM parts AS f
LEFT JOIN (SELECT resolves AS id, arg_min(id, log_position) AS resolved_by FROM parts GROUP BY resolves) AS r USING (id)

-- name: dead_letters_rows
SELECT position, received, subject, reason, data FROM dead_letters

-- name: dead_letters_view
SELECT * FROM parts

-- name: resources_rows
SELECT id, kind, name, labels, state, first_seen, last_seen, last_position, last_type, last_event_id, last_by_type
FROM resources

-- name: resources_view
SELECT * FROM parts

-- name: runs_rows
SELECT id, source, kind, job, job_name, name, url, parent, state, started, ended, duration, attempt, labels, first_seen,
       last_seen, first_position, last_position
FROM runs

-- name: runs_view
SELECT * FROM parts

-- name: actions_rows
SELECT id, firing, automation, kind, index, state, attempts, result, error, updated, last_position FROM actions

-- name: actions_view
SELECT * FROM parts

-- name: automations_rows
SELECT id, revision, enabled, severity, description, document, created, updated, last_triggered, firings, deleted,
       last_position
FROM automations

-- name: automations_view
SELECT id AS name, * EXCLUDE (id) FROM parts
