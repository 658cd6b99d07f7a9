import { api, logStream } from "../../mesh/subjects.ts";
import type { TestProcess, TestRegion } from "./region.ts";

type Settings = Readonly<Record<string, unknown>>;

/** Asks JetStream itself, as an operator would. */
export async function ask({ connection }: TestProcess, subject: string, body: object = {}): Promise<Settings> {
  const answer = await connection.wire.nc.request(subject, JSON.stringify(body), { timeout: 5_000 });
  const said = JSON.parse(new TextDecoder().decode(answer.data));
  if (said.error !== undefined) throw new Error(`${subject}: ${JSON.stringify(said.error)}`);
  return said;
}

/** Other settings for the stream behind the region's log. */
export async function changeLog({ log }: TestRegion, process: TestProcess, settings: Settings): Promise<void> {
  const info = api.streamInfo(log.name.home, logStream(log.name));
  const { config } = await ask(process, info);
  await ask(process, info.replace(".INFO.", ".UPDATE."), { ...(config as Settings), ...settings });
}
