// What every node is made of, alone or among others: clock, meter, timers, notifier, documents, workers, behaviours, probers.
// Names adapters; main.ts starts and stops them.
import { availableParallelism, totalmem } from 'node:os';
import { extname } from 'node:path';
import { entityBehaviour } from '../actors/entity/entity.ts';
import { createNotifier } from '../actors/notify/notifier.ts';
import type { TenantDocuments } from '../actors/tenant/documents.ts';
import { tenantBehaviour } from '../actors/tenant/tenant.ts';
import { tenantLimits } from '../api/tenant-limits.ts';
import type { Config } from '../config/schema.ts';
import { smtpSettings } from '../config/smtp.ts';
import { createEgress } from '../prober/egress/dial.ts';
import { type ZoneProbers, zoneProbers } from '../prober/zones.ts';
import type { AnyBehaviour } from '../runtime/behaviour.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { DocumentsCache } from '../runtime/documents.ts';
import { type ActorKey, entityOf } from '../runtime/ids.ts';
import { wheelLimits } from '../runtime/limits.ts';
import { createMeter } from '../runtime/meter.ts';
import type { Logger } from '../runtime/ports.ts';
import { timerWheel } from '../runtime/timers.ts';
import { workerPool } from '../runtime/workers.ts';

export const version = '0.1.0';
/** Name of the cluster that a node alone is. */
const aloneName = 'tocsin';
/** Check types that a local prober runs. */
export const supportedTypes: ReadonlySet<string> = new Set([
  'remote.http',
  'remote.tcp',
  'remote.ping',
  'remote.dns',
]);

/** Everything that a node of one process shares. */
export function parts(config: Config, logger: Logger) {
  const clock = systemClock();
  const random = systemRandom();
  const meter = createMeter({ processMetrics: true });
  const timers = timerWheel({
    clock,
    meter,
    gatherMs: wheelLimits.gatherMs,
    onPause: (lateMs) => logger.warn('loop_paused', { lateMs: Math.round(lateMs) }),
  });
  const selfAddress = { host: config.listenHost, port: config.listenPort };
  const egressRules = {
    preset: config.egress,
    allow: config.egressAllow,
    deny: config.egressDeny,
    self: selfAddress,
  };
  const documents = new DocumentsCache({ meter });
  const notifier = createNotifier({
    egress: createEgress(egressRules),
    smtp: smtpSettings(config),
    logger,
    newest: (tenant, id) => {
      const copy = documents.get(tenant)?.documents as TenantDocuments | undefined;
      return copy?.notifications.get(id) ?? null;
    },
  });
  const machine = { cores: availableParallelism(), memoryBytes: totalmem() };
  const limits = tenantLimits(config.limits, machine, config.maxEntities);
  const workers = workerPool({
    filename: new URL(`../actors/criteria/worker-entry${extname(import.meta.url)}`, import.meta.url)
      .href,
  });
  return {
    config,
    logger,
    clock,
    random,
    meter,
    timers,
    selfAddress,
    notifier,
    documents,
    limits,
    workers,
  };
}

export type Parts = ReturnType<typeof parts>;

/** Returns the behaviour of each kind of key: `tenant/entity` or `tenant`. */
export function behavioursOf(of: Parts): (key: ActorKey) => AnyBehaviour {
  const entity = entityBehaviour({
    zones: of.config.zones.map((id) => ({ id })),
    minPeriodMs: of.config.minPeriodMs,
    supportedTypes,
    channelTypes: new Set(['webhook', 'email', 'technicalContactsEmail', 'pagerduty', 'victorops']),
    qualifiedNames: of.config.egress === 'public',
    clusterName: of.config.cluster?.name ?? aloneName,
    nodeName: of.config.node,
  });
  const tenant = tenantBehaviour({ limits: of.limits });
  return (key) => (entityOf(key) === null ? tenant : entity);
}

/** The prober processes of this node's zones. */
export function probersOf(
  { config, logger, clock, selfAddress }: Parts,
  searchPath: string | undefined,
): ZoneProbers {
  return zoneProbers({
    zones: config.zones,
    egress: config.egress,
    deny: config.egressDeny,
    allow: config.egressAllow,
    anchors: config.anchors,
    selfAddress,
    environment: { PATH: searchPath ?? '/usr/bin:/bin', TZ: 'UTC' },
    nowMs: () => clock.nowMs(),
    onLog: (event, fields) => logger.info(event, fields),
  });
}
