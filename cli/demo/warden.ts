import { type ChildProcess, spawn } from "node:child_process";

/**
 * Ends the demo's processes when the demo itself was killed (SIGKILL, out of memory) and cannot: a shell of one megabyte
 * that waits on a pipe for the demo's end, and then reads from `pidFile` who was running. The file is written before any
 * of it is told to anybody, and empty after an orderly end. The pids were the demo's children until it died, so none of
 * them can have been given to another process.
 */
const script = `
while IFS= read -r line; do :; done
pids=
while read -r pid started; do pids="$pids $pid"; done < "$1"
[ -n "$pids" ] || exit 0
kill -TERM $pids 2>/dev/null
tries=0
while [ $tries -lt 50 ]; do
  alive=
  for pid in $pids; do kill -0 "$pid" 2>/dev/null && alive=1; done
  [ -n "$alive" ] || exit 0
  sleep 0.1
  tries=$((tries + 1))
done
kill -KILL $pids 2>/dev/null
`;

/** Disposing lets the shell go: what it does then depends on the file alone. */
export function startWarden(pidFile: string): Disposable {
  let closed = false;
  let child = launch();

  function launch(): ChildProcess {
    const shell = spawn("/bin/sh", ["-c", script, "meridian-warden", pidFile], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    shell.stdin?.on("error", () => {}); // one that was killed is replaced
    shell.once("error", () => {}); // no shell: the next start of the demo reaps instead
    shell.once("exit", () => {
      if (!closed) child = launch();
    });
    shell.unref();
    return shell;
  }

  return {
    [Symbol.dispose]() {
      closed = true;
      child.stdin?.end();
    },
  };
}
