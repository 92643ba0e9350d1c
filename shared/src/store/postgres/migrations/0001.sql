-- One row a conversation: the fence (version), the numbering of its deliveries, and its session.
-- fillfactor leaves room on the page, so that a commit's update touches no index (HOT).
create table conversation (
  id            uuid        primary key,
  channel_id    text        not null,
  user_id       text        not null,
  -- xxh3 of the key as a signed number, for the partition of a doorbell.
  hash          bigint      not null,
  -- Born as the database's time in microseconds: no life of a conversation repeats another's numbers.
  version       bigint      not null,
  next_delivery bigint      not null,
  session       bytea       not null,
  used_at       timestamptz not null,
  -- The day of used_at. Indexed in its place: it changes once a day, so updates stay HOT.
  used_day      date        not null,
  constraint conversation_session_size check (octet_length(session) <= 1048576)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
create index conversation_used on conversation (used_day);

-- Inbox, ledger and stored answer at once. Partitioned by day of the turn's id (UUIDv7), which the
-- primary key follows from; the default partition is a net for days that have none.
create table turn (
  turn_id         uuid        not null primary key,
  conversation_id uuid        not null,
  client_id       text        not null,
  channel_id      text        not null,
  outcome         smallint    not null,
  detail          text        not null,
  reply           bytea       not null,
  parked          bytea,
  queued_ms       bigint      not null,
  bot_ms          bigint      not null,
  committed_at    timestamptz not null,
  constraint turn_detail_size check (octet_length(detail) <= 1000),
  constraint turn_reply_size check (octet_length(reply) <= 8388608),
  constraint turn_parked_size check (octet_length(parked) <= 8388608)
) partition by range (turn_id);
-- For erasing one user.
create index turn_conversation on turn (conversation_id);
create table turn_default partition of turn default;

-- The log of POSTs, by the delivery's own id (turn, message), which a redrive does not change.
create table attempt (
  turn_id  uuid        not null,
  message  integer     not null,
  attempt  bigint      not null,
  status   integer     not null,
  error    text,
  took_ms  bigint      not null,
  response bytea       not null,
  at       timestamptz not null,
  primary key (turn_id, message, attempt),
  constraint attempt_response_size check (octet_length(response) <= 1048576)
) partition by range (turn_id);
create table attempt_default partition of attempt default;

-- The duty to bring one message to one endpoint. state: 0 unsettled, 1 delivered, 2 parked.
create table delivery (
  conversation_id uuid        not null,
  number          bigint      not null,
  turn_id         uuid        not null,
  message         integer     not null,
  channel_id      text        not null,
  hash            bigint      not null,
  body            bytea       not null,
  state           smallint    not null,
  reason          smallint,
  attempt         bigint      not null,
  failures        bigint      not null,
  deferrals       bigint      not null,
  redriven        boolean     not null,
  -- The conversation's lowest unsettled one. Written under the conversation's row lock only.
  head            boolean     not null,
  due             timestamptz not null,
  -- When a doorbell was last rung; null: none since the due time was moved.
  hinted_at       timestamptz,
  claimed_until   timestamptz,
  settled_at      timestamptz,
  primary key (conversation_id, number),
  constraint delivery_body_size check (octet_length(body) <= 1048576)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
create index delivery_unsettled on delivery (conversation_id, number) where state = 0;
create index delivery_head on delivery (channel_id, due) where head and state = 0;
create index delivery_settled on delivery (state, settled_at) where state <> 0;

-- Keys of clients. A plain table: the day of a key does not follow from the key.
create table idempotency (
  channel_id  text        not null,
  key         text        not null,
  fingerprint bytea       not null,
  turn_id     uuid        not null,
  expires_at  timestamptz not null,
  primary key (channel_id, key),
  constraint idempotency_key_size check (octet_length(key) <= 255)
);
create index idempotency_expiry on idempotency (expires_at);

-- Redelivered turns that run now, or whose process died in mid-run.
create table mark (
  turn_id    uuid        not null,
  process_id uuid        not null,
  solo       boolean     not null,
  at         timestamptz not null,
  primary key (turn_id, process_id)
);
create index mark_age on mark (at);

-- Jobs that nobody can decode, and those that the broker dead-lettered.
create table stray (
  id     bigint      generated always as identity primary key,
  queue  text        not null,
  body   bytea       not null,
  reason text        not null,
  at     timestamptz not null
);
create index stray_age on stray (at);

-- Erased users: a turn whose id is not younger leaves nothing behind, and a new life starts above the
-- old one's numbers.
create table erasure (
  conversation_id uuid        primary key,
  erased_at       timestamptz not null,
  version         bigint      not null,
  next_delivery   bigint      not null
);
create index erasure_age on erasure (erased_at);

-- The registry. What is queried or unique is a column, the rest is `spec` (JSON); secrets are sealed.
create table app (
  id         text        primary key,
  name       text        not null,
  algorithm  text        not null,
  secret     bytea       not null,
  created_at timestamptz not null default clock_timestamp()
);

create table bot (
  id                 text        primary key,
  name               text        not null,
  spec               text        not null,
  http_authorization bytea,
  -- The last ordinal given to a channel: ordinals are never used again.
  last_ordinal       integer     not null default 0,
  created_at         timestamptz not null default clock_timestamp()
);

create table channel (
  id             text        primary key,
  bot_id         text        not null references bot (id),
  client_id      text        not null references app (id),
  name           text        not null,
  ordinal        integer     not null,
  state          text        not null,
  -- Set by a 410, cleared by an approval.
  disabled       boolean     not null default false,
  spec           text        not null,
  token          bytea,
  signing_secret bytea,
  created_at     timestamptz not null default clock_timestamp(),
  constraint channel_name unique (bot_id, name),
  constraint channel_ordinal unique (bot_id, ordinal)
);
create index channel_client on channel (client_id);
