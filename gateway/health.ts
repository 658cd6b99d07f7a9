import type { Hono } from "hono";
import { answerJson } from "./answer.ts";

export interface Readiness {
  readonly ready: boolean;
  /** What was looked at, and how it stands. Not shown here: the names of other tenants are nobody's business. */
  readonly checks: Readonly<Record<string, string>>;
}

/** `/healthz`: the process answers. `/readyz`: it can take orders; 503 where not. Neither needs a token, nor says more. */
export function mountHealthRoutes(app: Hono, ready: () => Readiness): void {
  const headers = { "cache-control": "no-store" };
  app.get("/healthz", () => answerJson({ alive: true }, { headers }));
  app.get("/readyz", () => {
    const readiness = ready().ready;
    return answerJson({ ready: readiness }, { status: readiness ? 200 : 503, headers });
  });
}
