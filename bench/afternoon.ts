import { Hono } from "hono";
import { connect } from "nats";
import postgres from "postgres";
import type { TargetSettings } from "./target-settings.ts";

/**
 * What one would write in an afternoon, to compare with: Hono, one JetStream message an order, one SQL row an order, both
 * awaited before the answer. It keeps one promise of Meridian's (on disk before it is answered) and none of the others: no
 * repeat, no expected revision, and a crash between the two leaves half an order.
 */
export async function afternoon(settings: TargetSettings): Promise<(request: Request) => Promise<Response>> {
  const nc = await connect({ servers: settings.nats });
  const stream = `afternoon${settings.log}`;
  const manager = await nc.jetstreamManager();
  await manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
  const js = nc.jetstream();
  const sql = postgres(settings.database, { max: 20, onnotice: () => {} });
  await sql`create table if not exists afternoon (id text primary key, customer_id text not null, amount numeric not null, body text not null)`;
  const app = new Hono();
  app.post("/v1/orders", async (context) => {
    const order = await context.req.json<{ customer_id: string; items: { unit_price: string; quantity: number }[] }>();
    const id = crypto.randomUUID();
    const amount = order.items.reduce((sum, item) => sum + Number(item.unit_price) * item.quantity, 0).toFixed(2);
    const body = JSON.stringify({ ...order, order_id: id, amount });
    await js.publish(`${stream}.created`, body, { msgID: id });
    await sql`insert into afternoon (id, customer_id, amount, body) values (${id}, ${order.customer_id}, ${amount}, ${body})`;
    return context.json({ order_id: id, status: "received", amount }, 201);
  });
  return async (request) => app.fetch(request);
}
