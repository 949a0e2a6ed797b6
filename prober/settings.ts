// The prober's settings: names of its environment variables, both directions. Pure. The node's own settings are
// config/'s; a prober sees only these, and no secret is among them.

/** What a prober process is started with. */
export interface ProberSettings {
  readonly zone: string;
  readonly egress: 'local' | 'public';
  readonly deny: readonly string[];
  readonly allow: readonly string[];
  readonly anchors: readonly string[];
  /** The node's own API. */
  readonly self: { readonly host: string; readonly port: number } | null;
  readonly attemptsMax: number | null;
  readonly queueLengthMax: number | null;
  readonly userAgent: string;
  readonly icmpFd4: number | null;
  readonly icmpFd6: number | null;
}

/** A setting cannot be read: the process ends with exit code 64. */
export class ProberSettingsError extends Error {
  override readonly name = 'ProberSettingsError';
}

/** Sent by HTTP probes unless the settings say otherwise; operators of public zones add an abuse address. */
export const defaultUserAgent = 'Tocsin/1.0 (monitoring probe)';

type Environment = Readonly<Record<string, string | undefined>>;

const list = (text: string | undefined): string[] =>
  (text ?? '').split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]));

function number(environment: Environment, name: string): number | null {
  const text = environment[name];
  if (text === undefined || text === '') return null;
  if (!/^\d{1,7}$/.test(text)) throw new ProberSettingsError(`${name}: not a whole number`);
  return Number(text);
}

/** Returns `host:port` or `[host]:port` as its parts; throws `ProberSettingsError`. */
function hostAndPort(text: string, name: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new ProberSettingsError(`${name}: not host:port`);
  return { host, port: Number(match?.[3]) };
}

/** Returns the settings of an environment; throws `ProberSettingsError` naming the variable. */
export function readSettings(environment: Environment): ProberSettings {
  const egress = environment['TOCSIN_PROBER_EGRESS'] ?? 'public';
  if (egress !== 'local' && egress !== 'public') {
    throw new ProberSettingsError('TOCSIN_PROBER_EGRESS: local or public');
  }
  const self = environment['TOCSIN_PROBER_SELF'] ?? '';
  return {
    zone: environment['TOCSIN_PROBER_ZONE'] ?? '',
    egress,
    deny: list(environment['TOCSIN_PROBER_DENY']),
    allow: list(environment['TOCSIN_PROBER_ALLOW']),
    anchors: list(environment['TOCSIN_PROBER_ANCHORS']),
    self: self === '' ? null : hostAndPort(self, 'TOCSIN_PROBER_SELF'),
    attemptsMax: number(environment, 'TOCSIN_PROBER_ATTEMPTS_MAX'),
    queueLengthMax: number(environment, 'TOCSIN_PROBER_QUEUE_MAX'),
    userAgent: environment['TOCSIN_PROBER_USER_AGENT'] ?? defaultUserAgent,
    icmpFd4: number(environment, 'ICMP_FD'),
    icmpFd6: number(environment, 'ICMP6_FD'),
  };
}

/** Returns the environment that `readSettings` reads back, without the descriptors. */
export function writeSettings(
  settings: Omit<ProberSettings, 'icmpFd4' | 'icmpFd6'>,
): Record<string, string> {
  const { self } = settings;
  const host = self?.host.includes(':') ? `[${self.host}]` : self?.host;
  return {
    TOCSIN_PROBER_ZONE: settings.zone,
    TOCSIN_PROBER_EGRESS: settings.egress,
    TOCSIN_PROBER_DENY: settings.deny.join(','),
    TOCSIN_PROBER_ALLOW: settings.allow.join(','),
    TOCSIN_PROBER_ANCHORS: settings.anchors.join(','),
    TOCSIN_PROBER_SELF: self === null ? '' : `${host}:${self.port}`,
    TOCSIN_PROBER_ATTEMPTS_MAX: String(settings.attemptsMax ?? ''),
    TOCSIN_PROBER_QUEUE_MAX: String(settings.queueLengthMax ?? ''),
    TOCSIN_PROBER_USER_AGENT: settings.userAgent,
  };
}
