import { limits } from "./limits.ts";

/** How an order is named: by its id to clients, by its stream's id to the event store. */

export const orderCategory = "order";
const prefix = `${orderCategory}-`;

/** "." and ".." are refused because no URL can name them. */
export const orderIdPattern = `^(?!\\.{1,2}$)[A-Za-z0-9._~{}-]{1,${limits.orderIdLength}}$`;
const orderId = new RegExp(orderIdPattern);

export const isOrderId = (id: string): boolean => orderId.test(id);

export const orderStream = (id: string): string => prefix + id;

/** The order that a stream is the history of; undefined: another kind of stream. */
export const orderOfStream = (stream: string): string | undefined =>
  stream.length > prefix.length && stream.startsWith(prefix) ? stream.slice(prefix.length) : undefined;
