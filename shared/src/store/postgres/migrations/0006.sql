-- What is looked at by channel: lists, figures, replays.
create index turn_channel on turn (channel_id, turn_id);
create index delivery_channel on delivery (channel_id, settled_at) where state <> 0;
