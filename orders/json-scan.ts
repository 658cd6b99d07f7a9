import { limits } from "./limits.ts";

/**
 * A second, slow reading of a JSON text, only for those that the quick way cannot decide: it says where a text is
 * malformed (JSON.parse's own messages repeat what the client sent, which may be personal), and which key stands twice
 * (JSON.parse silently takes the last). RFC 8259, without recursion.
 */
export type Scan =
  | { readonly kind: "fine" }
  | { readonly kind: "malformed"; readonly at: number; readonly expected: string }
  /** RFC 6901 pointers of the keys that stand twice in their object. */
  | { readonly kind: "repeated"; readonly pointers: readonly string[] };

interface Open {
  readonly pointer: string;
  /** Undefined: an array. */
  readonly keys?: Set<string>;
  count: number;
}

// Unrolled, so that no engine keeps a step back for every character of a long string.
// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 forbids exactly these in a string
const string = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const scalar = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;
const blank = /[ \t\n\r]*/y;

class Malformed {
  constructor(
    readonly at: number,
    readonly expected: string,
  ) {}
}

export function escapeKey(key: string): string {
  return key.slice(0, limits.pointerKeyLength).replaceAll("~", "~0").replaceAll("/", "~1");
}

export function scanJson(text: string): Scan {
  const scanner = createScanner(text);
  try {
    const pointers = scanner.run();
    return pointers.length === 0 ? { kind: "fine" } : { kind: "repeated", pointers };
  } catch (error) {
    if (error instanceof Malformed) return { kind: "malformed", at: error.at, expected: error.expected };
    throw error;
  }
}

function createScanner(text: string) {
  let at = 0;
  const open: Open[] = [];
  const repeated: string[] = [];

  function take(pattern: RegExp): string | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  }

  function taken(character: string): boolean {
    take(blank);
    if (text[at] !== character) return false;
    at++;
    return true;
  }

  /** The pointer of the member that begins here: takes a key and its colon in an object, counts in an array. */
  function member(parent: Open): string {
    if (parent.keys === undefined) return `${parent.pointer}/${parent.count++}`;
    take(blank);
    const key = take(string);
    if (key === undefined) throw new Malformed(at, "a key in double quotes");
    const name = JSON.parse(key) as string;
    const pointer = `${parent.pointer}/${escapeKey(name)}`;
    if (parent.keys.has(name)) repeated.push(pointer);
    parent.keys.add(name);
    if (!taken(":")) throw new Malformed(at, 'a ":"');
    return pointer;
  }

  /** Takes one value; true: it opened an object or array that has members. */
  function value(pointer: string): boolean {
    const object = taken("{");
    if (!object && !taken("[")) {
      if (take(string) === undefined && take(scalar) === undefined) throw new Malformed(at, "a value");
      return false;
    }
    if (taken(object ? "}" : "]")) return false;
    if (open.length >= limits.jsonDepth) throw new Malformed(at, `at most ${limits.jsonDepth} levels`);
    open.push(object ? { pointer, keys: new Set(), count: 0 } : { pointer, count: 0 });
    return true;
  }

  /** After a value: closes what ends here; true: another member follows. */
  function next(): boolean {
    for (let parent = open.at(-1); parent !== undefined; parent = open.at(-1)) {
      if (taken(",")) return true;
      const end = parent.keys === undefined ? "]" : "}";
      if (!taken(end)) throw new Malformed(at, `a "," or "${end}"`);
      open.pop();
    }
    return false;
  }

  return {
    run(): readonly string[] {
      let more = value("") || next();
      while (more) more = value(member(open.at(-1)!)) || next();
      take(blank);
      if (at < text.length) throw new Malformed(at, "the end");
      return repeated;
    },
  };
}
