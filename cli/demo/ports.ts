import { createServer } from "node:net";
import { CliError } from "../error.ts";

export interface NamedPort {
  readonly port: number;
  readonly what: string;
}

/** Throws CliError "busy" with the first port that somebody else listens on, before anything is started. */
export async function checkPorts(ports: readonly NamedPort[], host: string): Promise<void> {
  for (const { port, what } of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new CliError(
        "usage",
        `cannot use port ${port} for ${what}: ports go from 1 to 65535; give another --ports`,
      );
    }
    if (!(await isFree(port, host))) {
      throw new CliError("busy", `port ${port} (${what}) is taken, perhaps by another demo: give another --ports BASE`);
    }
  }
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
