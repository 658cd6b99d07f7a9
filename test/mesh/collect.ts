import { NatsError } from "nats";

/** All answers of the library's service client; none when nobody listens. */
export async function collect<T>(answers: Promise<AsyncIterable<T>>): Promise<T[]> {
  const all: T[] = [];
  try {
    for await (const one of await answers) all.push(one);
  } catch (error) {
    if (!(error instanceof NatsError) || error.code !== "503") throw error;
  }
  return all;
}
