import { expect, test } from "bun:test";
import { startNats } from "../mesh/server.ts";
import { allDeaths, dieOnce } from "./provider-crash.ts";

/** A part of `npm run test:crashes`, another one each time: an error names the step. */
const stride = 8;

test("a provider that is killed at any step of its books and answers has told nothing that its books do not say, and goes on", async () => {
  await using nats = await startNats({ jetstream: false });
  const deaths = await allDeaths(nats.url);
  for (const step of ["appendFile", "datasync", "truncate", "respond", "linkSync"]) {
    expect(deaths.map((death) => death.step)).toContain(step);
  }
  const first = Math.floor(Math.random() * stride);
  await Promise.all(deaths.filter((_, at) => at % stride === first).map((death) => dieOnce(nats.url, death)));
}, 120_000);
