import type { Hono } from "hono";
import type { Logger } from "../store/event-store.ts";
import { answerJson } from "./answer.ts";
import { GatewayError } from "./error.ts";
import { problemTable } from "./problem-table.ts";
import { problemOf, problemResponse } from "./problems.ts";

/** Which methods a path takes: for 405, `Allow` and OPTIONS. */
export interface RouteTable {
  methods(path: string): readonly string[];
}

/** Built from the app's own routes, so that it cannot say something else than the app does. */
export function createRouteTable(app: Hono): RouteTable {
  const rows = app.routes.map((route) => ({
    pattern: new RegExp(`^${route.path.replaceAll(".", "\\.").replaceAll(/:[a-z]+/g, "[^/]+")}$`),
    methods: route.method === "GET" ? ["GET", "HEAD"] : route.method === "ALL" ? ["POST"] : [route.method],
  }));
  return {
    methods(path) {
      const found = new Set(rows.filter((row) => row.pattern.test(path)).flatMap((row) => row.methods));
      return found.size === 0 ? [] : [...found, "OPTIONS"];
    },
  };
}

/** What a path that no route takes is answered: 405 where another method would do, else 404. */
export function noRoute(request: Request, table: RouteTable): GatewayError {
  const methods = table.methods(new URL(request.url).pathname);
  if (methods.length === 0) return new GatewayError("route-not-found", "no route has this path");
  const allow = methods.join(", ");
  return new GatewayError("method-not-allowed", `this path takes ${allow}`, { headers: { allow } });
}

/** GET /problems/{code}: what a problem's `type` points at. */
export function mountProblems(app: Hono, logger: Logger): void {
  app.get("/problems/:code", (context) => {
    const code = context.req.param("code");
    const kind = Object.hasOwn(problemTable, code) ? problemTable[code as keyof typeof problemTable] : undefined;
    if (kind === undefined) {
      return problemResponse(
        problemOf(new GatewayError("route-not-found", "there is no problem of this name"), logger),
      );
    }
    const { status, title, next } = kind;
    return answerJson({ type: `/problems/${code}`, status, title, next });
  });
}
