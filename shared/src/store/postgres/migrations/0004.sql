-- Settled deliveries that an operator has sent again. state: 0 running, 1 done, 2 cancelled.
create table replay (
  id          uuid        primary key,
  -- Makes a repeat the same request.
  once        text        unique,
  fingerprint text        not null,
  actor       text        not null,
  channel_id  text        not null,
  -- A range of time (milliseconds since 1970; standing null: delivered and parked) or one delivery.
  from_ms     bigint,
  to_ms       bigint,
  standing    smallint,
  turn_id     uuid,
  message     integer,
  state       smallint    not null default 0,
  total       bigint      not null default 0,
  sent        bigint      not null default 0,
  passed      bigint      not null default 0,
  created_at  timestamptz not null default clock_timestamp(),
  ended_at    timestamptz
);
create index replay_running on replay (id) where state = 0;
create index replay_age on replay (ended_at) where ended_at is not null;

-- What a running one has yet to do.
create table replay_item (
  replay_id       uuid   not null references replay (id) on delete cascade,
  conversation_id uuid   not null,
  number          bigint not null,
  primary key (replay_id, conversation_id, number)
);
