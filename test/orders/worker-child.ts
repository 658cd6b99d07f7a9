/** A process of its own that does the work of all three workers on its part of a region's shards, until SIGTERM. */
import { aborted } from "../../mesh/aborting.ts";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import { silent } from "../../mesh/logger.ts";
import { reviewDefaults } from "../../mesh/review-settings.ts";
import { noHistory, reviewRules } from "../../orders/review.ts";
import { startPaymentWorker } from "../../orders/workers/payment.ts";
import { startReviewWorker } from "../../orders/workers/review.ts";
import { startSagaWorker } from "../../orders/workers/saga.ts";
import { openRegion } from "../store/region.ts";

const [url, logName, bucket] = process.argv.slice(2) as [string, string, string];
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

const stack = new AsyncDisposableStack();
const region = stack.use(await openRegion(url, { shards: 4, bytesMax: 50 << 20, log: logName }));
const { store } = stack.use(await region.process({ owns: false }));
const connection: Connection = stack.use(
  await openConnection({ servers: [url], name: "workers", region: "us-east", logger: silent }),
);
const options = {
  ...{ connection, store, leases: await openLeases(connection, bucket, leaseDefaults) },
  ...{ log: region.log.name, shards: region.log.shards, tenant: "acme", region: "us-east", currency: "GBP" },
  ...{ rules: reviewRules(reviewDefaults), history: async () => noHistory },
  ...{ logger: silent, signal: new AbortController().signal },
};
for (const start of [startPaymentWorker, startReviewWorker, startSagaWorker]) stack.use(start(options));
process.stdout.write("ready\n");
await aborted(stop.signal);
await stack.disposeAsync();
// As a command ends: a limit of what is over must not be waited for.
process.exit(0);
