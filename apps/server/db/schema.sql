-- Generated from db/migrations by generate-schema.ts: what they make together. Read it; it is applied nowhere.

-- role sotto_app: nologin, noinherit
-- role sotto_jobs: nologin, noinherit
-- role sotto_login: login, noinherit, may enter sotto_app, sotto_jobs, sotto_lookup, sotto_relay, sotto_sequencer
-- role sotto_lookup: nologin, noinherit
-- role sotto_owner: nologin, noinherit
-- role sotto_relay: nologin, noinherit
-- role sotto_sequencer: nologin, noinherit

CREATE OR REPLACE FUNCTION sotto.acts_as(job text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return sotto.is_proven('role:' || job, nullif(current_setting('sotto.role_proof', true), ''));
end
$function$
;
-- executed by sotto_jobs, sotto_lookup, sotto_relay, sotto_sequencer

CREATE OR REPLACE FUNCTION sotto.admit(protected regclass, job text, command text, restriction text DEFAULT 'true'::text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
;
-- executed by its owner only

CREATE OR REPLACE FUNCTION sotto.current_tenant_id()
 RETURNS uuid
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  claimed text := nullif(current_setting('sotto.tenant_id', true), '');
begin
  if claimed is null or not sotto.is_proven(claimed, current_setting('sotto.tenant_proof', true)) then
    return null;
  end if;
  return claimed::uuid;
end
$function$
;
-- executed by sotto_app

CREATE OR REPLACE FUNCTION sotto.is_proven(subject text, proof text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  expected bytea;
begin
  select sha256(k.outer_pad || sha256(k.inner_pad || convert_to(subject, 'UTF8'))) into expected from sotto.context_key k;
  return coalesce(sha256(convert_to(encode(expected, 'hex'), 'UTF8')) = sha256(convert_to(proof, 'UTF8')), false);
end
$function$
;
-- executed by its owner only

CREATE OR REPLACE FUNCTION sotto.oldest_running_change()
 RETURNS bigint
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
RETURN ((pg_snapshot_xmin(pg_current_snapshot()))::text)::bigint
;
-- executed by sotto_app

CREATE OR REPLACE FUNCTION sotto.protect(protected regclass)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  execute format('alter table %s enable row level security', protected);
  execute format('alter table %s force row level security', protected);
  execute format('revoke all on table %s from public', protected);
  execute format(
    'create policy tenant_only on %s to sotto_app using (tenant_id = (select sotto.current_tenant_id()))'
    || ' with check (tenant_id = (select sotto.current_tenant_id()))', protected);
end
$function$
;
-- executed by its owner only

CREATE OR REPLACE FUNCTION sotto.this_change()
 RETURNS bigint
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
RETURN ((pg_current_xact_id())::text)::bigint
;
-- executed by sotto_app

create table sotto.app_user (
  tenant_id uuid not null,
  user_id uuid not null,
  login_index bytea not null,
  login_encrypted bytea not null,
  display_name_encrypted bytea not null,
  role text not null,
  active boolean not null default true,
  updated_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  constraint app_user_pkey PRIMARY KEY (tenant_id, user_id),
  constraint app_user_login_index_check CHECK ((octet_length(login_index) = 32)),
  constraint app_user_role_check CHECK ((role = ANY (ARRAY['administrator'::text, 'compliance-officer'::text, 'clinician'::text, 'patient'::text, 'service'::text]))),
  constraint app_user_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES sotto.tenant(tenant_id),
  constraint app_user_login_key UNIQUE (tenant_id, login_index)
);
CREATE INDEX app_user_by_role ON sotto.app_user USING btree (tenant_id, role, user_id);
-- row-level security: forced
create policy tenant_only on sotto.app_user for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (display_name_encrypted, role, active, updated_at) on sotto.app_user to sotto_app;

create table sotto.audit_body (
  tenant_id uuid not null,
  created_at timestamp with time zone not null,
  audit_event_id uuid not null,
  body_encrypted bytea not null,
  subject_user_id uuid,
  constraint audit_body_pkey PRIMARY KEY (tenant_id, created_at, audit_event_id),
  constraint audit_body_event_fkey FOREIGN KEY (tenant_id, created_at, audit_event_id) REFERENCES sotto.audit_event(tenant_id, created_at, audit_event_id)
);
-- row-level security: forced
create policy tenant_only on sotto.audit_body for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select on sotto.audit_body to sotto_app;

create table sotto.audit_event (
  tenant_id uuid not null,
  created_at timestamp with time zone not null,
  audit_event_id uuid not null,
  class text not null,
  outcome text not null,
  day date not null,
  commitment bytea not null,
  actor_index bytea,
  subject_index bytea,
  resource_index bytea,
  leaf_index bigint,
  constraint audit_event_pkey PRIMARY KEY (tenant_id, created_at, audit_event_id),
  constraint audit_event_class_check CHECK ((class ~ '^[a-z-]+\.[a-z]+$'::text)),
  constraint audit_event_commitment_check CHECK ((octet_length(commitment) = 32)),
  constraint audit_event_outcome_check CHECK ((outcome = ANY (ARRAY['success'::text, 'refused'::text, 'failed'::text])))
);
CREATE INDEX audit_event_by_actor ON sotto.audit_event USING btree (tenant_id, actor_index, created_at) WHERE (actor_index IS NOT NULL);
CREATE INDEX audit_event_by_resource ON sotto.audit_event USING btree (tenant_id, resource_index, created_at) WHERE (resource_index IS NOT NULL);
CREATE INDEX audit_event_by_subject ON sotto.audit_event USING btree (tenant_id, subject_index, created_at) WHERE (subject_index IS NOT NULL);
-- row-level security: forced
create policy sequencer_select on sotto.audit_event for select to sotto_sequencer using ((( SELECT sotto.acts_as('sequencer'::text) AS acts_as) AND true));
create policy sequencer_update on sotto.audit_event for update to sotto_sequencer using ((( SELECT sotto.acts_as('sequencer'::text) AS acts_as) AND true)) with check ((( SELECT sotto.acts_as('sequencer'::text) AS acts_as) AND true));
create policy tenant_only on sotto.audit_event for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select on sotto.audit_event to sotto_app;
grant select, update (leaf_index) on sotto.audit_event to sotto_sequencer;

create table sotto.audit_key (
  tenant_id uuid not null,
  bucket smallint not null,
  epoch integer not null,
  wrapped_key_encrypted bytea,
  tenant_key_version integer not null,
  state text not null,
  created_at timestamp with time zone not null,
  constraint audit_key_pkey PRIMARY KEY (tenant_id, bucket, epoch),
  constraint audit_key_bucket_check CHECK (((bucket >= '-1'::integer) AND (bucket <= 255))),
  constraint audit_key_destroyed_check CHECK (((state = 'destroyed'::text) = (wrapped_key_encrypted IS NULL))),
  constraint audit_key_epoch_check CHECK ((epoch >= 1)),
  constraint audit_key_state_check CHECK ((state = ANY (ARRAY['primary'::text, 'decrypt-only'::text, 'disabled'::text, 'destroyed'::text]))),
  constraint audit_key_tenant_key_fkey FOREIGN KEY (tenant_id, tenant_key_version) REFERENCES sotto.tenant_key(tenant_id, version)
);
CREATE UNIQUE INDEX audit_key_one_primary ON sotto.audit_key USING btree (tenant_id, bucket) WHERE (state = 'primary'::text);
-- row-level security: forced
create policy tenant_only on sotto.audit_key for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (state) on sotto.audit_key to sotto_app;

create table sotto.context_key (
  only_one boolean not null default true,
  inner_pad bytea not null,
  outer_pad bytea not null,
  constraint context_key_pkey PRIMARY KEY (only_one),
  constraint context_key_inner_pad_check CHECK ((octet_length(inner_pad) = 64)),
  constraint context_key_only_one_check CHECK (only_one),
  constraint context_key_outer_pad_check CHECK ((octet_length(outer_pad) = 64))
);
-- row-level security: none

create table sotto.conversation (
  tenant_id uuid not null,
  conversation_id uuid not null,
  kind text not null,
  mode text not null,
  title_encrypted bytea,
  subject_user_id uuid,
  history text not null,
  closed boolean not null default false,
  key_epoch integer not null,
  last_seq bigint not null default 0,
  last_countable bigint not null default 0,
  last_entry_at timestamp with time zone,
  member_count integer not null default 0,
  created_by uuid not null,
  creation_hash bytea not null,
  change bigint not null default sotto.this_change(),
  created_at timestamp with time zone not null,
  constraint conversation_pkey PRIMARY KEY (tenant_id, conversation_id),
  constraint conversation_check CHECK (((last_countable >= 0) AND (last_countable <= last_seq))),
  constraint conversation_history_check CHECK ((history = ANY (ARRAY['full'::text, 'since-join'::text]))),
  constraint conversation_key_epoch_check1 CHECK ((key_epoch > 0)),
  constraint conversation_kind_check CHECK ((kind = ANY (ARRAY['direct'::text, 'group'::text]))),
  constraint conversation_last_seq_check CHECK ((last_seq >= 0)),
  constraint conversation_member_count_check CHECK ((member_count >= 0)),
  constraint conversation_mode_check CHECK ((mode = ANY (ARRAY['managed'::text, 'e2ee'::text]))),
  constraint conversation_creator_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES sotto.app_user(tenant_id, user_id),
  constraint conversation_subject_fkey FOREIGN KEY (tenant_id, subject_user_id) REFERENCES sotto.app_user(tenant_id, user_id)
);
-- row-level security: forced
create policy tenant_only on sotto.conversation for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (title_encrypted, closed, key_epoch, last_seq, last_countable, last_entry_at, member_count, change) on sotto.conversation to sotto_app;

create table sotto.conversation_key (
  tenant_id uuid not null,
  conversation_id uuid not null,
  epoch integer not null,
  wrapped_key_encrypted bytea,
  tenant_key_version integer not null,
  subject_user_id uuid,
  state text not null,
  created_at timestamp with time zone not null,
  constraint conversation_key_pkey PRIMARY KEY (tenant_id, conversation_id, epoch),
  constraint conversation_key_destroyed_check CHECK (((state = 'destroyed'::text) = (wrapped_key_encrypted IS NULL))),
  constraint conversation_key_epoch_check CHECK ((epoch >= 1)),
  constraint conversation_key_state_check CHECK ((state = ANY (ARRAY['primary'::text, 'decrypt-only'::text, 'disabled'::text, 'destroyed'::text]))),
  constraint conversation_key_tenant_key_fkey FOREIGN KEY (tenant_id, tenant_key_version) REFERENCES sotto.tenant_key(tenant_id, version)
);
CREATE UNIQUE INDEX conversation_key_one_primary ON sotto.conversation_key USING btree (tenant_id, conversation_id) WHERE (state = 'primary'::text);
-- row-level security: forced
create policy tenant_only on sotto.conversation_key for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (state) on sotto.conversation_key to sotto_app;

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
  closed_at timestamp with time zone,
  created_at timestamp with time zone not null,
  constraint delivery_pkey PRIMARY KEY (tenant_id, delivery_id)
);
CREATE INDEX delivery_open ON sotto.delivery USING btree (tenant_id, node_id) WHERE (closed_at IS NULL);
-- row-level security: forced
create policy jobs_delete on sotto.delivery for delete to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (closed_at < (now() - '1 day'::interval))));
create policy jobs_select on sotto.delivery for select to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND true));
create policy tenant_only on sotto.delivery for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (last_seq, closed_at) on sotto.delivery to sotto_app;
grant delete, select on sotto.delivery to sotto_jobs;

