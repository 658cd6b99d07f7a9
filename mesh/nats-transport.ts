import { NodeTransport } from "nats/lib/src/node_transport.js";

/**
 * Mends the client library's transport (nats 2.29.3, and the newer packages alike): one that is closed while it still connects
 * keeps its socket. A server that stood still greets it once it goes on, cuts it off later, for nobody has logged in on it,
 * and the library takes that for the loss of its connection: it makes another one beside the one that works, and reads
 * both as one stream of bytes, in which messages are torn.
 */
export function mendTransport(): void {
  if (mended) return;
  mended = true;
  const { close, connect } = NodeTransport.prototype;
  NodeTransport.prototype.close = async function (this: NodeTransport, error?: Error): Promise<void> {
    if (this.connected) return close.call(this, error);
    this.done = true;
    this.socket?.destroy();
  };
  NodeTransport.prototype.connect = async function (
    this: NodeTransport,
    ...to: Parameters<typeof connect>
  ): Promise<void> {
    await connect.apply(this, to);
    if (!this.done) return;
    this.connected = false;
    this.socket.removeAllListeners();
    this.socket.destroy();
    throw new Error("it was given up before it was connected");
  };
}

let mended = false;
