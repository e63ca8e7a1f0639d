-- Conversations: one ordered, gapless log each, its members with their cursors, and what was delivered to whom.
--
-- `change` columns hold the id of the transaction that last touched the row: a sync asks for what changed at or after the
-- oldest transaction that was still running when it last looked, so it misses nothing and reads only what changed.

set local role sotto_owner;

create function sotto.this_change() returns bigint language sql stable
set search_path = pg_catalog, pg_temp
return pg_catalog.pg_current_xact_id()::text::bigint;
create function sotto.oldest_running_change() returns bigint language sql stable
set search_path = pg_catalog, pg_temp
return pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint;
grant execute on function sotto.this_change(), sotto.oldest_running_change() to sotto_app;

create table sotto.conversation (
  tenant_id uuid not null,
  conversation_id uuid not null,
  kind text not null check (kind in ('direct', 'group')),
  mode text not null check (mode in ('managed', 'e2ee')),
  title_encrypted bytea,
  subject_user_id uuid,
  history text not null check (history in ('full', 'since-join')),
  closed boolean not null default false,
  key_epoch integer not null check (key_epoch > 0),
  last_seq bigint not null default 0 check (last_seq >= 0),
  last_countable bigint not null default 0 check (last_countable between 0 and last_seq),
  last_entry_at timestamptz,
  member_count integer not null default 0 check (member_count >= 0),
  created_by uuid not null,
  creation_hash bytea not null,
  change bigint not null default sotto.this_change(),
  created_at timestamptz not null,
  constraint conversation_pkey primary key (tenant_id, conversation_id),
  constraint conversation_subject_fkey foreign key (tenant_id, subject_user_id) references sotto.app_user (tenant_id, user_id),
  constraint conversation_creator_fkey foreign key (tenant_id, created_by) references sotto.app_user (tenant_id, user_id)
);

-- Unread of a member = (conversation.last_countable - read_countable) - (sent_countable - read_sent_countable): what
-- counts and came after the read cursor, less what the member sent since. No row is ever written per message and member.
create table sotto.member (
  tenant_id uuid not null,
  conversation_id uuid not null,
  user_id uuid not null,
  member_role text not null check (member_role in ('manager', 'participant')),
  joined_seq bigint not null,
  left_seq bigint check (left_seq > joined_seq),
  first_visible_seq bigint not null check (first_visible_seq >= 1),
  delivered_seq bigint not null default 0 check (delivered_seq >= read_seq),
  read_seq bigint not null default 0 check (read_seq >= 0),
  read_countable bigint not null default 0,
  sent_countable bigint not null default 0,
  read_sent_countable bigint not null default 0 check (read_sent_countable <= sent_countable),
  change bigint not null default sotto.this_change(),
  joined_at timestamptz not null,
  created_at timestamptz not null default now(),
  constraint member_pkey primary key (tenant_id, conversation_id, user_id),
  constraint member_conversation_fkey foreign key (tenant_id, conversation_id)
    references sotto.conversation (tenant_id, conversation_id),
  constraint member_user_fkey foreign key (tenant_id, user_id) references sotto.app_user (tenant_id, user_id)
);
create index member_by_user on sotto.member (tenant_id, user_id, conversation_id);

-- The log. `created_at` is the server's instant of the entry; deleting `body_ciphertext` erases a single entry.
create table sotto.entry (
  tenant_id uuid not null,
  conversation_id uuid not null,
  seq bigint not null check (seq > 0),
  countable bigint not null check (countable between 0 and seq),
  entry_id uuid not null,
  kind text not null check (kind in ('application', 'handshake', 'membership', 'system')),
  sender_user_id uuid not null,
  sender_device_id uuid not null,
  client_sent_at timestamptz,
  header jsonb not null,
  body_ciphertext bytea,
  created_at timestamptz not null,
  constraint entry_pkey primary key (tenant_id, conversation_id, seq),
  -- By the entry first: one is looked up by its id, and nothing then makes the planner read a conversation for it.
  constraint entry_entry_id_key unique (tenant_id, entry_id, conversation_id),
  constraint entry_conversation_fkey foreign key (tenant_id, conversation_id)
    references sotto.conversation (tenant_id, conversation_id)
);

-- How a repeated send is recognised, for 30 days: a keyed hash of the body, never the body.
create table sotto.entry_idempotency (
  tenant_id uuid not null,
  conversation_id uuid not null,
  device_id uuid not null,
  entry_id uuid not null,
  body_hash bytea not null check (octet_length(body_hash) = 32),
  seq bigint not null,
  countable bigint not null,
  created_at timestamptz not null,
  constraint entry_idempotency_pkey primary key (tenant_id, conversation_id, device_id, entry_id)
);
create index entry_idempotency_by_age on sotto.entry_idempotency (tenant_id, created_at);

-- One live subscription of a device to a conversation: opened before the first byte, closed with the last seq delivered.
create table sotto.delivery (
  tenant_id uuid not null,
  delivery_id uuid not null,
  conversation_id uuid not null,
  user_id uuid not null,
  device_id uuid not null,
  session_id uuid not null,
  node_id uuid not null,
  from_seq bigint not null,
  last_seq bigint,
  closed_at timestamptz,
  created_at timestamptz not null,
  constraint delivery_pkey primary key (tenant_id, delivery_id)
);
create index delivery_open on sotto.delivery (tenant_id, node_id) where closed_at is null;

-- Nodes that are alive say so; what a dead one left open is closed by another. No tenant, no person.
create table sotto.node (
  node_id uuid primary key,
  beat_at timestamptz not null,
  created_at timestamptz not null default now()
);

select sotto.protect(format('sotto.%s', name)::regclass)
from unnest(array['conversation', 'member', 'entry', 'entry_idempotency', 'delivery']) as name;

grant select, insert on sotto.conversation, sotto.member, sotto.entry, sotto.entry_idempotency, sotto.delivery to sotto_app;
grant update (title_encrypted, closed, key_epoch, last_seq, last_countable, last_entry_at, member_count, change) on sotto.conversation to sotto_app;
grant update (member_role, joined_seq, left_seq, first_visible_seq, delivered_seq, read_seq, read_countable, sent_countable,
  read_sent_countable, change, joined_at) on sotto.member to sotto_app;
grant update (last_seq, closed_at) on sotto.delivery to sotto_app;
grant select, insert, update, delete on sotto.node to sotto_jobs;
-- It has no tenant, but entering the role by an injected statement must not be enough to write to it.
alter table sotto.node enable row level security;
alter table sotto.node force row level security;
select sotto.admit('sotto.node', 'jobs', 'all');

-- Housekeeping forgets idempotency keys after their time and closed deliveries, whose audit events stay.
select sotto.admit('sotto.entry_idempotency', 'jobs', 'select', $$created_at < now() - interval '30 days'$$);
select sotto.admit('sotto.entry_idempotency', 'jobs', 'delete', $$created_at < now() - interval '30 days'$$);
select sotto.admit('sotto.delivery', 'jobs', 'select');
select sotto.admit('sotto.delivery', 'jobs', 'delete', $$closed_at < now() - interval '1 day'$$);
grant select, delete on sotto.entry_idempotency, sotto.delivery to sotto_jobs;

reset role;
