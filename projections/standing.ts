import type { Database } from "./database.ts";
import { limits } from "./limits.ts";

/** Where the archive and every build of a read model stand, as the database knows it. */

/** A row for each shard of the archive and of every build that is live or being made. */
export const readStandings = `select l.tenant, l.home, l.name, l.generation, l.log, p.model, p.build, p.state, p.version,
  p.seconds, p.held, c.shard, c.sequence, coalesce(a.sequence, 0) as archived
from logs l
join (
  select log, model, build, state, version, model || '/' || build::text as name,
    extract(epoch from now() - started_at)::float8 as seconds, coalesce(until >= now(), false) as held
  from builds where state = 'live' or state = 'building'
  union all
  select log, 'archive', 0, 'live', 0, 'archive', 0, false from logs
) p on p.log = l.log
join checkpoints c on c.log = l.log and c.name = p.name
left join checkpoints a on a.log = l.log and a.name = 'archive' and a.shard = c.shard
where not l.gone
order by l.tenant, l.home, l.name, l.generation, p.model, p.build, c.shard`;

/** What the archive has of a shard behind a checkpoint: how many events, and how long the first of them is recorded. */
export const readShardLag = `select count(*)::int8 as events,
  extract(epoch from now() - min(recorded_at))::float8 as seconds
from (
  select recorded_at from events
  where log = $1::int4 and shard = $2::int2 and sequence > $3::int8 and sequence <= $4::int8
  order by sequence, idx limit $5::int4
) e`;

export interface ShardStanding {
  readonly shard: number;
  readonly checkpoint: number;
  /** Where the archive stands. */
  readonly archived: number;
}

export interface Standing {
  readonly tenant: string;
  /** The home region of the log. */
  readonly home: string;
  readonly log: string;
  readonly generation: number;
  /** The log's number. */
  readonly number: number;
  /** "archive", or a read model. */
  readonly model: string;
  readonly build: number;
  readonly state: "live" | "building";
  readonly version: number;
  readonly shards: readonly ShardStanding[];
  /** Of a build that is being made: 0 to 1 of what the archive has, whether somebody is at it, and how long it may take. */
  readonly done: number;
  readonly held: boolean;
  readonly secondsLeft: number | undefined;
}

export async function readAllStandings(db: Database): Promise<Standing[]> {
  const found = new Map<string, Standing & { readonly shards: ShardStanding[]; readonly seconds: number }>();
  for (const row of await db.query(readStandings)) {
    const { tenant, home, name: log, generation, log: number, model, build, state, version, held } = row;
    const place = `${number}/${model}/${build}`;
    const known = found.get(place) ?? {
      ...({ tenant, home, log, generation, number, model, build, state, version, held } as Standing),
      shards: [],
      seconds: Number(row.seconds),
    };
    found.set(place, known);
    const [checkpoint, archived] = [Number(row.sequence), Number(row.archived)];
    known.shards.push({ shard: row.shard as number, checkpoint, archived });
  }
  return [...found.values()].map(({ seconds, ...standing }) => ({
    ...standing,
    ...estimate(standing.shards, seconds),
  }));
}

function estimate(shards: readonly ShardStanding[], seconds: number): Pick<Standing, "done" | "secondsLeft"> {
  const end = shards.reduce((sum, shard) => sum + shard.archived, 0);
  const now = shards.reduce((sum, shard) => sum + Math.min(shard.checkpoint, shard.archived), 0);
  const done = end === 0 ? 1 : now / end;
  return { done, secondsLeft: done > 0 ? (seconds * (1 - done)) / done : undefined };
}

export interface Lag {
  /** As many as are told apart: `limits.lagEventsMax` a shard stands for that many or more. */
  readonly events: number;
  /** How long the oldest of them has been recorded; 0 where there is none. */
  readonly seconds: number;
}

/** What the archive has that a build has not, over all shards. */
export async function lagBehindArchive(db: Database, { number, shards }: Standing): Promise<Lag> {
  const behind = shards.filter(({ checkpoint, archived }) => checkpoint < archived);
  const lags = await Promise.all(
    behind.map(async ({ shard, checkpoint, archived }) => {
      const values = [number, shard, checkpoint, archived, limits.lagEventsMax];
      const [row] = await db.query(readShardLag, values);
      return { events: Number(row?.events ?? 0), seconds: Math.max(0, Number(row?.seconds ?? 0)) };
    }),
  );
  return addLags(lags);
}

export function addLags(lags: readonly Lag[]): Lag {
  return lags.reduce((all, one) => ({ events: all.events + one.events, seconds: Math.max(all.seconds, one.seconds) }), {
    events: 0,
    seconds: 0,
  });
}