create table sotto.deployment (
  only_one boolean not null default true,
  deployment_id uuid not null default gen_random_uuid(),
  created_at timestamp with time zone not null default now(),
  constraint deployment_pkey PRIMARY KEY (only_one),
  constraint deployment_only_one_check CHECK (only_one)
);
-- row-level security: none
grant select on sotto.deployment to sotto_app;
grant select on sotto.deployment to sotto_jobs;
grant select on sotto.deployment to sotto_lookup;
grant select on sotto.deployment to sotto_relay;
grant select on sotto.deployment to sotto_sequencer;

create table sotto.device (
  tenant_id uuid not null,
  device_id uuid not null,
  user_id uuid not null,
  name_encrypted bytea not null,
  secret_hash bytea not null,
  last_seen_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  created_at timestamp with time zone not null,
  constraint device_pkey PRIMARY KEY (tenant_id, device_id),
  constraint device_secret_hash_check CHECK ((octet_length(secret_hash) = 32)),
  constraint device_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES sotto.app_user(tenant_id, user_id),
  constraint device_user_key UNIQUE (tenant_id, device_id, user_id)
);
CREATE INDEX device_by_user ON sotto.device USING btree (tenant_id, user_id, device_id);
-- row-level security: forced
create policy tenant_only on sotto.device for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (name_encrypted, last_seen_at, revoked_at) on sotto.device to sotto_app;

