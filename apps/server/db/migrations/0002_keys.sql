-- Keys: what stands between a copy of the database and its contents. Every key here is wrapped, and what it takes to unwrap
-- it lies in the keyring, outside of the database and its backups.
--
-- No foreign key leads to tenants, conversations or users: their tables come later, and their rooms own them.

set local role sotto_owner;

-- A tenant's wrapping key, wrapped by the root in the keyring.
create table sotto.tenant_key (
  tenant_id uuid not null,
  version integer not null check (version >= 1),
  -- Null once destroyed, so that a destroyed key cannot still be there.
  wrapped_key_encrypted bytea,
  state text not null check (state in ('primary', 'decrypt-only', 'disabled', 'destroyed')),
  created_at timestamptz not null,
  constraint tenant_key_pkey primary key (tenant_id, version),
  constraint tenant_key_destroyed_check check ((state = 'destroyed') = (wrapped_key_encrypted is null))
);
create unique index tenant_key_one_primary on sotto.tenant_key (tenant_id) where state = 'primary';

-- The data key of one epoch of a conversation, wrapped under the tenant's key and, when the conversation is about a patient
-- (subject_user_id), under that subject's key from the keyring as well: destroying either kills it.
create table sotto.conversation_key (
  tenant_id uuid not null,
  conversation_id uuid not null,
  epoch integer not null check (epoch >= 1),
  wrapped_key_encrypted bytea,
  tenant_key_version integer not null,
  subject_user_id uuid,
  state text not null check (state in ('primary', 'decrypt-only', 'disabled', 'destroyed')),
  created_at timestamptz not null,
  constraint conversation_key_pkey primary key (tenant_id, conversation_id, epoch),
  constraint conversation_key_tenant_key_fkey foreign key (tenant_id, tenant_key_version)
    references sotto.tenant_key (tenant_id, version),
  constraint conversation_key_destroyed_check check ((state = 'destroyed') = (wrapped_key_encrypted is null))
);
create unique index conversation_key_one_primary on sotto.conversation_key (tenant_id, conversation_id) where state = 'primary';

-- Audit bodies: one data key per bucket of patients (0 to 255, by a keyed hash), and -1 for events about nobody.
create table sotto.audit_key (
  tenant_id uuid not null,
  bucket smallint not null check (bucket between -1 and 255),
  epoch integer not null check (epoch >= 1),
  wrapped_key_encrypted bytea,
  tenant_key_version integer not null,
  state text not null check (state in ('primary', 'decrypt-only', 'disabled', 'destroyed')),
  created_at timestamptz not null,
  constraint audit_key_pkey primary key (tenant_id, bucket, epoch),
  constraint audit_key_tenant_key_fkey foreign key (tenant_id, tenant_key_version)
    references sotto.tenant_key (tenant_id, version),
  constraint audit_key_destroyed_check check ((state = 'destroyed') = (wrapped_key_encrypted is null))
);
create unique index audit_key_one_primary on sotto.audit_key (tenant_id, bucket) where state = 'primary';

select sotto.protect('sotto.tenant_key');
select sotto.protect('sotto.conversation_key');
select sotto.protect('sotto.audit_key');

-- A wrapped key is never overwritten or deleted by the app; destroying the wrap itself takes a role that comes with retention.
grant select, insert, update (state) on sotto.tenant_key, sotto.conversation_key, sotto.audit_key to sotto_app;

reset role;
