import { join } from "node:path";
import { lockFile } from "../../orders/workers/lock-file.ts";
import { CliError } from "../error.ts";

/** One demo a folder: `DIR/demo.lock` names the process that holds it. Disposing gives it back. */
export function lockFolder(dir: string): Disposable {
  const locking = lockFile(join(dir, "demo.lock"));
  if ("lock" in locking) return locking.lock;
  throw new CliError(
    "busy",
    `cannot start a demo in ${dir}: process ${locking.holder.pid} runs one there; stop it, or give --dir and --ports of your own`,
  );
}
