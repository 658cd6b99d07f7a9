import { expect } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { openConnection } from "../../mesh/connection.ts";
import { silent } from "../../mesh/logger.ts";
import type { PaymentAnswer, PaymentRequest } from "../../orders/payments.ts";
import { readLedger } from "../../orders/workers/ledger.ts";
import { auditLedger } from "../../orders/workers/ledger-audit.ts";
import { createProviderClient } from "../../orders/workers/provider-client.ts";
import { declines, faultless } from "../../orders/workers/provider-faults.ts";

/**
 * The provider's process is killed at its n-th step while it is asked, another one is started on the same books, and what was
 * not answered is asked again. Every answer that was ever given must stand in the books, and the books must be those of a run in
 * which nobody died.
 */
export interface Death {
  /** From 1. */
  readonly at: number;
  readonly when: "before" | "halfway" | "after";
}

const poor = Array.from({ length: 400 }, (_, n) => `p-${n}`).find((id) => declines(faultless, id))!;
const about = (kind: PaymentRequest["kind"], id: string): PaymentRequest => ({
  ...{ tenant: "acme", kind, key: `acme/home/${id}/payment/1`, order_id: id, amount: "5.00", currency: "GBP" },
});

/** Each line's questions are asked at once, the lines one after the other. */
const questions: readonly (readonly PaymentRequest[])[] = [
  [about("charge", "a")],
  [about("charge", "a"), about("charge", poor)],
  [about("refund", "a"), about("void", "b"), about("charge", "c")],
  [about("charge", "b"), about("refund", "a"), about("charge", "a")],
];

/** Between a process's death and its parent's hearing of it, on a busy machine. */
const deathNoticeMs = 5_000;

/** As a crash may have left them: one line, and a part of one that nobody was told of. */
const before = `${JSON.stringify({ ...about("charge", "old"), outcome: "charged", reference: "sim-1", at: "2026-01-01T00:00:00.000Z" })}\n{"tenant":"acme","ki`;

/** What the books say after all of it, in whatever order two at once came. */
const books = [
  ...["charge old charged", "charge a charged", `charge ${poor} declined`, "refund a refunded"],
  ...["void b voided", "charge c charged"],
].sort();

type Answers = Map<number, PaymentAnswer>;
let homes = 0;

/**
 * A provider on the books in `file` is asked everything, and told to end. What it answered is noted in `told`; its steps, or
 * "killed".
 */
async function live(url: string, file: string, told: Answers, death?: Death): Promise<readonly string[] | "killed"> {
  const region = `home-${++homes}`;
  const words = ["--preload", join(import.meta.dir, "dying.ts"), join(import.meta.dir, "provider-child.ts")];
  const env = { ...process.env, DIE_AT: String(death?.at), DIE_WHEN: death?.when };
  const child = spawn(process.execPath, [...words, url, region, file], { env, stdio: ["ignore", "pipe", "inherit"] });
  const gone = new AbortController();
  const ended = once(child, "close").then(() => gone.abort());
  const said: string[] = [];
  child.stdout.on("data", (text) => said.push(String(text)));
  await Promise.race([once(child.stdout, "data"), ended]);
  await askAll(url, region, told, gone.signal).catch(async (error: unknown) => {
    // The broker may know of its death before we do.
    if (death !== undefined) await Promise.race([ended, wait(deathNoticeMs)]);
    if (!gone.signal.aborted) throw error;
  });
  child.kill("SIGTERM");
  await ended;
  if (child.signalCode === "SIGKILL") return "killed";
  expect(child.exitCode).toBe(0);
  return JSON.parse(said.join("").slice("ready\n".length)) as string[];
}

async function askAll(url: string, region: string, told: Answers, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await using connection = await openConnection({ servers: [url], name: "asker", region, logger: silent });
  const ask = createProviderClient({ connection, region, signal });
  let number = 0;
  for (const together of questions) {
    const first = number;
    number += together.length;
    const answers = together.map(async (question, at) => told.set(first + at, await ask(question)));
    const failed = (await Promise.allSettled(answers)).find(({ status }) => status === "rejected");
    if (failed !== undefined) throw new Error("a question was not answered", { cause: failed });
  }
}

async function inFolder<T>(body: (file: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), "meridian-provider-"));
  try {
    const file = join(dir, "ledger.ndjson");
    await writeFile(file, before);
    return await body(file);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function expectBooks(file: string): Promise<void> {
  const lines = await readLedger(file);
  expect(lines.map(({ kind, order_id, outcome }) => `${kind} ${order_id} ${outcome}`).sort()).toEqual(books);
  expect(auditLedger(lines).violations).toEqual([]);
}

/** Every point at which a provider can die: those of one that does not. */
export async function allDeaths(url: string): Promise<readonly (Death & { readonly step: string })[]> {
  const steps = await inFolder(async (file) => {
    const found = await live(url, file, new Map());
    await expectBooks(file);
    return found;
  });
  if (steps === "killed") throw new Error("the provider was killed although nobody asked for it");
  return steps.flatMap((step, index) =>
    (["before", "halfway", "after"] as const)
      .filter((when) => when !== "halfway" || step === "appendFile")
      .map((when) => ({ at: index + 1, when, step })),
  );
}

/** It dies there, another one takes its place, and nothing that was told is otherwise, nor are the books. */
export async function dieOnce(url: string, death: Death & { readonly step: string }): Promise<void> {
  await inFolder((file) => survive(url, file, death)).catch((cause) => {
    throw new Error(`a provider that dies ${death.when} step ${death.at} (${death.step})`, { cause });
  });
}

async function survive(url: string, file: string, death: Death): Promise<void> {
  const told: Answers = new Map();
  const end = await live(url, file, told, death);
  // Lines that came together were written together: this one had fewer steps.
  if (end !== "killed") expect(death.at).toBeGreaterThan(end.length);
  const again: Answers = new Map();
  expect(await live(url, file, again)).not.toBe("killed");
  for (const [number, answer] of told) expect(again.get(number)).toEqual(answer);
  expect(again.size).toBe(questions.flat().length);
  await expectBooks(file);
}
