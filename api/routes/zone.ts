// Monitoring zones: the installation's, read-only. Private zones and traceroute are not built yet.
import { type Answer, ok } from '../answer.ts';
import { type Call, param } from '../call.ts';
import { notFound } from '../errors.ts';
import { listOf, object, pageQuery, text, texts } from '../json-schema.ts';
import { pageOf } from '../page.ts';
import type { Route } from '../route.ts';
import type { Method } from '../route-facts.ts';
import { notBuilt } from '../unbuilt.ts';
import { change, read, test } from './define.ts';

const schema = object({ id: text, label: text, country_code: text, source_ips: texts });
const tag = 'monitoring zones';
const privateZones = notBuilt('Private zones');

function privateZone(method: Exclude<Method, 'GET'>, path: string, id: string): Route {
  return change(method, {
    path,
    id,
    tag,
    summary: 'Private zones (not built yet)',
    role: method === 'POST' ? 'create' : 'admin',
    status: method === 'POST' ? 201 : 204,
    audit: 'api',
    ...(method === 'DELETE' ? {} : { takes: object({ label: text }) }),
    handle: privateZones,
  });
}

export const zoneRoutes: readonly Route[] = [
  read({
    path: '/monitoring_zones',
    id: 'listMonitoringZones',
    tag,
    summary: 'List monitoring zones',
    role: 'read',
    query: pageQuery,
    returns: listOf(schema),
    handle: async (call) => pageOf(call, call.ports.zones(), (zone) => zone.id),
  }),
  read({
    path: '/monitoring_zones/:zone',
    id: 'getMonitoringZone',
    tag,
    summary: 'Read a monitoring zone',
    role: 'read',
    returns: schema,
    handle: zone,
  }),
  test({
    path: '/monitoring_zones/:zone/traceroute',
    id: 'traceroute',
    tag,
    summary: 'Traceroute from a zone (not built yet)',
    takes: object({ target: text, target_resolver: text }),
    rate: 'traceroute',
    returns: object({}),
    handle: notBuilt('Traceroutes'),
  }),
  privateZone('POST', '/monitoring_zones', 'createPrivateZone'),
  privateZone('PUT', '/monitoring_zones/:zone', 'updatePrivateZone'),
  privateZone('DELETE', '/monitoring_zones/:zone', 'deletePrivateZone'),
  privateZone('PUT', '/private_monitoring_zones/:zone', 'updatePrivateZoneAlias'),
  privateZone('DELETE', '/private_monitoring_zones/:zone', 'deletePrivateZoneAlias'),
  read({
    path: '/private_monitoring_zones/:zone',
    id: 'getPrivateZone',
    tag,
    summary: 'Read a private zone: there are none yet',
    role: 'read',
    returns: schema,
    handle: async (call) => {
      throw notFound('MonitoringZone', param(call, 'zone').slice(0, 80));
    },
  }),
];

async function zone(call: Call): Promise<Answer> {
  const id = param(call, 'zone');
  const found = call.ports.zones().find((one) => one.id === id);
  if (found === undefined) throw notFound('MonitoringZone', id.slice(0, 80));
  return ok(found);
}
