// Everything that the HTTP API asks of the node, as one interface: main.ts hands it in, tests hand in their own.
// The API talks to actors through `router` only, and to history through the store's ports. Types and defaults only.
import type { CheckTypeItem } from '../actors/check/catalogue.ts';
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import type { LimitsDoc, NotificationDoc } from '../actors/resources.ts';
import type { TenantDocuments } from '../actors/tenant/documents.ts';
import type { ActorKey } from '../runtime/ids.ts';
import type { AskOptions, Message } from '../runtime/message.ts';
import type {
  Accounts,
  Clock,
  EventBus,
  History,
  Logger,
  Meter,
  ProbeLink,
  Random,
  Samples,
  StateStore,
  WorkerPool,
} from '../runtime/ports.ts';
import type { Health } from './advice.ts';
import type { FleetFindings } from './findings.ts';

/** Asks actors wherever they live. Rejects with `TocsinError` (RT_*). */
export interface ActorRouter {
  ask<Reply>(key: ActorKey, message: Message, options?: AskOptions): Promise<Reply>;
}

/** A monitoring zone as `/monitoring_zones` serves it. At least two `source_ips`: old clients look at both. */
export interface MonitoringZone {
  readonly id: string;
  readonly label: string;
  readonly country_code: string;
  readonly source_ips: readonly string[];
}

export interface NodeInfo {
  readonly id: string;
  readonly version: string;
  /** Base of absolute links, for example `https://watch.example`; null: the request's own host. No trailing slash. */
  readonly publicUrl: string | null;
}

/** One member as an operator sees it. */
export interface MemberInfo {
  readonly node: string;
  readonly incarnation: string;
  readonly address: string;
  readonly zone: string;
  readonly weight: number;
  readonly state: 'up' | 'draining';
  readonly is_self: boolean;
  /** By the failure detector of the node that answers. */
  readonly seen: 'self' | 'alive' | 'probed' | 'accused' | 'dead' | 'unknown';
  readonly silence_ms: number | null;
  /** What the member says of itself; null: it did not answer. */
  readonly mode: string | null;
  readonly shards_held: number | null;
  readonly actors: number | null;
  readonly view_version: number | null;
  readonly shards_mapped: number;
}

export interface ClusterInfo {
  /** null: a node alone. */
  readonly cluster: string | null;
  readonly answered_by: string;
  readonly mode: string;
  readonly view_version: number;
  readonly members: readonly MemberInfo[];
  readonly unreachable: readonly string[];
}

/** Certificate and key of the listener, PEM. */
export interface TlsSettings {
  readonly cert: Buffer | string;
  readonly key: Buffer | string;
}

/** A file of the page, by its path (`/` is the page itself, then `/page.js` …). */
export interface WebFile {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** Bounds of the API of one node; `defaultApiLimits` has the defaults. */
export interface ApiLimits {
  readonly bodyBytesMax: number;
  readonly urlBytesMax: number;
  readonly headerBytesMax: number;
  /** Open sockets of the node, and of one address. */
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** Live streams of the node, and of one tenant. */
  readonly streamsMax: number;
  readonly streamsPerTenantMax: number;
  /** A stream's client that has more bytes than this waiting is cut off; it resumes. */
  readonly streamQueueBytesMax: number;
  /** Test checks under way on this node. */
  readonly testChecksMax: number;
  /** Actors asked at the same time by one list request. */
  readonly listConcurrency: number;
  /** Entities that one request may look through where it filters by `uri` or `agentId`. */
  readonly scanEntitiesMax: number;
  /** How long a token of a log-in lasts, ms. */
  readonly tokenLifeMs: number;
  /** Failed log-ins of one user from one address, and of one address, in `loginWindowMs`. */
  readonly loginFailuresPerUser: number;
  readonly loginFailuresPerAddress: number;
  readonly loginWindowMs: number;
  /** Requests with an unknown token from one address in `loginWindowMs`. */
  readonly tokenFailuresPerAddress: number;
}

export const defaultApiLimits: ApiLimits = {
  bodyBytesMax: 256 * 1024,
  urlBytesMax: 8 * 1024,
  headerBytesMax: 16 * 1024,
  connectionsMax: 10_000,
  connectionsPerAddressMax: 2_000,
  streamsMax: 1_000,
  streamsPerTenantMax: 100,
  streamQueueBytesMax: 1024 * 1024,
  testChecksMax: 200,
  listConcurrency: 32,
  scanEntitiesMax: 10_000,
  tokenLifeMs: 24 * 3_600_000,
  loginFailuresPerUser: 10,
  loginFailuresPerAddress: 100,
  loginWindowMs: 5 * 60_000,
  tokenFailuresPerAddress: 3_000,
};

export interface ApiPorts {
  readonly router: ActorRouter;
  /**
   * The node's copy of a tenant's documents; null: no such tenant. `fresh`: read again, for a token that the copy lacks.
   * Rejects where neither a copy nor the store is there.
   */
  documents(
    tenant: string,
    options?: { readonly fresh?: boolean },
  ): Promise<TenantDocuments | null>;
  readonly history: History;
  readonly accounts: Accounts;
  readonly states: Pick<StateStore, 'listEntities'>;
  readonly samples: Pick<Samples, 'readTicks'>;
  readonly events: Pick<EventBus, 'subscribe'>;
  readonly probe: ProbeLink<ProbeRequest, ProbeAnswer>;
  /** Sends a test notification once, through the guarded path of all notifications. Never rejects for a receiver's fault. */
  testNotification(
    notification: NotificationDoc,
    documents: TenantDocuments,
  ): Promise<{ readonly status: 'success' | 'error'; readonly message: string }>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  /** The node's metrics in the Prometheus text format. */
  metricsText(): Promise<{ readonly type: string; readonly text: string }>;
  /** Check types that the installation can run, as `/check_types` lists them. */
  readonly checkTypes: readonly CheckTypeItem[];
  /** Zones of the installation, in the order to show. */
  zones(): readonly MonitoringZone[];
  readonly node: NodeInfo;
  health(): Health;
  /** What is wrong or set unwisely on any node, for `tocsin doctor`; names those that do not answer within a second. */
  findings(): Promise<FleetFindings>;
  /** The cluster as this node sees it; asks every member, names those that do not answer within a second. */
  cluster(): Promise<ClusterInfo>;
  /** Limits that a new tenant gets (`tenantLimits` of api/tenant-limits.ts). */
  readonly tenantLimits: LimitsDoc;
  readonly limits: ApiLimits;
  /** null: plain HTTP. */
  readonly tls: TlsSettings | null;
  /** The page's files by path; empty: no page. */
  readonly web: ReadonlyMap<string, WebFile>;
  /** Heavy test-alarm calls go here; null: all run inline. */
  readonly workers: WorkerPool | null;
}
