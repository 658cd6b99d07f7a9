-- What waits for longer than its deadline is looked for by this, again and again.
create index if not exists order_states_by_update on order_states (log, build, status, updated_at, order_id);
