import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { OrderError } from "../error.ts";
import type { PaymentAnswer, PaymentRequest, RefusalReason } from "../payments.ts";
import { type Locking, lockFile } from "./lock-file.ts";

/**
 * The simulated provider's books: one JSON object a line, appended, never changed. A line is on disk (fdatasync, many
 * lines at a time) before its answer leaves. After a crash the last line may be torn: nobody was told of it, it is cut off.
 *
 * A key goes: free → charged | declined → refunded; `void` closes it in any state. What it says once, it says for ever.
 */
export interface Ledger extends AsyncDisposable {
  /** Resolves when the answer is on disk; rejects with OrderError "ledger" when the disk refused, and then always. */
  answer(request: PaymentRequest): Promise<PaymentAnswer>;
  /** Lines in the books. */
  lines(): number;
  /** Resolves when the disk has refused: the process should end and be started again. */
  readonly broken: Promise<OrderError>;
}

export interface LedgerLine extends PaymentRequest, PaymentAnswer {}

export interface LedgerOptions {
  readonly file: string;
  /** True: an order that the provider declines. */
  readonly declines: (orderId: string) => boolean;
  /** Milliseconds since 1970. Default: the system's. */
  readonly nowMs?: () => number;
}

/** All that the books say of one key. */
interface Entry {
  charge?: LedgerLine;
  refund?: LedgerLine;
  void?: LedgerLine;
}

export async function openLedger({ file, declines, nowMs = Date.now }: LedgerOptions): Promise<Ledger> {
  await mkdir(dirname(file), { recursive: true });
  const lock = lockLedger(`${file}.lock`);
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, "a+");
    const lines = await recover(handle, file);
    return createLedger(handle, lines, { declines, nowMs }, lock);
  } catch (error) {
    await handle?.close();
    lock[Symbol.dispose]();
    throw error;
  }
}

/** Two processes with the same books would both answer for a key that is new to them. */
function lockLedger(file: string): Disposable {
  let locking: Locking;
  try {
    locking = lockFile(file);
  } catch (cause) {
    throw new OrderError("ledger", `cannot lock ${file}`, { cause });
  }
  if ("lock" in locking) return locking.lock;
  throw new OrderError("ledger", `${file} is held by process ${locking.holder.pid}, which is running: stop it first`);
}

/** Reads the books, and cuts off a torn last line. */
async function recover(handle: FileHandle, file: string): Promise<readonly LedgerLine[]> {
  const text = await handle.readFile("utf8");
  const end = text.lastIndexOf("\n") + 1;
  if (end < text.length) {
    await handle.truncate(Buffer.byteLength(text.slice(0, end)));
    await handle.datasync();
  }
  return parseLines(text, file);
}

/** Looks into books that a provider may have open: a line that is being written is passed over. */
export async function readLedger(file: string): Promise<readonly LedgerLine[]> {
  try {
    return parseLines(await readFile(file, "utf8"), file);
  } catch (cause) {
    if (cause instanceof OrderError) throw cause;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    throw new OrderError(
      "ledger",
      `cannot read the ledger ${file} (${code}): name the folder that its provider was given`,
      { cause },
    );
  }
}

/** Up to the last line's end. */
function parseLines(text: string, file: string): readonly LedgerLine[] {
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .slice(0, -1)
    .map((line, index) => {
      try {
        return JSON.parse(line) as LedgerLine;
      } catch (cause) {
        throw new OrderError("ledger", `line ${index + 1} of ${file} must be JSON: the ledger is damaged`, { cause });
      }
    });
}

