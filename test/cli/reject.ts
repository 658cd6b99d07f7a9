/** A program of its own for the test of unhandled rejections: rejects with the code that it is given, then lives on. */
import { createLogger } from "../../cli/logger.ts";
import { guardRejections } from "../../cli/rejections.ts";

guardRejections(createLogger({ name: "reject", level: "info" }));
void Promise.reject(Object.assign(new Error("nobody waits for this"), { code: process.argv[2] }));
setTimeout(() => process.exit(7), 300);
