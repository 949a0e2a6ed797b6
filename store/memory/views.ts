// Classes A and B of a cluster in memory: the agreed view under compare-and-set, and the nodes' beats.
import type { Beat } from '../../runtime/cluster-ports.ts';
import type { StoredView, ViewOperations } from '../operations.ts';
import { compareText } from '../order.ts';

/** Returns the operations over a cluster that was never started. */
export function memoryViews(): ViewOperations {
  let view: StoredView = null;
  const beats = new Map<string, Beat>();
  return {
    readView: () => (view === null ? null : { ...view, body: new Uint8Array(view.body) }),
    casView: ({ from, to, body }) => {
      if ((view?.version ?? 0) !== from) return false;
      view = { version: to, body };
      return true;
    },
    writeBeat: (beat) => {
      beats.set(beatPlace(beat), { ...beat });
    },
    readBeats: () =>
      [...beats.values()].sort(
        (left, right) =>
          compareText(left.node, right.node) || compareText(left.incarnation, right.incarnation),
      ),
    deleteBeat: (of) => {
      beats.delete(beatPlace(of));
    },
  };
}

function beatPlace({ node, incarnation }: Pick<Beat, 'node' | 'incarnation'>): string {
  return `${node}\n${incarnation}`;
}
