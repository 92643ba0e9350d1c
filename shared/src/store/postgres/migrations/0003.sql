-- What scripts keep beyond one conversation.
create table wider_context (
  scope      text        not null,
  key        text        not null,
  -- JSON.
  value      text        not null,
  expires_at timestamptz,
  primary key (scope, key),
  constraint wider_context_value_size check (octet_length(value) <= 1048576)
);
create index wider_context_expiry on wider_context (expires_at) where expires_at is not null;
