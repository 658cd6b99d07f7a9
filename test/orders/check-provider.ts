import { deepStrictEqual as same } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, credsAuthenticator } from "nats";
import type { PaymentAnswer, PaymentRequest } from "../../orders/payments.ts";
import { noWords, readOptions, refuse } from "../options.ts";
import { type Asker, contract, openAsker, tryDiscovery } from "./provider-contract.ts";

/** `npm run test:provider`: holds a provider that runs somewhere to the contract. It charges orders that nobody sent. */
const usage = `npm run test:provider -- --server nats://127.0.0.1:4210 --tenant acme --region us-east
  --server URL        the region's NATS
  --tenant NAME       whose payments
  --region NAME       where
  --credentials FILE  of the role worker (default: none, for a server without authentication)
  --observer FILE     of the role observer, to find the service (default: as --credentials)
  --answers FILE      keep some answers there; if the file is there, ask again and compare: restart the provider between`;

const { values: words, positionals } = readOptions(usage, {
  ...{ server: { type: "string" }, tenant: { type: "string" }, region: { type: "string" } },
  ...{ credentials: { type: "string" }, observer: { type: "string" }, answers: { type: "string" } },
});
noWords(positionals);

type Kept = readonly (readonly [PaymentRequest, PaymentAnswer])[];

/** The first run asks and keeps; a later one asks the same again. */
async function tryRestart(asker: Asker, file: string): Promise<string> {
  if (!existsSync(file)) {
    const questions = Array.from({ length: 30 }, () => asker.question());
    const kept = await Promise.all(questions.map(async (one) => [one, await asker.ask(one)] as const));
    writeFileSync(file, JSON.stringify(kept satisfies Kept));
    return `${kept.length} answers are in ${file}: restart the provider (kill -9) and run this again`;
  }
  const kept = JSON.parse(readFileSync(file, "utf8")) as Kept;
  for (const [question, answer] of kept) same(await asker.ask(question), answer, question.key);
  return `${kept.length} questions of before get the answers of before`;
}

async function main(): Promise<void> {
  const { server, tenant, region, credentials } = words;
  if (server === undefined || tenant === undefined || region === undefined)
    return refuse("--server, --tenant and --region must be given");
  await using asker = await openAsker({ server, tenant, region, credentials, run: randomBytes(6).toString("hex") });
  const attempt = async (sentence: string, holds: () => Promise<string | undefined>) => {
    try {
      process.stdout.write(`ok    ${(await holds()) ?? sentence}\n`);
    } catch (error) {
      process.exitCode = 1;
      process.stdout.write(`FAIL  ${sentence}\n${error instanceof Error ? error.message : error}\n`);
    }
  };
  for (const [sentence, holds] of contract) await attempt(sentence, async () => void (await holds(asker)));
  await attempt("it is found as a NATS service", async () => {
    const file = words.observer ?? credentials;
    const authenticator = file === undefined ? undefined : credsAuthenticator(readFileSync(file));
    const observer = await connect({ servers: server, authenticator });
    try {
      await tryDiscovery(observer, region);
    } finally {
      await observer.close();
    }
    return undefined;
  });
  const { answers } = words;
  if (answers !== undefined) await attempt("what it said it says for ever", () => tryRestart(asker, answers));
}

await main();
