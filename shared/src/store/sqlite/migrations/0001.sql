-- The one file of the embedded engines. Names and columns are parallel to PostgreSQL's.
-- Times are milliseconds since the Unix epoch by the engine's clock; ids are 16 bytes.

-- What must be the same at every start.
create table meta (
  key   text primary key,
  value text not null
) strict, without rowid;

-- Queued turns, the broker's only table: a row is a job that has not been acknowledged. Ids are given
-- by the broker, grow, and are never used twice in a process.
create table job (
  id        integer primary key,
  queue     integer not null,
  partition integer not null,
  turn_id   blob not null,
  body      blob not null
) strict;

create table conversation (
  id            blob primary key,
  channel_id    text not null,
  user_id       text not null,
  hash          integer not null,
  -- The fence. Born, like next_delivery, as the time in microseconds: no life repeats another's numbers.
  version       integer not null,
  next_delivery integer not null,
  state         blob not null check (length(state) <= 1048576),
  touched_at    integer not null
) strict;
create index conversation_touched on conversation (touched_at);

-- Inbox, ledger and stored answer at once. Retention goes by the time inside the id.
create table turn (
  turn_id      blob primary key,
  conversation blob not null,
  client_id    text not null,
  channel_id   text not null,
  outcome      integer not null,
  -- PostgreSQL refuses a NUL in text: so that both engines keep the same data, this one does too.
  detail       text not null check (instr(detail, char(0)) = 0),
  reply        blob not null check (length(reply) <= 8388608),
  parked       blob check (length(parked) <= 8388608),
  queued_ms    integer not null,
  bot_ms       integer not null,
  committed_at integer not null
) strict;
create index turn_conversation on turn (conversation);

create table delivery (
  conversation  blob not null,
  number        integer not null,
  channel_id    text not null,
  turn_id       blob not null,
  idx           integer not null,
  body          blob not null check (length(body) <= 1048576),
  -- Attempts begun. Never restarts: an outcome is written only where it still shows its attempt.
  attempt       integer not null default 0,
  failures      integer not null default 0,
  deferrals     integer not null default 0,
  -- The end of the running claim; 0 when there is none.
  claimed_until integer not null default 0,
  -- 1 on the lowest unsettled row of its conversation, and on no other.
  head          integer not null,
  due           integer not null,
  -- When a doorbell was last rung for it; born rung. 0: none since the due time was moved.
  hinted_at     integer not null,
  -- 0 pending, 1 delivered, 2 parked.
  state         integer not null default 0,
  reason        integer,
  redriven      integer not null default 0,
  hash          integer not null,
  created_at    integer not null,
  settled_at    integer,
  primary key (conversation, number)
) strict;
create index delivery_unsettled on delivery (conversation, number) where state = 0;
create index delivery_heads on delivery (channel_id, due, hinted_at) where head = 1;
create index delivery_settled on delivery (state, settled_at) where state <> 0;
create index delivery_parked on delivery (conversation, number) where state = 2;

-- The log of POSTs. Keyed by what a redrive does not change.
create table attempt (
  turn_id  blob not null,
  idx      integer not null,
  attempt  integer not null,
  status   integer not null,
  error    text,
  took_ms  integer not null,
  response blob not null check (length(response) <= 1048576),
  at       integer not null,
  primary key (turn_id, idx, attempt)
) strict, without rowid;

-- Redelivered turns that run now, or whose process died over them.
create table mark (
  turn_id blob not null,
  process blob not null,
  solo    integer not null,
  at      integer not null,
  primary key (turn_id, process)
) strict, without rowid;

create table idempotency (
  channel_id  text not null,
  key         text not null check (length(cast(key as blob)) <= 255),
  fingerprint blob not null,
  turn_id     blob not null,
  expires_at  integer not null,
  primary key (channel_id, key)
) strict, without rowid;
create index idempotency_expires on idempotency (expires_at);

-- Jobs that could not be decoded, or that a broker gave up.
create table stray (
  id     integer primary key,
  queue  integer not null,
  body   blob not null,
  reason text not null,
  at     integer not null
) strict;
create index stray_at on stray (at);

-- A tombstone: turns of this conversation that are as old as this leave nothing behind, and a new
-- life starts above the old one's numbers.
create table erasure (
  conversation  blob primary key,
  erased_at     integer not null,
  version       integer not null,
  next_delivery integer not null
) strict, without rowid;
create index erasure_at on erasure (erased_at);

create table app (
  id         text primary key,
  name       text not null,
  algorithm  text not null,
  secret     blob not null,
  created_at integer not null
) strict;

create table bot (
  id            text primary key,
  name          text not null,
  spec          text not null,
  authorization blob,
  -- The last ordinal given to a channel: ordinals are never used again.
  last_ordinal  integer not null default 0,
  created_at    integer not null
) strict;

create table channel (
  id             text primary key,
  bot_id         text not null references bot (id),
  client_id      text not null references app (id),
  name           text not null,
  ordinal        integer not null,
  state          text not null,
  -- Set by a 410, cleared by an approval.
  disabled       integer not null default 0,
  spec           text not null,
  token          blob,
  signing_secret blob,
  created_at     integer not null,
  unique (bot_id, name),
  unique (bot_id, ordinal)
) strict;
create index channel_client on channel (client_id);
