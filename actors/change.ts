// Who changes what and why: what a configuration message carries besides the body, for audit and for retried writes.

/** Travels with every create, update and delete. */
export interface Change {
  /** Request id, `.rh-…`; stands in the audit and in `X-Response-Id`. */
  readonly txnId: string;
  readonly who: string | null;
  readonly why: string | null;
  /** `Idempotency-Key` of the request, or null. */
  readonly idempotencyKey: string | null;
  /** sha256 of method, path and body: the same key with another request is refused. */
  readonly requestHash: string;
  /** Recorded in the audit; secrets redacted by the API layer. */
  readonly audit: {
    readonly method: string;
    readonly url: string;
    readonly app: string;
    readonly query: Readonly<Record<string, string>> | null;
    readonly headers: Readonly<Record<string, string>>;
    readonly payload: string;
  };
}

/** Outcome of a create: the API answers 201 with `Location` and `X-Object-ID`. */
export interface Created {
  readonly id: string;
}