create table sotto.entry (
  tenant_id uuid not null,
  conversation_id uuid not null,
  seq bigint not null,
  countable bigint not null,
  entry_id uuid not null,
  kind text not null,
  sender_user_id uuid not null,
  sender_device_id uuid not null,
  client_sent_at timestamp with time zone,
  header jsonb not null,
  body_ciphertext bytea,
  created_at timestamp with time zone not null,
  constraint entry_pkey PRIMARY KEY (tenant_id, conversation_id, seq),
  constraint entry_check CHECK (((countable >= 0) AND (countable <= seq))),
  constraint entry_kind_check CHECK ((kind = ANY (ARRAY['application'::text, 'handshake'::text, 'membership'::text, 'system'::text]))),
  constraint entry_seq_check CHECK ((seq > 0)),
  constraint entry_conversation_fkey FOREIGN KEY (tenant_id, conversation_id) REFERENCES sotto.conversation(tenant_id, conversation_id),
  constraint entry_entry_id_key UNIQUE (tenant_id, entry_id, conversation_id)
);
-- row-level security: forced
create policy tenant_only on sotto.entry for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select on sotto.entry to sotto_app;

create table sotto.entry_idempotency (
  tenant_id uuid not null,
  conversation_id uuid not null,
  device_id uuid not null,
  entry_id uuid not null,
  body_hash bytea not null,
  seq bigint not null,
  countable bigint not null,
  created_at timestamp with time zone not null,
  constraint entry_idempotency_pkey PRIMARY KEY (tenant_id, conversation_id, device_id, entry_id),
  constraint entry_idempotency_body_hash_check CHECK ((octet_length(body_hash) = 32))
);
CREATE INDEX entry_idempotency_by_age ON sotto.entry_idempotency USING btree (tenant_id, created_at);
-- row-level security: forced
create policy jobs_delete on sotto.entry_idempotency for delete to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (created_at < (now() - '30 days'::interval))));
create policy jobs_select on sotto.entry_idempotency for select to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (created_at < (now() - '30 days'::interval))));
create policy tenant_only on sotto.entry_idempotency for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select on sotto.entry_idempotency to sotto_app;
grant delete, select on sotto.entry_idempotency to sotto_jobs;

