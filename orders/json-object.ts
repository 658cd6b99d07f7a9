import { limits } from "./limits.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * A client's JSON. Throws SyntaxError when the text is none, or nests deeper than `limits.jsonDepth`: JSON.parse reads a
 * hundred thousand levels that JSON.stringify, and whoever else goes down them, then runs out of stack with.
 */
export function parseJson(text: string): unknown {
  if (isDeep(text)) throw new SyntaxError(`JSON must nest at most ${limits.jsonDepth} levels deep`);
  return JSON.parse(text);
}

/** Undefined: these bytes are no JSON object in UTF-8, or one that nests too deep. */
export function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value = parseJson(decoder.decode(bytes));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Counts brackets outside of strings; whether the text is JSON at all is not asked here. */
function isDeep(text: string): boolean {
  if (!hasManyBrackets(text)) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfString(text, at);
    else if (code === openBrace || code === openBracket) {
      if (++depth > limits.jsonDepth) return true;
    } else if (code === closeBrace || code === closeBracket) depth--;
  }
  return false;
}

/** Most texts are answered by this, without a look at every character. */
function hasManyBrackets(text: string): boolean {
  let brackets = 0;
  for (const bracket of ["{", "["]) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (++brackets > limits.jsonDepth) return true;
    }
  }
  return false;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (let code = text.charCodeAt(at); at < text.length && code !== quote; code = text.charCodeAt(++at)) {
    if (code === backslash) at++;
  }
  return at;
}

const [quote, backslash] = [0x22, 0x5c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
