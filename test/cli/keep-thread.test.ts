import { expect, test } from "bun:test";
import { keepThread } from "../../cli/keep-thread.ts";
import { silent } from "../../mesh/logger.ts";
import type { Mortal } from "./mortal-thread.ts";
import { until } from "./until.ts";

function keep(mortal: Partial<Mortal> = {}) {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const heard: string[] = [];
  const ended: string[] = [];
  const logged: { fields: object; message: string }[] = [];
  const data: Mortal = { deaths: 0, kind: "throws", whenToldToStop: "finishes", shared, ...mortal };
  const thread = keepThread<string, string>({
    what: "the thread",
    entry: new URL("./mortal-thread.ts", import.meta.url),
    data,
    stop: "stop",
    logger: { ...silent, error: (fields, message) => logged.push({ fields, message }) },
    heard: (message) => heard.push(message),
    ended: ({ message }) => ended.push(message),
  });
  return { thread, heard, ended, logged, beats: () => Atomics.load(shared, 1) };
}

for (const [kind, why] of [
  ["throws", "life 1 was short"],
  ["exits", "exit code 3"],
] as const) {
  test(`a thread that ${kind} is an alarm, and another is started, which hears what is said`, async () => {
    const { thread, heard, ended, logged } = keep({ deaths: 1, kind });
    await using _thread = thread;
    await until("the second one lives", () => heard.includes("life 2"));
    expect(thread.say("hello")).toBe(true);
    await until("it has heard", () => heard.includes("heard hello"));
    expect(ended).toEqual([`the thread ended by itself (${why})`]);
    expect(logged.map(({ fields }) => fields)).toEqual([{ alarm: "thread-ended", pauseMs: 100 }]);
    expect(logged[0]!.message).toContain(why);
  });
}

test("the pause before the next start grows while none lives, meanwhile nobody hears, and a stop does not wait for it", async () => {
  const { thread, heard, logged } = keep({ deaths: 1_000 });
  await until("it has died four times", () => logged.length === 4);
  expect(logged.map(({ fields }) => (fields as { pauseMs: number }).pauseMs)).toEqual([100, 200, 400, 800]);
  expect(thread.say("hello")).toBe(false);
  const startedMs = performance.now();
  await thread[Symbol.asyncDispose]();
  expect(performance.now() - startedMs).toBeLessThan(500);
  expect(heard).toEqual(["life 1", "life 2", "life 3", "life 4"]);
});

test("a thread that is told to stop as it starts finishes what it does, and none is started again", async () => {
  const { thread, heard, ended, beats } = keep();
  await thread[Symbol.asyncDispose]();
  expect(heard).toEqual(["life 1", "finished"]);
  const last = beats();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect({ beats: beats(), ended, heard: heard.length }).toEqual({ beats: last, ended: [], heard: 2 });
  expect(thread.say("hello")).toBe(false);
});

test("a thread that does not end when it is told to is cut off", async () => {
  const { thread, heard, beats } = keep({ whenToldToStop: "nothing" });
  await until("it lives", () => heard.length === 1 && beats() > 0);
  await thread[Symbol.asyncDispose]();
  const last = beats();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(beats()).toBe(last);
}, 10_000);
