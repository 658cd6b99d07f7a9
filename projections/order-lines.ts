import { priceText } from "../orders/go-order.ts";
import { isObject, parseObject } from "../orders/json-object.ts";
import { limits } from "./limits.ts";

export interface OrderLine {
  readonly productCode: string;
  readonly name: string;
  /** Exact decimal, as it came. */
  readonly unitPrice: string;
  readonly quantity: number;
}

const decimal = /^\d+(\.\d+)?$/;

/**
 * The lines of an order.created, in their order, ours or of the Go system's shape. What a client appended by itself may be
 * anything: a line that is none is left out.
 */
export function readOrderLines(data: Uint8Array): OrderLine[] {
  const order = parseObject(data);
  const items = order?.items ?? order?.order_items;
  return Array.isArray(items) ? items.map(readLine).filter((line) => line !== undefined) : [];
}

function readLine(item: unknown): OrderLine | undefined {
  if (!isObject(item)) return undefined;
  const { product_code: productCode = item.code, name, quantity } = item;
  const unitPrice = priceText(item.unit_price) ?? item.unit_price;
  const sound =
    isText(productCode) &&
    isText(name) &&
    isText(unitPrice) &&
    unitPrice.length <= limits.amountChars &&
    decimal.test(unitPrice) &&
    typeof quantity === "number" &&
    Number.isSafeInteger(quantity);
  return sound ? { productCode, name, unitPrice, quantity } : undefined;
}

const isText = (value: unknown): value is string => typeof value === "string";
