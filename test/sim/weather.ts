// What the faults under way do to the store and to the outside. Must not know when they come or go.
import { receiverUrl, zoneNames } from './client.ts';
import type { Fault } from './plan.ts';
import type { StoreWeather } from './store.ts';
import type { Outside } from './targets.ts';
import type { Happening } from './trace.ts';

/** Returns how the trace tells that a fault struck at `now`. */
export function happeningOf(fault: Fault, now: number): Happening {
  const untilT = 'ms' in fault ? now + fault.ms : now;
  const what = 'point' in fault ? fault.point : 'mode' in fault ? fault.mode : '';
  return { kind: 'fault', fault: fault.kind, what, untilT };
}

/** Makes the store as unwell as the faults under way say. */
export function setStoreWeather(weather: StoreWeather, active: readonly Fault[]): void {
  weather.isOut = active.some((one) => one.kind === 'outage');
  weather.projectionsOut = active.some((one) => one.kind === 'projectionsOut');
  weather.slowFactor = 1;
  weather.unknownChance = 0;
  for (const one of active) {
    if (one.kind === 'storeSlow') weather.slowFactor = one.factor;
    else if (one.kind === 'storeUnknown') weather.unknownChance = one.chance;
  }
}

/** As `setStoreWeather`, for receivers and probers. */
export function setOutside(outside: Outside, active: readonly Fault[]): void {
  outside.probers.clear();
  outside.receivers.clear();
  for (const one of active) {
    if (one.kind === 'receiver') outside.receivers.set(receiverUrl(one.receiver), one.mode);
    else if (one.kind === 'prober') outside.probers.set(zoneNames[one.zone] ?? '', one.mode);
  }
}