create table sotto.member (
  tenant_id uuid not null,
  conversation_id uuid not null,
  user_id uuid not null,
  member_role text not null,
  joined_seq bigint not null,
  left_seq bigint,
  first_visible_seq bigint not null,
  delivered_seq bigint not null default 0,
  read_seq bigint not null default 0,
  read_countable bigint not null default 0,
  sent_countable bigint not null default 0,
  read_sent_countable bigint not null default 0,
  change bigint not null default sotto.this_change(),
  joined_at timestamp with time zone not null,
  created_at timestamp with time zone not null default now(),
  constraint member_pkey PRIMARY KEY (tenant_id, conversation_id, user_id),
  constraint member_check CHECK ((left_seq > joined_seq)),
  constraint member_check1 CHECK ((delivered_seq >= read_seq)),
  constraint member_check2 CHECK ((read_sent_countable <= sent_countable)),
  constraint member_first_visible_seq_check CHECK ((first_visible_seq >= 1)),
  constraint member_member_role_check CHECK ((member_role = ANY (ARRAY['manager'::text, 'participant'::text]))),
  constraint member_read_seq_check CHECK ((read_seq >= 0)),
  constraint member_conversation_fkey FOREIGN KEY (tenant_id, conversation_id) REFERENCES sotto.conversation(tenant_id, conversation_id),
  constraint member_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES sotto.app_user(tenant_id, user_id)
);
CREATE INDEX member_by_user ON sotto.member USING btree (tenant_id, user_id, conversation_id);
-- row-level security: forced
create policy tenant_only on sotto.member for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (member_role, joined_seq, left_seq, first_visible_seq, delivered_seq, read_seq, read_countable, sent_countable, read_sent_countable, change, joined_at) on sotto.member to sotto_app;

