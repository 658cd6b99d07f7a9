import { after } from "../mesh/clock.ts";

/** The answer, or a rejection once `ms` have passed: what hangs is treated as what is away. */
export function inTime<T>(answer: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = after(ms, () => reject(new Error(`no answer within ${ms} ms`)));
    answer.then(resolve, reject).finally(cancel);
  });
}
