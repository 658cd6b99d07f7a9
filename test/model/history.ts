import type { ExpectedRevision } from "../../store/error.ts";

/** What clients asked and were answered, with the times between which each call took effect. Milliseconds of one clock. */
interface Call {
  readonly invokedMs: number;
  readonly returnedMs: number;
}

export interface Part {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly ids: readonly string[];
}

/** One attempt of an append to one stream or several; attempts of the same append share `parts`. */
export interface Attempt extends Call {
  readonly parts: readonly Part[];
  readonly outcome:
    | {
        readonly kind: "recorded";
        readonly repeated: boolean;
        readonly revisions: readonly (readonly [first: number, last: number])[];
      }
    /** `actual`: of a wrong expectation, and of which stream. */
    | { readonly kind: "refused"; readonly code: string; readonly stream?: string; readonly actual?: number }
    | { readonly kind: "unknown" };
}

export interface Read extends Call {
  readonly stream: string;
  /** Ids from revision 0 on; empty: there was no such stream. */
  readonly ids: readonly string[];
}

/** An event of the log, in the log's order. */
export interface Recorded {
  readonly stream: string;
  readonly id: string;
  readonly revision: number;
  readonly shard: number;
  readonly sequence: number;
}

export interface History {
  readonly attempts: readonly Attempt[];
  readonly reads: readonly Read[];
  /** Each subscription's events, as they came. */
  readonly subscriptions: readonly (readonly Recorded[])[];
}

/**
 * Everything in the history that a store with the promised semantics cannot have answered, in words. The log gives the
 * order of each stream's events, so a history is linearizable when every call fits between its times: no search is needed.
 */
export function faultsOf(log: readonly Recorded[], history: History): string[] {
  const streams = new Map<string, Recorded[]>();
  for (const event of log) streams.set(event.stream, [...(streams.get(event.stream) ?? []), event]);
  const facts = { streams, invoked: new Map<string, number>(), acknowledged: new Map<string, number>() };
  for (const { parts, outcome, invokedMs, returnedMs } of history.attempts) {
    for (const { stream, ids } of parts) {
      for (const id of ids) {
        const key = `${stream}/${id}`;
        // Any attempt may be the one that was recorded: the first could have been, and the first answer says it was.
        facts.invoked.set(key, Math.min(invokedMs, facts.invoked.get(key) ?? invokedMs));
        if (outcome.kind !== "recorded") continue;
        facts.acknowledged.set(key, Math.min(returnedMs, facts.acknowledged.get(key) ?? returnedMs));
      }
    }
  }
  return [
    ...logFaults(facts),
    ...history.attempts.flatMap((attempt) => attemptFaults(facts, attempt)),
    ...refusedButRecorded(facts, history.attempts),
    ...[...streams.values()].flatMap((events) => orderFaults(facts, events)),
    ...history.reads.flatMap((read) => readFaults(facts, read)),
    ...history.subscriptions.flatMap((seen, number) => subscriptionFaults(log, seen, number)),
  ];
}

interface Facts {
  readonly streams: ReadonlyMap<string, readonly Recorded[]>;
  /** When an event could first have been recorded, and by when it surely was. */
  readonly invoked: ReadonlyMap<string, number>;
  readonly acknowledged: ReadonlyMap<string, number>;
}

function logFaults({ streams, invoked }: Facts): string[] {
  const faults: string[] = [];
  for (const [stream, events] of streams) {
    for (const [at, event] of events.entries()) {
      if (event.revision !== at) faults.push(`${stream}: revision ${event.revision} stands where ${at} should`);
      if (!invoked.has(`${stream}/${event.id}`)) faults.push(`${stream}: nobody appended ${event.id}`);
    }
    if (new Set(events.map(({ id }) => id)).size !== events.length) faults.push(`${stream}: an event is there twice`);
  }
  return faults;
}

function attemptFaults(facts: Facts, attempt: Attempt): string[] {
  const { parts, outcome } = attempt;
  if (outcome.kind === "unknown") return [];
  if (outcome.kind === "refused") return outcome.actual === undefined ? [] : refusalFaults(facts, attempt, outcome);
  return parts.flatMap((part, at) => {
    const [first, last] = outcome.revisions[at]!;
    const there = (facts.streams.get(part.stream) ?? []).slice(first, last + 1).map(({ id }) => id);
    const name = `${part.stream}: ${part.ids.join()} was acknowledged at ${first} to ${last}`;
    const faults = there.join() === part.ids.join() ? [] : [`${name}, but there is ${there.join() || "nothing"}`];
    const { expected } = part;
    const held =
      typeof expected === "number"
        ? first === expected + 1
        : expected === "no-stream"
          ? first === 0
          : expected === "any" || first > 0;
    return held ? faults : [...faults, `${name}, but the stream was expected at ${expected}`];
  });
}

