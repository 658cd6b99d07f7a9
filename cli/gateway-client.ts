import { isObject } from "../orders/json-object.ts";
import { CliError, describeError } from "./error.ts";
import { limits } from "./limits.ts";

/** Which gateway, and who asks. */
export interface GatewayWords {
  readonly url?: string;
  readonly token?: string;
}

/** A region's gateway over HTTP. Every call rejects with CliError "failed" that says what was asked and what was answered. */
export interface GatewayClient {
  /** The JSON of a 2xx. */
  get(path: string): Promise<unknown>;
  /** With a key of its own, so that whatever repeats the request on its way records it once. */
  post(path: string, body: object): Promise<unknown>;
}

/** A refusal by the gateway; `type` is the problem's. */
export class Refusal extends CliError {
  constructor(
    readonly type: string,
    message: string,
  ) {
    super("failed", message);
  }
}

/** From the command line, else from MERIDIAN_URL and MERIDIAN_TOKEN. Throws CliError "usage". */
export function createGatewayClient(
  words: GatewayWords,
  env: Readonly<Record<string, string | undefined>>,
): GatewayClient {
  const base = readUrl(words.url ?? env.MERIDIAN_URL);
  const token = (words.token ?? env.MERIDIAN_TOKEN ?? "").trim();
  if (token === "") {
    throw new CliError("usage", "give a token: --token, or MERIDIAN_TOKEN; `meridian token mint --help` makes one");
  }
  // What no header takes is no token; quoted it would be on the screen.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new CliError("usage", "the token holds characters that no token has");

  async function call(path: string, init: RequestInit = {}): Promise<unknown> {
    const what = `${init.method ?? "GET"} ${base}${path}`;
    const headers = { ...init.headers, authorization: `Bearer ${token}` };
    let answer: { response: Response; text: string };
    try {
      const signal = AbortSignal.timeout(limits.callMs);
      const response = await fetch(`${base}${path}`, { ...init, headers, signal });
      answer = { response, text: await response.text() };
    } catch (cause) {
      throw new CliError("failed", `cannot reach the gateway: ${what}: ${reasonOf(cause)}`, { cause });
    }
    const value = parsed(answer.text);
    if (!answer.response.ok) throw refusalOf(what, answer.response.status, value);
    if (isObject(value)) return value;
    throw new CliError("failed", `${what} answered no JSON object: is this a gateway of Meridian?`);
  }

  return {
    get: (path) => call(path),
    post(path, body) {
      const headers = { "content-type": "application/json", "idempotency-key": crypto.randomUUID() };
      return call(path, { method: "POST", headers, body: JSON.stringify(body) });
    },
  };
}

function readUrl(text: string | undefined): string {
  const where = "the URL of a region's gateway: --url http://HOST:PORT, or MERIDIAN_URL";
  if (text === undefined || text === "") throw new CliError("usage", `give ${where}`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url !== undefined && url.search === "" && url.hash === "" && url.username === "";
  if (!plain || !/^https?:$/.test(url.protocol)) throw new CliError("usage", `"${text}" is not ${where}`);
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

function reasonOf(cause: unknown): string {
  if (cause instanceof Error && cause.name === "TimeoutError") {
    return `no answer within ${limits.callMs / 1_000} s; whether a decision was recorded is not known: look with \`meridian parked show\``;
  }
  const inner = cause instanceof Error && cause.cause !== undefined ? ` (${describeError(cause.cause)})` : "";
  return `${describeError(cause)}${inner}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function refusalOf(what: string, status: number, value: unknown): CliError {
  const { type, detail, next } = isObject(value) ? value : {};
  if (typeof detail !== "string" || typeof type !== "string") {
    return new CliError("failed", `${what} was answered ${status}, without a problem that says why`);
  }
  const lines = [`refused (${status}): ${detail}`, ...(typeof next === "string" ? [next] : [])];
  return new Refusal(type, lines.map(printable).join("\n"));
}

/** What comes from outside must not move the cursor of a terminal. */
export const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, "\ufffd");
