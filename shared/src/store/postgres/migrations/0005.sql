-- The present set of partitions on the broker, and the processes that may act on it.
create table topology (
  one        boolean primary key default true,
  generation integer not null,
  partitions integer not null,
  -- Processes that ever came: whoever changes the number sees whether one came meanwhile.
  arrivals   bigint  not null default 0,
  constraint topology_is_one check (one)
);
create table room (
  process_id uuid        primary key,
  name       text        not null,
  -- Until then it may act without being heard of.
  until      timestamptz not null
);
