// Times of a scenario as its transcript writes them: `30s`, `5m`, `+1h30m`, `500ms` in, `1:30` and `2:00:05.5` out.
// Must not know clocks.

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Returns a length in ms; negative with a leading minus. Throws for another text. */
export function durationMs(text: string): number {
  const parts = text.match(/^([+-]?)((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)$/);
  if (parts === null) throw new Error(`not a duration: ${text}`);
  let ms = 0;
  for (const [, number, unit] of (parts[2] ?? '').matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    ms += Number(number) * (unitMs[unit ?? ''] ?? 0);
  }
  return parts[1] === '-' ? -ms : ms;
}

/** Returns an instant relative to the scenario's start, to a tenth of a second: `0:30`, `1:02:03.5`, `-0:10`. */
export function instantText(ms: number): string {
  const tenths = Math.round(Math.abs(ms) / 100);
  const seconds = Math.floor(tenths / 10);
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600);
  const head = hours > 0 ? `${hours}:${two(minutes)}` : String(minutes);
  const fraction = tenths % 10 === 0 ? '' : `.${tenths % 10}`;
  return `${ms < 0 && tenths > 0 ? '-' : ''}${head}:${two(seconds % 60)}${fraction}`;
}
