import { styleText } from "node:util";
import Table from "cli-table3";

/** A plain table without colours of its own, so that it reads the same in a file; numbers stand to the right. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[], texts = 1): string {
  const table = new Table({
    head: head.map((name) => bold(name)),
    style: { head: [], border: [] },
    chars: plain,
    colAligns: head.map((_, column) => (column < texts ? "left" : "right")),
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}

/** Lines only under the head: the rest is quiet. */
const plain = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: " ",
};

export function bold(text: string): string {
  return process.stdout.isTTY ? styleText("bold", text) : text;
}

export function faint(text: string): string {
  return process.stdout.isTTY ? styleText("dim", text) : text;
}

export function warning(text: string): string {
  return process.stdout.isTTY ? styleText("yellow", text) : text;
}

/** 1234567 → "1,234,567"; amounts keep their decimals as they are. */
export function grouped(value: number | string): string {
  const [whole = "", fraction] = String(value).split(".");
  const digits = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? digits : `${digits}.${fraction}`;
}
