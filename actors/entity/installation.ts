// What an entity actor knows of the installation it runs in: fixed at start, the same for all entities.
import type { CheckRules } from '../check/check.ts';
import type { NotificationType } from '../resources.ts';

export interface EntityInstallation {
  readonly zones: readonly { readonly id: string }[];
  /** Shortest check period, ms: 1,000..30,000. */
  readonly minPeriodMs: number;
  /** Check types that the installation's probers can run. */
  readonly supportedTypes: ReadonlySet<string>;
  /** Types of notifications that it can deliver. */
  readonly channelTypes: ReadonlySet<NotificationType>;
  /** True: host names of targets need a dot. */
  readonly qualifiedNames: boolean;
  /** In notification ids: the same on all nodes, for ever. */
  readonly clusterName: string;
  readonly nodeName: string;
}

/** Returns what checks may be in this installation. */
export function checkRulesOf(installation: EntityInstallation): CheckRules {
  return {
    zones: new Set(installation.zones.map((zone) => zone.id)),
    minPeriodMs: installation.minPeriodMs,
    supportedTypes: installation.supportedTypes,
    qualifiedNames: installation.qualifiedNames,
  };
}
