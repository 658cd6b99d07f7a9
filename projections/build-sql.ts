/** Statements about the builds of read models (migrations/0004-builds.sql says what their states are). */

export const ensureLiveBuild = `insert into builds (log, model, build, state, version, started_at)
select $1::int4, $2::text, coalesce(max(build), 0) + 1, 'live', $3::int4, now()
from builds where log = $1::int4 and model = $2::text
having count(case when state = 'live' then 1 end) = 0
on conflict do nothing`;

export const readLiveBuild =
  "select build, version from builds where log = $1::int4 and model = $2 and state = 'live' order by build desc limit 1";

/** Of the live build. */
export const readLiveCheckpoints = `select c.shard, c.sequence
from builds b join checkpoints c on c.log = b.log and c.name = b.model || '/' || b.build::text
where b.log = $1::int4 and b.model = $2 and b.state = 'live' order by c.shard`;

/** Where a write of a build stands, and why it may have been refused. */
export const readBuildShard = `select b.state, c.sequence, coalesce(b.sealed_until >= now(), false) as sealed
from builds b left join checkpoints c on c.log = b.log and c.name = b.model || '/' || b.build::text and c.shard = $4::int2
where b.log = $1::int4 and b.model = $2 and b.build = $3::int4`;

/** What was left behind by someone who has died: of `resumable` version it may be gone on with. */
export const retireBuilds = `update builds set state = 'old', holder = null
where log = $1::int4 and model = $2 and state = $3 and until < now() and version <> $4::int4`;

export const resumeBuild = `update builds set holder = $4, until = now() + $5::int4 * interval '1 second'
where log = $1::int4 and model = $2 and state = $3 and (until < now() or holder = $4) returning build`;

export const beginBuild = `insert into builds (log, model, build, state, version, started_at, holder, until)
select $1::int4, $2::text, coalesce(max(build), 0) + 1, $3::text, $6::int4, now(), $4::text,
  now() + $5::int4 * interval '1 second'
from builds where log = $1::int4 and model = $2::text
having count(case when state = $3::text then 1 end) = 0
on conflict do nothing returning build`;

export const keepBuild = `update builds set until = now() + $5::int4 * interval '1 second'
where log = $1::int4 and model = $2 and build = $3::int4 and holder = $4 and state <> 'old' returning build`;

/** Gives the lease back; what was made stays, to be gone on with. */
export const leaveBuild =
  "update builds set until = now() - interval '1 second' where log = $1::int4 and model = $2 and build = $3::int4 and holder = $4";

export const sealLiveBuild = `update builds set sealed_until = now() + $3::int4 * interval '1 second'
where log = $1::int4 and model = $2 and state = 'live' returning build`;

export const unsealLiveBuild =
  "update builds set sealed_until = null where log = $1::int4 and model = $2 and state = 'live'";

/**
 * The one transaction in which a build goes live and the one before becomes old: only where it has come at least as far in
 * every shard, so that no reader is sent back behind what it was promised.
 */
export const switchBuilds = `update builds set state = case when build = $3::int4 then 'live' else 'old' end,
  sealed_until = null, holder = null, until = null
where log = $1::int4 and model = $2::text and (build = $3::int4 or state = 'live')
  and exists (
    select 1 from builds n where n.log = $1::int4 and n.model = $2::text and n.build = $3::int4 and n.state = 'building'
      and n.holder = $4
  )
  and not exists (
    select 1 from builds l
    join checkpoints c on c.log = l.log and c.name = l.model || '/' || l.build::text
    left join checkpoints n on n.log = c.log and n.name = $2::text || '/' || $3::int4::text and n.shard = c.shard
    where l.log = $1::int4 and l.model = $2::text and l.state = 'live' and coalesce(n.sequence, -1) < c.sequence
  )
returning build`;

export const retireBuild =
  "update builds set state = 'old', holder = null where log = $1::int4 and model = $2 and build = $3::int4 and holder = $4";

export const oldBuilds =
  "select build from builds where log = $1::int4 and model = $2 and state = 'old' order by build";

export const dropCheckpoints = "delete from checkpoints where log = $1::int4 and name = $2";

export const dropBuild =
  "delete from builds where log = $1::int4 and model = $2 and build = $3::int4 and state = 'old'";
