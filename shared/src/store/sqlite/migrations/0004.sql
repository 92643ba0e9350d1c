-- Settled deliveries that an operator has sent again. state: 0 running, 1 done, 2 cancelled.
create table replay (
  id          blob primary key,
  -- Makes a repeat the same request.
  once        text unique,
  fingerprint text not null,
  actor       text not null,
  channel_id  text not null,
  -- A range of time (milliseconds since 1970; standing null: delivered and parked) or one delivery.
  from_ms     integer,
  to_ms       integer,
  standing    integer,
  turn_id     blob,
  message     integer,
  state       integer not null default 0,
  total       integer not null default 0,
  sent        integer not null default 0,
  passed      integer not null default 0,
  created_at  integer not null,
  ended_at    integer
) strict;
create index replay_running on replay (id) where state = 0;
create index replay_age on replay (ended_at) where ended_at is not null;

-- What a running one has yet to do.
create table replay_item (
  replay_id    blob not null,
  conversation blob not null,
  number       integer not null,
  primary key (replay_id, conversation, number)
) strict, without rowid;
