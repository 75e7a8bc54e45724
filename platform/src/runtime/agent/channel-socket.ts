/**
 * The socket of a machine's channel. All channels read into one and the same buffer: what it holds is the receiver's only until it returns, so that a
 * flood costs no memory by itself.
 */
import { connect, type Socket } from 'node:net';

const readBytes = 256 * 1024;
let shared: Buffer | undefined;

export class ChannelSocket {
  readonly socket: Socket;
  /** Takes what comes; the bytes are valid during the call. */
  receive: (data: Buffer) => void;

  constructor(path: string, receive: (data: Buffer) => void) {
    this.receive = receive;
    shared ??= Buffer.allocUnsafeSlow(readBytes);
    const callback = (count: number, buffer: Uint8Array) => {
      this.receive(Buffer.from(buffer.buffer, buffer.byteOffset, count));
      return true;
    };
    this.socket = connect({ path, onread: { buffer: shared, callback } });
  }
}
