-- The database of one environment and its two users. Run once, by whoever has the root user of the managed database, from a machine
-- that may reach it; the instance never can. The passwords come from the environment, so that no list of processes shows them:
--
--   OWNER_PASSWORD=… APP_PASSWORD=… psql "host=… user=postgres dbname=postgres sslmode=verify-full" --set name=fineart_prod --file database.sql
--
-- They then go into Parameter Store (parameters.json), and to rotate one: `alter role … password …`, the new parameter, `agent run`.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv app_password APP_PASSWORD
\set owner :name '_owner'
\set app :name '_app'

-- Owns the tables and nothing else on the server.
create role :"owner" login nosuperuser nocreatedb nocreaterole password :'owner_password';
-- Reads and writes rows.
create role :"app" login nosuperuser nocreatedb nocreaterole connection limit 50 password :'app_password';

-- The root user of a managed database is no superuser: only a member of a role can give something to it.
grant :"owner" to current_user;
create database :"name" owner :"owner";
revoke all on database :"name" from public;
grant connect on database :"name" to :"app";

\connect :"name"
revoke all on schema public from public;
grant all on schema public to :"owner";
grant usage on schema public to :"app";
alter default privileges for role :"owner" in schema public grant select, insert, update, delete on tables to :"app";
alter default privileges for role :"owner" in schema public grant usage, select on sequences to :"app";
