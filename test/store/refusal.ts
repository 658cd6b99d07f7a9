import { StoreError } from "../../store/error.ts";

/** The error with which a call is refused; throws where it is not. */
export async function refusal(call: Promise<unknown>): Promise<StoreError> {
  const error = await call.then(
    () => undefined,
    (cause) => cause,
  );
  if (error instanceof StoreError) return error;
  throw new Error("it was not refused", { cause: error });
}
