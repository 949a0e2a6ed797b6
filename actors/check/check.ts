// A check's attributes: validation of create and partial update, defaults, and the target that a check is run against
// (api.md §§5, 9.4). Must not know slots, zones' state or alarms.
import { accepted, invalid, type Outcome, requiredMissing } from '../refusal.ts';
import type { CheckDoc, EntityDoc } from '../resources.ts';
import { parseUrl } from '../url.ts';
import {
  type Attributes,
  array,
  boolean,
  hash,
  hostname,
  integer,
  isHostname,
  isIp,
  oneOf,
  type Schema,
  string,
  validateAttributes,
} from '../validate.ts';
import { checkTypes } from './catalogue.ts';
import { detailsRule } from './details.ts';
import type { IpFamily } from './types.ts';

/** What the installation allows. */
export interface CheckRules {
  /** Ids of the monitoring zones that exist. */
  readonly zones: ReadonlySet<string>;
  /** Shortest period, ms: 1,000..30,000. */
  readonly minPeriodMs: number;
  /** Types that its probers can run. */
  readonly supportedTypes: ReadonlySet<string>;
  /** True: host names need a dot. */
  readonly qualifiedNames: boolean;
}

/** A check without what the server sets. */
export type CheckAttributes = Omit<CheckDoc, 'id' | 'created_at' | 'updated_at'>;

const periodMaxS = 1800;
const zonesMax = 64;
const metadata = hash({ k: [1, 255], max: 256 });

function schemaOf(rules: CheckRules): Schema {
  const minPeriodS = Math.max(1, Math.ceil(rules.minPeriodMs / 1000));
  const ids = checkTypes.map((type) => type.id);
  return {
    type: { rule: oneOf(...ids), required: true, immutable: true },
    label: { rule: string(1, 255) },
    monitoring_zones_poll: {
      rule: array(string(1, 64), { unique: true, min: 1, max: zonesMax }),
      required: true,
    },
    period: { rule: integer(minPeriodS, periodMaxS), default: Math.max(60, minPeriodS) },
    timeout: { rule: integer(1, periodMaxS) },
    target_alias: { rule: string(1, 64) },
    target_hostname: { rule: hostname({ qualified: rules.qualifiedNames }) },
    target_resolver: { rule: oneOf('IPv4', 'IPv6') },
    disabled: { rule: boolean, default: false },
    metadata: { rule: metadata },
  };
}

/**
 * Returns a new check's attributes, defaults filled in, or the refusal: `badRequest` naming the key, or
 * `requiredNotFoundError` for an unknown monitoring zone.
 */
export function createCheck(
  attributes: Attributes,
  entity: EntityDoc,
  rules: CheckRules,
): Outcome<CheckAttributes> {
  const valid = validateAttributes(schemaOf(rules), attributes, 'create');
  if (!valid.ok) return valid;
  return complete(valid.value, attributes, { entity, rules, current: null });
}

/** Returns the check's attributes after a partial update; refusals as `createCheck`. */
export function updateCheck(
  current: CheckDoc,
  attributes: Attributes,
  entity: EntityDoc,
  rules: CheckRules,
): Outcome<CheckAttributes> {
  const { id: _id, created_at: _created, updated_at: _updated, ...kept } = current;
  const valid = validateAttributes(schemaOf(rules), attributes, 'update', kept);
  if (!valid.ok) return valid;
  return complete(valid.value, attributes, { entity, rules, current });
}

interface Circumstances {
  readonly entity: EntityDoc;
  readonly rules: CheckRules;
  readonly current: CheckDoc | null;
}

function complete(
  merged: Record<string, unknown>,
  given: Attributes,
  around: Circumstances,
): Outcome<CheckAttributes> {
  const type = merged['type'] as string;
  if (!around.rules.supportedTypes.has(type) && around.current === null) {
    return invalid('type', `No prober of this installation can run checks of type '${type}'`);
  }
  const details = detailsOf(type, given, around.current);
  if (!details.ok) return details;
  const zones = zonesOf(merged['monitoring_zones_poll'] as readonly string[], around);
  if (!zones.ok) return zones;
  const timeout = timeoutOf(merged, around);
  if (!timeout.ok) return timeout;
  const target = targetOf({ ...merged, details: details.value }, given, around);
  if (!target.ok) return target;
  return accepted({
    type,
    label: merged['label'] as string | null,
    details: details.value,
    monitoring_zones_poll: zones.value,
    period: merged['period'] as number,
    timeout: timeout.value,
    ...target.value,
    disabled: merged['disabled'] as boolean,
    metadata: merged['metadata'] as CheckDoc['metadata'],
  });
}

