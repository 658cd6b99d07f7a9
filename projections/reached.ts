import { readLiveCheckpoints } from "./build-sql.ts";
import { delay, monotonicMs } from "./clock.ts";
import type { Database } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import { readCheckpoints } from "./logs.ts";

export interface CheckpointWait {
  /** The log's number; undefined until a projector has registered it. */
  find(): Promise<number | undefined>;
  /** "archive", or a read model's name: then its live build is meant. */
  readonly name: string;
  readonly shard: number;
  readonly sequence: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits until the checkpoint has reached `sequence`, at most `timeoutMs`; answers the one it saw last. A projector of this
 * process is heard at once; one of another process is seen by looking again and again. However many wait, the database is
 * asked as for one. Rejects with "busy" where too many wait already.
 */
export async function waitForCheckpoint(database: Database, wait: CheckpointWait): Promise<number> {
  const looks = looksOf(database);
  if (looks.waiting >= limits.waitersMax) {
    throw new ProjectionError("busy", `${looks.waiting} readers wait for a position already`);
  }
  looks.waiting++;
  try {
    return await waitAmongOthers(database, looks, wait);
  } finally {
    looks.waiting--;
  }
}

async function waitAmongOthers(database: Database, looks: Looks, wait: CheckpointWait): Promise<number> {
  const until = monotonicMs() + wait.timeoutMs;
  const expired = () => wait.signal?.aborted === true || monotonicMs() >= until;
  let log: number | undefined;
  let seen = 0;
  for (let round = 0; ; round += 1) {
    log ??= await wait.find();
    const heard = log === undefined ? 0 : database.progress.at(wait.name, log, wait.shard);
    seen = Math.max(seen, heard);
    if (seen >= wait.sequence) return seen;
    // With a projector in this process its next move is awaited before the database is asked.
    if (log !== undefined && !(round === 0 && heard > 0)) {
      seen = Math.max(seen, (await looks.at(wait.name, log)).get(wait.shard) ?? 0);
    }
    if (seen >= wait.sequence || expired()) return seen;
    const pollMs = heard > 0 ? limits.heardPollMs : Math.min(limits.reachedPollMs * 2 ** round, limits.heardPollMs);
    await pause(database, log, wait, Math.max(0, Math.min(pollMs, until - monotonicMs())));
  }
}

async function pause(database: Database, log: number | undefined, wait: CheckpointWait, ms: number): Promise<void> {
  const timer = new AbortController();
  const signal = wait.signal === undefined ? timer.signal : AbortSignal.any([timer.signal, wait.signal]);
  const slept = delay(ms, signal);
  await (log === undefined ? slept : Promise.race([slept, database.progress.next(wait.name, log, wait.shard, signal)]));
  timer.abort();
}

/** The looks that all who wait share: one at a time of a log's shards, and another only when the last has aged. */
interface Looks {
  waiting: number;
  /** Checkpoints by shard; at most `reachedPollMs` old when asked. */
  at(name: string, log: number): Promise<ReadonlyMap<number, number>>;
}

interface Look {
  readonly answer: Promise<ReadonlyMap<number, number>>;
  /** Undefined: under way. */
  answeredMs: number | undefined;
}

const all = new WeakMap<Database, Looks>();

function looksOf(database: Database): Looks {
  const known = all.get(database) ?? createLooks(database);
  all.set(database, known);
  return known;
}

function createLooks(database: Database): Looks {
  const latest = new Map<string, Look>();

  async function ask(name: string, log: number): Promise<ReadonlyMap<number, number>> {
    // Not with the signal of one that waits: the others wait for the same answer.
    const rows = await database.query(name === "archive" ? readCheckpoints : readLiveCheckpoints, [log, name]);
    return new Map(rows.map((row) => [row.shard as number, Number(row.sequence)]));
  }

  return {
    waiting: 0,
    at(name, log) {
      const key = `${name}/${log}`;
      const last = latest.get(key);
      const agedMs = last?.answeredMs === undefined ? 0 : monotonicMs() - last.answeredMs;
      if (last !== undefined && agedMs < limits.reachedPollMs) return last.answer;
      const look: Look = { answer: ask(name, log), answeredMs: undefined };
      latest.set(key, look);
      const answered = () => {
        look.answeredMs = monotonicMs();
      };
      look.answer.then(answered, () => latest.delete(key));
      return look.answer;
    },
  };
}