function createLedger(
  handle: FileHandle,
  recovered: readonly LedgerLine[],
  { declines, nowMs }: Required<Omit<LedgerOptions, "file">>,
  lock: Disposable,
): Ledger {
  const entries = new Map<string, Entry>();
  const writer = createWriter(handle);
  let count = 0;

  function enter(line: LedgerLine): void {
    const entry = entries.get(line.key) ?? {};
    entry[line.kind] = line;
    entries.set(line.key, entry);
    count++;
  }

  for (const line of recovered) enter(line);

  return {
    lines: () => count,
    broken: writer.broken,
    async answer(request) {
      const entry = entries.get(request.key) ?? {};
      const decided = judge(entry, request, declines);
      if ("refused" in decided) return { outcome: "refused", reason: decided.refused, reference: "" };
      if ("outcome" in decided) {
        const { outcome, reason } = decided;
        const { tenant, kind, key, order_id, amount, currency } = request;
        const reference = `sim-${count + 1}`;
        const at = new Date(nowMs()).toISOString();
        enter({ tenant, kind, key, order_id, amount, currency, outcome, reason, reference, at });
      }
      const line = "line" in decided ? decided.line : entries.get(request.key)![request.kind]!;
      await writer.write("outcome" in decided ? `${JSON.stringify(line)}\n` : "");
      const { outcome, reason, reference, at } = line;
      return { outcome, reason, reference, at };
    },
    async [Symbol.asyncDispose]() {
      await writer.close();
      await handle.close();
      lock[Symbol.dispose]();
    },
  };
}

type Judgement =
  | { readonly refused: RefusalReason }
  /** What the books say already. */
  | { readonly line: LedgerLine }
  /** A new line. */
  | { readonly outcome: PaymentAnswer["outcome"]; readonly reason?: string };

function judge(entry: Entry, request: PaymentRequest, declines: (orderId: string) => boolean): Judgement {
  const first = entry.charge ?? entry.void;
  if (first !== undefined && !isSame(first, request)) return { refused: "key-reused" };
  const charged = entry.charge?.outcome === "charged";
  switch (request.kind) {
    case "charge":
      if (entry.void !== undefined) return { refused: "voided" };
      if (entry.charge !== undefined) return { line: entry.charge };
      return declines(request.order_id)
        ? { outcome: "declined", reason: "insufficient-funds" }
        : { outcome: "charged" };
    case "refund":
      if (!charged) return { refused: "not-charged" };
      if (entry.refund !== undefined) return { line: entry.refund };
      return entry.void === undefined ? { outcome: "refunded" } : { line: entry.void };
    case "void":
      if (entry.void !== undefined) return { line: entry.void };
      return { outcome: charged && entry.refund === undefined ? "refunded" : "voided" };
  }
}

function isSame(line: PaymentRequest, request: PaymentRequest): boolean {
  const { tenant, order_id, amount, currency } = request;
  return line.tenant === tenant && line.order_id === order_id && line.amount === amount && line.currency === currency;
}

/** Group commit: while one write and its fdatasync run, the next lines gather. */
function createWriter(handle: FileHandle) {
  let gathering = { text: "", done: Promise.withResolvers<void>(), waiting: 0 };
  let running: Promise<void> | undefined;
  let broken: OrderError | undefined;
  const breaking = Promise.withResolvers<OrderError>();

  async function run(): Promise<void> {
    while (gathering.waiting > 0) {
      const group = gathering;
      gathering = { text: "", done: Promise.withResolvers<void>(), waiting: 0 };
      try {
        if (broken !== undefined) throw broken;
        // A group of nothing but waiters: what they wait for was written before it.
        if (group.text !== "") {
          await handle.appendFile(group.text);
          await handle.datasync();
        }
        group.done.resolve();
      } catch (cause) {
        // What was not written is in the entries already: from here on every answer could be a lie, so none is given.
        broken ??= new OrderError("ledger", "the ledger cannot be written; the provider must be started again", {
          cause,
        });
        breaking.resolve(broken);
        group.done.reject(broken);
      }
    }
    running = undefined;
  }

  return {
    broken: breaking.promise,
    /** An empty text waits until all that was written before it is on disk. */
    async write(text: string): Promise<void> {
      if (broken !== undefined) throw broken;
      if (text === "" && running === undefined) return;
      gathering.text += text;
      gathering.waiting++;
      const { promise } = gathering.done;
      running ??= run();
      await promise;
    },
    async close(): Promise<void> {
      await running;
    },
  };
}