function detailsOf(
  type: string,
  given: Attributes,
  current: CheckDoc | null,
): Outcome<CheckDoc['details']> {
  if (given['details'] === undefined && current !== null) return accepted(current.details);
  const schema = { details: { rule: detailsRule(type), required: true } };
  const details = given['details'] ?? {};
  const valid = validateAttributes(schema, { details }, 'create');
  return valid.ok ? accepted(valid.value['details'] as CheckDoc['details']) : valid;
}

function zonesOf(zones: readonly string[], around: Circumstances): Outcome<readonly string[]> {
  const before = around.current?.monitoring_zones_poll ?? [];
  const unknown = zones.find((zone) => !around.rules.zones.has(zone) && !before.includes(zone));
  return unknown === undefined ? accepted(zones) : requiredMissing('MonitoringZone', unknown);
}

function timeoutOf(merged: Attributes, around: Circumstances): Outcome<number> {
  const period = merged['period'] as number;
  const max = Math.max(1, period - 1);
  const min = around.rules.minPeriodMs < 3000 && period <= 3 ? 1 : Math.min(2, max);
  const timeout = (merged['timeout'] as number | null) ?? Math.min(30, max);
  return timeout < min || timeout > max
    ? invalid('timeout', `Value out of range (${min}..${max})`)
    : accepted(timeout);
}

type Target = Pick<CheckDoc, 'target_alias' | 'target_hostname' | 'target_resolver'>;

function targetOf(merged: Attributes, given: Attributes, around: Circumstances): Outcome<Target> {
  const alias = aliasOf(merged, given);
  const named = alias === null ? hostnameOf(merged, given, around.current) : givenHostname(given);
  if (alias !== null && named !== null) {
    return invalid('target_hostname', 'Only one of target_alias and target_hostname can be set');
  }
  if (alias !== null) {
    return Object.hasOwn(around.entity.ip_addresses ?? {}, alias)
      ? accepted({ target_alias: alias, target_hostname: null, target_resolver: null })
      : invalid('target_alias', `Key ${alias} is not in the entity's ip_addresses`);
  }
  if (named === null) {
    return invalid('target_hostname', 'Missing required key (target_alias or target_hostname)');
  }
  const resolver = (merged['target_resolver'] as IpFamily | null) ?? 'IPv4';
  return accepted({
    target_alias: null,
    target_hostname: named,
    target_resolver: isIp(named) ? null : resolver,
  });
}

function aliasOf(merged: Attributes, given: Attributes): string | null {
  const switched = givenHostname(given) !== null && (given['target_alias'] ?? null) === null;
  return switched ? null : (merged['target_alias'] as string | null);
}

function givenHostname(given: Attributes): string | null {
  return (given['target_hostname'] as string | null | undefined) ?? null;
}

/** The host name set, or for remote.http the URL's host where none is set or the one set came from the former URL. */
function hostnameOf(
  merged: Attributes,
  given: Attributes,
  current: CheckDoc | null,
): string | null {
  const kept = merged['target_hostname'] as string | null;
  if (merged['type'] !== 'remote.http') return kept;
  const host = hostOf(merged['details'] as CheckDoc['details']);
  const derived =
    current !== null &&
    givenHostname(given) === null &&
    current.target_hostname === hostOf(current.details);
  return kept === null || derived ? host : kept;
}

/** Returns the host of a `details.url` without the brackets of IPv6, or null where it is none. */
function hostOf(details: CheckDoc['details']): string | null {
  const text = details['url'];
  const url = typeof text === 'string' ? parseUrl(text) : null;
  if (url === null) return null;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return isIp(host) || isHostname(host) ? host : null;
}

/** Returns the host name or address to probe, or null where the alias is gone from the entity. */
export function probeTarget(check: CheckDoc, entity: EntityDoc): string | null {
  if (check.target_alias === null) return check.target_hostname;
  return entity.ip_addresses?.[check.target_alias] ?? null;
}
