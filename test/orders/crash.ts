import { MeshError } from "../../mesh/error.ts";
import type { WorkerPorts } from "./mesh.ts";
import { tapped } from "./ports.ts";

/** A worker's process that dies at its n-th step: a call of the store, or anything that it sends over its connection. */
export interface Crash {
  /** What it did until then, in order. */
  readonly steps: readonly string[];
  crashed(): boolean;
  ports(ports: WorkerPorts, kill: () => Promise<void>): WorkerPorts;
}

/**
 * @param at counts from 1
 * @param when "before": the call never leaves the process. "after": it has its effect, and nobody learns of it
 */
export function createCrash(at: number, when: "before" | "after"): Crash {
  const steps: string[] = [];
  let dead = false;
  const gone = () => new MeshError("closed", "the process is gone");
  const isLast = (name: string) => steps.push(name) === at;

  return {
    steps,
    crashed: () => dead,
    ports({ connection, store }, kill) {
      async function die(): Promise<never> {
        dead = true;
        await kill();
        throw gone();
      }
      async function step<T>(name: string, act: () => Promise<T>): Promise<T> {
        if (dead) throw gone();
        if (isLast(name)) {
          if (when === "after") await act().catch(() => {});
          return die();
        }
        const result = await act();
        if (dead) throw gone();
        return result;
      }
      function publish(name: string, send: () => void): void {
        if (dead) return;
        const last = isLast(name);
        if (!last || when === "after") send();
        if (!last) return;
        dead = true;
        const sent = when === "after" ? connection.wire.nc.flush() : Promise.resolve();
        void sent.then(die).catch(() => {});
      }
      return {
        connection: tapped(connection, { ask: (name, _, send) => step(name, send), publish }),
        store: {
          ...store,
          append: (request, options) => step("append", () => store.append(request, options)),
          async *readStream(stream, options) {
            yield* await step("read", () => Array.fromAsync(store.readStream(stream, options)));
          },
        },
      };
    },
  };
}
