-- Who may sign in, from where, and for how long: tenants, users, teams, devices, sessions, and the secrets that prove them.
--
-- Of every secret only a hash is kept: SHA-256 of tokens of 256 random bits, argon2id of passwords. Names and sign-in names
-- are encrypted; a sign-in name is found by a keyed hash, so neither a dump nor a log of statements tells who is a patient.
--
-- Liveness is decided in one place. A session is over when it has ended, is idle, is past its end, when its device is
-- revoked or its user inactive; refresh tokens and tickets mean nothing without their session, so ending it ends them.
--
-- What has expired is deleted by the role `sotto_jobs` alone, and only once it has expired.

set local role sotto_owner;

-- `slug` is unique in the whole deployment, on purpose and as the only such key: it is the public name of a tenant that
-- people type and that stands in addresses, so that it exists is no secret. Only an operator creates tenants.
create table sotto.tenant (
  tenant_id uuid not null,
  slug text not null check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  name_encrypted bytea not null,
  state text not null check (state in ('active', 'suspended')),
  created_at timestamptz not null,
  constraint tenant_pkey primary key (tenant_id),
  constraint tenant_slug_key unique (slug)
);

create table sotto.app_user (
  tenant_id uuid not null,
  user_id uuid not null,
  login_index bytea not null check (octet_length(login_index) = 32),
  login_encrypted bytea not null,
  display_name_encrypted bytea not null,
  role text not null check (role in ('administrator', 'compliance-officer', 'clinician', 'patient', 'service')),
  active boolean not null default true,
  updated_at timestamptz not null,
  created_at timestamptz not null,
  constraint app_user_pkey primary key (tenant_id, user_id),
  constraint app_user_login_key unique (tenant_id, login_index),
  constraint app_user_tenant_fkey foreign key (tenant_id) references sotto.tenant (tenant_id)
);
create index app_user_by_role on sotto.app_user (tenant_id, role, user_id);

create table sotto.team (
  tenant_id uuid not null,
  team_id uuid not null,
  name_encrypted bytea not null,
  created_at timestamptz not null,
  constraint team_pkey primary key (tenant_id, team_id),
  constraint team_tenant_fkey foreign key (tenant_id) references sotto.tenant (tenant_id)
);

create table sotto.team_member (
  tenant_id uuid not null,
  user_id uuid not null,
  team_id uuid not null,
  created_at timestamptz not null,
  constraint team_member_pkey primary key (tenant_id, user_id, team_id),
  constraint team_member_user_fkey foreign key (tenant_id, user_id) references sotto.app_user (tenant_id, user_id),
  constraint team_member_team_fkey foreign key (tenant_id, team_id) references sotto.team (tenant_id, team_id)
);
create index team_member_by_team on sotto.team_member (tenant_id, team_id, user_id);

-- A device belongs to one user: it will be one leaf of their encrypted conversations.
create table sotto.device (
  tenant_id uuid not null,
  device_id uuid not null,
  user_id uuid not null,
  name_encrypted bytea not null,
  secret_hash bytea not null check (octet_length(secret_hash) = 32),
  last_seen_at timestamptz not null,
  revoked_at timestamptz,
  created_at timestamptz not null,
  constraint device_pkey primary key (tenant_id, device_id),
  constraint device_user_key unique (tenant_id, device_id, user_id),
  constraint device_user_fkey foreign key (tenant_id, user_id) references sotto.app_user (tenant_id, user_id)
);
create index device_by_user on sotto.device (tenant_id, user_id, device_id);

-- The refresh tokens of a session are one family. `refresh_generation` is the only one that is good, and the one before
-- it for a short grace after `refresh_rotated_at`.
create table sotto.session (
  tenant_id uuid not null,
  session_id uuid not null,
  user_id uuid not null,
  device_id uuid not null,
  last_active_at timestamptz not null,
  absolute_expires_at timestamptz not null,
  ended_at timestamptz,
  end_reason text check (end_reason in ('signed-out', 'ended-by-administrator', 'device-revoked', 'user-deactivated',
    'role-changed', 'password-changed', 'refresh-reuse')),
  refresh_generation integer not null default 1 check (refresh_generation > 0),
  refresh_rotated_at timestamptz not null,
  created_at timestamptz not null,
  constraint session_pkey primary key (tenant_id, session_id),
  constraint session_device_fkey foreign key (tenant_id, device_id, user_id) references sotto.device (tenant_id, device_id, user_id),
  constraint session_end_check check ((ended_at is null) = (end_reason is null))
);
create index session_by_user on sotto.session (tenant_id, user_id, session_id) where ended_at is null;
create index session_by_device on sotto.session (tenant_id, device_id) where ended_at is null;

create table sotto.refresh_token (
  tenant_id uuid not null,
  token_hash bytea not null check (octet_length(token_hash) = 32),
  session_id uuid not null,
  generation integer not null check (generation > 0),
  used_at timestamptz,
  expires_at timestamptz not null,
  created_at timestamptz not null,
  constraint refresh_token_pkey primary key (tenant_id, token_hash),
  constraint refresh_token_session_fkey foreign key (tenant_id, session_id) references sotto.session (tenant_id, session_id)
);
create index refresh_token_by_session on sotto.refresh_token (tenant_id, session_id);

