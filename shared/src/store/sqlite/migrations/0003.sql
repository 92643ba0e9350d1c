-- What scripts keep beyond one conversation.
create table wider_context (
  scope      text not null,
  key        text not null,
  -- JSON.
  value      text not null check (length(value) <= 1048576 and instr(value, char(0)) = 0),
  expires_at integer,
  primary key (scope, key)
) strict, without rowid;
create index wider_context_expiry on wider_context (expires_at) where expires_at is not null;
