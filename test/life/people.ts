import { setTimeout as wait } from "node:timers/promises";
import type { RunningMesh } from "./mesh.ts";
import type { Plan } from "./plan.ts";

/** What was asked of an order, and what was said in the end. */
export interface Asked {
  readonly id: string;
  readonly what: "cancel" | "approve" | "reject" | "ship" | "deliver";
  /** "unknown": nobody ever answered for good. */
  readonly outcome: "accepted" | "refused" | "unknown";
  /** Of a refusal, or of the last answer. */
  readonly reason: string;
  readonly tries: number;
}

export interface People {
  readonly asked: readonly Asked[];
  /** Answers that were no answer, by what they were: asked again after each. */
  readonly again: ReadonlyMap<string, number>;
  /** Planned cancels and shipments of acknowledged orders, and decisions, that have no answer yet. */
  waiting(): number;
  /** True: whatever this order waits for, no person will do it. */
  isLeft(id: string): boolean;
  /** Ends with the signal; rejects when something is answered that never should be. */
  readonly done: Promise<void>;
}

export interface PeopleOptions {
  readonly mesh: RunningMesh;
  readonly plan: Plan;
  readonly token: string;
  readonly seed: number;
  isAcknowledged(id: string): boolean;
  readonly signal: AbortSignal;
}

const lookMs = 25;
const listMs = 500;
const answerMs = 12_000;
/** A region that is killed, with its broker, is back long before. */
const giveUpMs = 150_000;

/** What a command posts, and where. */
const commands: Readonly<Record<Asked["what"], readonly [path: string, body: object]>> = {
  cancel: ["cancel", { reason: "not wanted" }],
  approve: ["review", { decision: "approve", by: "Ada", reason: "looked at" }],
  reject: ["review", { decision: "reject", by: "Ada", reason: "looked at" }],
  ship: ["ship", { carrier: "Royal Mail", by: "Ada" }],
  deliver: ["deliver", { by: "Ada" }],
};

/** An order that may yet come to be approved: too early to ship it. */
const isEarly = (what: Asked["what"], refusal: string) =>
  what === "ship" && /"order_status":"(received|paid)"/.test(refusal);

/**
 * Cancels and ships orders at their moments, and decides what waits for a person, over HTTP in any region, as clients do.
 */
export function startPeople(options: PeopleOptions): People {
  const { mesh, plan, signal } = options;
  const asked: Asked[] = [];
  const again = new Map<string, number>();
  const count = (what: string) => void again.set(what, (again.get(what) ?? 0) + 1);
  const open = new Set<string>();
  const failed = Promise.withResolvers<never>();
  const regions = Object.entries(mesh.endpoints.regions).map(([name, { http }]) => ({ name, http }));
  const from = (region: string) => regions.findIndex(({ name }) => name === region);

  function ask(id: string, what: Asked["what"], region: string): void {
    open.add(`${what} ${id}`);
    command(id, what, from(region)).then(
      (one) => {
        asked.push(one);
        const goesOn = what === "ship" && one.outcome === "accepted" && plan.shipments.get(id)?.delivered === true;
        if (goesOn) ask(id, "deliver", region);
        open.delete(`${what} ${id}`);
      },
      (error: Error) => signal.aborted || failed.reject(error),
    );
  }

  /** The same key at every try: a repeat of what was done already is answered as it was the first time. */
  async function command(id: string, what: Asked["what"], first: number): Promise<Asked> {
    const key = `life-${options.seed}-${what}-${id}`;
    const [path, body] = commands[what];
    const end = performance.now() + giveUpMs;
    let last = "";
    for (let tries = 1; performance.now() < end; tries++) {
      const { http } = regions[(first + tries - 1) % regions.length]!;
      const answer = await post(`${http}/v1/orders/${encodeURIComponent(id)}/${path}`, key, body);
      if (answer.status === 200) return { id, what, outcome: "accepted", reason: "", tries };
      const { status, text } = answer;
      const early = status === 409 && isEarly(what, text);
      if (status === 409 && !early) return { id, what, outcome: "refused", reason: text, tries };
      last = `${status} ${text}`;
      // 404: the region's copy of another home has not come so far; 5xx and nothing: whether it was done is unknown.
      if (!early && status !== 0 && status !== 404 && status !== 429 && status < 500)
        throw new Error(`${what} ${id}: ${last}`);
      count(`${status === 0 ? "no answer" : early ? "too early" : status}`);
      await wait(Math.min(100 * tries, 1_000), undefined, { signal });
    }
    return { id, what, outcome: "unknown", reason: last, tries: Number.POSITIVE_INFINITY };
  }

  async function post(url: string, key: string, body: object): Promise<{ status: number; text: string }> {
    const headers = { ...authorization, "content-type": "application/json", "idempotency-key": key };
    const within = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
    try {
      const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal: within });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      signal.throwIfAborted();
      return { status: 0, text: (error as Error).message };
    }
  }
  const authorization = { authorization: `Bearer ${options.token}` };

  const uncancelled = new Map(plan.cancels);
  const unshipped = new Map(plan.shipments);
  async function askAtTheirMoments(
    planned: Map<string, { readonly afterMs: number; readonly region: string }>,
    what: "cancel" | "ship",
  ): Promise<void> {
    const dueMs = new Map<string, number>();
    for (; planned.size > 0; await wait(lookMs, undefined, { signal })) {
      for (const [id, { afterMs, region }] of planned) {
        if (!dueMs.has(id) && options.isAcknowledged(id)) dueMs.set(id, performance.now() + afterMs);
        if (performance.now() < (dueMs.get(id) ?? Number.POSITIVE_INFINITY)) continue;
        planned.delete(id);
        ask(id, what, region);
      }
    }
  }

  const decided = new Set<string>();
  /** Looks at what waits for a person, in one region after the other, and decides each as it was drawn. */
  async function decideWhatWaits(): Promise<void> {
    for (let at = 0; ; at++, await wait(listMs, undefined, { signal })) {
      for (const id of await inReview(regions[at % regions.length]!.http)) {
        const planned = plan.decisions.get(id);
        // One that the rules do not ask about stays as it is, and is found at the end.
        if (planned === undefined || planned.decision === "leave" || decided.has(id)) continue;
        decided.add(id);
        ask(id, planned.decision, planned.region);
      }
    }
  }

  async function inReview(http: string): Promise<string[]> {
    const ids: string[] = [];
    let cursor = "";
    try {
      do {
        const within = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
        const url = `${http}/v1/orders?status=in-review&limit=200${cursor}`;
        const response = await fetch(url, { headers: authorization, signal: within });
        if (!response.ok) break;
        const page = (await response.json()) as { orders: { order_id: string }[]; cursor?: string };
        ids.push(...page.orders.map(({ order_id }) => order_id));
        cursor = page.cursor === undefined ? "" : `&cursor=${page.cursor}`;
      } while (cursor !== "");
    } catch {
      signal.throwIfAborted(); // the region is away: the next one is asked
    }
    return ids;
  }

  const working = Promise.all([
    askAtTheirMoments(uncancelled, "cancel"),
    askAtTheirMoments(unshipped, "ship"),
    decideWhatWaits(),
  ]).then(
    () => {},
    (error) => {
      if (!signal.aborted) throw error;
    },
  );
  return {
    ...{ asked, again },
    waiting: () => uncancelled.size + unshipped.size + open.size,
    isLeft: (id) => (plan.decisions.get(id)?.decision ?? "leave") === "leave",
    done: Promise.race([working, failed.promise]),
  };
}
