import Type, { type Static } from "typebox";
import { limits } from "./limits.ts";
import { orderIdPattern } from "./order-id.ts";

/**
 * The shape of an order as a client sends it; JSON Schema, so that documents can show it. What a schema cannot say
 * (calendar, region, currency, sum, repeated keys) is in submission.ts.
 *
 * Patterns bound their text's length themselves where they can: one test a string on the hot path.
 */
const visible = (length: number) => Type.String({ maxLength: length, pattern: "\\S" });
const { priceIntegerDigits, priceFractionDigits } = limits;

export const itemSchema = Type.Object(
  {
    product_code: visible(limits.productCodeLength),
    name: visible(limits.nameLength),
    /** Above zero; more decimals than the currency has are taken: 0.001 GBP is a real price. */
    unit_price: Type.String({
      pattern: `^(?=[0.]*[1-9])(0|[1-9]\\d{0,${priceIntegerDigits - 1}})(\\.\\d{1,${priceFractionDigits}})?$`,
    }),
    quantity: Type.Integer({ minimum: 1, maximum: limits.quantity }),
  },
  { additionalProperties: false },
);

export const orderSchema = Type.Object(
  {
    order_id: Type.Optional(Type.String({ pattern: orderIdPattern })),
    customer_id: visible(limits.customerIdLength),
    /** Who fulfils it; the Go system's clients send one. */
    restaurant_id: Type.Optional(visible(limits.customerIdLength)),
    country: Type.Optional(visible(limits.countryLength)),
    region: Type.Optional(Type.String({ maxLength: 64 })),
    /** RFC 3339, UTC, 1970 to 2199: microseconds since 1970 stay safe integers. Leap seconds are refused. */
    created_at: Type.Optional(
      Type.String({
        pattern:
          "^(19[7-9]|20\\d|21\\d)\\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?Z$",
      }),
    ),
    currency: Type.Optional(Type.String({ pattern: "^[A-Z]{3}$" })),
    items: Type.Array(itemSchema, { minItems: 1, maxItems: limits.items }),
    /** What is given must be the computed total, digit for digit. */
    amount: Type.Optional(Type.String({ pattern: "^(0|[1-9]\\d{0,17})(\\.\\d{1,6})?$" })),
  },
  { additionalProperties: false },
);

export type OrderItem = Readonly<Static<typeof itemSchema>>;
export type SubmittedOrder = Static<typeof orderSchema>;
