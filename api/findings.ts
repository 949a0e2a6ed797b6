// Findings of every node as one answer: each with the node that has it, and the nodes that said nothing.
// The question goes to the nodes themselves, over the router. Must not know what a finding is about.
import type { AskOptions, Message } from '../runtime/message.ts';
import type { Finding } from './advice.ts';

export interface FleetFindings {
  readonly findings: readonly (Finding & { readonly node: string })[];
  readonly answered_by: string;
  /** Nodes that did not answer in time: what is wrong there is not known. */
  readonly unreachable: readonly string[];
}

/** What each node serves: its own findings. */
export const findingsKind = 'node.findings';
const answerMs = 1_000;

interface Nodes {
  askNodes<Reply>(
    nodes: readonly string[],
    message: Message,
    options?: AskOptions,
  ): Promise<{ readonly answers: ReadonlyMap<string, Reply>; readonly silent: readonly string[] }>;
}

/** Asks these nodes, `node` (this one) among them; problems first, then by node. Never rejects. */
export async function fleetFindings(
  router: Nodes,
  node: string,
  nodes: readonly string[],
): Promise<FleetFindings> {
  const { answers, silent } = await router.askNodes<readonly Finding[]>(
    [...new Set([node, ...nodes])].sort(),
    { kind: findingsKind },
    { timeoutMs: answerMs },
  );
  const all = [...answers].flatMap(([name, found]) =>
    found.map((finding) => ({ node: name, ...finding })),
  );
  all.sort((a, b) => rank(a) - rank(b) || (a.node < b.node ? -1 : a.node > b.node ? 1 : 0));
  return { findings: all, answered_by: node, unreachable: [...silent].sort() };
}

const rank = ({ level }: Finding): number => (level === 'problem' ? 0 : 1);
