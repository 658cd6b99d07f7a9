import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PaymentRequest } from "../../orders/payments.ts";
import { type LedgerLine, openLedger } from "../../orders/workers/ledger.ts";

async function withFile<T>(body: (file: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), "meridian-ledger-"));
  try {
    return await body(join(dir, "ledger.ndjson"));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const charge = (n: number, changes: Partial<PaymentRequest> = {}): PaymentRequest => ({
  tenant: "acme",
  kind: "charge",
  key: `acme/us-east/${n}/payment/1`,
  order_id: String(n),
  amount: "139.12",
  currency: "GBP",
  ...changes,
});
const refund = (n: number) => charge(n, { kind: "refund" });
const annul = (n: number) => charge(n, { kind: "void" });
const declines = (orderId: string) => orderId === "13";
const linesOf = async (file: string) =>
  (await readFile(file, "utf8"))
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LedgerLine);

test("the ledger charges a key once, however often and however much at once it is asked", () =>
  withFile(async (file) => {
    await using ledger = await openLedger({ file, declines });
    const answers = await Promise.all(Array.from({ length: 100 }, () => ledger.answer(charge(1))));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ outcome: "charged", reference: "sim-1" });
    expect(await linesOf(file)).toHaveLength(1);
  }));

test("the ledger says the same after it was opened again", () =>
  withFile(async (file) => {
    const requests = [charge(1), charge(13), charge(2), refund(2), annul(3)];
    const ask = async () => {
      await using ledger = await openLedger({ file, declines });
      return Promise.all(requests.map((request) => ledger.answer(request)));
    };
    const first = await ask();
    expect(first.map(({ outcome }) => outcome)).toEqual(["charged", "declined", "charged", "refunded", "voided"]);
    expect(await ask()).toEqual(first);
    expect(await linesOf(file)).toHaveLength(5);
  }));

test("the ledger refuses a key that comes with another amount, currency, order or tenant", () =>
  withFile(async (file) => {
    await using ledger = await openLedger({ file, declines });
    await ledger.answer(charge(1));
    for (const changes of [{ amount: "139.13" }, { currency: "EUR" }, { order_id: "2" }, { tenant: "globex" }]) {
      const answer = await ledger.answer(charge(1, changes));
      expect(answer).toEqual({ outcome: "refused", reason: "key-reused", reference: "" });
    }
    expect((await ledger.answer({ ...refund(1), amount: "1.00" })).reason).toBe("key-reused");
    expect(await linesOf(file)).toHaveLength(1);
  }));

test("a void blocks its key for ever, or refunds what was charged; a refund needs a charge", () =>
  withFile(async (file) => {
    await using ledger = await openLedger({ file, declines });
    const outcome = async (request: PaymentRequest) => {
      const answer = await ledger.answer(request);
      return answer.reason ?? answer.outcome;
    };
    expect(await outcome(refund(1))).toBe("not-charged");
    expect(await outcome(annul(1))).toBe("voided");
    expect(await outcome(charge(1))).toBe("voided");
    expect((await ledger.answer(charge(1))).outcome).toBe("refused");
    expect(await outcome(refund(1))).toBe("not-charged");

    expect(await outcome(charge(2))).toBe("charged");
    expect(await outcome(annul(2))).toBe("refunded");
    expect(await outcome(annul(2))).toBe("refunded");
    expect(await outcome(refund(2))).toBe("refunded");
    expect((await ledger.answer(charge(2))).outcome).toBe("refused");

    expect(await outcome(charge(13))).toBe("insufficient-funds");
    expect(await outcome(refund(13))).toBe("not-charged");
    const refunds = (await linesOf(file)).filter((line) => line.outcome === "refunded");
    expect(refunds).toHaveLength(1);
  }));

test("a last line that was torn at any byte is cut off, and its key is free again", () =>
  withFile(async (file) => {
    {
      await using ledger = await openLedger({ file, declines, nowMs: () => 0 });
      await ledger.answer(charge(1));
      await ledger.answer(charge(2));
    }
    const whole = await readFile(file);
    const firstEnd = whole.indexOf(0x0a) + 1;
    for (let length = firstEnd; length < whole.length; length += 7) {
      await writeFile(file, whole.subarray(0, length));
      await using ledger = await openLedger({ file, declines, nowMs: () => 0 });
      expect(ledger.lines()).toBe(1);
      expect((await ledger.answer(charge(2))).outcome).toBe("charged");
      expect(await readFile(file)).toEqual(whole);
    }
  }));

test("a ledger that is damaged elsewhere than at its end is not opened", () =>
  withFile(async (file) => {
    await writeFile(file, "{broken\n");
    await appendFile(file, `${JSON.stringify({ ...charge(1), outcome: "charged", reference: "sim-1" })}\n`);
    expect(openLedger({ file, declines })).rejects.toThrow(/line 1 .* the ledger is damaged/);
  }));

test("two processes cannot have one ledger open; one that is gone does not lock it out", () =>
  withFile(async (file) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "ledger-child.ts"), file]);
    await new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
    try {
      expect(openLedger({ file, declines })).rejects.toThrow(`is held by process ${child.pid}`);
    } finally {
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("exit", resolve));
    }
    await using ledger = await openLedger({ file, declines });
    expect(ledger.lines()).toBeGreaterThan(0);
  }));

test("after SIGKILL every answer that was given is in the ledger once, and is given again", () =>
  withFile(async (file) => {
    const told = new Map<string, string>();
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, [join(import.meta.dirname, "ledger-child.ts"), file]);
      let text = "";
      let heard = 0;
      await new Promise<void>((resolve) => {
        child.stdout.on("data", (chunk: Buffer) => {
          text += chunk.toString();
          heard += chunk.length;
          // Each child first repeats what those before it did; then it must have charged anew.
          if (heard > (round + 1) * 12_000) child.kill("SIGKILL");
        });
        child.once("close", () => resolve());
      });
      for (const line of text.slice(0, text.lastIndexOf("\n")).split("\n")) {
        const [n, reference] = line.split(" ") as [string, string];
        expect([n, told.get(n) ?? reference]).toEqual([n, reference]);
        told.set(n, reference);
      }
    }
    expect(told.size).toBeGreaterThan(500);
    await using ledger = await openLedger({ file, declines: () => false });
    const lines = await linesOf(file);
    expect(new Set(lines.map(({ key }) => key)).size).toBe(lines.length);
    const byOrder = new Map(lines.map((line) => [line.order_id, line.reference]));
    for (const [n, reference] of told) expect([n, byOrder.get(n)]).toEqual([n, reference]);
    expect((await ledger.answer(charge(0, { amount: "1.00" }))).reference).toBe(told.get("0")!);
    expect(lines).toHaveLength(ledger.lines());
  }));

test("the ledger takes more than 2,000 charges a second, each on disk before its answer", () =>
  withFile(async (file) => {
    await using ledger = await openLedger({ file, declines });
    const start = performance.now();
    let next = 0;
    const client = async () => {
      while (next < 5_000) await ledger.answer(charge(1_000 + next++));
    };
    await Promise.all(Array.from({ length: 64 }, client));
    const rate = 5_000 / ((performance.now() - start) / 1_000);
    expect(rate).toBeGreaterThan(2_000);
  }));
