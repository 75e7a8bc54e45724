/**
 * Where the API server hands a connection over: log, exec, attach and port-forward. By then the caller is authenticated and authorised,
 * the Pod and its container are known. The hook owns protocols (chunks, WebSocket, SPDY); this file only the hand-over.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { NodeGateway, PodKey } from '../node/gateway.ts';
import type { UserInfo } from './auth/user.ts';
import type { Stored } from './meta/object.ts';

export type StreamingCall = 'log' | 'exec' | 'attach' | 'portforward';

export interface StreamingRequest {
  call: StreamingCall;
  pod: PodKey;
  /** The Pod as it stands; frozen. */
  object: Stored;
  /** Named by the client, or the Pod's default. '' for portforward. */
  container: string;
  /** The options as the client put them (PodLogOptions, PodExecOptions, ...). */
  query: URLSearchParams;
  user: UserInfo;
  gateway: NodeGateway;
  request: IncomingMessage;
}

/** Errors thrown before anything was sent are answered as a Status by the caller. */
export interface StreamingHook {
  /** Sends the log as the answer's body; resolves when it has ended or the client has left. */
  log(call: StreamingRequest, response: ServerResponse): Promise<void>;
  /** Takes the connection over: answers the upgrade on `socket` and owns it from then on. */
  upgrade(call: StreamingRequest, socket: Duplex, head: Buffer): Promise<void>;
}