/** The stream must have stood at `actual` at some time of the call. */
function refusalFaults(facts: Facts, call: Attempt, refused: { stream?: string; actual?: number }): string[] {
  const stream = refused.stream!;
  const events = facts.streams.get(stream) ?? [];
  const at = events[refused.actual!];
  const next = events[refused.actual! + 1];
  if (refused.actual! >= 0 && at === undefined) return [`${stream}: refused at ${refused.actual}, which never was`];
  if (at !== undefined && facts.invoked.get(`${stream}/${at.id}`)! > call.returnedMs) {
    return [`${stream}: refused at ${refused.actual} before that was appended`];
  }
  const nextBy = next === undefined ? undefined : facts.acknowledged.get(`${stream}/${next.id}`);
  if (nextBy === undefined || nextBy >= call.invokedMs) return [];
  return [`${stream}: refused at ${refused.actual} when ${refused.actual! + 1} was long acknowledged: stale`];
}

/** What every attempt was refused for good is nowhere; what was recorded in part was not atomic. */
function refusedButRecorded({ streams }: Facts, attempts: readonly Attempt[]): string[] {
  const kinds = new Map<readonly Part[], Set<string>>();
  for (const { parts, outcome } of attempts) kinds.set(parts, (kinds.get(parts) ?? new Set()).add(outcome.kind));
  const recorded = new Map([...streams].map(([stream, events]) => [stream, new Set(events.map(({ id }) => id))]));
  const faults: string[] = [];
  for (const [parts, outcomes] of kinds) {
    const ids = parts.flatMap((part) => part.ids.map((id) => recorded.get(part.stream)?.has(id) ?? false));
    const name = parts.map(({ stream, ids }) => `${stream}: ${ids.join()}`).join(" and ");
    if (ids.includes(true) && ids.includes(false)) faults.push(`${name} was recorded in part`);
    if (outcomes.size === 1 && outcomes.has("refused") && ids.includes(true)) {
      faults.push(`${name} was refused and is recorded all the same`);
    }
  }
  return faults;
}

/** What was acknowledged before another was asked for stands before it. */
function orderFaults({ invoked, acknowledged }: Facts, events: readonly Recorded[]): string[] {
  const faults: string[] = [];
  let earliest = Number.POSITIVE_INFINITY;
  for (const event of [...events].reverse()) {
    const key = `${event.stream}/${event.id}`;
    if (earliest < (invoked.get(key) ?? 0)) {
      faults.push(`${event.stream}: ${event.id} stands before one that was acknowledged before it was asked for`);
    }
    earliest = Math.min(earliest, acknowledged.get(key) ?? Number.POSITIVE_INFINITY);
  }
  return faults;
}

function readFaults({ streams, invoked, acknowledged }: Facts, read: Read): string[] {
  const events = streams.get(read.stream) ?? [];
  const there = events.slice(0, read.ids.length).map(({ id }) => id);
  if (there.join() !== read.ids.join()) return [`${read.stream}: a read saw ${read.ids.join()}, which is no prefix`];
  const missed = events.slice(read.ids.length).find(({ id }) => {
    const by = acknowledged.get(`${read.stream}/${id}`);
    return by !== undefined && by < read.invokedMs;
  });
  const early = read.ids.find((id) => invoked.get(`${read.stream}/${id}`)! > read.returnedMs);
  return [
    ...(missed === undefined
      ? []
      : [
          `${read.stream}: a read missed ${missed.id}, acknowledged ${read.invokedMs - acknowledged.get(`${read.stream}/${missed.id}`)!} ms before it`,
        ]),
    ...(early === undefined ? [] : [`${read.stream}: a read saw ${early} before it was asked for`]),
  ];
}

function subscriptionFaults(log: readonly Recorded[], seen: readonly Recorded[], number: number): string[] {
  const faults: string[] = [];
  const shards = new Set([...log, ...seen].map(({ shard }) => shard));
  for (const shard of shards) {
    const there = log.filter((event) => event.shard === shard).map(place);
    const came = seen.filter((event) => event.shard === shard).map(place);
    const at = came.findIndex((text, index) => text !== there[index]);
    if (at >= 0) faults.push(`subscription ${number}: ${came[at]} came in shard ${shard} where ${there[at]} stands`);
    else if (came.length < there.length) faults.push(`subscription ${number}: ${there[came.length]} never came`);
  }
  return faults;
}

const place = ({ stream, revision, id, sequence }: Recorded) => `${stream} ${revision} (${id}) at ${sequence}`;
