-- The ground under every room: roles, a tenant context that cannot be forged, the outbox, and the books of migration.
--
-- Nothing is rolled back by hand: migrations only go forward, and this one is the first.
--
-- Names. Everything lives in schema `sotto`. Each transaction sets `search_path` to `sotto, pg_temp` itself, so it holds
-- behind a pooler and on the embedded engine alike. Nobody but the owner may create anything anywhere, so a name cannot be
-- shadowed: PUBLIC's rights on the database (TEMPORARY) and on schema `public` are taken by the runner at every run,
-- because the database's own privileges are in no dump and no copy.
--
-- Roles. The server logs in as one role that may do nothing by itself (NOINHERIT, no grants). Each transaction enters
-- exactly one of the roles below. Roles belong to the cluster, so they may exist already.
--
-- Context. A tenant counts only together with its proof, HMAC-SHA256 (RFC 2104) under a key that only the owner's
-- functions can read. So row-level security holds even against SQL that an attacker slipped into a statement: setting
-- `sotto.tenant_id` to another tenant's id without the proof shows nothing. The cross-tenant roles prove themselves the
-- same way, so entering `sotto_relay` by injection shows nothing either.

do $$
declare
  wanted text;
begin
  foreach wanted in array array['sotto_owner', 'sotto_app', 'sotto_relay', 'sotto_sequencer', 'sotto_lookup', 'sotto_jobs'] loop
    begin
      execute format('create role %I nologin nosuperuser nobypassrls nocreatedb nocreaterole noreplication noinherit', wanted);
    exception
      -- Two databases of one cluster may be migrated at the same moment.
      when duplicate_object or unique_violation then null;
    end;
  end loop;
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant sotto_owner to %I', current_user);
  end if;
end
$$;

create schema sotto authorization sotto_owner;
grant usage on schema sotto to sotto_app, sotto_relay, sotto_sequencer, sotto_lookup, sotto_jobs;

set local role sotto_owner;

alter default privileges for role sotto_owner revoke execute on functions from public;

create table sotto.schema_migration (
  version integer primary key check (version > 0),
  name text not null,
  checksum text not null check (checksum ~ '^[0-9a-f]{64}$'),
  applied_at timestamptz not null default now()
);

create table sotto.deployment (
  only_one boolean primary key default true check (only_one),
  deployment_id uuid not null default gen_random_uuid(),
  created_at timestamptz not null default now()
);
insert into sotto.deployment default values;

grant select on sotto.schema_migration, sotto.deployment
  to sotto_app, sotto_relay, sotto_sequencer, sotto_lookup, sotto_jobs;

-- The context key as HMAC uses it: the key padded to one block of SHA-256 and combined with ipad and opad (RFC 2104 §2).
-- No role but the owner has any privilege on it.
create table sotto.context_key (
  only_one boolean primary key default true check (only_one),
  inner_pad bytea not null check (octet_length(inner_pad) = 64),
  outer_pad bytea not null check (octet_length(outer_pad) = 64)
);

-- Is `proof` the hexadecimal HMAC-SHA256 of `subject`? Both sides are hashed once more before they are compared, so the
-- time of the comparison says nothing about the right value.
create function sotto.is_proven(subject text, proof text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  expected bytea;
begin
  select sha256(k.outer_pad || sha256(k.inner_pad || convert_to(subject, 'UTF8'))) into expected from sotto.context_key k;
  return coalesce(sha256(convert_to(encode(expected, 'hex'), 'UTF8')) = sha256(convert_to(proof, 'UTF8')), false);
end
$$;

-- The tenant of this transaction, or null, which equals nothing. A setting that was once set reads '' after the
-- transaction, not null: hence nullif.
create function sotto.current_tenant_id() returns uuid
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  claimed text := nullif(current_setting('sotto.tenant_id', true), '');
begin
  if claimed is null or not sotto.is_proven(claimed, current_setting('sotto.tenant_proof', true)) then
    return null;
  end if;
  return claimed::uuid;
end
$$;

-- Does this transaction hold the proof of a cross-tenant job ('relay', 'sequencer', 'lookup', 'jobs')?
create function sotto.acts_as(job text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return sotto.is_proven('role:' || job, nullif(current_setting('sotto.role_proof', true), ''));
end
$$;

revoke execute on function sotto.is_proven(text, text) from public;
revoke execute on function sotto.current_tenant_id(), sotto.acts_as(text) from public;
grant execute on function sotto.current_tenant_id() to sotto_app;
grant execute on function sotto.acts_as(text) to sotto_relay, sotto_sequencer, sotto_lookup, sotto_jobs;

-- For later migrations: puts a table behind the tenant. The privileges (select, insert, …) are granted one by one after.
create function sotto.protect(protected regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('alter table %s enable row level security', protected);
  execute format('alter table %s force row level security', protected);
  execute format('revoke all on table %s from public', protected);
  execute format(
    'create policy tenant_only on %s to sotto_app using (tenant_id = (select sotto.current_tenant_id()))'
    || ' with check (tenant_id = (select sotto.current_tenant_id()))', protected);
end
$$;

-- For later migrations: lets one cross-tenant job at a table, for one command ('select', 'insert', 'update', 'delete',
-- 'all'). `restriction` narrows the rows it sees or writes, as an SQL condition.
create function sotto.admit(protected regclass, job text, command text, restriction text default 'true') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  condition text := format('(select sotto.acts_as(%L)) and (%s)', job, restriction);
  clauses text;
begin
  clauses := case command
    when 'insert' then format('with check (%s)', condition)
    when 'update' then format('using (%1$s) with check (%1$s)', condition)
    when 'all' then format('using (%1$s) with check (%1$s)', condition)
    else format('using (%s)', condition)
  end;
  execute format('create policy %I on %s for %s to %I %s', job || '_' || command, protected, command, 'sotto_' || job, clauses);
end
$$;

revoke execute on function sotto.protect(regclass), sotto.admit(regclass, text, text, text) from public;

-- What happened, for those who react after the commit. Written in the transaction of the act; taken by the relay.
-- The payload holds ids only, never content: it leaves the tenant's walls.
create table sotto.outbox (
  tenant_id uuid not null,
  outbox_id uuid not null,
  topic text not null check (topic <> ''),
  key text not null,
  payload jsonb not null,
  created_at timestamptz not null default now(),
  constraint outbox_pkey primary key (tenant_id, outbox_id)
);
select sotto.protect('sotto.outbox');
select sotto.admit('sotto.outbox', 'relay', 'select');
select sotto.admit('sotto.outbox', 'relay', 'update');
select sotto.admit('sotto.outbox', 'relay', 'delete');
grant insert on sotto.outbox to sotto_app;
-- The right to update is what `select … for update skip locked` asks for; no column may in fact be written.
grant select, delete on sotto.outbox to sotto_relay;
grant update (created_at) on sotto.outbox to sotto_relay;

reset role;
