import type { ReadModel } from "../read-model.ts";
import { customers } from "./customers.ts";
import { dailyRevenue } from "./daily-revenue.ts";
import { inReview } from "./in-review.ts";
import { orderItems } from "./order-items.ts";
import { orders } from "./orders.ts";
import { parked } from "./parked.ts";

/** Every read model there is; all else takes them from here. */
export const readModels: readonly ReadModel[] = [orders, orderItems, customers, dailyRevenue, parked, inReview];
