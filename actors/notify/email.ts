// The channels `email` and `technicalContactsEmail`: mail through the operator's SMTP server, one recipient per message.
// The only importer of nodemailer; it gets address objects that passed a strict pattern, and the socket of the egress port,
// so it neither parses addresses nor resolves names (security.md §7). Must not know retries.
import type { Socket } from 'node:net';
import type { DeliveryResult } from '../../runtime/ports.ts';
import type { Attempt, Channel } from './channel.ts';
import type { Egress } from './egress.ts';
import { isMailAddress, isMailDomain } from './mail-address.ts';
import { emailSubject, emailText, oneLine } from './render.ts';

/** The operator's mail server. */
export interface SmtpSettings {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte (port 465). */
  readonly secure: boolean;
  /** Refuse to send where the server offers no STARTTLS. Default true. */
  readonly requireTls?: boolean;
  readonly user?: string;
  readonly password?: string;
  /** Sender: an ASCII address, or `Name <address>`. */
  readonly from: string;
  /** Name in EHLO. Default: the sender's domain. */
  readonly ehloName?: string;
  /** Certificates trusted for this server, PEM. */
  readonly ca?: string;
}

export interface EmailOptions {
  readonly egress: Egress;
  /** null: no mail server is configured. */
  readonly smtp: SmtpSettings | null;
  /** Whole attempt, for one recipient. */
  readonly timeoutMs: number;
}

interface Address {
  readonly name: string;
  readonly address: string;
}

const notConfigured =
  'No mail server is configured: set smtp.host and smtp.from in tocsin.yaml (or TOCSIN_SMTP_HOST, TOCSIN_SMTP_FROM)';

/** Returns the channel `email`: to the address of the notification's details. */
export function emailChannel(options: EmailOptions): Channel {
  return async (attempt) => {
    const address = attempt.body.notification.details['address'] ?? '';
    return send(options, attempt, address);
  };
}

/** Recipients remembered as served, so that a retry for one contact does not write to the others again. */
const servedMax = 10_000;

/** Returns the channel `technicalContactsEmail`: to each of the account's technical contacts. */
export function technicalContactsChannel(options: EmailOptions): Channel {
  const served = new Set<string>();
  return async (attempt) => {
    const contacts = [...new Set(attempt.body.technical_contacts)];
    if (contacts.length === 0) return noContacts;
    const failures: string[] = [];
    for (const address of contacts) {
      const result = await sendOnce(options, served, attempt, address);
      if (result.delivered) continue;
      const prefix = contacts.length === 1 ? '' : `${address}: `;
      failures.push(`${prefix}${result.message}`);
    }
    return failures.length === 0
      ? delivered
      : { delivered: false, message: oneLine(failures.join('; '), 512) };
  };
}

const delivered: DeliveryResult = { delivered: true, message: 'Success: Email successfully sent' };

const noContacts: DeliveryResult = {
  delivered: false,
  message: 'The account has no technical contacts: set technical_contacts of the account',
  final: true,
};

async function sendOnce(
  options: EmailOptions,
  served: Set<string>,
  attempt: Attempt,
  address: string,
): Promise<DeliveryResult> {
  const name = `${attempt.id} ${address}`;
  if (served.has(name)) return delivered;
  const result = await send(options, attempt, address);
  if (result.delivered) remember(served, name);
  return result;
}

function remember(served: Set<string>, name: string): void {
  served.add(name);
  if (served.size <= servedMax) return;
  const [oldest] = served;
  if (oldest !== undefined) served.delete(oldest);
}

async function send(
  options: EmailOptions,
  attempt: Attempt,
  address: string,
): Promise<DeliveryResult> {
  const { smtp } = options;
  if (smtp === null) return { delivered: false, message: notConfigured };
  const from = senderOf(smtp.from);
  if (from === null)
    return { delivered: false, message: 'The setting smtp.from is not a mail address' };
  if (!isMailAddress(address)) return { delivered: false, message: 'Invalid email', final: true };
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = AbortSignal.any([deadline, attempt.signal]);
  try {
    await mailed({ options, smtp, from }, mailOf(attempt, from, address), signal);
    return delivered;
  } catch (error) {
    const timedOut = `Mail server did not answer within ${options.timeoutMs / 1_000} seconds`;
    return { delivered: false, message: deadline.aborted ? timedOut : mailFailure(error) };
  }
}

type Mail = ReturnType<typeof mailOf>;

function mailOf({ id, body }: Attempt, from: Address, address: string) {
  return {
    from,
    to: { name: '', address },
    subject: emailSubject(body),
    text: emailText(body),
    textEncoding: 'base64' as const,
    messageId: `<${id}@${domainOf(from.address)}>`,
    date: new Date(body.timestamp),
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

interface Sender {
  readonly options: EmailOptions;
  readonly smtp: SmtpSettings;
  readonly from: Address;
}

/** Sends over a connection of its own; rejects with the signal's reason once that is aborted. */
async function mailed(sender: Sender, mail: Mail, signal: AbortSignal): Promise<void> {
  const { options, smtp } = sender;
  const { socket } = await options.egress.connect({
    host: smtp.host,
    port: smtp.port,
    purpose: 'smtp',
    timeoutMs: options.timeoutMs,
    signal,
  });
  const abort = (): void => {
    socket.destroy();
  };
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  // With the first mail only: it is 10 MB that a node without mail does not need.
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    ...transportOptions(sender),
    getSocket: (_: unknown, done: (error: null, given: { readonly connection: Socket }) => void) =>
      done(null, { connection: socket }),
  });
  try {
    await transport.sendMail(mail);
  } finally {
    signal.removeEventListener('abort', abort);
    transport.close();
    socket.destroy();
  }
}

function transportOptions({ options, smtp, from }: Sender) {
  const { user, password } = smtp;
  const ehloName = smtp.ehloName ?? domainOf(from.address);
  return {
    host: smtp.host,
    port: smtp.port,
    secure: smtp.secure,
    requireTLS: !smtp.secure && smtp.requireTls !== false,
    name: isMailDomain(ehloName) ? ehloName : 'localhost',
    ...(user === undefined ? {} : { auth: { user, pass: password ?? '' } }),
    tls: { rejectUnauthorized: true, ...(smtp.ca === undefined ? {} : { ca: smtp.ca }) },
    connectionTimeout: options.timeoutMs,
    greetingTimeout: options.timeoutMs,
    socketTimeout: options.timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** Returns the sender of `address` or `Name <address>`, or null where it is not one plain address. */
function senderOf(text: string): Address | null {
  const named = /^([^<>"\r\n]{0,100}?)\s*<([^<>\s]{1,254})>$/.exec(text);
  const address = named?.[2] ?? text;
  if (!isMailAddress(address)) return null;
  return { name: oneLine(named?.[1] ?? 'Tocsin', 100), address };
}

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1);
}

/** The server's own words where it spoke, else what broke. */
function mailFailure(error: unknown): string {
  const { response, message, code } = error as {
    response?: unknown;
    message?: unknown;
    code?: unknown;
  };
  if (typeof response === 'string' && response !== '')
    return oneLine(`Mail server: ${response}`, 256);
  const text = typeof message === 'string' && message !== '' ? message : String(code ?? error);
  return oneLine(`Mail server: ${text}`, 256);
}
