// Changes of the account itself: its creation, its settings, its limits and its tokens. Pure.
// Secrets come from the caller: a step has no strong randomness.
import { missing, refused } from '../refusal.ts';
import type { AccountDoc, LimitsDoc, TokenDoc } from '../resources.ts';
import { array, hash, matching, type Schema, string, validateAttributes } from '../validate.ts';
import { tooLarge } from './attribute.ts';
import type { TenantDocuments } from './documents.ts';
import { type Edit, edit, type Judged } from './edit.ts';
import type { TenantChange } from './messages.ts';
import { mailAddress } from './notification-change.ts';

type AccountUpdate = Extract<TenantChange, { kind: 'account.update' }>;
type LimitsUpdate = Extract<TenantChange, { kind: 'limits.update' }>;
type TokenChange = Extract<TenantChange, { kind: `token.${string}` }>;

/** Live tokens of one tenant. */
const tokensMax = 1_000;

const schema: Schema = {
  metadata: { rule: hash({ k: [1, 255], v: [1, 255], max: 256 }) },
  webhook_token: { rule: string(10, 64), required: true },
  technical_contacts: { rule: array(mailAddress, { max: 64, unique: true }), default: [] },
  signing_secret: {
    rule: matching(
      /^whsec_(?:[A-Za-z0-9+/]{4}){8,22}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
      'Invalid signing secret',
    ),
    required: true,
  },
};

/** Judges a change of the account's settings. */
export function judgeAccount(documents: TenantDocuments, message: AccountUpdate): Judged {
  const valid = validateAttributes(schema, message.attributes, 'update', { ...documents.account });
  if (!valid.ok) return valid;
  const account = valid.value as unknown as AccountDoc;
  const refusal = tooLarge(account);
  if (refusal !== null) return refusal;
  return edit({ value: { id: account.id }, status: 204, account });
}

/** Judges new limits: whole numbers from 0. */
export function judgeLimits(documents: TenantDocuments, message: LimitsUpdate): Judged {
  if (!isLimits(message.limits)) {
    return refused('badRequest', 'Limits are whole numbers from 0');
  }
  return edit({ value: { id: documents.account.id }, status: 204, limits: message.limits });
}

function isLimits(limits: LimitsDoc): boolean {
  const { checks, alarms, entities, rate } = limits;
  return [checks, alarms, entities, ...Object.values(rate)].every(
    (one) => Number.isSafeInteger(one) && one >= 0,
  );
}

/** Judges a change of tokens. Expired tokens go with the next one; of live ones beyond the bound that which ends first. */
export function judgeToken(
  documents: TenantDocuments,
  message: TokenChange,
  nowMs: number,
): Judged {
  if (message.kind === 'token.put') return put(documents.tokens, message.token, nowMs);
  if (message.kind === 'token.delete') {
    if (!documents.tokens.has(message.id)) return missing('Token', message.id);
    return edit({ value: null, status: 204, tokens: { [message.id]: null } });
  }
  const gone = [...documents.tokens.values()].filter((one) => one.user === message.user);
  if (gone.length === 0) return { ok: true, unchanged: null };
  return edit({ value: null, status: 204, tokens: deletions(gone) });
}

function put(tokens: ReadonlyMap<string, TokenDoc>, token: TokenDoc, nowMs: number): Judged {
  const others = [...tokens.values()].filter((one) => one.id !== token.id);
  const expired = others.filter((one) => endOf(one) <= nowMs);
  const live = others.filter((one) => endOf(one) > nowMs).sort((a, b) => endOf(a) - endOf(b));
  const surplus = live.slice(0, Math.max(0, live.length + 1 - tokensMax));
  if (surplus.some((one) => one.expires_at === null)) {
    return refused('limitReached', `Limit of ${tokensMax} tokens has been reached`);
  }
  const written: Edit['tokens'] = { ...deletions([...expired, ...surplus]), [token.id]: token };
  return edit({ value: { id: token.id }, status: 200, tokens: written });
}

function endOf(token: TokenDoc): number {
  return token.expires_at ?? Number.POSITIVE_INFINITY;
}

function deletions(tokens: readonly TokenDoc[]): Record<string, null> {
  return Object.fromEntries(tokens.map((one) => [one.id, null]));
}
