-- One number for each tenant, home region, log and generation. It begins every other key: rows of two tenants never
-- stand beside each other, and this table is the only way to a number.
create table if not exists logs (
  log int4 primary key,
  tenant text not null,
  home text not null,
  name text not null,
  generation int4 not null,
  identity bytea not null,
  -- Set by an operator when the generation's rows are given up: positions in it are answered with "gone".
  gone boolean not null default false
);

create unique index if not exists logs_by_name on logs (tenant, home, name, generation);

create unique index if not exists logs_by_identity on logs (identity);

-- How far each projection has come: the sequence of the last batch of the shard that it has written.
create table if not exists checkpoints (
  log int4 not null,
  name text not null,
  shard int2 not null,
  sequence int8 not null,
  primary key (log, name, shard)
);