create table sotto.socket_ticket (
  tenant_id uuid not null,
  ticket_hash bytea not null check (octet_length(ticket_hash) = 32),
  session_id uuid not null,
  used_at timestamptz,
  expires_at timestamptz not null,
  created_at timestamptz not null,
  constraint socket_ticket_pkey primary key (tenant_id, ticket_hash),
  constraint socket_ticket_session_fkey foreign key (tenant_id, session_id) references sotto.session (tenant_id, session_id)
);
create index socket_ticket_by_session on sotto.socket_ticket (tenant_id, session_id);

-- `hash_encoded` names its own parameters (PHC string format), so that they can be raised.
create table sotto.password_credential (
  tenant_id uuid not null,
  user_id uuid not null,
  hash_encoded text not null check (hash_encoded like '$%'),
  changed_at timestamptz not null,
  created_at timestamptz not null,
  constraint password_credential_pkey primary key (tenant_id, user_id),
  constraint password_credential_user_fkey foreign key (tenant_id, user_id) references sotto.app_user (tenant_id, user_id)
);

create table sotto.sign_in_link (
  tenant_id uuid not null,
  token_hash bytea not null check (octet_length(token_hash) = 32),
  user_id uuid not null,
  used_at timestamptz,
  expires_at timestamptz not null,
  created_at timestamptz not null,
  constraint sign_in_link_pkey primary key (tenant_id, token_hash),
  constraint sign_in_link_user_fkey foreign key (tenant_id, user_id) references sotto.app_user (tenant_id, user_id)
);
create index sign_in_link_by_user on sotto.sign_in_link (tenant_id, user_id);

-- How often something failed of late; `key_hash` says to nobody what (a sign-in name at an address, a device, an address).
-- Attempts on a tenant that does not exist count under the system tenant, which has no row in `tenant`: no foreign key.
create table sotto.sign_in_failure (
  tenant_id uuid not null,
  key_hash bytea not null check (octet_length(key_hash) = 32),
  failures integer not null check (failures >= 0),
  last_failed_at timestamptz not null,
  created_at timestamptz not null,
  constraint sign_in_failure_pkey primary key (tenant_id, key_hash)
);

-- The keys that sign access tokens; they belong to the system tenant. The private part is sealed by the keyring.
create table sotto.token_signing_key (
  tenant_id uuid not null,
  key_id uuid not null,
  private_key_encrypted bytea not null,
  retired_at timestamptz,
  created_at timestamptz not null,
  constraint token_signing_key_pkey primary key (tenant_id, key_id)
);

select sotto.protect(format('sotto.%s', name)::regclass)
from unnest(array['tenant', 'app_user', 'team', 'team_member', 'device', 'session', 'refresh_token', 'socket_ticket',
  'password_credential', 'sign_in_link', 'sign_in_failure', 'token_signing_key']) as name;

grant select, insert on sotto.tenant, sotto.app_user, sotto.team, sotto.team_member, sotto.device, sotto.session,
  sotto.refresh_token, sotto.socket_ticket, sotto.password_credential, sotto.sign_in_link, sotto.sign_in_failure,
  sotto.token_signing_key to sotto_app;
grant update (display_name_encrypted, role, active, updated_at) on sotto.app_user to sotto_app;
grant delete on sotto.team_member to sotto_app;
grant update (name_encrypted, last_seen_at, revoked_at) on sotto.device to sotto_app;
grant update (last_active_at, ended_at, end_reason, refresh_generation, refresh_rotated_at) on sotto.session to sotto_app;
grant update (used_at) on sotto.refresh_token, sotto.socket_ticket to sotto_app;
grant update (hash_encoded, changed_at) on sotto.password_credential to sotto_app;
grant update (used_at, expires_at) on sotto.sign_in_link to sotto_app;
grant update (failures, last_failed_at) on sotto.sign_in_failure to sotto_app;
grant update (retired_at) on sotto.token_signing_key to sotto_app;

-- Before a sign-in the tenant is only a slug.
select sotto.admit('sotto.tenant', 'lookup', 'select');
grant select (tenant_id, slug, state) on sotto.tenant to sotto_lookup;

-- Housekeeping sees and deletes what is over, and nothing else. Who did what with it stays in the audit trail.
select sotto.admit(expired.name::regclass, 'jobs', command, expired.condition)
from (values
  ('sotto.refresh_token', $$expires_at < now()$$),
  ('sotto.socket_ticket', $$expires_at < now()$$),
  ('sotto.sign_in_link', $$expires_at < now()$$),
  ('sotto.sign_in_failure', $$last_failed_at < now() - interval '1 day'$$),
  ('sotto.session', $$absolute_expires_at < now() - interval '1 day'$$)
) as expired (name, condition), unnest(array['select', 'delete']) as command;
grant select, delete on sotto.refresh_token, sotto.socket_ticket, sotto.sign_in_link, sotto.sign_in_failure, sotto.session
  to sotto_jobs;

reset role;
