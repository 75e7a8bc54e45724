/** etcd's messages as @grpc/proto-loader hands them over (etcd.proto): 64-bit numbers as numbers, defaults filled in on answers. */

export interface Header {
  revision: number;
}

export interface KeyValue {
  key: Buffer;
  create_revision: number;
  mod_revision: number;
  value: Buffer;
}

export interface RangeRequest {
  key: Uint8Array;
  /** Absent: the one key. A single zero byte: to the end of all keys. */
  range_end?: Uint8Array;
  limit?: number;
  revision?: number;
  keys_only?: boolean;
  count_only?: boolean;
}

export interface RangeResponse {
  header: Header;
  kvs: KeyValue[];
  count: number;
}

export type RequestOp =
  | { request_range: RangeRequest }
  | { request_put: { key: Uint8Array; value: Uint8Array } }
  | { request_delete_range: { key: Uint8Array } };

export interface TxnRequest {
  compare: { result: 'EQUAL'; target: 'MOD'; key: Uint8Array; mod_revision: number }[];
  success: RequestOp[];
  failure: RequestOp[];
}

export interface TxnResponse {
  header: Header;
  succeeded: boolean;
  responses: { response_range?: RangeResponse }[];
}

export interface WatchRequest {
  create_request: {
    key: Uint8Array;
    range_end: Uint8Array;
    start_revision: number;
    progress_notify: boolean;
    prev_kv: boolean;
    fragment: boolean;
  };
}

export interface Event {
  type: 'PUT' | 'DELETE';
  kv: KeyValue;
  /** Absent when the key was created, and when history no longer holds the value before. */
  prev_kv: KeyValue | null;
}

export interface WatchResponse {
  header: Header;
  created: boolean;
  canceled: boolean;
  compact_revision: number;
  cancel_reason: string;
  fragment: boolean;
  events: Event[];
}
