import type { Hono } from "hono";
import { answerJson } from "./answer.ts";

export interface Readiness {
  readonly ready: boolean;
  /** What was looked at, and how it stands: "ok", or a few words. No addresses, no credentials: anybody may read it. */
  readonly checks: Readonly<Record<string, string>>;
}

/** `/healthz`: the process answers. `/readyz`: it can take orders; 503 where not. Neither needs a token. */
export function mountHealthRoutes(app: Hono, ready: () => Readiness): void {
  const headers = { "cache-control": "no-store" };
  app.get("/healthz", () => answerJson({ alive: true }, { headers }));
  app.get("/readyz", () => {
    const readiness = ready();
    return answerJson(readiness, { status: readiness.ready ? 200 : 503, headers });
  });
}
