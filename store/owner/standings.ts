/** Who waits to hear where a shard stands, from the process that owns it. */
export interface StandOptions {
  /** True: asked as the owner, who claims the shard where nobody has it. */
  readonly final: boolean;
  /** By performance.now(): later it is told nothing. */
  readonly deadline: number;
}

export interface Standings {
  size(): number;
  /** True: somebody waits who asked as of the owner. */
  final(): boolean;
  wait(options: StandOptions): Promise<number | undefined>;
  /** Answers all: the sequence of the shard's last batch, or undefined where this process cannot say. */
  tell(last: number | undefined): void;
  /** Ends the waiting of those who waited too long. */
  sweep(now: number): void;
}

export function createStandings(): Standings {
  let waiting: (StandOptions & { readonly tell: (last: number | undefined) => void })[] = [];
  return {
    size: () => waiting.length,
    final: () => waiting.some((one) => one.final),
    wait: (options) =>
      new Promise((tell) => {
        waiting.push({ ...options, tell });
      }),
    tell(last) {
      for (const one of waiting.splice(0)) one.tell(last);
    },
    sweep(now) {
      const late = waiting.filter(({ deadline }) => deadline < now);
      waiting = waiting.filter(({ deadline }) => deadline >= now);
      for (const one of late) one.tell(undefined);
    },
  };
}
