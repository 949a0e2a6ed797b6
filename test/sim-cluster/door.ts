// The client's way in: any node that is there, over a connection that breaks with its process.
import type { ActorKey } from '../../runtime/ids.ts';
import type { Message } from '../../runtime/message.ts';
import type { ClusterNode } from './node.ts';
import type { ClusterWorld } from './world.ts';

const askPatienceMs = 10_000;

/** Asks whichever node is there; rejects where there is no answer. */
export function askAny(world: ClusterWorld, key: ActorKey, message: Message): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ready = world.living().filter((life) => life.isReady);
    const life = ready.length === 0 ? null : world.draw.pick(ready);
    if (life === null) {
      world.kernel.after(20, null, () => reject(new Error('connection refused')));
      return;
    }
    let isOver = false;
    const end = (task: () => void): void => {
      if (isOver) return;
      isOver = true;
      life.asks.delete(lost);
      task();
    };
    const lost = (error: Error): void => {
      world.kernel.after(1, null, () => end(() => reject(error)));
    };
    life.asks.add(lost);
    world.kernel.after(askPatienceMs, null, () => end(() => reject(new Error('timeout'))));
    world.kernel.after(world.draw.between(0.2, 3), life.process, () => {
      const back = (task: () => void): void => {
        if (life.process.isDead) return;
        world.hit(life.process, 'api.answered');
        if (life.process.isDead) return;
        world.kernel.after(world.draw.between(0.2, 3), null, () => end(task));
      };
      const { router } = life.node as ClusterNode;
      router.ask(key, message).then(
        (value) => back(() => resolve(value)),
        (error: unknown) => back(() => reject(error as Error)),
      );
    });
  });
}
