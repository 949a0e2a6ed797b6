// What a handler answers with, as data; respond.ts puts it on the wire.
// Created and updated objects are named by `Location` and `X-Object-ID`: old clients read nothing else.
import type { ServerResponse } from 'node:http';

export type Answer =
  | {
      readonly kind: 'json';
      readonly status: number;
      readonly body: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'empty';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'bytes';
      readonly status: number;
      readonly type: string;
      readonly bytes: Uint8Array;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The handler writes the body itself, after the head; `headers` come from respond.ts and the handler. */
  | {
      readonly kind: 'stream';
      readonly type: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly open: (raw: ServerResponse) => void;
    };

/** 200 with a JSON body. */
export function ok(body: unknown): Answer {
  return { kind: 'json', status: 200, body };
}

/** 201 or 204 without a body, naming the object. `location` is absolute. */
export function named(status: 201 | 204, id: string, location: string): Answer {
  return { kind: 'empty', status, headers: { Location: location, 'X-Object-ID': id } };
}

/** 204 of a delete. */
export function gone(): Answer {
  return { kind: 'empty', status: 204 };
}
