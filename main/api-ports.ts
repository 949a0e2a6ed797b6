// The ports of the API over the parts of a node. Names no adapter of its own.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkTypes } from '../actors/check/catalogue.ts';
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import type { TenantDocuments } from '../actors/tenant/documents.ts';
import type { Health } from '../api/advice.ts';
import type { FleetFindings } from '../api/findings.ts';
import { type ApiPorts, type ClusterInfo, defaultApiLimits } from '../api/ports.ts';
import { readWebFiles } from '../api/web-files.ts';
import { localZones } from '../api/zones.ts';
import type { ProbeLink, Store } from '../runtime/ports.ts';
import type { Actors } from './actors.ts';
import { type Parts, supportedTypes, version } from './parts.ts';

/** Returns what the API asks of the node. */
export function apiPortsOf(
  of: Parts,
  actors: Actors,
  world: {
    store: Store;
    probes: ProbeLink<ProbeRequest, ProbeAnswer>;
    health: () => Health;
    findings: () => Promise<FleetFindings>;
    cluster: () => Promise<ClusterInfo>;
  },
): ApiPorts {
  const { config, clock, random, logger, meter, notifier, limits, workers } = of;
  const { store } = world;
  const hexId = () => Buffer.from(random.bytes(16)).toString('hex');
  return {
    router: actors.router,
    documents: async (tenant, options) =>
      (await actors.copies.read(tenant, options?.fresh)) as TenantDocuments | null,
    history: store.history,
    accounts: store.accounts,
    states: store.states,
    samples: store.samples,
    events: actors.host.events,
    probe: world.probes,
    testNotification: (notification, copy) =>
      notifier.deliverTest(
        {
          tenant: copy.tenant,
          account: copy.account,
          notification,
          id: hexId(),
          txnId: `test-${hexId()}`,
          atMs: clock.nowMs(),
        },
        AbortSignal.timeout(20_000),
      ),
    clock,
    random,
    logger,
    meter,
    metricsText: async () => ({ type: meter.contentType, text: await meter.text() }),
    zones: () => localZones(config.zones, config.node),
    node: { id: config.node, version, publicUrl: null },
    health: world.health,
    findings: world.findings,
    cluster: world.cluster,
    tenantLimits: limits,
    limits: defaultApiLimits,
    checkTypes: checkTypes.filter((type) => supportedTypes.has(type.id)),
    tls:
      config.tls === null
        ? null
        : { cert: readFileSync(config.tls.certFile), key: readFileSync(config.tls.keyFile) },
    web: readWebFiles(
      join(fileURLToPath(new URL('..', import.meta.url)).replace(/dist\/$/, ''), 'web'),
    ),
    workers,
  };
}
