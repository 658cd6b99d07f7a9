import type { Mutation } from "./mutation.ts";
import { orderMutations } from "./orders.ts";
import { projectionMutations } from "./projections.ts";
import { storeMutations } from "./store.ts";
import { trimMutations } from "./trim.ts";

export const mutations: readonly Mutation[] = [
  ...storeMutations,
  ...trimMutations,
  ...projectionMutations,
  ...orderMutations,
];