create table sotto.node (
  node_id uuid not null,
  beat_at timestamp with time zone not null,
  created_at timestamp with time zone not null default now(),
  constraint node_pkey PRIMARY KEY (node_id)
);
-- row-level security: forced
create policy jobs_all on sotto.node for all to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND true)) with check ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND true));
grant delete, insert, select, update on sotto.node to sotto_jobs;

create table sotto.outbox (
  tenant_id uuid not null,
  outbox_id uuid not null,
  topic text not null,
  key text not null,
  payload jsonb not null,
  created_at timestamp with time zone not null default now(),
  constraint outbox_pkey PRIMARY KEY (tenant_id, outbox_id),
  constraint outbox_topic_check CHECK ((topic <> ''::text))
);
-- row-level security: forced
create policy relay_delete on sotto.outbox for delete to sotto_relay using ((( SELECT sotto.acts_as('relay'::text) AS acts_as) AND true));
create policy relay_select on sotto.outbox for select to sotto_relay using ((( SELECT sotto.acts_as('relay'::text) AS acts_as) AND true));
create policy relay_update on sotto.outbox for update to sotto_relay using ((( SELECT sotto.acts_as('relay'::text) AS acts_as) AND true)) with check ((( SELECT sotto.acts_as('relay'::text) AS acts_as) AND true));
create policy tenant_only on sotto.outbox for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert on sotto.outbox to sotto_app;
grant delete, select, update (created_at) on sotto.outbox to sotto_relay;

create table sotto.password_credential (
  tenant_id uuid not null,
  user_id uuid not null,
  hash_encoded text not null,
  changed_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  constraint password_credential_pkey PRIMARY KEY (tenant_id, user_id),
  constraint password_credential_hash_encoded_check CHECK ((hash_encoded ~~ '$%'::text)),
  constraint password_credential_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES sotto.app_user(tenant_id, user_id)
);
-- row-level security: forced
create policy tenant_only on sotto.password_credential for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (hash_encoded, changed_at) on sotto.password_credential to sotto_app;

create table sotto.refresh_token (
  tenant_id uuid not null,
  token_hash bytea not null,
  session_id uuid not null,
  generation integer not null,
  used_at timestamp with time zone,
  expires_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  constraint refresh_token_pkey PRIMARY KEY (tenant_id, token_hash),
  constraint refresh_token_generation_check CHECK ((generation > 0)),
  constraint refresh_token_token_hash_check CHECK ((octet_length(token_hash) = 32)),
  constraint refresh_token_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES sotto.session(tenant_id, session_id)
);
CREATE INDEX refresh_token_by_session ON sotto.refresh_token USING btree (tenant_id, session_id);
-- row-level security: forced
create policy jobs_delete on sotto.refresh_token for delete to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (expires_at < now())));
create policy jobs_select on sotto.refresh_token for select to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (expires_at < now())));
create policy tenant_only on sotto.refresh_token for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (used_at) on sotto.refresh_token to sotto_app;
grant delete, select on sotto.refresh_token to sotto_jobs;

create table sotto.schema_migration (
  version integer not null,
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default now(),
  constraint schema_migration_pkey PRIMARY KEY (version),
  constraint schema_migration_checksum_check CHECK ((checksum ~ '^[0-9a-f]{64}$'::text)),
  constraint schema_migration_version_check CHECK ((version > 0))
);
-- row-level security: none
grant select on sotto.schema_migration to sotto_app;
grant select on sotto.schema_migration to sotto_jobs;
grant select on sotto.schema_migration to sotto_lookup;
grant select on sotto.schema_migration to sotto_relay;
grant select on sotto.schema_migration to sotto_sequencer;

