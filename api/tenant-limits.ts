// Limits of a new tenant: the numbers of Cloud Monitoring v1.0 (`contract`), or generous ones by the machine's size (`open`).
// Pure: the machine is described by the caller.
import type { LimitsDoc } from '../actors/resources.ts';

/** Agreed numbers of v1.0; entities have no documented cap. */
const contract: LimitsDoc = {
  checks: 1_000,
  alarms: 10_000,
  entities: 100_000,
  rate: {
    global: 50_000,
    test_check: 500,
    test_alarm: 500,
    test_notification: 200,
    traceroute: 300,
  },
};

/**
 * Returns the limits of a new tenant. `open`: 25,000 checks for each core and each GiB of memory, whichever is less
 * (a core runs 5,000 checks every 10 s in 29 % of itself; an entity with a check is 2 kB), at least 25,000.
 */
export function tenantLimits(
  mode: 'open' | 'contract',
  machine: { readonly cores: number; readonly memoryBytes: number },
  maxEntities: number | null = null,
): LimitsDoc {
  const limits = mode === 'contract' ? contract : openLimits(machine);
  return maxEntities === null ? limits : { ...limits, entities: maxEntities };
}

function openLimits(machine: { readonly cores: number; readonly memoryBytes: number }): LimitsDoc {
  const units = Math.max(1, Math.min(machine.cores, Math.floor(machine.memoryBytes / 2 ** 30)));
  const checks = 25_000 * units;
  return {
    checks,
    alarms: checks * 10,
    entities: checks * 4,
    rate: {
      global: 100_000_000,
      test_check: 100_000,
      test_alarm: 100_000,
      test_notification: 10_000,
      traceroute: 10_000,
    },
  };
}
