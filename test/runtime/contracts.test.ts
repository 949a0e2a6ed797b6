// The wire between versions: runtime/contracts.txt lists every message kind with its fields. REWRITE=1 writes it anew;
// a line that changed or went away needs a thought about nodes that run the version before.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { contractsBelow, contractsOf } from '../contracts.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const file = fileURLToPath(new URL('../../runtime/contracts.txt', import.meta.url));
const header = `# Every message that actors can be told and asked: kind { field: type; … }. Written by
# \`REWRITE=1 npm run test:one test/runtime/contracts.test.ts\`; nodes of two versions share these.

`;

t.test('runtime/contracts.txt lists exactly the messages that the actors declare', (t) => {
  const now = header + contractsBelow(root, 'actors');
  if (process.env['REWRITE'] === '1') writeFileSync(file, now);
  t.equal(readFileSync(file, 'utf8'), now, 'else: REWRITE=1, and look at what changed');
  t.match(now, /^entity\.create \{ /m);
  t.end();
});

t.test('unions, interfaces, optional fields and shared parts are all read', (t) => {
  const lines = contractsOf(`
    export type OneMessage =
      /** → Answer */
      | { readonly kind: 'one.get' }
      | {
          readonly kind: 'one.put' | 'one.set';
          readonly id?: string; // the id
          readonly value:
            | 'a'
            | { readonly n: number; readonly deep: readonly Deep[]; };
        }
      | (Shared & { readonly kind: 'one.shared'; readonly at: number });
    export interface TwoMessage { readonly kind: 'two'; readonly list: ReadonlyMap<string,
      number> }
    export interface NoMessage { readonly kind: string }
    type Deep = number;
  `);
  t.strictSame(lines, [
    'one.get {}',
    "one.put { id?: string; value: 'a' | { readonly n: number; readonly deep: readonly Deep[] } }",
    "one.set { id?: string; value: 'a' | { readonly n: number; readonly deep: readonly Deep[] } }",
    'one.shared { ...Shared; at: number }',
    'two { list: ReadonlyMap<string, number> }',
  ]);
  t.end();
});
