-- Scripts that bots had before, for the dialogs that began with them.
create table script_version (
  bot_id text not null,
  version text not null,
  source text not null,
  replaced_at integer not null,
  primary key (bot_id, version)
) strict, without rowid;
create index script_version_replaced on script_version (replaced_at);
