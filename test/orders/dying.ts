/**
 * Preloaded into a process: counts what it does to files, and each answer that it gives, and kills the process at the n-th of
 * these steps (DIE_AT, from 1), before or after it has had its effect, or halfway where it is a write (DIE_WHEN). At its end
 * the process says which steps there were.
 */
import { mock } from "bun:test";
import fs from "node:fs";
import { open } from "node:fs/promises";
import { devNull } from "node:os";
import { connect } from "nats";

const at = Number(process.env.DIE_AT);
const when = process.env.DIE_WHEN;
const steps: string[] = [];

function die(): never {
  process.kill(process.pid, "SIGKILL");
  for (;;);
}

type Method = (...args: readonly unknown[]) => unknown;

interface Partly {
  /** Has a part of the step's effect. */
  halfway?(act: Method, args: readonly unknown[]): unknown;
  /** Resolves when the effect has left the process. */
  settled?(that: object): Promise<void>;
}

/** Counts the calls of a method. */
function count(owner: object, name: string, { halfway, settled }: Partly = {}): void {
  const act: Method = Reflect.get(owner, name);
  const counted = function (this: object, ...args: readonly unknown[]): unknown {
    const itself: Method = (...given) => Reflect.apply(act, this, given);
    if (steps.push(name) !== at) return itself(...args);
    if (when === "before") die();
    const done = when === "halfway" ? halfway?.(itself, args) : itself(...args);
    // What is not waited for by its caller must not go on behind it.
    if (!(done instanceof Promise) && settled === undefined) die();
    return Promise.resolve(done)
      .then(() => settled?.(this))
      .then(die);
  };
  Reflect.set(owner, name, counted);
}

const handle = await open(devNull);
const files: object = Object.getPrototypeOf(handle);
await handle.close();
for (const name of ["readFile", "truncate", "datasync"]) count(files, name);
count(files, "appendFile", { halfway: (append, [text]) => append(String(text).slice(0, 40)) });
const locking = { ...fs };
for (const name of ["writeFileSync", "linkSync", "renameSync", "rmSync"]) count(locking, name);
mock.module("node:fs", () => ({ ...locking, default: locking }));

// Messages share a prototype that the library does not export.
const nc = await connect({ servers: process.argv[2] });
nc.subscribe("probe", {
  max: 1,
  callback: (_, message) =>
    count(Object.getPrototypeOf(message), "respond", { settled: (that) => Reflect.get(that, "publisher").flush() }),
});
nc.publish("probe");
await nc.flush();
await nc.close();

process.once("exit", () => process.stdout.write(`${JSON.stringify(steps)}\n`));
