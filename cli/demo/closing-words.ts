import { join } from "node:path";
import { logFilter, logStream } from "../../mesh/subjects.ts";
import { type Endpoints, endpointsFile } from "./endpoints.ts";
import { projectRoot } from "./layout.ts";
import type { Summary } from "./summary.ts";
import { bold, grouped, renderTable } from "./table.ts";

/** The summary for a person: each region's view of every home. */
export function summaryText(summary: Summary, findings: readonly string[]): string {
  const rows = Object.entries(summary.regions).flatMap(([name, { database, acknowledged }]) =>
    Object.entries(database).map(([home, figures], index) => [
      index === 0 ? name : "",
      index === 0 ? grouped(acknowledged) : "",
      home,
      grouped(figures.received),
      grouped(figures.inReview),
      grouped(figures.approved),
      grouped(figures.rejected),
      grouped(figures.amount),
    ]),
  );
  const head = ["database of", "acknowledged", "orders of", "received", "in review", "approved", "rejected", "amount"];
  const sum = (of: "acknowledged" | "before") =>
    Object.values(summary.regions).reduce((total, region) => total + region[of], 0);
  const old = sum("before") === 0 ? "" : `, ${grouped(sum("before"))} of them there from before,`;
  const verdict =
    findings.length === 0
      ? `All three databases agree: ${grouped(sum("acknowledged"))} orders${old} in ${summary.seconds} s, none lost, none doubled.`
      : findings.map((finding) => `DOES NOT HOLD: ${finding}`).join("\n");
  return `${bold("Read back from all three databases")}\n\n${renderTable(head, rows, 1)}\n\n${bold(verdict)}`;
}

/** A word for a shell: quoted only where it has to be. */
const word = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** An id of the visitor's own: the same line again is answered as a repeat, with another price it is 409. */
const ownOrder = "yours-1";

/**
 * Lines that work when pasted, with this demo's own addresses and files. Without an example they look at the order that
 * the first of them sends.
 */
export function closingWords(
  dir: string,
  endpoints: Endpoints,
  example: { region: string; order: string } | undefined,
): string {
  const [name, region] = Object.entries(endpoints.regions)[0]!;
  const tenant = Object.keys(region.credentials)[0]!;
  const order = example?.order ?? ownOrder;
  const log = { log: "orders", home: name, generation: 1 };
  const home = endpoints.regions[example?.region ?? name] ?? region;
  const meridian = [process.execPath, join(projectRoot, "cli", "meridian.ts")].map(word).join(" ");
  // Split by the nats command as a shell would, hence quoted twice.
  const decoder = `${meridian} decode`;
  const nats = `nats --server ${region.nats} --creds ${word(region.credentials[tenant]!.observer!)}`;
  const buf = word(join(projectRoot, "node_modules", ".bin", "buf"));
  const other = Object.entries(endpoints.regions).at(-1)!;
  const post =
    `{"order_id":"${ownOrder}","customer_id":"you",` +
    '"items":[{"product_code":"85123A","name":"HEART","unit_price":"2.55","quantity":6}]}';
  const bearer = '-H "Authorization: Bearer $TOKEN"';
  const firstId = `sed -n 's/.*"order_id":"\\([^"]*\\)".*/\\1/p'`;
  const inReview = `$(curl -s '${region.http}/v1/orders?status=in-review&limit=1' ${bearer} | ${firstId})`;
  const approval = '{"decision":"approve","by":"you","reason":"known customer"}';
  const sql =
    "select tenant, home, status, count(*), sum(amount) from orders join logs using (log) group by 1, 2, 3 order by 1, 2, 3";
  return [
    bold("Try next"),
    "",
    ...Object.entries(endpoints.regions).map(
      ([one, { http, grpc, open }]) => `  ${one.padEnd(9)} http ${http}  grpc ${grpc}  Go clients ${open.http}`,
    ),
    "",
    `TOKEN=${endpoints.tokens[tenant]!.full}`,
    `curl -s ${region.http}/v1/orders -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '${post}'   # again: the same answer, as a repeat; with another price: 409`,
    `curl -s ${other[1].http}/v1/orders/${order} -H "Authorization: Bearer $TOKEN"   # the same order, seen from ${other[0]}`,
    `curl -s ${region.http}/v1/orders/${inReview}/review ${bearer} -H 'Content-Type: application/json' -d '${approval}'   # approves the newest order that waits for a person`,
    `${buf} curl --protocol grpc --http2-prior-knowledge -H "Authorization: Bearer $TOKEN" -d '{"stream":"order-${order}"}' ${home.grpc}/meridian.eventstore.v1.EventStore/ReadStream`,
    `${nats} micro stats payments   # the payment provider, as a service`,
    `${meridian} payment-ledger --dir ${word(join(dir, "provider"))}   # what it has charged, and whether all of it is right`,
    `${nats} stream get ${logStream(log)} --last-for '${logFilter(log.log, name)}' --translate ${word(decoder)}`,
    `psql ${word(region.database)} -c ${word(sql)}`,
    `kill -9 ${endpoints.processes.find((one) => one.name === name)?.pid ?? "PID"}   # ${name}'s process, or any other: it is started again, and nothing is lost`,
    "",
    `Everything is in ${endpointsFile(dir)}; logs in ${join(dir, "logs")}.`,
  ].join("\n");
}
