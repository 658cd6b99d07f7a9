import { frame } from "../../store/format/codec.ts";

/** Messages that no reader takes, of every kind there is; `batch`: one that the log holds already. */
export function garbageLike(batch: Uint8Array): readonly (readonly [what: string, message: Uint8Array])[] {
  const changed = (at: number, value: number) => {
    const copy = Buffer.from(batch);
    copy[at] = value;
    return copy;
  };
  return [
    ["text", new TextEncoder().encode("garbage")],
    ["nothing", new Uint8Array(0)],
    ["a batch with another checksum", changed(7, batch[7]! ^ 0xff)],
    ["a batch whose body was damaged", changed(batch.length - 1, batch.at(-1)! ^ 0xff)],
    ["a batch with an unknown codec", changed(3, 77)],
    ["a batch of a newer version", changed(2, 200)],
    ["a batch that was cut off", batch.subarray(0, batch.length - 3)],
    ["a whole batch that is no protobuf", frame(new Uint8Array(40).fill(0xff), "none")],
    ["a second copy of a batch", batch],
  ];
}
