-- Apps: the key before the present one with the end of its overlap (milliseconds since 1970), and what is
-- asked of tokens (JSON).
alter table app add column previous blob;
alter table app add column previous_until integer;
alter table app add column rules text not null default '{}';

-- One row. Every change of the registry moves it; a change that was decided on an older one is refused.
create table registry_revision (
  one      integer primary key default 1 check (one = 1),
  revision integer not null
) strict;
insert into registry_revision (revision) values (1);

-- Documents of the control plane: operators, tokens, edits, requests. Secrets are sealed.
create table record (
  kind       text not null,
  id         text not null,
  body       text not null,
  sealed     blob,
  expires_at integer,
  primary key (kind, id)
) strict, without rowid;
create index record_expiry on record (expires_at) where expires_at is not null;

-- Who did what; written in the transaction of what was done.
create table audit (
  id      text primary key,
  at      integer not null,
  actor   text not null,
  action  text not null,
  subject text not null,
  detail  text not null
) strict, without rowid;
create index audit_subject on audit (subject, id);
create index audit_age on audit (at);
