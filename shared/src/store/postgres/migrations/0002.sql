-- Apps: the key before the present one with the end of its overlap (milliseconds since 1970, for it is
-- compared with the clock that tokens are judged by), and what is asked of tokens (JSON).
alter table app
  add column previous       bytea,
  add column previous_until bigint,
  add column rules          text not null default '{}';

-- One row. Every change of the registry moves it; a change that was decided on an older one is refused.
create table registry_revision (
  one      boolean primary key default true check (one),
  revision bigint  not null
);
insert into registry_revision (revision) values (1);

-- Documents of the control plane: operators, tokens, edits, requests. Secrets are sealed.
create table record (
  kind       text        not null,
  id         text        not null,
  body       text        not null,
  sealed     bytea,
  expires_at timestamptz,
  primary key (kind, id),
  constraint record_body_size check (octet_length(body) <= 16777216)
);
create index record_expiry on record (expires_at) where expires_at is not null;

-- Who did what; written in the transaction of what was done.
create table audit (
  id      text        primary key,
  at      timestamptz not null default clock_timestamp(),
  actor   text        not null,
  action  text        not null,
  subject text        not null,
  detail  text        not null,
  constraint audit_detail_size check (octet_length(detail) <= 65536)
);
create index audit_subject on audit (subject, id);
create index audit_age on audit (at);