create table sotto.session (
  tenant_id uuid not null,
  session_id uuid not null,
  user_id uuid not null,
  device_id uuid not null,
  last_active_at timestamp with time zone not null,
  absolute_expires_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  end_reason text,
  refresh_generation integer not null default 1,
  refresh_rotated_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  constraint session_pkey PRIMARY KEY (tenant_id, session_id),
  constraint session_end_check CHECK (((ended_at IS NULL) = (end_reason IS NULL))),
  constraint session_end_reason_check CHECK ((end_reason = ANY (ARRAY['signed-out'::text, 'ended-by-administrator'::text, 'device-revoked'::text, 'user-deactivated'::text, 'role-changed'::text, 'password-changed'::text, 'refresh-reuse'::text]))),
  constraint session_refresh_generation_check CHECK ((refresh_generation > 0)),
  constraint session_device_fkey FOREIGN KEY (tenant_id, device_id, user_id) REFERENCES sotto.device(tenant_id, device_id, user_id)
);
CREATE INDEX session_by_device ON sotto.session USING btree (tenant_id, device_id) WHERE (ended_at IS NULL);
CREATE INDEX session_by_user ON sotto.session USING btree (tenant_id, user_id, session_id) WHERE (ended_at IS NULL);
-- row-level security: forced
create policy jobs_delete on sotto.session for delete to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (absolute_expires_at < (now() - '1 day'::interval))));
create policy jobs_select on sotto.session for select to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (absolute_expires_at < (now() - '1 day'::interval))));
create policy tenant_only on sotto.session for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (last_active_at, ended_at, end_reason, refresh_generation, refresh_rotated_at) on sotto.session to sotto_app;
grant delete, select on sotto.session to sotto_jobs;

create table sotto.sign_in_failure (
  tenant_id uuid not null,
  key_hash bytea not null,
  failures integer not null,
  last_failed_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  constraint sign_in_failure_pkey PRIMARY KEY (tenant_id, key_hash),
  constraint sign_in_failure_failures_check CHECK ((failures >= 0)),
  constraint sign_in_failure_key_hash_check CHECK ((octet_length(key_hash) = 32))
);
-- row-level security: forced
create policy jobs_delete on sotto.sign_in_failure for delete to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (last_failed_at < (now() - '1 day'::interval))));
create policy jobs_select on sotto.sign_in_failure for select to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (last_failed_at < (now() - '1 day'::interval))));
create policy tenant_only on sotto.sign_in_failure for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (failures, last_failed_at) on sotto.sign_in_failure to sotto_app;
grant delete, select on sotto.sign_in_failure to sotto_jobs;

create table sotto.sign_in_link (
  tenant_id uuid not null,
  token_hash bytea not null,
  user_id uuid not null,
  used_at timestamp with time zone,
  expires_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  constraint sign_in_link_pkey PRIMARY KEY (tenant_id, token_hash),
  constraint sign_in_link_token_hash_check CHECK ((octet_length(token_hash) = 32)),
  constraint sign_in_link_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES sotto.app_user(tenant_id, user_id)
);
CREATE INDEX sign_in_link_by_user ON sotto.sign_in_link USING btree (tenant_id, user_id);
-- row-level security: forced
create policy jobs_delete on sotto.sign_in_link for delete to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (expires_at < now())));
create policy jobs_select on sotto.sign_in_link for select to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (expires_at < now())));
create policy tenant_only on sotto.sign_in_link for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (used_at, expires_at) on sotto.sign_in_link to sotto_app;
grant delete, select on sotto.sign_in_link to sotto_jobs;

