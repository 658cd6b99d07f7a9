/** A process of its own that charges as fast as it can, and prints each key once it has the answer. Killed by its test. */
import { openLedger } from "../../orders/workers/ledger.ts";

const ledger = await openLedger({ file: process.argv[2]!, declines: () => false });
const charge = async (n: number): Promise<void> => {
  const key = `acme/us-east/${n}/payment/1`;
  const request = {
    tenant: "acme",
    kind: "charge",
    key,
    order_id: String(n),
    amount: "1.00",
    currency: "GBP",
  } as const;
  const { reference } = await ledger.answer(request);
  process.stdout.write(`${n} ${reference}\n`);
};
for (let n = 0; ; n += 20) await Promise.all(Array.from({ length: 20 }, (_, i) => charge(n + i)));
