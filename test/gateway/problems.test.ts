import { afterAll, expect, test } from "bun:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { problemDocument, problemOf } from "../../gateway/problems.ts";
import { problemMessage } from "../../gateway/rpc-errors.ts";
import { silent } from "../../mesh/logger.ts";
import { ProjectionError } from "../../projections/error.ts";
import { StoreError } from "../../store/error.ts";
import { EventStore } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { ProblemSchema } from "../../store/gen/meridian/eventstore/v1/problem_pb.ts";
import { createHarness, listen } from "./harness.ts";
import { transportsTo } from "./rpc-store.ts";

const harness = await createHarness();
const sockets = await listen(harness);
afterAll(() => sockets[Symbol.asyncDispose]());
const transports = transportsTo(sockets, harness.token);

const newEvent = (id: string, data = "{}") => ({ id, type: "thing.made", data: new TextEncoder().encode(data) });

async function refusal(call: Promise<unknown>) {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConnectError);
  const [problem] = (error as ConnectError).findDetails(ProblemSchema);
  return { code: (error as ConnectError).code, problem };
}

test.each(Object.keys(transports))("over %s a refused append says what is there", async (protocol) => {
  const client = createClient(EventStore, transports[protocol]!);
  const stream = `told-${protocol.replace(/\W/g, "")}`;
  await client.append({ stream, events: [newEvent("a"), newEvent("b")] });
  const expected = { expectation: { case: "exact" as const, value: 4n } };
  const stale = await refusal(client.append({ stream, events: [newEvent("c")], expected }));
  expect(stale.code).toBe(Code.FailedPrecondition);
  const exact = { case: "expectedExact", value: 4n };
  expect(stale.problem).toMatchObject({ stream, actualRevision: 1n, expectedRevision: exact, eventId: "" });
  const other = await refusal(client.append({ stream, events: [newEvent("b", "[]")] }));
  expect(other.code).toBe(Code.AlreadyExists);
  expect(other.problem).toMatchObject({ stream, eventId: "b", eventRevision: 1n });
  expect(other.problem!.actualRevision).toBeUndefined();
  const none = { expectation: { case: "streamExists" as const, value: true } };
  const absent = { stream: `${stream}-none`, events: [newEvent("a")], expected: none };
  const { outcomes } = await client.appendMany({ appends: [absent, { stream, events: [newEvent("c")] }] });
  expect(outcomes[0]!.outcome).toMatchObject({
    case: "problem",
    value: {
      type: "/problems/wrong-revision",
      stream: absent.stream,
      actualRevision: -1n,
      expectedRevision: { case: "expectedStreamExists", value: true },
    },
  });
  expect(outcomes[1]!.outcome).toMatchObject({ case: "appended", value: { firstRevision: 2n } });
  const apart = Array.from({ length: 9 }, (_, i) => ({ stream: `${stream}-${i}`, events: [newEvent("a")] }));
  const refused = await refusal(client.appendStreams({ appends: apart }));
  expect(refused.code).toBe(Code.InvalidArgument);
  expect(refused.problem!.errors[0]!.pointer).toBe("/appends");
});

test("the document of a refusal has the members that its message has", () => {
  const of = (error: StoreError) => problemOf(error, silent);
  const wrong = of(new StoreError("wrong-revision", "w", { stream: "a-1", expected: "no-stream", actual: 3 }));
  expect(problemDocument(wrong)).toMatchObject({ stream: "a-1", expected_revision: "no-stream", actual_revision: 3 });
  expect(problemMessage(wrong)).toMatchObject({
    stream: "a-1",
    actualRevision: 3n,
    expectedRevision: { case: "expectedNoStream", value: true },
  });
  const taken = of(new StoreError("already-exists", "t", { stream: "a-1", eventId: "e", eventRevision: 0 }));
  expect(problemDocument(taken)).toMatchObject({ stream: "a-1", event_id: "e", event_revision: 0 });
  expect(problemMessage(taken)).toMatchObject({ stream: "a-1", eventId: "e", eventRevision: 0n });
});

test("what cannot be done now says why, and nothing of addresses and statements", () => {
  const detail = (error: Error) => problemDocument(problemOf(error, silent)).detail;
  const silence = "region us-east did not answer: whether the append was recorded is not known";
  expect(detail(new StoreError("unavailable", silence))).toBe(silence);
  expect(detail(new ProjectionError("cancelled", "the database is closed"))).toBe("the database is closed");
  const inside = "connect ECONNREFUSED 10.0.0.7:5432";
  for (const code of ["away", "timeout", "serialization"] as const)
    expect(detail(new ProjectionError(code, `"select 1 …": ${inside}`))).toMatch(/^the database [a-z ]+$/);
});