create table sotto.socket_ticket (
  tenant_id uuid not null,
  ticket_hash bytea not null,
  session_id uuid not null,
  used_at timestamp with time zone,
  expires_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  constraint socket_ticket_pkey PRIMARY KEY (tenant_id, ticket_hash),
  constraint socket_ticket_ticket_hash_check CHECK ((octet_length(ticket_hash) = 32)),
  constraint socket_ticket_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES sotto.session(tenant_id, session_id)
);
CREATE INDEX socket_ticket_by_session ON sotto.socket_ticket USING btree (tenant_id, session_id);
-- row-level security: forced
create policy jobs_delete on sotto.socket_ticket for delete to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (expires_at < now())));
create policy jobs_select on sotto.socket_ticket for select to sotto_jobs using ((( SELECT sotto.acts_as('jobs'::text) AS acts_as) AND (expires_at < now())));
create policy tenant_only on sotto.socket_ticket for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (used_at) on sotto.socket_ticket to sotto_app;
grant delete, select on sotto.socket_ticket to sotto_jobs;

create table sotto.team (
  tenant_id uuid not null,
  team_id uuid not null,
  name_encrypted bytea not null,
  created_at timestamp with time zone not null,
  constraint team_pkey PRIMARY KEY (tenant_id, team_id),
  constraint team_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES sotto.tenant(tenant_id)
);
-- row-level security: forced
create policy tenant_only on sotto.team for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select on sotto.team to sotto_app;

create table sotto.team_member (
  tenant_id uuid not null,
  user_id uuid not null,
  team_id uuid not null,
  created_at timestamp with time zone not null,
  constraint team_member_pkey PRIMARY KEY (tenant_id, user_id, team_id),
  constraint team_member_team_fkey FOREIGN KEY (tenant_id, team_id) REFERENCES sotto.team(tenant_id, team_id),
  constraint team_member_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES sotto.app_user(tenant_id, user_id)
);
CREATE INDEX team_member_by_team ON sotto.team_member USING btree (tenant_id, team_id, user_id);
-- row-level security: forced
create policy tenant_only on sotto.team_member for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant delete, insert, select on sotto.team_member to sotto_app;

create table sotto.tenant (
  tenant_id uuid not null,
  slug text not null,
  name_encrypted bytea not null,
  state text not null,
  created_at timestamp with time zone not null,
  constraint tenant_pkey PRIMARY KEY (tenant_id),
  constraint tenant_slug_check CHECK ((slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'::text)),
  constraint tenant_state_check CHECK ((state = ANY (ARRAY['active'::text, 'suspended'::text]))),
  constraint tenant_slug_key UNIQUE (slug)
);
-- row-level security: forced
create policy lookup_select on sotto.tenant for select to sotto_lookup using ((( SELECT sotto.acts_as('lookup'::text) AS acts_as) AND true));
create policy tenant_only on sotto.tenant for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select on sotto.tenant to sotto_app;
grant select (tenant_id, slug, state) on sotto.tenant to sotto_lookup;

create table sotto.tenant_key (
  tenant_id uuid not null,
  version integer not null,
  wrapped_key_encrypted bytea,
  state text not null,
  created_at timestamp with time zone not null,
  constraint tenant_key_pkey PRIMARY KEY (tenant_id, version),
  constraint tenant_key_destroyed_check CHECK (((state = 'destroyed'::text) = (wrapped_key_encrypted IS NULL))),
  constraint tenant_key_state_check CHECK ((state = ANY (ARRAY['primary'::text, 'decrypt-only'::text, 'disabled'::text, 'destroyed'::text]))),
  constraint tenant_key_version_check CHECK ((version >= 1))
);
CREATE UNIQUE INDEX tenant_key_one_primary ON sotto.tenant_key USING btree (tenant_id) WHERE (state = 'primary'::text);
-- row-level security: forced
create policy tenant_only on sotto.tenant_key for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (state) on sotto.tenant_key to sotto_app;

create table sotto.token_signing_key (
  tenant_id uuid not null,
  key_id uuid not null,
  private_key_encrypted bytea not null,
  retired_at timestamp with time zone,
  created_at timestamp with time zone not null,
  constraint token_signing_key_pkey PRIMARY KEY (tenant_id, key_id)
);
-- row-level security: forced
create policy tenant_only on sotto.token_signing_key for all to sotto_app using ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))) with check ((tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id)));
grant insert, select, update (retired_at) on sotto.token_signing_key to sotto_app;
