-- The audit trail: who did what, on what, about whom. Written in the transaction of the act, by insert only.
--
-- `audit_event` stays as long as the deployment: a salted commitment to the event, its class and day, and keyed indexes by
-- which it is found; none of them says anything without the tenant's keys. `audit_body` holds salt and event, encrypted,
-- and may be erased under an unchanged trail (45 CFR 164.316(b)(2)(i): six years). `leaf_index` belongs to the sequencer.

set local role sotto_owner;

create table sotto.audit_event (
  tenant_id uuid not null,
  created_at timestamptz not null,
  audit_event_id uuid not null,
  class text not null check (class ~ '^[a-z-]+\.[a-z]+$'),
  outcome text not null check (outcome in ('success', 'refused', 'failed')),
  day date not null,
  commitment bytea not null check (octet_length(commitment) = 32),
  actor_index bytea,
  subject_index bytea,
  resource_index bytea,
  leaf_index bigint,
  constraint audit_event_pkey primary key (tenant_id, created_at, audit_event_id)
);
create index audit_event_by_actor on sotto.audit_event (tenant_id, actor_index, created_at) where actor_index is not null;
create index audit_event_by_subject on sotto.audit_event (tenant_id, subject_index, created_at) where subject_index is not null;
create index audit_event_by_resource on sotto.audit_event (tenant_id, resource_index, created_at) where resource_index is not null;

create table sotto.audit_body (
  tenant_id uuid not null,
  created_at timestamptz not null,
  audit_event_id uuid not null,
  body_encrypted bytea not null,
  -- Whose key it takes to open the body, beside the tenant's.
  subject_user_id uuid,
  constraint audit_body_pkey primary key (tenant_id, created_at, audit_event_id),
  constraint audit_body_event_fkey foreign key (tenant_id, created_at, audit_event_id)
    references sotto.audit_event (tenant_id, created_at, audit_event_id)
);

select sotto.protect('sotto.audit_event');
select sotto.protect('sotto.audit_body');
grant select, insert on sotto.audit_event, sotto.audit_body to sotto_app;

-- The sequencer gives leaves their index; it reads no body.
select sotto.admit('sotto.audit_event', 'sequencer', 'select');
select sotto.admit('sotto.audit_event', 'sequencer', 'update');
grant select on sotto.audit_event to sotto_sequencer;
grant update (leaf_index) on sotto.audit_event to sotto_sequencer;

reset role;
